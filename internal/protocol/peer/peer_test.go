package peer_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// one returns a message of every kind with every field set.
func one() []peer.Message {
	id := message.BlockID{Root: common.Hash{1}, Number: 9}
	return []peer.Message{
		&peer.Hello{Version: 1, ChainID: 5, Genesis: common.Hash{2}, Spec: [32]byte{3}, Agent: "alys/1", Head: id, Finalized: id,
			HasAuthority: true, Authority: 2, Proof: aura.Signature{4}, Listen: "/ip4/192.0.2.1/tcp/1"},
		&peer.Goodbye{Code: peer.GoodbyeBanned, Reason: "x"},
		&peer.Status{Head: id, Finalized: id},
		&peer.Ping{Number: 1}, &peer.Pong{Number: 2},
		&peer.Range{From: 3, Count: 4, MaxBytes: 5, Headers: true},
		&peer.Descend{Root: common.Hash{6}, Lowest: 7, Count: 8, MaxBytes: 9},
		&peer.Block{Signed: []byte{1}}, &peer.Header{Front: make([]byte, 64), Siblings: make([]byte, 32), Depth: 3, Bits: [2]byte{1, 0x80}, Signature: aura.Signature{1}},
		&peer.End{Code: peer.EndBusy, Reason: "later"},
		&peer.Contents{Hashes: make([]byte, 64)}, &peer.Content{Data: []byte("x")},
		&peer.Approvals{Roots: make([]byte, 32)}, &peer.Approval{Root: common.Hash{1}, Authority: 14, Signature: aura.Signature{2}},
		&peer.Payments{Txids: make([]byte, 32)}, &peer.Signatures{Key: [33]byte{2}, List: make([]byte, 128)},
		&peer.Announce{Root: common.Hash{1}, Number: 2, Bytes: 3}, &peer.Want{Indexes: []uint64{0, 4, 16383}},
		&peer.Compact{Skeleton: []byte{1}, Hashes: make([]byte, 32)}, &peer.Parts{List: []byte{1, 2}},
		&peer.Opaque{Data: []byte("note")},
	}
}

func read(data []byte, due ...peer.Kind) (peer.Message, error) {
	return peer.ReadFrame(bufio.NewReader(bytes.NewReader(data)), due...)
}

// Every kind travels and comes out as it went in; cut anywhere it is no message.
func TestFrames(t *testing.T) {
	for _, m := range one() {
		data := peer.AppendFrame(nil, m)
		got, err := read(data, m.Kind())
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("%T: %s", m, diff)
		}
		for n := range data {
			if _, err := read(data[:n], m.Kind()); err == nil || n == 0 != errors.Is(err, io.EOF) {
				t.Errorf("%T cut at %d of %d: %v", m, n, len(data), err)
			}
		}
		if _, err := read(data, m.Kind()+100); !fault.Is(err, fault.Invalid) {
			t.Errorf("%T where it is not due: %v", m, err)
		}
	}
}

// What breaks a bound of the page is refused.
func TestRefused(t *testing.T) {
	for name, m := range map[string]peer.Message{
		"long agent":           &peer.Hello{Agent: strings.Repeat("x", 129)},
		"long address":         &peer.Hello{Listen: strings.Repeat("x", 201)},
		"agent with an escape": &peer.Hello{Agent: "a\x1b[2J"},
		"proof of nothing":     &peer.Hello{Authority: 1},
		"no count":             &peer.Range{From: 1},
		"large count":          &peer.Range{From: 1, Count: 1025},
		"large descent":        &peer.Descend{Count: 1025},
		"no hashes":            &peer.Contents{},
		"cut hash":             &peer.Contents{Hashes: make([]byte, 33)},
		"authority 15":         &peer.Approval{Authority: 15},
		"cut signature":        &peer.Signatures{List: make([]byte, 65)},
		"no signature":         &peer.Signatures{},
		"empty announcement":   &peer.Announce{},
		"large announcement":   &peer.Announce{Bytes: peer.MaxBlock + 1},
		"wants nothing":        &peer.Want{},
		"wants all":            &peer.Want{Skeleton: true, Indexes: []uint64{1}},
		"wants twice":          &peer.Want{Indexes: []uint64{3, 3}},
		"wants backwards":      &peer.Want{Indexes: []uint64{3, 2}},
		"wants beyond":         &peer.Want{Indexes: []uint64{16384}},
		"cut hashes":           &peer.Compact{Hashes: make([]byte, 31)},
		"no parts":             &peer.Parts{},
		"deep header":          &peer.Header{Front: make([]byte, 32), Depth: 22},
		"header of no chunk":   &peer.Header{Front: make([]byte, 31)},
	} {
		if _, err := read(peer.AppendFrame(nil, m), m.Kind()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"length zero":        {0, 4},
		"length not short":   {0x81, 0x00, 4},
		"length without end": {0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 4},
		"ping of a megabyte": append(binary.AppendUvarint(nil, 1<<20), byte(peer.KindPing)),
		"unknown field":      {3, byte(peer.KindPing), 0x10, 1},
	} {
		if _, err := read(data, peer.KindPing); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A frame that claims the most and brings nothing takes little memory.
func TestClaimsCostNothing(t *testing.T) {
	data := append(binary.AppendUvarint(nil, peer.MaxBlock), byte(peer.KindBlock))
	var r bytes.Reader
	most := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Reset(data)
			if _, err := peer.ReadFrame(&r, peer.KindBlock); !errors.Is(err, io.ErrUnexpectedEOF) {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if most > 256<<10 {
		t.Errorf("%d bytes for nothing", most)
	}
}

// sample is a block of n transactions with something in every part before them.
func sample(n, size int) *block.Signed {
	s := &block.Signed{Approvals: aura.None()}
	s.Block = block.Block{ParentHash: common.Hash{7}, Slot: 12345, Payload: block.Payload{
		ParentHash: common.Hash{1}, BlockNumber: 77, GasLimit: 30e6, GasUsed: 21000, Timestamp: 1_700_000_000, ExtraData: []byte("x"),
		BaseFeePerGas: big.NewInt(1e9), BlockHash: common.Hash{9}, Withdrawals: []block.Withdrawal{{Amount: 5}}}}
	for i := range n {
		tx := bytes.Repeat([]byte{byte(i), byte(i >> 8), 3}, size/3+1)[:size]
		s.Block.Payload.Transactions = append(s.Block.Payload.Transactions, tx)
	}
	return s
}

// A header leads to the root of its block, for trees of every shape, and a changed bit
// anywhere does not.
func TestHeader(t *testing.T) {
	for n := range 40 {
		s := sample(n, 7+n*5)
		h, err := peer.NewHeader(s)
		if err != nil {
			t.Fatal(err)
		}
		m, err := read(peer.AppendFrame(nil, h), peer.KindHeader)
		if err != nil {
			t.Fatal(err)
		}
		b, root, err := m.(*peer.Header).Open()
		if err != nil || root != s.Root() {
			t.Fatalf("%d transactions: root %s, want %s: %v", n, root, s.Root(), err)
		}
		want := s.Block
		want.Payload.Transactions, want.Payload.Withdrawals = nil, nil
		if !reflect.DeepEqual(b, &want) {
			t.Errorf("%d transactions: %+v, want %+v", n, b, &want)
		}
		for i := range h.Siblings {
			h.Siblings[i] ^= 1
			if _, root, err := h.Open(); err == nil && root == s.Root() {
				t.Fatalf("byte %d of the hashes does not count", i)
			}
			h.Siblings[i] ^= 1
		}
		for i := range h.Front {
			h.Front[i] ^= 1
			if _, root, err := h.Open(); err == nil && root == s.Root() {
				t.Fatalf("byte %d of the front does not count", i)
			}
			h.Front[i] ^= 1
		}
	}
}

// compact is a block, its announcement and its compact form.
func compact(t testing.TB, s *block.Signed) (*peer.Announce, *peer.Compact) {
	c, err := peer.NewCompact(s)
	if err != nil {
		t.Fatal(err)
	}
	return &peer.Announce{Root: s.Root(), Number: s.Block.Payload.BlockNumber, Bytes: uint32(len(s.Encode()))}, c
}

// A block is put together from its compact form: with all, some or none of its transactions
// at hand.
func TestPuzzle(t *testing.T) {
	s := sample(300, 4000)
	a, c := compact(t, s)
	for _, every := range []int{1, 2, 3, 1000} {
		p, err := c.Open(a, func(h common.Hash) []byte {
			for i, tx := range s.Block.Payload.Transactions {
				if i%every == 0 && h == peer.Hash(c.Hashes, i) {
					return tx
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		frames, err := peer.Split(s.Block.Payload.Transactions, p.Missing())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if len(f.List) > 300<<10 {
				t.Errorf("a frame of %d bytes", len(f.List))
			}
			if err := p.Take(f); err != nil {
				t.Fatal(err)
			}
		}
		got, data, err := p.Block()
		if err != nil || !bytes.Equal(data, s.Encode()) || got.Root() != s.Root() {
			t.Fatalf("one of %d at hand: %v", every, err)
		}
	}
}

// Pieces that do not belong to the block that was announced are refused at once.
func TestPuzzleRefuses(t *testing.T) {
	s := sample(5, 100)
	a, c := compact(t, s)
	open := func(change func(a *peer.Announce, c *peer.Compact)) (*peer.Puzzle, error) {
		a, c := *a, *c
		c.Hashes = bytes.Clone(c.Hashes)
		change(&a, &c)
		return c.Open(&a, nil)
	}
	all, _ := peer.Split(s.Block.Payload.Transactions, []uint64{0, 1, 2, 3, 4})
	for name, change := range map[string]func(a *peer.Announce, c *peer.Compact){
		"another root":     func(a *peer.Announce, _ *peer.Compact) { a.Root[3]++ },
		"another height":   func(a *peer.Announce, _ *peer.Compact) { a.Number++ },
		"fewer bytes":      func(a *peer.Announce, _ *peer.Compact) { a.Bytes-- },
		"more bytes":       func(a *peer.Announce, _ *peer.Compact) { a.Bytes++ },
		"another hash":     func(_ *peer.Announce, c *peer.Compact) { c.Hashes[40]++ },
		"a hash less":      func(_ *peer.Announce, c *peer.Compact) { c.Hashes = c.Hashes[32:] },
		"a whole skeleton": func(_ *peer.Announce, c *peer.Compact) { c.Skeleton = s.Encode() },
		"no skeleton":      func(_ *peer.Announce, c *peer.Compact) { c.Skeleton = []byte{1} },
	} {
		p, err := open(change)
		if err == nil {
			err = p.Take(all[0])
		}
		if err == nil {
			_, _, err = p.Block()
		}
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := peer.Split(s.Block.Payload.Transactions, []uint64{5}); !fault.Is(err, fault.Invalid) {
		t.Errorf("transaction 5 of 5: %v", err)
	}
}

// A proof of authority holds for one peer id, one authority and one chain.
func TestProof(t *testing.T) {
	keys := []aura.SecretKey{aura.DevKey(1), aura.DevKey(2)}
	committee, err := aura.NewCommittee([]aura.PublicKey{keys[0].PublicKey(), keys[1].PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	const id = "\x00\x24\x08\x01\x12\x20 a peer id of an Ed25519 key"
	h := peer.Hello{Genesis: common.Hash{1}, HasAuthority: true, Authority: 1, Proof: keys[1].Sign(peer.ProofRoot(common.Hash{1}, 1, id))}
	if err := h.Proven(committee, id); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *peer.Hello, id *string){
		"another peer":      func(_ *peer.Hello, id *string) { *id += "x" },
		"another chain":     func(h *peer.Hello, _ *string) { h.Genesis[0]++ },
		"another authority": func(h *peer.Hello, _ *string) { h.Authority = 0 },
		"no such authority": func(h *peer.Hello, _ *string) { h.Authority = 2 },
		"huge authority":    func(h *peer.Hello, _ *string) { h.Authority = 1<<32 - 255 }, // 1 in eight bits
		"no signature":      func(h *peer.Hello, _ *string) { h.Proof = aura.Signature{} },
	} {
		h, id := h, id
		if change(&h, &id); !fault.Is(h.Proven(committee, id), fault.Invalid) {
			t.Errorf("%s is proven", name)
		}
	}
	if err := (&peer.Hello{}).Proven(committee, id); err != nil {
		t.Errorf("a node without authority: %v", err)
	}
}

// Any bytes are an error or the canonical bytes of what they decode to, and what is opened
// of them does not panic.
func FuzzDecode(f *testing.F) {
	for _, m := range one() {
		f.Add(peer.AppendBody(nil, m))
	}
	s := sample(3, 50)
	a, c := compact(f, s)
	h, _ := peer.NewHeader(s)
	f.Add(peer.AppendBody(nil, c))
	f.Add(peer.AppendBody(nil, h))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := peer.Decode(body)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v is not graded invalid", err)
			}
			return
		}
		if again := peer.AppendBody(nil, m); !bytes.Equal(body, again) {
			t.Fatalf("%x re-encodes as %x", body, again)
		}
		switch m := m.(type) {
		case *peer.Compact:
			if p, err := m.Open(a, nil); err == nil {
				_ = p.Take(&peer.Parts{List: m.Hashes})
			}
		case *peer.Parts:
			if p, err := c.Open(a, nil); err == nil && p.Take(m) == nil {
				_, _, _ = p.Block()
			}
		case *peer.Header:
			if b, root, err := m.Open(); err == nil && root == s.Root() && b.ParentHash != s.Block.ParentHash {
				t.Fatal("another header of the same root")
			}
		case *peer.Signatures:
			p := m.Payment()
			if again, ok := peer.SignaturesOf(&p); !ok || !reflect.DeepEqual(again, m) {
				t.Fatalf("%+v becomes %+v", m, again)
			}
		}
	})
}

// FuzzReadFrame reads frames from a stream of any bytes.
func FuzzReadFrame(f *testing.F) {
	for _, m := range one() {
		f.Add(peer.AppendFrame(peer.AppendFrame(nil, m), m))
	}
	all := make([]peer.Kind, 0, 256)
	for k := range 256 {
		all = append(all, peer.Kind(k))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		for {
			before := r.Len()
			m, err := peer.ReadFrame(r, all...)
			if err != nil {
				return
			}
			used := data[len(data)-before : len(data)-r.Len()]
			if again := peer.AppendFrame(nil, m); !bytes.Equal(used, again) {
				t.Fatalf("%x re-encodes as %x", used, again)
			}
		}
	})
}

func BenchmarkReadBlock(b *testing.B) {
	data := peer.AppendFrame(nil, &peer.Block{Signed: sample(5, 200).Encode()})
	r := bytes.NewReader(nil)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(data)
		if _, err := peer.ReadFrame(r, peer.KindBlock); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPuzzle(b *testing.B) {
	s := sample(64, 16<<10)
	a, c := compact(b, s)
	frames, _ := peer.Split(s.Block.Payload.Transactions, func() (all []uint64) {
		for i := range s.Block.Payload.Transactions {
			all = append(all, uint64(i))
		}
		return all
	}())
	b.SetBytes(int64(a.Bytes))
	b.ReportAllocs()
	for b.Loop() {
		p, err := c.Open(a, nil)
		for _, f := range frames {
			if err == nil {
				err = p.Take(f)
			}
		}
		if err == nil {
			_, _, err = p.Block()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
