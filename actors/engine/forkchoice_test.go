package engine_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

func move(head, final byte) *message.MoveHead {
	return &message.MoveHead{Head: common.Hash{head}, Finalized: common.Hash{final}}
}

// asked returns the forkchoice that outputs ask for.
func asked(t *testing.T, out []core.Output) *message.UpdateForkchoice {
	t.Helper()
	if len(out) != 1 {
		t.Fatalf("%d outputs", len(out))
	}
	m, ok := out[0].Message.(*message.UpdateForkchoice)
	if !ok || out[0].Class != core.UntilDone || m.Safe != m.Finalized {
		t.Fatalf("asks for %+v", out[0])
	}
	return m
}

func TestHeadIsToldOnce(t *testing.T) {
	a := newActor()
	if m := asked(t, a.handle(move(1, 0), core.Ref{})); m.Head != (common.Hash{1}) {
		t.Fatalf("%+v", m)
	}
	first := a.ref(0)
	// While it is being told, newer ones replace each other.
	for _, m := range []core.Message{move(1, 0), move(2, 0), move(3, 1)} {
		if out := a.handle(m, core.Ref{}); len(out) != 0 {
			t.Fatalf("two at once: %+v", out)
		}
	}
	valid := &message.ForkchoiceUpdated{Status: message.ExecutionValid}
	if out := a.handle(valid, core.Ref{Sequence: 99}); len(out) != 0 {
		t.Fatalf("another effect's answer is taken: %+v", out)
	}
	if m := asked(t, a.handle(valid, first)); m.Head != (common.Hash{3}) || m.Finalized != (common.Hash{1}) {
		t.Fatalf("%+v", m)
	}
	if out := a.handle(valid, a.ref(0)); len(out) != 0 {
		t.Fatalf("told again: %+v", out)
	}
	if out := a.handle(move(3, 1), core.Ref{}); len(out) != 0 {
		t.Fatalf("told what it knows: %+v", out)
	}
	// The same head with another finalised block is a change, and so is a new run.
	second := asked(t, a.handle(move(3, 2), core.Ref{}))
	a.handle(valid, a.ref(0))
	if m := asked(t, a.handle(&message.NodeConfigured{}, core.Ref{})); *m != *second {
		t.Fatalf("%+v after a restart", m)
	}
	if out := a.handle(move(3, 2), core.Ref{}); len(out) != 0 {
		t.Fatalf("told twice after a restart: %+v", out)
	}
}

func TestHeadIsTriedAgain(t *testing.T) {
	const unknown = message.ExecutionUnknown
	a := newActor()
	a.handle(move(1, 0), core.Ref{})
	for _, pause := range []uint64{250, 500, 1000} {
		out := a.handle(&message.ForkchoiceUpdated{Status: unknown}, a.ref(0))
		if got := out[0].Message.(*message.StartTimer).After; got != pause {
			t.Fatalf("pause of %d ms, want %d", got, pause)
		}
		timer := a.ref(0)
		if out := a.handle(move(1, 0), core.Ref{}); len(out) != 0 {
			t.Fatalf("the pause is cut short: %+v", out)
		}
		if out := a.handle(&message.NodeConfigured{}, core.Ref{}); len(out) != 0 {
			t.Fatalf("a restart does not wait for its expired timer: %+v", out)
		}
		asked(t, a.handle(&core.Expired{}, timer))
	}
	// A new head ends the pause; the old timer then means nothing.
	a.handle(&message.ForkchoiceUpdated{Status: unknown}, a.ref(0))
	old := a.ref(0)
	asked(t, a.handle(move(2, 0), core.Ref{}))
	if out := a.handle(&message.TimerFired{}, old); len(out) != 0 {
		t.Fatalf("an old timer: %+v", out)
	}
}

func TestHeadIsRefused(t *testing.T) {
	a := newActor()
	a.handle(move(1, 0), core.Ref{})
	refusal := &message.ForkchoiceUpdated{Status: message.ExecutionInvalid, Reason: "bad", LatestValid: common.Hash{9}}
	for i, facts := range []int{1, 0} {
		out := a.handle(refusal, a.ref(0))
		if len(out) != facts+1 {
			t.Fatalf("refusal %d: %+v", i+1, out)
		}
		if facts == 1 {
			if f := out[0].Message.(*message.HeadRefused); f.Head != (common.Hash{1}) || f.LatestValid != (common.Hash{9}) || f.Reason != "bad" {
				t.Fatalf("%+v", f)
			}
		}
		asked(t, a.handle(&message.TimerFired{}, a.ref(uint32(facts))))
	}
	a.handle(&message.ForkchoiceUpdated{Status: message.ExecutionValid}, a.ref(0))
	if s := a.state.(*engine.State); s.Known == nil || *s.Known != *s.Wanted || s.Refused != (common.Hash{}) {
		t.Fatalf("%+v", s)
	}
}
