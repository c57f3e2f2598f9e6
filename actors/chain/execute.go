package chain

import (
	"bytes"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// executed turns a verdict into an executed entry: fees (C6) and, for those who
// judge, the withdrawals that its parent's fees ask for.
func (x *turn) executed(e *Entry, b *block.Block, r *message.Execution, source Executing) (*Entry, *refusal) {
	parent := x.Entry(e.Parent)
	switch {
	case r.Status != message.ExecutionValid:
		return nil, invalid("execution_payload", "the execution layer refuses it: %s", r.Reason)
	case r.StateRoot != b.Payload.StateRoot:
		return nil, invalid("execution_payload.state_root", "executes to %s", r.StateRoot)
	case parent == nil || !parent.executed():
		return nil, cannotJudge("parent_hash", "the parent is not executed")
	}
	if v := x.judge().CheckFees(b, parent.fees()); !v.Valid() {
		return nil, refusedBy(v)
	}
	fees, err := b.Payload.Fees(r.GasUsed)
	if err != nil {
		return nil, invalid("execution_payload.transactions", "%v", err)
	}
	if e.Carrier == nil {
		fees.Add(fees, parent.fees())
	}
	if source.HasFees && !bytes.Equal(fees.Bytes(), source.Fees) {
		return nil, wrongSource("fees", "accumulate to %s wei, the source has %x", fees, source.Fees)
	}
	done := *e
	done.Status, done.StateRoot, done.Fees = Executed, r.StateRoot, fees.Bytes()
	x.put(&done)
	return &done, nil
}

// connect makes an executed block the head when it is higher than the head and
// stands on the finalised block, which may have moved since the block was
// scheduled: the common case appends one block; otherwise the branch is changed.
func (x *turn) connect(e *Entry, signed *block.Signed, moved *movement) {
	if e.Number <= x.Head.Number || !x.aboveFinalized(e) {
		return
	}
	if e.Parent != x.Head.Root {
		moved.joined = append(moved.joined, x.switchTo(x.Entry(e.Parent))...)
		moved.reorganised = true
	}
	next := *e
	next.Status = Connected
	content := contentOf(e)
	if signed.Approvals != e.Approvals {
		// Peers that sync from us must find the quorum in the block itself.
		whole := block.Signed{Block: signed.Block, Approvals: e.Approvals}
		content = record.NewContent(whole.Encode())
		next.Signed = content.Hash
	}
	x.put(&next)
	x.Head = next.id()
	x.factConnected(&next, content, len(signed.Block.Payload.Transactions))
	if next.Carrier != nil {
		x.finalize(&next)
	}
	moved.joined = append(moved.joined, next.id())
}

// aboveFinalized reports whether e is the finalised block or descends from it.
func (x *turn) aboveFinalized(e *Entry) bool {
	final := x.Entry(x.Finalized.Root)
	return final != nil && x.isAncestor(final, e)
}

// switchTo moves the head's branch to tip, which is executed: blocks above the
// fork are reverted, tip's ancestors connected.
func (x *turn) switchTo(tip *Entry) (joined []message.BlockID) {
	var path []*Entry
	for e := tip; e.Status != Connected; e = x.Entry(e.Parent) {
		path = append(path, e)
	}
	fork := tip
	if len(path) > 0 {
		fork = x.Entry(path[len(path)-1].Parent)
	}
	for e := x.Entry(x.Head.Root); e.Root != fork.Root; e = x.Entry(e.Parent) {
		side := *e
		side.Status = Executed
		x.put(&side)
		x.out.Fact(&message.BlockReverted{Root: e.Root, Number: e.Number})
	}
	x.Head = fork.id()
	if carrier := x.Entry(fork.LastCarrier); carrier != nil {
		x.LatestPow = carrier.id()
	}
	for _, e := range slices.Backward(path) {
		next := *e
		next.Status = Connected
		x.put(&next)
		x.Head = next.id()
		x.factConnected(&next, contentOf(&next), int(next.Transactions))
		joined = append(joined, next.id())
		if next.Carrier != nil {
			x.finalize(&next)
		}
	}
	return joined
}

// finalize takes a connected carrier as the latest proof of work. The finalised
// block never moves down, and a range that ends beside the carrier's branch makes
// nothing final: legacy's next forkchoice call with it fails. (C10, C17)
func (x *turn) finalize(carrier *Entry) {
	x.LatestPow = carrier.id()
	end := x.finalizedBy(carrier)
	if end == nil || end.Number <= x.Finalized.Number || !x.isAncestor(end, carrier) {
		return
	}
	x.Finalized = end.id()
	x.out.Fact(&message.BlockFinalized{
		Root: end.Root, Number: end.Number, PayloadHash: end.PayloadHash,
		Carrier: carrier.Root, CarrierNumber: carrier.Number, Bits: carrier.Carrier.Bits,
	})
	x.releaseBy(carrier)
}

// prune forgets what the state need not hold once the finalised block moved up
// from below: blocks under the window, side blocks that can never join the
// head's branch again, and what stands on those.
func (x *turn) prune(from message.BlockID) {
	if from.Number == x.Finalized.Number {
		return
	}
	x.dropQueued()
	var gone []*Entry
	dead := make(map[common.Hash]bool) // looked up only, never ranged over
	remove := func(e *Entry) {
		gone = append(gone, e)
		dead[e.Root] = true
	}
	lowest := x.lowestKept()
	x.heights.Scan(func(id message.BlockID) bool {
		if id.Number < lowest {
			remove(x.Entry(id.Root))
		}
		return id.Number < lowest
	})
	x.heights.Ascend(message.BlockID{Number: from.Number + 1}, func(id message.BlockID) bool {
		e := x.Entry(id.Root)
		if e.Status != Connected && (id.Number <= x.Finalized.Number || dead[e.Parent] || x.Entry(e.Parent) == nil) {
			remove(e)
		}
		return true
	})
	for _, e := range gone {
		x.dropCandidate(e.Root)
		x.remove(e)
	}
}

// lowestKept is the height under which nothing is needed: the window below the
// finalised block, and at least the block that was final on its branch before
// it, for another branch may still begin at the finalised block.
func (x *turn) lowestKept() uint64 {
	lowest := x.Finalized.Number - min(x.Finalized.Number, keepBelowFinalized)
	if before := x.finalBelow(x.Entry(x.Finalized.Root)); before != nil {
		lowest = min(lowest, before.Number)
	}
	return lowest
}
