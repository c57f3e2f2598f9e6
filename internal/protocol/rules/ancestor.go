package rules

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Ancestor is what the rules on later blocks need of a block.
type Ancestor struct {
	Root        common.Hash
	Parent      common.Hash
	Number      uint64
	Slot        uint64
	PayloadHash common.Hash
	Proposal    [32]byte    // txid of the peg-out proposal, internal order, or zero
	Carrier     *Carrier    // the AuxPoW header's meaning, if the block has one
	LastCarrier common.Hash // nearest carrier at or below; genesis is one
	// NoRequests: the payload's bloom shows that no peg-out was requested in it.
	NoRequests bool
}

// Carrier is what later rules need of an AuxPoW header.
type Carrier struct {
	RangeStart, RangeEnd common.Hash
	Bits                 uint32
	Height               uint64
	// EndNumber is the height of the range end; zero when it is not known.
	EndNumber uint64
}

// Fields implements record.Record.
func (c *Carrier) Fields(f *record.Fields) {
	f.Fixed(1, c.RangeStart[:])
	f.Fixed(2, c.RangeEnd[:])
	f.Uint32(3, &c.Bits)
	f.Uint64(4, &c.Height)
	f.Uint64(5, &c.EndNumber)
}

// Ancestors finds stored blocks. What it answers of a block and those below it
// never changes, but blocks far below the finalised one may be gone.
type Ancestors interface {
	// Ancestor returns a block, or nil when it is not stored.
	Ancestor(root common.Hash) *Ancestor
	// Contains reports whether b is tip or below it on its branch; [Walk] is one way.
	Contains(tip, b *Ancestor) bool
	// FeesAfter returns the accumulated fees after a block in wei, or nil when it
	// is not executed.
	FeesAfter(root common.Hash) *big.Int
}

// Walk is [Ancestors.Contains] by parent links.
func Walk(tree Ancestors, tip, b *Ancestor) bool {
	for tip != nil && tip.Number > b.Number {
		tip = tree.Ancestor(tip.Parent)
	}
	return tip != nil && tip.Root == b.Root
}

// NewAncestor returns what is kept of a block of this root on parent, which is
// nil for genesis. tree finds the end of its range.
func NewAncestor(b *block.Block, root common.Hash, parent *Ancestor, tree Ancestors) Ancestor {
	a := Ancestor{
		Root: root, Parent: b.ParentHash, Number: b.Payload.BlockNumber, Slot: b.Slot,
		PayloadHash: b.Payload.BlockHash,
		NoRequests:  !types.BloomLookup(types.Bloom(b.Payload.LogsBloom), RequestPegOut),
	}
	if b.PegoutProposal != nil {
		a.Proposal = b.PegoutProposal.TxHash()
	}
	if parent != nil {
		a.LastCarrier = parent.LastCarrier
	}
	if h := b.AuxPowHeader; h != nil {
		a.LastCarrier = root
		a.Carrier = &Carrier{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd, Bits: h.Bits, Height: h.Height}
		if end := tree.Ancestor(h.RangeEnd); end != nil {
			a.Carrier.EndNumber = end.Number
		}
	}
	return a
}

// final is a block that a carrier names as finalised.
type final struct {
	root   common.Hash
	number uint64
}

// finalBelow returns the block that is final by the carriers of parent's own
// branch: the nearest carrier itself when its header height is 0, else its range
// end, which in a branch from before the activation of rangeOnBranch need not be
// on that branch. (C5, lastFinalizedHeight; C16)
func finalBelow(parent *Ancestor, tree Ancestors) (last *Ancestor, f final, ok bool) {
	last = tree.Ancestor(parent.LastCarrier)
	switch {
	case last == nil || last.Carrier == nil:
		return nil, f, false
	case last.Carrier.Height == 0:
		return last, final{last.Root, last.Number}, true
	case last.Carrier.EndNumber != 0:
		return last, final{last.Carrier.RangeEnd, last.Carrier.EndNumber}, true
	}
	end := tree.Ancestor(last.Carrier.RangeEnd)
	if end == nil {
		return nil, f, false
	}
	return last, final{end.Root, end.Number}, true
}
