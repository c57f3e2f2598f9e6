package chain

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

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

// checkCarrier is C8 for a header in a block of the given number on parent. It
// returns the txids of the peg-out proposals in the range, oldest first.
// The last carrier and finalised block are those of the parent's branch, and
// the height that retargeting reads is the parent's, so the verdict depends on
// the ancestors alone (architecture.md 4, Reorg).
func (x *turn) checkCarrier(h *block.AuxPowHeader, parent *Entry, number uint64) ([]common.Hash, *refusal) {
	if h.AuxPow == nil {
		return nil, invalid("auxpow_header.auxpow", "missing")
	}
	last, finalized := x.Entry(parent.LastCarrier), x.finalBelow(parent)
	if finalized == nil {
		return nil, cannotJudge("auxpow_header", "the last finalised block below %d is not in the state", number)
	}
	start, end := x.Entry(h.RangeStart), x.Entry(h.RangeEnd)
	if start == nil || end == nil {
		return nil, cannotJudge("auxpow_header.range", "range %s..%s is not in the state", h.RangeStart, h.RangeEnd)
	}
	if start.Number > x.rules.spec.Exceptions.UnlinkedRangesUpTo && start.Parent != finalized.Root {
		return nil, invalid("auxpow_header.range_start", "%s at %d does not follow the finalised block %s at %d",
			start.Root, start.Number, finalized.Root, finalized.Number)
	}
	if !x.isAncestor(end, parent) {
		return nil, invalid("auxpow_header.range_end", "%s at %d is not an ancestor of the carrying block", end.Root, end.Number)
	}
	hashes, proposals, no := x.rangeOf(start, end)
	if no != nil {
		return nil, no
	}
	required, err := auxpow.NextBits(x.rules.spec.Retarget, last.Carrier.Bits, last.Number, number-1)
	if err != nil {
		return nil, invalid("auxpow_header.bits", "%v", err)
	}
	if number > x.rules.spec.Exceptions.UncheckedWorkUpTo && !h.AuxPow.CheckWork(required) {
		return nil, invalid("auxpow_header.auxpow", "the parent block's hash misses the target %08x", required)
	}
	if err := h.AuxPow.CheckStructure(auxpow.Commitment(hashes), h.ChainID); err != nil {
		return nil, invalid("auxpow_header.auxpow", "%v", err)
	}
	return proposals, nil
}

// rangeOf collects the block roots of a range oldest first, by parent links
// from its end, and the peg-out proposals in it. Its start must be met on the
// way: the commitment alone would not notice a start beside or above the end,
// the walk for proposals does. (C5.8, C8 c, C17)
func (x *turn) rangeOf(start, end *Entry) (hashes, proposals []common.Hash, no *refusal) {
	if x.Entry(start.Parent) == nil {
		return nil, nil, cannotJudge("auxpow_header.range_start", "the block before %s is not in the state", start.Root)
	}
	for e := end; e != nil && e.Number >= start.Number; e = x.Entry(e.Parent) {
		hashes = append(hashes, e.Root)
		if e.Proposal != ([32]byte{}) {
			proposals = append(proposals, e.Proposal)
		}
	}
	if len(hashes) == 0 || hashes[len(hashes)-1] != start.Root {
		return nil, nil, invalid("auxpow_header.range", "%s at %d does not descend from %s at %d", end.Root, end.Number, start.Root, start.Number)
	}
	slices.Reverse(hashes)
	slices.Reverse(proposals)
	return hashes, proposals, nil
}

// isAncestor reports whether e is at or below tip on tip's branch.
func (x *turn) isAncestor(e, tip *Entry) bool {
	for tip != nil && tip.Number > e.Number && tip.Status != Connected {
		tip = x.Entry(tip.Parent)
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
