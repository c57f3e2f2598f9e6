package chain

import (
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// The bounds of what waits for the execution layer: blocks in the queue, and
// blocks that the engine actor is given at once.
const (
	maxExecuting = 4096
	maxRun       = 256
)

// scheduleBest has the block executed that would become the head, and carriers
// that would finalise a range: nothing else is worth the execution layer's time.
func (x *turn) scheduleBest() {
	var next []*Entry
	top, on := x.worth()
	x.ready.Reverse(func(r rank) bool {
		if r.number <= top {
			return false
		}
		if e := x.Entry(r.root); e.Status == Stored && (on == nil || x.isAncestor(on, e)) {
			next = append(next, e)
		}
		return len(next) == 0
	})
	for _, root := range x.learnt {
		if e := x.Entry(root); e != nil && e.Status == Stored && !e.Excluded && x.isProof(e) && x.finalises(e) {
			next = append(next, e)
		}
	}
	for _, e := range next {
		x.schedule(x.Entry(e.Root))
	}
}

// schedule moves what must be executed so that e can become the head into the
// queue: e and its ancestors that are not executed, oldest first. (C10, C5.11)
func (x *turn) schedule(e *Entry) {
	var path []*Entry
	for ; e != nil && e.Status == Stored; e = x.Entry(e.Parent) {
		path = append(path, e)
	}
	if e == nil || e.Status == Invalid || len(x.Executing)+len(path) > maxExecuting+maxStored {
		return
	}
	for _, p := range slices.Backward(path) {
		x.Executing = append(x.Executing, Executing{Root: p.Root, Signed: p.Body, HasFees: p.HasFees, Fees: p.Source})
		x.put(p.taken(InFlight))
	}
}

// executeNext gives the engine actor the oldest blocks of the queue, unless it
// still works. They are one line of descent: when one is refused, what is left
// of the run stands on it, and neither actor waits for a verdict on that.
func (x *turn) executeNext() {
	if x.Sent > 0 || len(x.Executing) == 0 {
		return
	}
	m := &message.ExecuteBlocks{}
	for i, b := range x.Executing {
		if i == maxRun || i > 0 && x.Entry(b.Root).Parent != x.Executing[i-1].Root {
			break
		}
		m.Blocks = append(m.Blocks, message.Block{Signed: b.Signed})
	}
	x.Sent = uint64(len(m.Blocks))
	x.out.Send(engine, m)
}

// putBack stores queued blocks of excluded branches again: the execution layer
// must not be asked to leave its finalised block.
func (x *turn) putBack() {
	x.unqueue(func(b Executing) bool {
		e := x.Entry(b.Root)
		if e.Excluded {
			x.put(e.stored(b))
		}
		return e.Excluded
	})
}

// blocksExecuted takes verdicts in the order the blocks were sent.
func (x *turn) blocksExecuted(m *message.BlocksExecuted) {
	for i := range m.Results {
		r := &m.Results[i]
		x.Sent -= min(x.Sent, 1)
		if r.Status != message.ExecutionValid {
			x.Sent = 0
		}
		if len(x.Executing) == 0 || x.Entry(x.Executing[0].Root).PayloadHash != r.PayloadHash {
			continue // its block left the queue
		}
		b := x.Executing[0]
		x.Executing = x.Executing[1:]
		x.verdict(b, r)
	}
	x.settle()
}

func (x *turn) verdict(b Executing, r *message.Execution) {
	signed, _, err := x.work.Decode(b.Signed.Data)
	if err != nil {
		panic("stored block: " + err.Error())
	}
	e := x.Entry(b.Root)
	done, no := x.executed(e, &signed.Block, r, b)
	if no != nil {
		x.reject(e, no)
		return
	}
	if x.isProof(done) && !x.hasQuorum(done) {
		done.Body = b.Signed // its quorum may come, and be a proof that others ask for
	}
	x.put(done)
	x.follow(&signed.Block, done, r.Receipts)
	x.bodies[done.Root] = signed
	x.learnt = append(x.learnt, done.Root)
}

// reject takes a block and everything that stands on it out of the way: as
// invalid, or out of the state when the block itself is not at fault, so that it
// can be received again.
func (x *turn) reject(e *Entry, no *refusal) {
	standing := x.descendants(e.Root)
	if no.again {
		x.cut(e.Root)
	} else {
		x.put(e.taken(Invalid))
	}
	x.refuse(e.id(), "execution", no)
	for _, child := range standing {
		if child.Status == Invalid {
			continue
		}
		if !no.again {
			x.put(child.taken(Invalid))
		}
		x.refuse(child.id(), "execution", invalid("parent_hash", "an ancestor was refused"))
	}
	x.unqueue(func(b Executing) bool {
		queued := x.Entry(b.Root)
		return queued == nil || queued.Status == Invalid
	})
}
