package gossip_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../testdata/legacy"

func seeds(tb testing.TB) [][]byte {
	tb.Helper()
	lines, err := vectors.Lines(vectors.Dir(legacyDir), "gossip")
	if err != nil {
		tb.Fatal(err)
	}
	out := [][]byte{(&gossip.ConsensusBlock{Signed: &block.Signed{Approvals: aura.None()}}).Encode()}
	for _, line := range lines {
		var v struct{ Msgpack string }
		if err := json.Unmarshal(line, &v); err != nil {
			tb.Fatal(err)
		}
		data, err := hex.DecodeString(v.Msgpack)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// TestDefaultSize pins the length wire.txt states for the all-default block.
func TestDefaultSize(t *testing.T) {
	if got := len(seeds(t)[0]); got != 1212 {
		t.Errorf("%d bytes, want 1212", got)
	}
}

// TestEntries draws sets of signatures: order and contents survive, and no entry
// at all is a message too.
func TestEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := new(gossip.PegoutSignatures)
		for i := range rapid.IntRange(0, 40).Draw(t, "entries") {
			e := gossip.PegoutEntry{Txid: chainhash.Hash{rapid.Byte().Draw(t, "txid"), byte(i)}}
			e.PublicKey[32] = rapid.Byte().Draw(t, "key")
			for range rapid.IntRange(0, 20).Draw(t, "signatures") {
				e.Signatures = append(e.Signatures, [64]byte{rapid.Byte().Draw(t, "signature")})
			}
			m.Entries = append(m.Entries, e)
		}
		back, err := gossip.Decode(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Encode(), m.Encode()) || len(back.(*gossip.PegoutSignatures).Entries) != len(m.Entries) {
			t.Fatalf("%+v becomes %+v", m, back)
		}
	})
}

func TestRefused(t *testing.T) {
	twice := &gossip.PegoutSignatures{Entries: make([]gossip.PegoutEntry, 2)}
	approve := (&gossip.ApproveBlock{Approval: aura.Approval{Authority: 5}}).Encode()
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "needs 1 bytes"},
		{"empty map", []byte{0x80}, "map of 0 entries"},
		{"two entries", append([]byte{0x82}, approve[1:]...), "map of 2 entries"},
		{"array", []byte{0x90}, "want a map"},
		{"unknown variant", []byte("\x81\xa3Abc\xc0"), `unknown variant "Abc"`},
		{"long variant", append([]byte("\x81\xd9\xff"), make([]byte, 255)...), "at most 32"},
		{"trailing", append(bytes.Clone(approve), 0), "1 bytes follow"},
		{"index above 8 bits", append(bytes.Clone(approve[:len(approve)-1]), 0xcd, 1, 0), "above 255"},
		{"index not shortest", append(bytes.Clone(approve[:len(approve)-1]), 0xcc, 5), "shortest form"},
		{"txid twice", twice.Encode(), "occurs twice"},
		{"many entries", []byte("\x81\xb0PegoutSignatures\xdf\x00\xff\xff\xff"), "do not fit"},
		{"block is nil", []byte("\x81\xaeConsensusBlock\xc0"), "want an array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := gossip.Decode(c.data)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}

func TestTopics(t *testing.T) {
	messages := []gossip.Message{&gossip.ConsensusBlock{}, &gossip.ApproveBlock{}, &gossip.QueuePow{}, &gossip.PegoutSignatures{}}
	for i, topic := range gossip.Topics() {
		if messages[i].Topic() != topic {
			t.Errorf("%T travels on %s, want %s", messages[i], messages[i].Topic(), topic)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := gossip.Decode(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("grade of %v", err)
			}
			return
		}
		if got := m.Encode(); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes to %x", data, got)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := seeds(b)[0]
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := gossip.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
