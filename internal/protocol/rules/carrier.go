package rules

import (
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

// Proof is what C8 found out about an AuxPoW header.
type Proof struct {
	Start, End *Ancestor
	// Hashes are the blocks that the proof commits to, oldest first.
	Hashes []common.Hash
	// Bits are those that C9 asks for.
	Bits uint32
	// Last is the carrier below.
	Last *Ancestor
	// Proposals are the txids of the peg-out proposals in the range, oldest
	// first, once the range was walked.
	Proposals []common.Hash
	// OnBranch: the range ends at an ancestor of the carrying block.
	OnBranch bool
}

// CheckProof judges a proof that a block on parent could carry: C8, the walk for
// proposals of C5.8, and that the range is on the branch, without which nobody
// whom we would follow carries it. Proofs that wait never get the exception of
// C16. The proof comes with a valid verdict.
func (r *Rules) CheckProof(h *block.AuxPowHeader, parent *Ancestor, tree Ancestors) (*Proof, Verdict) {
	p, v := r.c8(h, parent, tree, false)
	if !v.Valid() {
		return nil, v.by("C8")
	}
	if v := p.walk(tree); !v.Valid() {
		return nil, v.by("C5.8")
	}
	if v := p.onBranch(parent); !v.Valid() {
		return nil, v.by("C17 rangeOnBranch")
	}
	return p, Verdict{}
}

// CheckSpacing is C5.9 for a block without proof of work on parent.
func (r *Rules) CheckSpacing(parent *Ancestor, tree Ancestors) Verdict {
	s := subject{Rules: r, tree: tree, block: new(block.Block), parent: parent, number: parent.Number + 1}
	return c59Spacing(&s).by("C5.9")
}

// c8Proof is C8 for a block that carries a proof.
func c8Proof(s *subject) Verdict {
	if s.block.AuxPowHeader == nil {
		return Verdict{}
	}
	var v Verdict
	s.proof, v = s.c8(s.block.AuxPowHeader, s.parent, s.tree, s.number <= s.Spec.Exceptions.UncheckedWorkUpTo)
	return v
}

// c8 is C8 for a header in a block on parent, in legacy's order: what must be
// stored, the start, the hash list, the target, the structure.
func (r *Rules) c8(h *block.AuxPowHeader, parent *Ancestor, tree Ancestors, override bool) (*Proof, Verdict) {
	if h.AuxPow == nil { // legacy aborts
		return nil, invalid("auxpow_header.auxpow", "missing")
	}
	last, f, ok := finalBelow(parent, tree)
	if !ok {
		return nil, cannotJudge("auxpow_header", "the last finalised block below %d is not in the state", parent.Number+1)
	}
	p := &Proof{Last: last, Start: tree.Ancestor(h.RangeStart), End: tree.Ancestor(h.RangeEnd)}
	if p.Start == nil {
		return nil, cannotJudge("auxpow_header.range_start", "%s is not in the state", h.RangeStart)
	}
	if v := r.c8bStart(p.Start, f); !v.Valid() {
		return nil, v
	}
	if v := p.c8cHashes(h.RangeEnd, tree); !v.Valid() {
		return nil, v
	}
	p.OnBranch = tree.Contains(parent, p.End)
	var err error
	if p.Bits, err = auxpow.NextBits(r.Spec.Retarget, last.Carrier.Bits, last.Number, parent.Number); err != nil {
		return nil, invalid("auxpow_header.bits", "%v", err) // C8 e, C9
	}
	if !override && !h.AuxPow.CheckWork(p.Bits) { // C8 f
		return nil, invalid("auxpow_header.auxpow", "the parent block's hash misses the target %08x", p.Bits)
	}
	return p, c8gStructure(h, auxpow.Commitment(p.Hashes))
}

// c8bStart is C8 b: above a height of C16 the range starts right after the block
// that is final by the branch's last carrier.
func (r *Rules) c8bStart(start *Ancestor, f final) Verdict {
	if start.Number > r.Spec.Exceptions.UnlinkedRangesUpTo && start.Parent != f.root {
		return invalid("auxpow_header.range_start", "%s at %d does not follow the finalised block %s at %d",
			start.Root, start.Number, f.root, f.number)
	}
	return Verdict{}
}

// c8cHashes is C8 c: the hashes from the start's parent, exclusive, to the end,
// or that parent alone when it is not below the end.
func (p *Proof) c8cHashes(end common.Hash, tree Ancestors) Verdict {
	before := tree.Ancestor(p.Start.Parent)
	switch {
	case p.Start.Parent == (common.Hash{}):
		return invalid("auxpow_header.range_start", "genesis has no parent to begin after")
	case before == nil:
		return cannotJudge("auxpow_header.range_start", "the block before %s at %d is not in the state", p.Start.Root, p.Start.Number)
	case p.End == nil:
		return cannotJudge("auxpow_header.range_end", "%s is not in the state", end)
	case before.Number >= p.End.Number:
		p.Hashes = []common.Hash{before.Root}
		return Verdict{}
	}
	e := p.End
	for ; e != nil && e.Number > before.Number; e = tree.Ancestor(e.Parent) {
		p.Hashes = append(p.Hashes, e.Root)
	}
	if e == nil {
		return cannotJudge("auxpow_header.range", "blocks below %s at %d are not in the state", p.End.Root, p.End.Number)
	}
	if e.Root != before.Root {
		return invalid("auxpow_header.range", "%s at %d does not descend from %s at %d", p.End.Root, p.End.Number, before.Root, before.Number)
	}
	slices.Reverse(p.Hashes)
	return Verdict{}
}

// c8gStructure is C8 g, where legacy aborts.
func c8gStructure(h *block.AuxPowHeader, commitment chainhash.Hash) Verdict {
	if err := h.AuxPow.CheckStructure(commitment, h.ChainID); err != nil {
		return invalid("auxpow_header.auxpow", "%v", err)
	}
	return Verdict{}
}

// walk is the walk for proposals of C5.8, from the end of the range to its start.
// The hash list would not notice a start above the end or beside it; this does.
func (p *Proof) walk(tree Ancestors) Verdict {
	for e := p.End; e != nil && e.Number >= p.Start.Number; e = tree.Ancestor(e.Parent) {
		if e.Proposal != ([32]byte{}) {
			p.Proposals = append(p.Proposals, e.Proposal)
		}
		if e.Root == p.Start.Root {
			slices.Reverse(p.Proposals)
			return Verdict{}
		}
	}
	return invalid("auxpow_header.range", "%s at %d does not descend from %s at %d", p.End.Root, p.End.Number, p.Start.Root, p.Start.Number)
}

func (p *Proof) onBranch(parent *Ancestor) Verdict {
	if !p.OnBranch {
		return invalid("auxpow_header.range_end", "%s at %d is not an ancestor of the carrying block at %d", p.End.Root, p.End.Number, parent.Number+1)
	}
	return Verdict{}
}

// c58Proposals is the rest of C5.8: a carrier finalises as many payments as its
// range proposes, and for those who judge the same ones in order. Their
// signatures are the bridge's, see [Rules.PegPart].
func c58Proposals(s *subject) Verdict {
	if s.proof == nil {
		return Verdict{}
	}
	if v := s.proof.walk(s.tree); !v.Valid() {
		return v
	}
	proposals := s.proof.Proposals
	if len(s.block.FinalizedPegouts) != len(proposals) {
		return invalid("finalized_pegouts", "%d, the range proposes %d", len(s.block.FinalizedPegouts), len(proposals))
	}
	if !s.Judging {
		return Verdict{}
	}
	for i, tx := range s.block.FinalizedPegouts {
		if common.Hash(tx.TxHash()) != proposals[i] {
			return invalid("finalized_pegouts", "entry %d is %s, the range proposes another payment", i, tx.TxHash())
		}
	}
	return Verdict{}
}

// c59Spacing is C5.9: a block without proof of work is not too far above the
// block that is final on its branch, and finalises no payment.
func c59Spacing(s *subject) Verdict {
	if s.block.AuxPowHeader != nil {
		return Verdict{}
	}
	_, f, ok := finalBelow(s.parent, s.tree)
	if !ok {
		return cannotJudge("auxpow_header", "the last finalised block below %d is not in the state", s.number)
	}
	if since := s.number - min(s.number, f.number); since > s.Spec.MaxBlocksWithoutPow {
		return invalid("auxpow_header", "%d blocks without proof of work, at most %d", since, s.Spec.MaxBlocksWithoutPow)
	}
	if len(s.block.FinalizedPegouts) > 0 {
		return invalid("finalized_pegouts", "%d in a block without proof of work", len(s.block.FinalizedPegouts))
	}
	return Verdict{}
}
