// Package heads is the read model of the head's branch: head, finalised block,
// latest proof of work, and counters of what a run did. It folds facts and
// nothing else; a node keeps it in memory, a reader of a stopped node's journal
// folds it from a snapshot's position on.
//
//	v := heads.View{Head: state.Head, ...}     // where to begin
//	v.Fold(fact)                               // live, one durable fact after the other
//	err := v.Follow(ctx, journal, sequence)    // or from the journal
package heads

import (
	"context"
	"errors"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// View is the head's branch as readers see it. The counters begin at zero with
// the first fact folded.
type View struct {
	Head         message.BlockID `json:"-"`
	Finalized    message.BlockID `json:"-"`
	LatestPow    message.BlockID `json:"-"`
	HeadSlot     uint64          `json:"head_slot"`
	HeadTime     uint64          `json:"head_time"` // Unix seconds
	ChainID      uint32          `json:"chain_id"`
	WorkQueued   bool            `json:"work_queued"` // a proof waits to be carried
	Produced     uint64          `json:"blocks_produced"`
	Connected    uint64          `json:"blocks_connected"`
	Refused      uint64          `json:"blocks_refused"`
	SlotsSkipped uint64          `json:"slots_skipped"`
	LastSkip     string          `json:"last_skip,omitempty"` // why the last slot passed without a block
	ClockStepped bool            `json:"clock_stepped"`       // production is off because of the clock
	Signing      Signing         `json:"signing"`
	Reorgs       Reorgs          `json:"reorgs"`
	Approving    Approving       `json:"approving"`
	Excluded     *Excluded       `json:"branch_excluded,omitempty"`
	Conflict     *Conflict       `json:"finality_conflict,omitempty"`
	Synced       *Synced         `json:"sync,omitempty"` // nil for a node that talks to no others
	Members      Members         `json:"members"`

	// Carriers are the newest carriers of the head's branch, lowest first. They
	// belong to whoever folds.
	Carriers []message.BlockID `json:"-"`
}

// Fold takes one fact. Facts it does not know leave it as it is.
func (v *View) Fold(m core.Message) {
	switch m := m.(type) {
	case *message.BlockConnected:
		v.blockConnected(m)
	case *message.BlockReverted:
		v.blockReverted(m)
	case *message.HeadChanged:
		v.Head = message.BlockID{Root: m.Root, Number: m.Number}
		v.Reorgs.ended(v.Head)
	case *message.BlockFinalized:
		v.finalized(m)
	case *message.BranchExcluded:
		v.Excluded = excluded(m)
	case *message.BranchDecided:
		v.decided(m)
	case *message.FinalityConflict:
		v.Conflict = conflict(m)
	case *message.BlockProduced:
		v.Produced++
		v.Approving.LastSlot = max(v.Approving.LastSlot, m.Slot)
	case *message.BlockRefused:
		v.Refused++
	case *message.SlotSkipped:
		v.SlotsSkipped++
		v.LastSkip = m.Reason
	case *message.WorkQueued:
		v.WorkQueued = true
	case *message.WorkDropped:
		v.WorkQueued = v.WorkQueued && m.Refused
	case *message.ClockStepped:
		v.ClockStepped = !m.Agreeing
	default:
		v.foldMember(m)
	}
}

// foldMember takes a fact about what this node signs.
func (v *View) foldMember(m core.Message) {
	switch m := m.(type) {
	case *message.ApprovalMade:
		v.Approving.made(m)
	case *message.ApprovalWithheld:
		v.Approving.withheld(m)
	case *message.RangeLocked:
		v.Approving.AddLock(Lock{RangeEnd: m.RangeEnd.Hex(), Number: m.Number})
	case *message.LockEnded:
		v.Approving.lockEnded(m)
	case *message.StatementMade:
		v.Approving.AddStatement(m.RangeEnd)
	case *message.SigningHeld:
		v.Signing.Take(m.Hold)
	case *message.SigningReleased:
		v.Signing.release(m)
	default:
		v.foldSynced(m)
	}
}

// finalized moves the finalised block. What it passes excludes it no longer.
func (v *View) finalized(m *message.BlockFinalized) {
	v.Finalized = message.BlockID{Root: m.Root, Number: m.Number}
	v.Approving.finalized(m)
	if x := v.Excluded; x != nil && x.Tip.Number <= m.Number {
		v.Excluded = nil
	}
}

func (v *View) blockConnected(m *message.BlockConnected) {
	v.Connected++
	v.HeadSlot, v.HeadTime = m.Slot, m.Timestamp
	v.Reorgs.connected(m)
	if m.Number == 0 { // genesis is final by itself (C3)
		v.Finalized = message.BlockID{Root: m.Root}
		v.carrierConnected(v.Finalized) // and the first carrier
	}
	if m.Carrier && m.Number > 0 {
		v.carrierConnected(message.BlockID{Root: m.Root, Number: m.Number})
		v.WorkQueued = false
	}
}

// facts makes the facts that Fold knows, by type name.
func facts(typ string) core.Message {
	for _, m := range []core.Message{
		&message.BlockConnected{}, &message.HeadChanged{}, &message.BlockFinalized{}, &message.BlockProduced{},
		&message.BlockRefused{}, &message.SlotSkipped{}, &message.WorkQueued{}, &message.WorkDropped{}, &message.ClockStepped{},
		&message.SigningHeld{}, &message.SigningReleased{}, &message.BlockReverted{}, &message.BranchExcluded{}, &message.BranchDecided{},
		&message.FinalityConflict{}, &message.ApprovalMade{}, &message.ApprovalWithheld{}, &message.RangeLocked{}, &message.LockEnded{}, &message.StatementMade{},
		&message.SyncedChanged{}, &message.SyncAssumed{}, &message.Equivocation{}, &message.KeyInUse{},
	} {
		if m.Type() == typ {
			return m
		}
	}
	return nil
}

// Follow folds the facts of the journal from a sequence to its durable end. No
// turn is run again, so a journal of another behaviour can be read.
func (v *View) Follow(ctx context.Context, j *journal.Journal, from uint64) error {
	it := j.Iterate(from, false)
	defer it.Close()
	for it.Next() && ctx.Err() == nil {
		e, err := it.Event()
		if err != nil {
			return err
		}
		for i := range e.Outputs {
			o := &e.Outputs[i]
			if o.Kind != journal.KindFact {
				continue
			}
			m := facts(o.Type)
			if m == nil {
				continue
			}
			if err := message.Decode(m, o.Schema, o.Payload, nil); err != nil {
				return err
			}
			v.Fold(m)
		}
	}
	return errors.Join(it.Err(), ctx.Err())
}
