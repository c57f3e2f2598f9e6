package chain

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

// judge returns the rules of this chain.
func (x *turn) judge() *rules.Rules {
	return &rules.Rules{Spec: x.rules.spec, Verifier: verifier{x.work, x.rules.committee}, Judging: x.Config.Judging}
}

// verifier looks signatures up in the work done ahead.
type verifier struct {
	work      Work
	committee *aura.Committee
}

// Verify implements rules.Verifier.
func (v verifier) Verify(a *aura.Approvals, root common.Hash) error {
	return v.work.Verify(v.committee, *a, root)
}

// Ancestor implements rules.Ancestors.
func (s *State) Ancestor(root common.Hash) *rules.Ancestor {
	if e := s.Entry(root); e != nil {
		return &e.Ancestor
	}
	return nil
}

// Contains implements rules.Ancestors.
func (s *State) Contains(tip, b *rules.Ancestor) bool {
	t, e := s.Entry(tip.Root), s.Entry(b.Root)
	return t != nil && e != nil && s.isAncestor(e, t)
}

// FeesAfter implements rules.Ancestors.
func (s *State) FeesAfter(root common.Hash) *big.Int {
	if e := s.Entry(root); e != nil && e.executed() {
		return e.fees()
	}
	return nil
}

// finalizedBy returns the block that a carrier made final: itself when its
// header height is 0, else its range end. nil when that is not in the state. (C5)
func (s *State) finalizedBy(carrier *Entry) *Entry {
	switch {
	case carrier == nil || carrier.Carrier == nil:
		return nil
	case carrier.Carrier.Height == 0:
		return carrier
	default:
		return s.Entry(carrier.Carrier.RangeEnd)
	}
}

// finalBelow returns the block that is final by the carriers of e's own branch,
// up to e: what C5.9 and C8 b measure a block on e against. nil when that is not
// in the state.
func (s *State) finalBelow(e *Entry) *Entry { return s.finalizedBy(s.Entry(e.LastCarrier)) }

// isAncestor reports whether e is at or below tip on tip's branch.
func (s *State) isAncestor(e, tip *Entry) bool {
	for tip != nil && tip.Number > e.Number && tip.Status != Connected {
		tip = s.Entry(tip.Parent)
	}
	switch {
	case tip == nil || tip.Number < e.Number:
		return false
	case tip.Number == e.Number:
		return tip.Root == e.Root
	default: // tip is on the head's branch
		return e.Status == Connected
	}
}
