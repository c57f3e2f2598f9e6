package heads

import (
	"fmt"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Reorg is one reorganisation.
type Reorg struct {
	Depth    uint64          `json:"depth"` // blocks reverted
	From     message.BlockID `json:"-"`     // the head before
	Ancestor message.BlockID `json:"-"`     // the last block of both branches
	To       message.BlockID `json:"-"`     // the head after
	Text     string          `json:"text"`  // all of it, for people
}

// Reorgs tells of the reorganisations of a run.
type Reorgs struct {
	Count   uint64 `json:"count"`
	Deepest uint64 `json:"deepest"`        // blocks reverted by the deepest
	Last    *Reorg `json:"last,omitempty"` // nil when there was none

	// Pending is the one whose facts are being folded: they come in one turn,
	// reverted blocks first.
	Pending Reorg `json:"-"`
}

func (r *Reorgs) reverted(m *message.BlockReverted) {
	id := message.BlockID{Root: m.Root, Number: m.Number}
	if r.Pending.Depth == 0 {
		r.Pending.From = id
	}
	r.Pending.Depth++
}

func (r *Reorgs) connected(m *message.BlockConnected) {
	if r.Pending.Depth > 0 && r.Pending.Ancestor == (message.BlockID{}) {
		r.Pending.Ancestor = message.BlockID{Root: m.Parent, Number: m.Number - min(m.Number, 1)}
	}
}

// ended takes the new head. It returns the reorganisation that it ends, if any.
func (r *Reorgs) ended(head message.BlockID) *Reorg {
	if r.Pending.Depth == 0 {
		return nil
	}
	done := r.Pending
	done.To = head
	done.Text = describe(&done)
	r.Count++
	r.Deepest = max(r.Deepest, done.Depth)
	r.Last, r.Pending = &done, Reorg{}
	return r.Last
}

// Excluded is a branch with a quorum, longer than ours, that excludes the
// finalised block.
type Excluded struct {
	Tip       message.BlockID `json:"-"`
	Finalized message.BlockID `json:"-"`
	Ancestor  message.BlockID `json:"-"`
	Text      string          `json:"text"`
}

// Conflict is two finalised ranges of which none contains the other.
type Conflict struct {
	Ours  message.BlockID `json:"-"`
	Other message.BlockID `json:"-"`
	Text  string          `json:"text"`
}

// maxCarriers is how many carriers of the head's branch are remembered, so that
// the latest proof of work can be told after a reorganisation.
const maxCarriers = 1024

func (v *View) carrierConnected(id message.BlockID) {
	if len(v.Carriers) >= 2*maxCarriers {
		v.Carriers = slices.Clone(v.Carriers[maxCarriers:])
	}
	v.Carriers = append(v.Carriers, id)
	v.LatestPow = id
}

// blockReverted takes back what a carrier that left the branch had made.
func (v *View) blockReverted(m *message.BlockReverted) {
	v.Reorgs.reverted(m)
	if n := len(v.Carriers); n > 1 && v.Carriers[n-1].Root == m.Root {
		v.Carriers = v.Carriers[:n-1]
		v.LatestPow = v.Carriers[n-2]
	}
}

func describe(r *Reorg) string {
	return fmt.Sprintf("%d blocks from %d %s back to %d %s, then up to %d %s",
		r.Depth, r.From.Number, r.From.Root, r.Ancestor.Number, r.Ancestor.Root, r.To.Number, r.To.Root)
}

func excluded(m *message.BranchExcluded) *Excluded {
	x := &Excluded{Tip: message.BlockID{Root: m.Root, Number: m.Number}, Finalized: deref(m.Finalized), Ancestor: deref(m.Ancestor)}
	x.Text = fmt.Sprintf("the branch that ends in block %d %s has a quorum and is longer, but leaves at block %d %s, below the finalised block %d %s",
		x.Tip.Number, x.Tip.Root, x.Ancestor.Number, x.Ancestor.Root, x.Finalized.Number, x.Finalized.Root)
	return x
}

func conflict(m *message.FinalityConflict) *Conflict {
	c := &Conflict{Ours: deref(m.Ours), Other: deref(m.Other)}
	c.Text = fmt.Sprintf("block %d %s is final by carrier %s, and block %d %s, which conflicts with it, by carrier %s",
		c.Ours.Number, c.Ours.Root, m.OurCarrier, c.Other.Number, c.Other.Root, m.OtherCarrier)
	return c
}

// decided follows an operator's decision for another branch: the finalised block
// moves down to where it left.
func (v *View) decided(m *message.BranchDecided) {
	v.Excluded = nil
	if m.Ancestor != nil {
		v.Finalized = *m.Ancestor
	}
}

func deref(id *message.BlockID) message.BlockID {
	if id == nil {
		return message.BlockID{}
	}
	return *id
}
