package actors

import (
	"context"
	"sync"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Priority orders messages of an inbox. A lower priority is never starved: of
// every 13 messages taken under load, at least one is Low.
type Priority uint8

// The priorities.
const (
	High   Priority = iota // timers, work
	Normal                 // blocks, approvals
	Low                    // queries that are turns, gossip of little value
	lanes  = 3
)

// burst is how many messages of a lane are taken before the next lane's turn.
var burst = [lanes]int{8, 4, 1}

// ErrBusy is returned when an inbox lane is full and the sender did not want to
// wait. (grade Temporary)
var ErrBusy = fault.New(fault.Temporary, "inbox is full: try again")

// ErrStopped is returned once the runtime takes no more messages.
var ErrStopped = fault.New(fault.Temporary, "the node is stopping")

// Overflow says what becomes of a message when its lane is full.
type Overflow uint8

// The overflow policies. Dropped messages are counted as dead letters.
const (
	Block  Overflow = iota // wait until there is room or the context ends
	Reject                 // return ErrBusy
	Drop                   // count and return nil: for gossip only
)

// inbox holds messages from edges, bounded per lane, and results of effects,
// which were asked for and are never refused.
type inbox struct {
	mu       sync.Mutex
	filled   *sync.Cond // something to take, or closed
	room     *sync.Cond // a lane has room again, or closed
	results  []Input
	lanes    [lanes][]Input
	capacity int
	closed   bool
	waiting  bool // the sequencer sleeps
	nudged   bool // the next take returns even with nothing
	dropped  uint64
}

func newInbox(capacity int) *inbox {
	b := &inbox{capacity: capacity}
	b.filled, b.room = sync.NewCond(&b.mu), sync.NewCond(&b.mu)
	return b
}

func (b *inbox) put(ctx context.Context, in Input, p Priority, o Overflow) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lanes[p]) >= b.capacity && !b.closed {
		switch o {
		case Reject:
			return ErrBusy
		case Drop:
			b.dropped++
			return nil
		}
		stop := context.AfterFunc(ctx, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.room.Broadcast()
		})
		defer stop()
		for len(b.lanes[p]) >= b.capacity && !b.closed && ctx.Err() == nil {
			b.room.Wait()
		}
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.Temporary, err, "waiting for room in the inbox")
		}
	}
	if b.closed {
		return ErrStopped
	}
	b.lanes[p] = append(b.lanes[p], in)
	b.wake()
	return nil
}

func (b *inbox) putResult(in Input) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.results = append(b.results, in)
		b.wake()
	}
}

func (b *inbox) wake() {
	if b.waiting {
		b.waiting = false
		b.filled.Signal()
	}
}

// nudge has take return once, for there is something else to do.
func (b *inbox) nudge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nudged = true
	b.wake()
}

// take moves up to one round of messages into dst: all results, then a burst of
// each lane. It waits while there is nothing; ok is false once closed.
func (b *inbox) take(dst []Input) (_ []Input, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		if b.closed {
			return dst, false
		}
		dst = append(dst, b.results...)
		b.results = b.results[:0]
		for p := range b.lanes {
			// A lane alone is taken in larger rounds: nothing waits behind it.
			n := min(burst[p], len(b.lanes[p]))
			if b.alone(p) {
				n = min(64, len(b.lanes[p]))
			}
			full := len(b.lanes[p]) >= b.capacity
			dst = append(dst, b.lanes[p][:n]...)
			clear(b.lanes[p][:n])
			b.lanes[p] = b.lanes[p][n:]
			if full && n > 0 {
				b.room.Broadcast()
			}
		}
		if len(dst) > 0 || b.nudged {
			b.nudged = false
			return dst, true
		}
		b.waiting = true
		b.filled.Wait()
	}
}

func (b *inbox) alone(p int) bool {
	for q := range b.lanes {
		if q != p && len(b.lanes[q]) > 0 {
			return false
		}
	}
	return true
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.filled.Broadcast()
	b.room.Broadcast()
}

// depth returns the messages that wait and those dropped so far.
func (b *inbox) depth() (waiting int, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting = len(b.results)
	for _, lane := range b.lanes {
		waiting += len(lane)
	}
	return waiting, b.dropped
}
