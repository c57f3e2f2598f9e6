package checkpoint_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var genesis = common.Hash{0x61}

func committeeOf(t testing.TB, n int) *aura.Committee {
	t.Helper()
	keys := make([]aura.PublicKey, n)
	for i := range keys {
		keys[i] = aura.DevKey(uint64(i + 1)).PublicKey()
	}
	c, err := aura.NewCommittee(keys)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func stated(c checkpoint.Claim, authority uint8) checkpoint.Statement {
	return checkpoint.Sign(c, authority, aura.DevKey(uint64(authority)+1))
}

// A statement is no approval of a block, and an approval is no statement: what is signed
// differs in length and beginning from what a block's root is a hash of.
func TestNoApproval(t *testing.T) {
	committee := committeeOf(t, 3)
	c := checkpoint.Claim{Genesis: genesis, Number: 9, Root: common.Hash{1}, Index: [32]byte{2}}
	s := stated(c, 1)
	if err := s.Verify(committee); err != nil {
		t.Fatal(err)
	}
	for _, root := range []common.Hash{c.Root, c.Genesis, c.Index} {
		if committee.VerifyApproval(aura.Approval{Authority: 1, Signature: s.Signature}, root) == nil {
			t.Errorf("the statement approves block %s", root)
		}
		approval := aura.DevKey(2).Sign(root)
		if (&checkpoint.Statement{Claim: c, Authority: 1, Signature: approval}).Verify(committee) == nil {
			t.Errorf("an approval of %s states something", root)
		}
	}
	key := checkpoint.SignKey(genesis, 1, "alys+1+key", aura.DevKey(2))
	if key.Hash() == c.Hash() || key.Verify(committee) != nil {
		t.Error("a note key is not told apart, or does not verify")
	}
	key.Key += "x"
	if key.Verify(committee) == nil {
		t.Error("another key has the signature of the first")
	}
	for _, change := range []func(*checkpoint.Claim){
		func(c *checkpoint.Claim) { c.Number++ }, func(c *checkpoint.Claim) { c.Root[31]++ },
		func(c *checkpoint.Claim) { c.Index[0]++ }, func(c *checkpoint.Claim) { c.Genesis[0]++ },
	} {
		other := c
		change(&other)
		if other.Hash() == c.Hash() {
			t.Errorf("%+v has the hash of another claim", other)
		}
	}
}

// Whatever is among the statements, a claim is agreed only when a quorum of distinct
// authorities states it and nothing else at that height; a plain count says the same.
func TestAgreed(t *testing.T) {
	committee := committeeOf(t, 4) // quorum 3
	type key struct {
		claim     checkpoint.Claim
		authority uint8
	}
	type heard struct {
		list []checkpoint.Statement
		good map[key]bool // those that are true
	}
	some := rapid.Custom(func(t *rapid.T) heard {
		h := heard{good: map[key]bool{}}
		for range rapid.IntRange(0, 14).Draw(t, "statements") {
			c := checkpoint.Claim{Genesis: genesis, Number: 1024 * rapid.Uint64Range(1, 2).Draw(t, "number"), Root: common.Hash{1}}
			c.Index[0] = rapid.ByteRange(0, 1).Draw(t, "index")
			s := stated(c, rapid.Uint8Range(0, 3).Draw(t, "authority"))
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				s.Signature[5] ^= 1
			case 1:
				s = stated(checkpoint.Claim{Genesis: common.Hash{9}, Number: c.Number, Root: c.Root, Index: c.Index}, s.Authority)
			case 2:
				s.Authority = (s.Authority + 1) % 4
			default:
				h.good[key{c, s.Authority}] = true
			}
			h.list = append(h.list, s)
		}
		return h
	})
	total := 0
	for seed := range 40 {
		h := some.Example(seed)
		counts := map[checkpoint.Claim]int{}
		for k := range h.good {
			other := k
			other.claim.Index[0] ^= 1
			if !h.good[other] {
				counts[k.claim]++
			}
		}
		want := 0
		for _, n := range counts {
			if n >= 3 {
				want++
			}
		}
		total += want
		agreed := checkpoint.Agreed(h.list, genesis, committee)
		if len(agreed) != want {
			t.Fatalf("%d: %d claims are agreed, %d have a quorum", seed, len(agreed), want)
		}
		for i, a := range agreed {
			if counts[a.Claim] != len(a.Statements) || i > 0 && agreed[i-1].Number <= a.Number {
				t.Fatalf("%d: claim %+v has %d statements, counted are %d", seed, a.Claim, len(a.Statements), counts[a.Claim])
			}
		}
		slices.Reverse(h.list)
		if again := checkpoint.Agreed(h.list, genesis, committee); !reflect.DeepEqual(again, agreed) {
			t.Fatalf("%d: the order of statements decides", seed)
		}
	}
	if total == 0 {
		t.Fatal("nothing was ever agreed")
	}
}

func messages() []checkpoint.Message {
	s := stated(checkpoint.Claim{Genesis: genesis, Number: 7, Root: common.Hash{3}, Index: [32]byte{4}}, 2)
	key := checkpoint.SignKey(genesis, 0, "alys+1+key", aura.DevKey(1))
	return []checkpoint.Message{
		&checkpoint.Refusal{Reason: "busy"}, &checkpoint.AskStatements{}, &checkpoint.Statements{List: []checkpoint.Statement{s}},
		&checkpoint.AskPart{Hash: [32]byte{1}, Offset: 4}, &checkpoint.Piece{Size: 3, Data: []byte("abc")},
		&checkpoint.AskJournal{Origin: "alys/1/0", Size: 9}, &checkpoint.Journal{Key: key, Note: []byte("note"), Path: make([]byte, 64)},
		&checkpoint.Cosigned{Key: key, Note: []byte("note")}, &checkpoint.Taken{},
	}
}

func TestMessages(t *testing.T) {
	for _, m := range messages() {
		data := checkpoint.Pack(m)
		back, err := checkpoint.Unpack(data)
		if err != nil || !bytes.Equal(checkpoint.Pack(back), data) {
			t.Errorf("%T: %v", m, err)
		}
		for _, bad := range [][]byte{append(bytes.Clone(data), 0), {200}, nil} {
			if _, err := checkpoint.Unpack(bad); fault.Of(err) != fault.Invalid {
				t.Errorf("%T with other bytes: %v", m, err)
			}
		}
	}
	for _, bad := range []checkpoint.Message{
		&checkpoint.Piece{Size: 2, Data: []byte("abc")}, &checkpoint.Piece{Size: 5}, &checkpoint.Cosigned{Note: []byte("n")},
		&checkpoint.Journal{Note: []byte("n"), Path: make([]byte, 33)}, &checkpoint.Journal{},
		&checkpoint.Statements{List: make([]checkpoint.Statement, checkpoint.MaxStatements+1)},
	} {
		if _, err := checkpoint.Unpack(checkpoint.Pack(bad)); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v is read: %v", bad, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for _, m := range messages() {
		f.Add(checkpoint.Pack(m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := checkpoint.Unpack(data)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("grade %v of %v", fault.Of(err), err)
			}
			return
		}
		if !bytes.Equal(checkpoint.Pack(m), data) {
			t.Fatal("read bytes that are not the one encoding")
		}
	})
}

func sampleIndex() *checkpoint.Index {
	return &checkpoint.Index{
		Number: 1024, Root: common.Hash{5}, Behaviour: 2, StatesRoot: [32]byte{6},
		States:   []checkpoint.State{{Actor: "chain", Part: checkpoint.PartOf([]byte("one"))}},
		Contents: []checkpoint.Part{checkpoint.PartOf([]byte("two"))},
	}
}

func FuzzDecodeIndex(f *testing.F) {
	data, err := checkpoint.EncodeIndex(sampleIndex())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := checkpoint.DecodeIndex(data)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("grade %v of %v", fault.Of(err), err)
			}
			return
		}
		if again, err := checkpoint.EncodeIndex(x); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("read bytes that are not the one encoding: %v", err)
		}
	})
}

func TestIndexBounds(t *testing.T) {
	big := sampleIndex()
	for range 40 {
		big.Contents = append(big.Contents, checkpoint.Part{Size: checkpoint.MaxPart})
	}
	for name, x := range map[string]*checkpoint.Index{"empty": {}, "too many bytes": big} {
		if _, err := checkpoint.EncodeIndex(x); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := checkpoint.PartOf([]byte("one"))
	if !p.Is([]byte("one")) || p.Is([]byte("onf")) {
		t.Error("a part is not told by its bytes")
	}
}

func BenchmarkAgreed(b *testing.B) {
	committee := committeeOf(b, 15)
	var list []checkpoint.Statement
	for i := range 15 {
		list = append(list, stated(checkpoint.Claim{Genesis: genesis, Number: 1024}, uint8(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(checkpoint.Agreed(list, genesis, committee)) != 1 {
			b.Fatal("no agreement")
		}
	}
}
