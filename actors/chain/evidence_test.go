package chain_test

import (
	"bytes"
	"testing"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/evidence"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Whoever is shown what a node says of a member needs the chain specification and the two
// blocks to check it, and anything that is not so does not pass.
func TestEquivocationIsProven(t *testing.T) {
	r := newRig(t, 3, func(_ *spec.Chain, m *message.NodeConfigured) {
		m.Peers, m.Producing, m.HasAuthority = true, false, false
	})
	r.make("a", plan{parent: "genesis", seconds: 1, by: []int{1}})
	r.make("b", plan{parent: "genesis", seconds: 1, by: []int{1}, extra: "x"})
	r.make("later", plan{parent: "genesis", seconds: 2, by: []int{1}})
	r.receive(chain.Gossip, r.blocks["a"])
	r.receive(chain.Gossip, r.blocks["b"], r.blocks["later"])
	r.receive(chain.Gossip, r.blocks["b"], r.blocks["a"])
	if len(r.proof) != 1 {
		t.Fatalf("%d equivocations are told, want one", len(r.proof))
	}
	fact := r.proof[0]
	stranger, err := aura.NewCommittee(r.spec.Authorities)
	if err != nil {
		t.Fatal(err)
	}
	first, second := r.content[fact.FirstBlock.Hash], r.content[fact.SecondBlock.Hash]
	if err := evidence.Check(stranger, fact, first, second); err != nil {
		t.Fatalf("the evidence does not pass: %v", err)
	}
	later := r.blocks["later"].Encode()
	signature := aura.DevKey(2).Sign(r.blocks["later"].Block.Root())
	for name, change := range map[string]func(m *message.Equivocation) (first, second []byte){
		"another member": func(m *message.Equivocation) ([]byte, []byte) { m.Authority = 2; return first, second },
		"no member":      func(m *message.Equivocation) ([]byte, []byte) { m.Authority = 3; return first, second },
		"another slot":   func(m *message.Equivocation) ([]byte, []byte) { m.Slot++; return first, second },
		"one block": func(m *message.Equivocation) ([]byte, []byte) {
			m.Second, m.SecondSignature = m.First, m.FirstSignature
			return first, first
		},
		"signatures swapped": func(m *message.Equivocation) ([]byte, []byte) {
			m.FirstSignature, m.SecondSignature = m.SecondSignature, m.FirstSignature
			return first, second
		},
		"short signature": func(m *message.Equivocation) ([]byte, []byte) {
			m.SecondSignature = m.SecondSignature[1:]
			return first, second
		},
		"blocks swapped":  func(m *message.Equivocation) ([]byte, []byte) { return second, first },
		"no block":        func(m *message.Equivocation) ([]byte, []byte) { return first, nil },
		"a damaged block": func(m *message.Equivocation) ([]byte, []byte) { b := bytes.Clone(second); b[40] ^= 1; return first, b },
		"two slots": func(m *message.Equivocation) ([]byte, []byte) {
			m.Second, m.SecondSignature = r.blocks["later"].Block.Root(), signature[:]
			return first, later
		},
	} {
		m := *fact
		if a, b := change(&m); evidence.Check(stranger, &m, a, b) == nil {
			t.Errorf("%s: evidence that proves nothing passes", name)
		}
	}
}

// A member that floods its own signatures pushes out its own, and what it signs now is
// still noticed; nobody else's are touched.
func TestSinglesAreBounded(t *testing.T) {
	r := newRig(t, 3, func(_ *spec.Chain, m *message.NodeConfigured) {
		m.Peers, m.Producing, m.HasAuthority = true, false, false
	})
	r.make("quiet", plan{parent: "genesis", seconds: 1, by: []int{2}, extra: "q"})
	r.receive(chain.Gossip, r.blocks["quiet"])
	const slots = 300
	name := func(i int) string { return string(rune('A'+i/26)) + string(rune('a'+i%26)) }
	for i := range slots {
		r.make(name(i), plan{parent: "genesis", seconds: uint64(i + 1), by: []int{1}})
		r.wait(1000)
		r.receive(chain.Gossip, r.blocks[name(i)])
	}
	if n := len(r.state().Singles(r.blocks["quiet"].Block.Root())); n != 1 {
		t.Errorf("%d signatures over the quiet member's block are kept, want 1", n)
	}
	kept := 0
	for i := range slots {
		kept += len(r.state().Singles(r.blocks[name(i)].Block.Root()))
	}
	if kept != 128 {
		t.Errorf("%d signatures of the flooding member are kept, want 128", kept)
	}
	r.make("twice", plan{parent: "genesis", seconds: slots, by: []int{1}, extra: "x"})
	r.receive(chain.Gossip, r.blocks["twice"])
	if len(r.proof) != 1 {
		t.Errorf("%d equivocations are told after the flood, want 1", len(r.proof))
	}
	r.restored()
}
