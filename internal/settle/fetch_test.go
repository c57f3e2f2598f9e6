package settle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/settle"
)

// rig is a chain, the state that is settled at its head, and a store that offers it.
type rig struct {
	t      *testing.T
	blocks [][]byte // block i+1
	made   *settle.Made
	store  *settle.Store
	agreed checkpoint.Agreement
}

func newRig(t *testing.T, height int) *rig {
	t.Helper()
	r := &rig{t: t}
	genesis := common.Hash{0x67}
	parent := genesis
	for i := range height {
		b := block.Block{ParentHash: parent, Slot: uint64(i + 1), Payload: block.Payload{BlockNumber: uint64(i + 1)}}
		parent = b.Root()
		r.blocks = append(r.blocks, (&block.Signed{Block: b, Approvals: aura.None()}).Encode())
	}
	x := &checkpoint.Index{Number: uint64(height), Root: parent, Behaviour: 2}
	r.made = &settle.Made{Parts: map[[32]byte][]byte{}}
	for i := range 12 {
		data := bytes.Repeat([]byte{byte(i + 1)}, 1+i*checkpoint.MaxPiece/5)
		p := checkpoint.PartOf(data)
		r.made.Parts[p.Hash] = data
		x.States = append(x.States, checkpoint.State{Actor: "chain", Part: p})
	}
	var err error
	if r.made.Index, err = checkpoint.EncodeIndex(x); err != nil {
		t.Fatal(err)
	}
	r.made.Claim = checkpoint.Claim{Genesis: genesis, Number: x.Number, Root: x.Root, Index: checkpoint.PartOf(r.made.Index).Hash}
	r.agreed.Claim = r.made.Claim
	if r.store, err = settle.OpenStore(filepath.Join(t.TempDir(), "settled")); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Keep(r.made, checkpoint.Sign(r.made.Claim, 0, aura.DevKey(1))); err != nil {
		t.Fatal(err)
	}
	return r
}

// node is a peer that offers a rig, and what it does wrong.
type node struct {
	*rig
	name     string
	exchange func(answer []byte) ([]byte, error)
	serve    func(from uint64, list [][]byte) ([][]byte, error)

	mu    sync.Mutex
	calls int
}

func (n *node) Name() string { return n.name }

func (n *node) called() {
	n.mu.Lock()
	n.calls++
	n.mu.Unlock()
}

func (n *node) Exchange(_ context.Context, request []byte) ([]byte, error) {
	n.called()
	m, err := checkpoint.Unpack(request)
	if err != nil {
		return nil, err
	}
	answer := checkpoint.Pack(n.store.Answer(m))
	if n.exchange != nil {
		return n.exchange(answer)
	}
	return answer, nil
}

func (n *node) Blocks(_ context.Context, from uint64, count uint32) ([][]byte, error) {
	n.called()
	list := n.blocks[from-1:]
	list = list[:min(len(list), int(count), 7)] // fewer than asked for
	if n.serve != nil {
		return n.serve(from, list)
	}
	return list, nil
}

var errSilent = fault.New(fault.Temporary, "no answer")

// liars are peers that each do one thing wrong.
func (r *rig) liars() []*node {
	flipped := func(list [][]byte, at int) [][]byte {
		list = append([][]byte(nil), list...)
		list[at] = bytes.Clone(list[at])
		list[at][len(list[at])/2] ^= 1
		return list
	}
	foreign := newRig(r.t, len(r.blocks)+1) // a chain of the same genesis with another block everywhere
	return []*node{
		{rig: r, name: "silent", exchange: func([]byte) ([]byte, error) { return nil, errSilent },
			serve: func(uint64, [][]byte) ([][]byte, error) { return nil, errSilent }},
		{rig: r, name: "noise", exchange: func([]byte) ([]byte, error) { return []byte{99, 1}, nil },
			serve: func(uint64, [][]byte) ([][]byte, error) { return [][]byte{{1, 2, 3}}, nil }},
		{rig: r, name: "flips", exchange: func(a []byte) ([]byte, error) { a[len(a)-1] ^= 1; return a, nil },
			serve: func(_ uint64, l [][]byte) ([][]byte, error) { return flipped(l, len(l)-1), nil }},
		{rig: r, name: "empty", exchange: func([]byte) ([]byte, error) { return checkpoint.Pack(&checkpoint.Refusal{Reason: "no"}), nil },
			serve: func(uint64, [][]byte) ([][]byte, error) { return nil, nil }},
		{rig: r, name: "shifted", exchange: func([]byte) ([]byte, error) { return checkpoint.Pack(&checkpoint.Taken{}), nil },
			serve: func(from uint64, l [][]byte) ([][]byte, error) { return append(l[1:len(l):len(l)], l[0]), nil }},
		{rig: r, name: "endless", exchange: func([]byte) ([]byte, error) {
			return checkpoint.Pack(&checkpoint.Piece{Size: checkpoint.MaxPart, Data: []byte("x")}), nil
		}, serve: func(uint64, [][]byte) ([][]byte, error) { return make([][]byte, 5000), nil }},
		{rig: r, name: "foreign", exchange: func([]byte) ([]byte, error) { return foreign.made.Index, nil },
			serve: func(from uint64, l [][]byte) ([][]byte, error) {
				b := block.Block{ParentHash: foreign.made.Claim.Genesis, Slot: 9, Payload: block.Payload{BlockNumber: from}}
				return [][]byte{(&block.Signed{Block: b, Approvals: aura.None()}).Encode()}, nil
			}},
	}
}

func (r *rig) fetch(dir string, peers ...*node) *settle.Fetch {
	f := &settle.Fetch{Dir: dir}
	for _, p := range peers {
		f.Peers = append(f.Peers, p)
	}
	return f
}

// check compares what was fetched with what is there.
func (r *rig) check(f *settle.Fetch, x *checkpoint.Index) {
	r.t.Helper()
	parts, _ := x.Parts()
	for _, p := range parts {
		if data, err := f.Part(p); err != nil || !bytes.Equal(data, r.made.Parts[p.Hash]) {
			r.t.Fatalf("part %x: %v", p.Hash[:4], err)
		}
	}
	var all [][]byte
	for _, first := range settle.Runs(r.agreed.Number) {
		list, err := f.Run(first)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, list...)
	}
	if len(all) != len(r.blocks) {
		r.t.Fatalf("%d blocks of %d are there", len(all), len(r.blocks))
	}
	for i := range all {
		if !bytes.Equal(all[i], r.blocks[i]) {
			r.t.Fatalf("block %d has other bytes", i+1)
		}
	}
}

// One good peer is enough, whatever the others do; each that sent something false is named.
func TestOneGoodPeer(t *testing.T) {
	r := newRig(t, 300)
	good := &node{rig: r, name: "good"}
	for _, bad := range r.liars() {
		t.Run(bad.name, func(t *testing.T) {
			f := r.fetch(t.TempDir(), bad, good)
			out := map[string]error{}
			f.Told = func(peer string, err error) { out[peer] = err }
			x, err := f.State(t.Context(), r.agreed)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Blocks(t.Context(), r.agreed); err != nil {
				t.Fatal(err)
			}
			r.check(f, x)
			if out["good"] != nil {
				t.Errorf("the good peer is left out: %v", out["good"])
			}
		})
	}
	f := r.fetch(t.TempDir(), append(r.liars(), good)...)
	x, err := f.State(t.Context(), r.agreed)
	if err := errors.Join(err, f.Blocks(t.Context(), r.agreed)); err != nil {
		t.Fatal(err)
	}
	r.check(f, x)
}

// Without a good peer nothing is taken, and the fetch ends.
func TestNoGoodPeer(t *testing.T) {
	r := newRig(t, 100)
	for _, bad := range r.liars() {
		f := r.fetch(t.TempDir(), bad)
		out := map[string]bool{}
		f.Told = func(peer string, _ error) { out[peer] = true }
		if _, err := f.State(t.Context(), r.agreed); fault.Of(err) != fault.Temporary {
			t.Errorf("%s: a state: %v", bad.name, err)
		}
		if err := f.Blocks(t.Context(), r.agreed); fault.Of(err) != fault.Temporary {
			t.Errorf("%s: blocks: %v", bad.name, err)
		}
		if !out[bad.name] {
			t.Errorf("%s is not told to be left out", bad.name)
		}
	}
	other := r.agreed
	other.Genesis[0]++
	if err := r.fetch(t.TempDir(), &node{rig: r, name: "good"}).Blocks(t.Context(), other); fault.Of(err) != fault.Corrupt {
		t.Errorf("blocks of another genesis: %v", err)
	}
}

// A fetch that was cut short goes on with what is there, and damage in it is fetched again.
func TestResume(t *testing.T) {
	r := newRig(t, 300)
	dir := t.TempDir()
	for calls := 1; ; calls += 3 {
		p := &node{rig: r, name: "good"}
		left := calls
		ctx, cancel := context.WithCancel(t.Context())
		p.exchange = func(a []byte) ([]byte, error) {
			if left--; left <= 0 {
				cancel()
				return nil, ctx.Err()
			}
			return a, nil
		}
		p.serve = func(_ uint64, l [][]byte) ([][]byte, error) {
			if left--; left <= 0 {
				cancel()
				return nil, ctx.Err()
			}
			return l, nil
		}
		f := r.fetch(dir, p)
		x, err := f.State(ctx, r.agreed)
		if err == nil {
			err = f.Blocks(ctx, r.agreed)
		}
		cancel()
		if err == nil {
			r.check(f, x)
			if calls < 10 {
				t.Fatalf("%d calls fetch all: nothing was interrupted", calls)
			}
			break
		}
		if fault.Of(err) != fault.Temporary {
			t.Fatal(err)
		}
	}
	p := &node{rig: r, name: "good"}
	f := r.fetch(dir, p)
	if _, err := f.State(t.Context(), r.agreed); err != nil || p.calls != 0 {
		t.Fatalf("what is there is fetched again by %d calls: %v", p.calls, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x, err := f.State(t.Context(), r.agreed)
	if err := errors.Join(err, f.Blocks(t.Context(), r.agreed)); err != nil {
		t.Fatal(err)
	}
	r.check(f, x)
}

// A store offers the newest two states, also after it was opened again, and no damaged one.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	s, err := settle.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rigs []*rig
	for i := range 3 {
		r := newRig(t, 10+i)
		rigs = append(rigs, r)
		if err := s.Keep(r.made, checkpoint.Sign(r.made.Claim, 0, aura.DevKey(1))); err != nil {
			t.Fatal(err)
		}
	}
	look := func(s *settle.Store, want string) {
		t.Helper()
		var have string
		for _, st := range s.Statements() {
			have += fmt.Sprint(st.Number, " ")
			if _, err := s.Piece(st.Index, 0); err != nil {
				t.Error(err)
			}
		}
		if have != want {
			t.Errorf("offered are %q, want %q", have, want)
		}
	}
	look(s, "12 11 ")
	if s, err = settle.OpenStore(dir); err != nil {
		t.Fatal(err)
	}
	look(s, "12 11 ")
	if _, err := s.Piece(rigs[0].made.Claim.Index, 0); fault.Of(err) != fault.Invalid {
		t.Errorf("a state that was removed is offered: %v", err)
	}
	for _, name := range []string{"index", "statements"} {
		path := filepath.Join(dir, fmt.Sprintf("%020d", 12), name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range len(data) {
			broken := bytes.Clone(data)
			broken[at] ^= 1
			if err := os.WriteFile(path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := settle.OpenStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			if name == "index" && len(again.Statements()) != 1 {
				t.Fatalf("an index with byte %d flipped is offered", at)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	full, err := settle.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	look(full, "12 11 ")
	if err := full.Keep(rigs[2].made, checkpoint.Statement{Claim: rigs[2].made.Claim}); err != nil {
		t.Fatal(err)
	}
	look(full, "11 ") // no member: it has the parts and states nothing
	if _, err := full.Piece(rigs[2].made.Claim.Index, 0); err != nil {
		t.Error(err)
	}
}
