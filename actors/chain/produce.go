package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// clockTolerance is how far the wall clock may move against the monotonic clock
// before production stops, in milliseconds. (architecture.md 1.10)
const clockTolerance = 2000

// clock compares the wall clock with the monotonic clock of one run.
type clock struct {
	Based   bool
	Base    int64 // wall - monotonic at the run's first timer, milliseconds
	Stepped bool
}

// patience is how many slots a block being produced may take before it is given
// up. A late payload or signature is then ignored; as slots only rise, no slot
// gets a second signature.
const patience = 16

// timerFired is one slot: its block is begun, or a fact says why not.
func (x *turn) timerFired(m *message.TimerFired) {
	if x.Cause != x.Timer {
		return // a timer that a newer one replaced
	}
	first := !x.Clock.Based
	slot, step := x.slotAt(m.Wall), x.clockStep(m)
	ours := x.produces() && aura.Author(slot, len(x.rules.spec.Authorities)) == int(x.Config.Authority)
	switch {
	case first: // of this run, in the middle of a slot
	case !ours || slot == x.LastSlot: // the timer was late or early
	case x.Clock.Stepped:
		// The slot is not marked as used: the clock that names it may be wrong.
		x.skip(slot, fmt.Sprintf("the wall clock moved %d ms against the monotonic clock", step))
	case slot < x.LastSlot:
		x.skip(slot, fmt.Sprintf("slots up to %d are used up; the clock was ahead before", x.LastSlot))
	default:
		x.LastSlot = slot
		x.use(slot, uint64(m.Wall)/1000)
	}
	x.endListening()
	x.fetchAgain(false)
	if x.Config.Peers {
		x.askApprovals()
	}
	x.armTimer(m.Wall)
}

// produces reports whether slots of ours are to be used.
func (x *turn) produces() bool { return x.Config.Producing && x.Config.HasAuthority }

// clockStep returns how far the wall clock moved against the monotonic clock in
// this run, in milliseconds, and notes when that becomes too much or ends.
func (x *turn) clockStep(m *message.TimerFired) int64 {
	offset := m.Wall - m.Monotonic
	if !x.Clock.Based {
		x.Clock = clock{Based: true, Base: offset}
	}
	step := offset - x.Clock.Base
	if stepped := step > clockTolerance || step < -clockTolerance; stepped != x.Clock.Stepped {
		x.Clock.Stepped = stepped
		x.out.Fact(&message.ClockStepped{OffsetMs: step, Agreeing: !stepped})
	}
	return step
}

// use begins the block of a slot unless another one is under way.
func (x *turn) use(slot, timestamp uint64) {
	if b := x.Building; b != nil && slot-b.Slot > patience {
		x.Building = nil
		x.skip(b.Slot, fmt.Sprintf("its block is not finished after %d slots", slot-b.Slot))
	}
	switch {
	case x.Hold != nil:
		x.skip(slot, x.heldReason())
	case x.gated() != "":
		x.skip(slot, x.gated())
	case x.Building != nil:
		x.skip(slot, fmt.Sprintf("the block of slot %d is not finished", x.Building.Slot))
	case len(x.Executing) > 0 || x.Sent > 0:
		x.skip(slot, "the execution layer is behind the head")
	default:
		x.begin(slot, timestamp)
	}
}

func (x *turn) skip(slot uint64, reason string) {
	x.out.Fact(&message.SlotSkipped{Slot: slot, Reason: reason})
}

// begin has the peg's part of a block on the head planned. Timestamps must rise; without
// proof of work only so many blocks may follow the finalised one.
func (x *turn) begin(slot, timestamp uint64) {
	head := x.Entry(x.Head.Root)
	if timestamp <= head.Timestamp {
		x.skip(slot, fmt.Sprintf("time %d is not after the head's %d", timestamp, head.Timestamp))
		return
	}
	building := &Building{Slot: slot, Timestamp: timestamp, Planning: true}
	header := x.usableWork(head)
	if header != nil && x.lockedOn(head, header.RangeEnd) != "" {
		header = nil // it waits: the lock may end
	}
	shares, err := x.feeShares(head, header)
	if err != nil {
		x.skip(slot, "fees at the head: "+err.Error())
		return
	}
	if header != nil {
		building.Header = header.Encode()
	} else if v := x.judge().CheckSpacing(&head.Ancestor, x); !v.Valid() {
		x.skip(slot, v.Reason)
		return
	}
	x.Building = building
	x.plan(head, header, shares)
}

// usableWork returns the queued proof as a block on head carries it, with the
// bits and the height that the rules give there, and drops it if it no longer fits.
func (x *turn) usableWork(head *Entry) *block.AuxPowHeader {
	h := x.queuedWork()
	if h == nil {
		return nil
	}
	proof, v := x.judge().CheckProof(h, &head.Ancestor, x)
	switch {
	case !v.Valid():
		x.dropWork(h, v.Reason)
	default:
		h.Bits, h.Height = proof.Bits, proof.Last.Number+1
		return h
	}
	return nil
}

// queuedWork returns the proof that waits to be carried, or nil.
func (x *turn) queuedWork() *block.AuxPowHeader {
	if len(x.Work) == 0 {
		return nil
	}
	h, err := block.DecodeAuxPowHeader(x.Work)
	if err != nil {
		panic("queued work: " + err.Error())
	}
	return h
}

// dropWork forgets the queued proof and says so to the miner actor, which would
// hand out no other for the same range.
func (x *turn) dropWork(h *block.AuxPowHeader, reason string) {
	x.Work = nil
	x.out.Fact(&message.WorkDropped{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd, Reason: reason})
	x.tellMiner(false, nil)
}

// dropStaleWork forgets a queued proof that the head's branch has carried or
// overtaken, or whose range a reorganisation abandoned; one over a range that is
// still ours stays.
func (x *turn) dropStaleWork() {
	h := x.queuedWork()
	if h == nil {
		return
	}
	head := x.Entry(x.Head.Root)
	end, final := x.Entry(h.RangeEnd), x.finalBelow(head)
	switch {
	case end == nil || !x.isAncestor(end, head):
		x.Work = nil
		x.out.Fact(&message.WorkDropped{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd, Reason: "its range is not on the head's branch any more"})
	case final != nil && end.Number <= final.Number:
		x.Work = nil
	}
}

func (x *turn) buildFailed(slot uint64, reason string) {
	if x.Building != nil && x.Building.Slot == slot && len(x.Building.Unsigned) == 0 {
		x.Building = nil
		x.skip(slot, reason)
	}
}

// blockSigned completes our block, which then goes the way of any received block.
func (x *turn) blockSigned(m *message.BlockSigned) {
	b := x.Building
	if b == nil || b.Root != m.Root || m.Root == (common.Hash{}) {
		return
	}
	x.Building = nil
	unsigned, err := block.DecodeBlock(b.Unsigned)
	if err != nil {
		panic("block being built: " + err.Error())
	}
	signed := &block.Signed{Block: *unsigned, Approvals: aura.None()}
	approval := aura.Approval{Signature: m.Signature, Authority: uint8(x.Config.Authority)}
	if err := x.work.Add(&signed.Approvals, approval); err != nil {
		x.skip(b.Slot, "the signature of our block: "+err.Error())
		return
	}
	content := record.NewContent(signed.Encode())
	x.out.Fact(&message.BlockProduced{
		Root: b.Root, Number: signed.Block.Payload.BlockNumber, Slot: b.Slot,
		Transactions: uint32(len(signed.Block.Payload.Transactions)), Carrier: len(b.Header) > 0, Signed: content,
	})
	if x.accept(Executing{Signed: content}, Own) {
		x.out.Effect(PeersEdge, core.FireAndForget, &message.PublishBlock{Signed: content})
		x.settle()
	}
}

func (x *turn) signRefused(m *message.SignRefused) {
	if b := x.Building; b != nil && b.Root == m.Root {
		x.Building = nil
		x.skip(b.Slot, "the signer refuses: "+m.Reason)
		return
	}
	x.approvalRefused(m)
}
