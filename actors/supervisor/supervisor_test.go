package supervisor_test

import (
	"testing"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

type run struct {
	core  *supervisor.Supervisor
	state core.State
	at    uint64
}

func (r *run) handle(m core.Message) []core.Output {
	r.at++
	var out core.Out
	r.state = r.state.Clone()
	r.core.Handle(r.state, m, core.Turn{Sequence: r.at}, &out)
	return out.List()
}

func newRun(others ...core.ID) *run {
	s := supervisor.New(others...)
	return &run{core: s, state: s.NewState()}
}

// The configuration goes to every actor in order, whole.
func TestConfigurationIsPassedOn(t *testing.T) {
	r := newRun("a", "b")
	config := &message.NodeConfigured{Behaviour: 3}
	out := r.handle(config)
	if len(out) != 2 || out[0].Target != "a" || out[1].Target != "b" || out[0].Message != core.Message(config) {
		t.Fatalf("%+v", out)
	}
	s := r.state.(*supervisor.State)
	if s.Starts != 1 || !s.Running || s.Behaviour != 3 {
		t.Errorf("%+v", s)
	}
	r.handle(&message.NodeStopped{})
	if r.state.(*supervisor.State).Running {
		t.Error("runs after a clean stop")
	}
}

// The process is asked to stop once per window, and a new process has a budget
// of its own.
func TestFailureBudget(t *testing.T) {
	r := newRun()
	stops := func(failures int) (n int) {
		for range failures {
			n += len(r.handle(&core.ActorFailed{Actor: "chain", Message: "x", Reason: "y"}))
		}
		return n
	}
	r.handle(&message.NodeConfigured{})
	if n := stops(supervisor.FailureBudget - 1); n != 0 {
		t.Fatalf("%d stops within the budget", n)
	}
	if n := stops(10); n != 1 {
		t.Fatalf("%d stops past the budget", n)
	}
	r.handle(&message.NodeConfigured{})
	if n := stops(supervisor.FailureBudget); n != 1 {
		t.Fatalf("%d stops in the second run", n)
	}
	r.at += supervisor.FailureWindow
	if n := stops(supervisor.FailureBudget - 1); n != 0 {
		t.Fatalf("%d stops in a new window", n)
	}
}

func TestSnapshotIsRemembered(t *testing.T) {
	r := newRun()
	r.handle(&message.SnapshotBegun{})
	r.handle(&message.SnapshotTaken{At: 5, Root: [32]byte{6}})
	again := supervisor.New().NewState()
	err := r.state.Walk(func(key, value []byte) error { return again.Load(key, value, nil) })
	if err != nil {
		t.Fatal(err)
	}
	if s := again.(*supervisor.State); s.SnapshotAt != 5 || s.SnapshotRoot != [32]byte{6} {
		t.Errorf("%+v", s)
	}
	if again.Load([]byte("x"), nil, nil) == nil {
		t.Error("an unknown entry is taken")
	}
}
