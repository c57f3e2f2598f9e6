// Package supervisor is the core that keeps the run as a whole: it passes the
// configuration on, counts failed turns and ends the process when there are too
// many, and notes snapshots.
//
// Its transition table:
//
//	message          does
//	node_configured  one start more, failures count anew; goes on to every other actor
//	actor_failed     counted; past the budget the process is asked to stop
//	snapshot_begun   nothing: the turn marks where the states were frozen
//	snapshot_taken   remembers position and digest of the newest snapshot
//	node_stopped     marks the run as ended cleanly
//	behaviour_upgraded  notes the behaviour and the snapshot it was made of
//	checkpoint_blocks   publishes the blocks it carries
//	checkpoint_started  notes the behaviour
package supervisor

import (
	"fmt"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// FailureBudget is how many turns may fail within FailureWindow turns before the
// process is asked to stop: a core that fails at every message would otherwise
// fill the journal.
const (
	FailureBudget = 32
	FailureWindow = 4096
)

// ProcessEdge executes [message.StopProcess].
const ProcessEdge core.Edge = "process"

// Supervisor is the core. Create it with [New].
type Supervisor struct{ others []core.ID }

// New returns a supervisor that passes the configuration to others, in order.
func New(others ...core.ID) *Supervisor { return &Supervisor{others: others} }

// ID implements core.Core.
func (*Supervisor) ID() core.ID { return core.Supervisor }

// NewState implements core.Core.
func (*Supervisor) NewState() core.State { return &State{} }

// Messages implements core.Core.
func (*Supervisor) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.NodeStopped{}, &message.SnapshotBegun{},
		&message.SnapshotTaken{}, &core.ActorFailed{},
		&message.BehaviourUpgraded{}, &message.CheckpointStarted{}, &message.CheckpointBlocks{},
	}
}

// Handle implements core.Core.
func (s *Supervisor) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	st := state.(*State)
	switch m := m.(type) {
	case *message.NodeConfigured:
		st.Starts++
		st.WindowStart, st.Failures = t.Sequence, 0 // a new process has its own budget
		st.Running = true
		st.Behaviour = m.Behaviour
		for _, id := range s.others {
			out.Send(id, m)
		}
	case *core.ActorFailed:
		st.actorFailed(m, t, out)
	case *message.SnapshotTaken:
		st.SnapshotAt, st.SnapshotRoot = m.At, m.Root
	case *message.NodeStopped:
		st.Running = false
	case *message.BehaviourUpgraded:
		st.Behaviour, st.SnapshotAt, st.SnapshotRoot = m.To, m.SnapshotAt, m.SnapshotRoot
	case *message.CheckpointBlocks:
		for i := range m.Blocks {
			out.Fact(&m.Blocks[i])
		}
	case *message.CheckpointStarted:
		st.Behaviour = m.Behaviour
	case *message.SnapshotBegun:
	}
}

func (s *State) actorFailed(m *core.ActorFailed, t core.Turn, out *core.Out) {
	if t.Sequence-s.WindowStart >= FailureWindow {
		s.WindowStart, s.Failures = t.Sequence, 0
	}
	s.Failures++
	if s.Failures == FailureBudget {
		out.Effect(ProcessEdge, core.FireAndForget, &message.StopProcess{
			Reason: fmt.Sprintf("%d turns failed within %d, the last in actor %q at %q: %s", s.Failures, FailureWindow, m.Actor, m.Message, m.Reason),
		})
	}
}

// State is the supervisor's state.
type State struct {
	Starts       uint64 // runs so far
	Running      bool   // false after a clean stop
	Behaviour    uint32 // version of the cores' rules in the last run
	Failures     uint64 // failed turns since WindowStart
	WindowStart  uint64 // sequence
	SnapshotAt   uint64 // sequence of the newest snapshot
	SnapshotRoot [32]byte
}

// Fields implements record.Record.
func (s *State) Fields(f *record.Fields) {
	f.Uint64(1, &s.Starts)
	f.Bool(2, &s.Running)
	f.Uint32(3, &s.Behaviour)
	f.Uint64(4, &s.Failures)
	f.Uint64(5, &s.WindowStart)
	f.Uint64(6, &s.SnapshotAt)
	f.Fixed(7, s.SnapshotRoot[:])
}

// Clone implements core.State.
func (s *State) Clone() core.State { c := *s; return &c }

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	return yield(nil, value)
}

// Load implements core.State.
func (s *State) Load(key, value []byte, _ record.Resolver) error {
	if len(key) != 0 {
		return fault.New(fault.Corrupt, "supervisor state has no entry %x", key)
	}
	return record.Decode(value, s, nil)
}
