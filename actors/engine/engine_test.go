package engine_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// actor is the core with a state and the sequence of its last turn.
type actor struct {
	state    core.State
	sequence uint64
}

func newActor() *actor { return &actor{state: engine.New().NewState()} }

func (a *actor) handle(m core.Message, cause core.Ref) []core.Output {
	a.sequence++
	var out core.Out
	a.state = a.state.Clone()
	engine.New().Handle(a.state, m, core.Turn{Sequence: a.sequence, Cause: cause}, &out)
	return out.List()
}

func (a *actor) ref(index uint32) core.Ref { return core.Ref{Sequence: a.sequence, Index: index} }

func blocks(names ...string) *message.ExecuteBlocks {
	m := &message.ExecuteBlocks{}
	for _, n := range names {
		m.Blocks = append(m.Blocks, message.Block{Signed: record.NewContent([]byte(n))})
	}
	return m
}

func results(statuses ...uint8) *message.PayloadsImported {
	m := &message.PayloadsImported{}
	for i, s := range statuses {
		m.Results = append(m.Results, message.Execution{PayloadHash: common.Hash{byte(i + 1)}, Status: s})
	}
	return m
}

// Whatever an import of three blocks answers, each block gets a verdict, is
// tried again, or stands on an invalid one.
func TestImportAnswers(t *testing.T) {
	const valid, bad, unknown = message.ExecutionValid, message.ExecutionInvalid, message.ExecutionUnknown
	for _, c := range []struct {
		name   string
		answer *message.PayloadsImported
		judged int // results that reach the chain actor
		again  int // blocks tried again
	}{
		{"all valid", results(valid, valid, valid), 3, 0},
		{"invalid in the middle", results(valid, bad), 2, 0},
		{"results after the invalid one", results(valid, bad, valid), 2, 0},
		{"unknown at once", results(unknown), 0, 3},
		{"unknown in the middle", results(valid, unknown), 1, 2},
		{"a status that does not exist", results(valid, 9, valid), 1, 2},
		{"no result", results(), 0, 3},
		{"ends without a verdict", results(valid, valid), 2, 1},
		{"more results than blocks", results(valid, valid, valid, bad), 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newActor()
			a.handle(blocks("a", "b", "c"), core.Ref{})
			out := a.handle(c.answer, a.ref(0))
			judged, retry := 0, core.Ref{}
			for i, o := range out {
				switch m := o.Message.(type) {
				case *message.BlocksExecuted:
					judged = len(m.Results)
				case *message.StartTimer:
					retry = a.ref(uint32(i))
				}
			}
			again := 0
			if !retry.None() {
				for _, o := range a.handle(&message.TimerFired{}, retry) {
					again = len(o.Message.(*message.ImportPayloads).Blocks)
				}
			}
			if judged != c.judged || again != c.again {
				t.Errorf("%d judged, %d tried again; want %d and %d", judged, again, c.judged, c.again)
			}
			if left := len(a.state.(*engine.State).Batches); (left > 0) != (c.again > 0) {
				t.Errorf("%d batches are left", left)
			}
		})
	}
}

// The pause doubles up to its limit and starts anew after a verdict.
func TestRetryPause(t *testing.T) {
	a := newActor()
	a.handle(blocks("a", "b"), core.Ref{})
	var pauses []uint64
	for range 10 {
		out := a.handle(results(message.ExecutionUnknown), a.ref(0))
		pauses = append(pauses, out[0].Message.(*message.StartTimer).After)
		a.handle(&core.Expired{Reason: "restart"}, a.ref(0))
	}
	for i, want := range []uint64{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000} {
		if pauses[i] != want {
			t.Fatalf("pauses %v", pauses)
		}
	}
	out := a.handle(results(message.ExecutionValid, message.ExecutionUnknown), a.ref(0))
	if got := out[1].Message.(*message.StartTimer).After; got != 250 {
		t.Errorf("pause after a verdict is %d ms", got)
	}
}

// A build is answered once, by its own effect's result, and refused while
// another or an import is under way.
func TestBuild(t *testing.T) {
	a := newActor()
	out := a.handle(&message.BuildBlock{Slot: 7}, core.Ref{})
	if out[0].Class != core.Expiring {
		t.Errorf("class %s", out[0].Class)
	}
	effect := a.ref(0)
	if out := a.handle(&message.BuildBlock{Slot: 8}, core.Ref{}); out[0].Message.(*message.BuildFailed).Slot != 8 {
		t.Errorf("second build: %v", out)
	}
	for _, m := range []core.Message{&message.PayloadBuilt{}, &message.PayloadFailed{}, &core.Expired{}, &message.TimerFired{}} {
		if out := a.handle(m, core.Ref{Sequence: 99}); len(out) != 0 {
			t.Errorf("%s of another effect: %v", m.Type(), out)
		}
	}
	if out := a.handle(&message.PayloadBuilt{}, effect); out[0].Message.(*message.PayloadReady).Slot != 7 {
		t.Errorf("payload: %v", out)
	}
	if out := a.handle(&message.PayloadFailed{}, effect); len(out) != 0 {
		t.Errorf("answered twice: %v", out)
	}
	a.handle(blocks("a"), core.Ref{})
	if out := a.handle(&message.BuildBlock{Slot: 9}, core.Ref{}); out[0].Message.(*message.BuildFailed).Slot != 9 {
		t.Errorf("build during an import: %v", out)
	}
}

func TestLoadRefuses(t *testing.T) {
	if err := engine.New().NewState().Load([]byte("x"), nil, nil); err == nil {
		t.Error("an unknown entry is taken")
	}
}
