package chain

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// schedule appends to batch what must be executed so that e can become the
// head: e and its ancestors that are not executed, oldest first. Nothing is
// appended while e lacks its quorum (C5.11), is not above the head (C10), or
// stands on a branch that excludes the finalised block.
func (x *turn) schedule(batch []Executing, e *Entry) []Executing {
	n := len(x.rules.spec.Authorities)
	if e.Status != Stored || e.Number <= x.Head.Number || e.Approvals.CountReal(n) < x.rules.spec.Quorum() {
		return batch
	}
	var path []Executing
	for e.Status == Stored {
		i := slices.IndexFunc(x.Candidates, func(c Executing) bool { return c.Root == e.Root })
		parent := x.Entry(e.Parent)
		if i < 0 || parent == nil || parent.Status == Invalid {
			return batch
		}
		path = append(path, x.Candidates[i])
		e = parent
	}
	if final := x.Entry(x.Finalized.Root); final != nil && !x.isAncestor(final, e) {
		return batch
	}
	slices.Reverse(path)
	for _, p := range path {
		next := *x.Entry(p.Root)
		next.Status = InFlight
		x.put(&next)
	}
	x.Candidates = slices.DeleteFunc(slices.Clone(x.Candidates), func(c Executing) bool {
		return slices.ContainsFunc(path, func(p Executing) bool { return p.Root == c.Root })
	})
	return append(batch, path...)
}

// blocksExecuted takes verdicts in the order the blocks were sent.
func (x *turn) blocksExecuted(m *message.BlocksExecuted) {
	var connected []message.BlockID
	reorganised, finalized := false, x.Finalized
	for i := range m.Results {
		r := &m.Results[i]
		if len(x.Executing) == 0 {
			break
		}
		b := x.Executing[0]
		x.Executing = x.Executing[1:]
		e := x.Entry(b.Root)
		if e == nil || e.PayloadHash != r.PayloadHash {
			panic(fmt.Sprintf("a verdict on payload %s where %s is due", r.PayloadHash, b.Root))
		}
		signed, _, err := x.work.Decode(b.Signed.Data)
		if err != nil {
			panic("stored block: " + err.Error())
		}
		done, no := x.executed(e, &signed.Block, r, b)
		if no != nil {
			x.reject(e, no)
			break
		}
		moved, reverted := x.connect(done, &signed.Block)
		connected = append(connected, moved...)
		reorganised = reorganised || reverted
	}
	if len(connected) == 0 {
		return
	}
	x.factHead()
	x.prune(finalized)
	x.dropStaleWork()
	if reorganised {
		connected = nil
	}
	x.tellMiner(reorganised, connected)
}

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
	if x.Config.Judging {
		if no := x.checkFees(b, parent); no != nil {
			return nil, no
		}
	}
	fees, err := b.Payload.Fees(r.GasUsed)
	if err != nil {
		return nil, invalid("execution_payload.transactions", "%v", err)
	}
	if e.Carrier == nil {
		fees.Add(fees, parent.fees())
	}
	if source.HasFees && !bytes.Equal(fees.Bytes(), source.Fees) {
		return nil, invalid("fees", "accumulate to %s wei, the source has %x", fees, source.Fees)
	}
	done := *e
	done.Status, done.StateRoot, done.Fees = Executed, r.StateRoot, fees.Bytes()
	x.put(&done)
	return &done, nil
}

// reject marks a block and everything in flight above it.
func (x *turn) reject(e *Entry, no *refusal) {
	bad := *e
	bad.Status = Invalid
	x.put(&bad)
	x.refuse(e.id(), "execution", no)
	rest := x.Executing[:0:0]
	for _, b := range x.Executing {
		child := x.Entry(b.Root)
		if parent := x.Entry(child.Parent); parent == nil || parent.Status == Invalid {
			next := *child
			next.Status = Invalid
			x.put(&next)
			x.refuse(child.id(), "execution", invalid("parent_hash", "an ancestor was refused"))
			continue
		}
		rest = append(rest, b)
	}
	x.Executing = rest
}

// connect makes an executed block the head when it is higher than the head:
// the common case appends one block; otherwise the branch is changed. It
// returns the blocks that joined the head's branch.
func (x *turn) connect(e *Entry, b *block.Block) (joined []message.BlockID, reorganised bool) {
	if e.Number <= x.Head.Number {
		return nil, false
	}
	if e.Parent != x.Head.Root {
		joined = x.switchTo(x.Entry(e.Parent))
		reorganised = true
	}
	next := *e
	next.Status = Connected
	x.put(&next)
	x.Head = next.id()
	x.factConnected(&next, b)
	if next.Carrier != nil {
		x.finalize(&next)
	}
	return append(joined, next.id()), reorganised
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
		x.factReconnected(&next)
		joined = append(joined, next.id())
		if next.Carrier != nil {
			x.finalize(&next)
		}
	}
	return joined
}

// finalize takes a connected carrier as the latest proof of work. The finalised
// block never moves down. (C10)
func (x *turn) finalize(carrier *Entry) {
	x.LatestPow = carrier.id()
	end := x.finalizedBy(carrier)
	if end == nil || end.Number <= x.Finalized.Number {
		return
	}
	x.Finalized = end.id()
	x.out.Fact(&message.BlockFinalized{
		Root: end.Root, Number: end.Number, PayloadHash: end.PayloadHash,
		Carrier: carrier.Root, CarrierNumber: carrier.Number, Bits: carrier.Carrier.Bits,
	})
}

// prune forgets what the state need not hold once the finalised block moved up
// from below: blocks under the window, and side blocks that can never join the
// head's branch again.
func (x *turn) prune(from message.BlockID) {
	if from.Number == x.Finalized.Number {
		return
	}
	var gone []*Entry
	x.heights.Scan(func(id message.BlockID) bool {
		if id.Number+keepBelowFinalized >= x.Finalized.Number {
			return false
		}
		gone = append(gone, x.Entry(id.Root))
		return true
	})
	x.heights.Ascend(message.BlockID{Number: from.Number + 1}, func(id message.BlockID) bool {
		if id.Number > x.Finalized.Number {
			return false
		}
		if e := x.Entry(id.Root); e.Status != Connected && e.Status != InFlight {
			gone = append(gone, e)
		}
		return true
	})
	for _, e := range gone {
		x.dropCandidate(e.Root)
		x.remove(e)
	}
}
