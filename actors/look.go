package actors

import (
	"context"
	"sync"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// looks are the readers that wait for a copy of a state.
type looks struct {
	mu      sync.Mutex
	waiting []look
}

type look struct {
	id    core.ID
	taken chan<- taken
}

// taken is a copy of a state, and the turn after which it was made.
type taken struct {
	state    core.State
	sequence uint64
}

// Look returns a copy of an actor's state as it was between two turns, and the
// sequence of the turn before, which is on disk. The copy is the caller's: states are
// copied on write, so it costs the sequencer next to nothing. It is for readers of
// what no fact says; a core is never given one.
func (r *Runtime) Look(ctx context.Context, id core.ID) (core.State, uint64, error) {
	if r.machine.actors[id] == nil {
		return nil, 0, fault.New(fault.Invalid, "there is no actor %q", id)
	}
	c := make(chan taken, 1)
	r.looks.mu.Lock()
	r.looks.waiting = append(r.looks.waiting, look{id, c})
	r.looks.mu.Unlock()
	r.inbox.nudge()
	select {
	case t := <-c:
		return t.state, t.sequence, r.journal.WaitDurable(ctx, t.sequence)
	case <-r.stopped:
		return nil, 0, ErrStopped
	case <-ctx.Done():
		return nil, 0, fault.Wrap(fault.Temporary, ctx.Err(), "waiting for a turn to end")
	}
}

// show answers the readers that wait. It is called between turns.
func (r *Runtime) show() {
	r.looks.mu.Lock()
	defer r.looks.mu.Unlock()
	for _, l := range r.looks.waiting {
		l.taken <- taken{r.machine.State(l.id).Clone(), r.machine.Sequence()}
	}
	r.looks.waiting = r.looks.waiting[:0]
}
