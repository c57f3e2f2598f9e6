package model

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// Known is what one node has been given.
type Known struct {
	model    *Model
	blocks   map[common.Hash]bool
	approved map[common.Hash]map[int]bool
	alone    map[common.Hash]map[int]bool // approvals that came by themselves
}

// Nobody is the knowledge of a node that was given nothing.
func (m *Model) Nobody() *Known {
	return &Known{
		model: m, blocks: map[common.Hash]bool{m.genesis: true},
		approved: map[common.Hash]map[int]bool{}, alone: map[common.Hash]map[int]bool{},
	}
}

// Learn takes a signed block. A copy whose aggregate is not what the flagged
// members signed tells nothing, not even the block. (C5.5)
func (k *Known) Learn(s *block.Signed) {
	root := s.Block.Root()
	by, ok := k.signers(s.Approvals, root)
	if !ok || k.model.blocks[root] == nil {
		return
	}
	k.blocks[root] = true
	for _, i := range by {
		note(k.approved, root, i)
	}
}

func note(set map[common.Hash]map[int]bool, root common.Hash, i int) {
	if set[root] == nil {
		set[root] = map[int]bool{}
	}
	set[root][i] = true
}

// signers are the members of an aggregate that holds.
func (k *Known) signers(a aura.Approvals, root common.Hash) (by []int, ok bool) {
	for i := range k.model.spec.Authorities {
		if a.Has(i) {
			by = append(by, i)
		}
	}
	return by, len(by) > 0 && standin.Approvals(root, by...).Signature == a.Signature
}

// Approve takes one member's approval of a block, known or not.
func (k *Known) Approve(root common.Hash, a aura.Approval) {
	if i := int(a.Authority); i < len(k.model.spec.Authorities) && a.Signature == standin.Approve(i, root).Signature {
		note(k.approved, root, i)
		note(k.alone, root, i)
	}
}

// HasBlock reports whether the node was given a block.
func (k *Known) HasBlock(root common.Hash) bool { return k.blocks[root] }

// HasApproval reports whether the node was given a member's approval by itself.
func (k *Known) HasApproval(root common.Hash, i int) bool { return k.alone[root][i] }

// Approvals counts the members whose approval of a block the node has.
func (k *Known) Approvals(root common.Hash) int { return len(k.approved[root]) }

// By are the members whose approval of a block the node has, in order.
func (k *Known) By(root common.Hash) (by []int) {
	for i := range k.model.spec.Authorities {
		if k.approved[root][i] {
			by = append(by, i)
		}
	}
	return by
}

// Clone is a copy that goes its own way.
func (k *Known) Clone() *Known {
	c := k.model.Nobody()
	for root := range k.blocks {
		c.blocks[root] = true
	}
	for _, pair := range []struct{ to, from map[common.Hash]map[int]bool }{{c.approved, k.approved}, {c.alone, k.alone}} {
		for root, by := range pair.from {
			for i := range by {
				note(pair.to, root, i)
			}
		}
	}
	return c
}

// Quorum are the valid blocks with Q real approvals of which the node has all
// ancestors.
func (k *Known) Quorum() (list []*Block) {
	whole := map[common.Hash]bool{k.model.genesis: true}
	for root, b := range k.model.blocks {
		if root != k.model.genesis && b.Wrong == "" && len(k.approved[root]) >= k.model.spec.Quorum() && k.complete(root, whole) {
			list = append(list, b)
		}
	}
	return list
}

// complete reports whether the node has a block and all below it.
func (k *Known) complete(root common.Hash, whole map[common.Hash]bool) bool {
	var path []common.Hash
	answer, decided := false, false
	for at := root; !decided; at = k.model.blocks[at].Parent {
		if answer, decided = whole[at]; decided {
			break
		}
		path = append(path, at)
		if !k.blocks[at] {
			break
		}
	}
	for _, at := range path {
		whole[at] = answer
	}
	return answer
}

// Verdict is what a node that knows this much has to believe once the finality
// rule of the activation height holds for every block.
type Verdict struct {
	Finalised common.Hash
	Carrier   common.Hash   // whose range ends there; zero for genesis
	Heads     []common.Hash // the highest quorum blocks above it; several when they are equally high
	Height    uint64        // of the heads
	// Conflict: two finalised ranges of which none contains the other.
	Conflict       bool
	One, Other     common.Hash // the two ends
	OneBy, OtherBy common.Hash // their carriers
}

// Judge is the finality rule of architecture.md 4 from the activation height on:
// every carrier with a quorum finalises its range, and the head is the highest
// quorum block above the highest range end.
func (k *Known) Judge() Verdict {
	v := Verdict{Finalised: k.model.genesis}
	quorum := k.Quorum()
	for _, c := range quorum {
		if c.Header == nil {
			continue
		}
		end := k.model.finalisedBy(c)
		switch {
		case k.model.Above(v.Finalised, end):
		case k.model.Above(end, v.Finalised):
			v.Finalised, v.Carrier = end, c.Root
		case !v.Conflict:
			v.Conflict, v.One, v.OneBy, v.Other, v.OtherBy = true, v.Finalised, v.Carrier, end, c.Root
		}
	}
	v.Heads, v.Height = k.Heads(v.Finalised)
	return v
}

// Heads are the highest quorum blocks on base, base itself when there is none.
func (k *Known) Heads(base common.Hash) (heads []common.Hash, height uint64) {
	heads, height = []common.Hash{base}, k.model.blocks[base].Number
	for _, b := range k.Quorum() {
		if b.Number < height || b.Root == base || !k.model.Above(b.Root, base) {
			continue
		}
		if b.Number > height {
			heads, height = nil, b.Number
		}
		heads = append(heads, b.Root)
	}
	return heads, height
}
