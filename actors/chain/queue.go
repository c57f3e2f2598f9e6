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

// schedule moves what must be executed so that e can become the head into the
// queue: e and its ancestors that are not executed, oldest first. Nothing is
// moved while e lacks its quorum (C5.11), is not above the head (C10), or
// stands on a branch that excludes the finalised block.
func (x *turn) schedule(e *Entry) {
	n := len(x.rules.spec.Authorities)
	if e.Status != Stored || e.Number <= x.Head.Number || e.Approvals.CountReal(n) < x.rules.spec.Quorum() {
		return
	}
	var path []Executing
	for e.Status == Stored {
		i := slices.IndexFunc(x.Candidates, func(c Executing) bool { return c.Root == e.Root })
		parent := x.Entry(e.Parent)
		if i < 0 || parent == nil || parent.Status == Invalid {
			return
		}
		path = append(path, x.Candidates[i])
		e = parent
	}
	if !x.aboveFinalized(e) {
		return
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
	x.Executing = append(x.Executing, path...)
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

// dropQueued forgets queued blocks that do not stand on the finalised block any
// more: the execution layer must not be asked to leave its finalised block.
func (x *turn) dropQueued() {
	alive := x.Executing[:0:0]
	for _, b := range x.Executing {
		e := x.Entry(b.Root)
		parent := x.Entry(e.Parent)
		if parent != nil && (parent.Status == InFlight || x.aboveFinalized(parent)) {
			alive = append(alive, b)
		} else {
			x.remove(e)
		}
	}
	x.Executing = alive
}

// blocksExecuted takes verdicts in the order the blocks were sent.
func (x *turn) blocksExecuted(m *message.BlocksExecuted) {
	var moved movement
	finalized := x.Finalized
	for i := range m.Results {
		r := &m.Results[i]
		x.Sent -= min(x.Sent, 1)
		if r.Status != message.ExecutionValid {
			x.Sent = 0
		}
		if len(x.Executing) == 0 || x.Entry(x.Executing[0].Root).PayloadHash != r.PayloadHash {
			continue // its block left the queue with a refused ancestor
		}
		b := x.Executing[0]
		x.Executing = x.Executing[1:]
		x.verdict(b, r, &moved)
	}
	if len(moved.joined) > 0 {
		x.factHead()
		x.moveHead()
		x.prune(finalized)
		x.dropStaleWork()
		x.tellMiner(moved.reorganised, moved.joined)
	}
	x.executeNext()
}

// movement is what a turn did to the head's branch.
type movement struct {
	joined      []message.BlockID // connected blocks, oldest first
	reorganised bool
}

func (x *turn) verdict(b Executing, r *message.Execution, moved *movement) {
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
	x.connect(done, signed, moved)
}

// reject takes a block and everything in the queue that stands on it out of the
// way: as invalid, or out of the state when the block itself is not at fault, so
// that it can be received again.
func (x *turn) reject(e *Entry, no *refusal) {
	leave := func(e *Entry, why *refusal) {
		if no.again {
			x.remove(e)
		} else {
			bad := *e
			bad.Status = Invalid
			x.put(&bad)
		}
		x.refuse(e.id(), "execution", why)
	}
	leave(e, no)
	rest := x.Executing[:0:0]
	for _, b := range x.Executing {
		child := x.Entry(b.Root)
		if parent := x.Entry(child.Parent); parent == nil || parent.Status == Invalid {
			leave(child, invalid("parent_hash", "an ancestor was refused"))
			continue
		}
		rest = append(rest, b)
	}
	x.Executing = rest
}
