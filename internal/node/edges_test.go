package node

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// A timer leaves nothing behind once it fired, and ends with the node.
func TestTimerLeavesNothing(t *testing.T) {
	edge := &timerEdge{wall: time.Now, start: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	fired := make(chan *message.TimerFired)
	for range 200 {
		edge.Execute(ctx, actors.Request{
			Message: &message.StartTimer{After: 1},
			Reply:   func(m core.Message) { fired <- m.(*message.TimerFired) },
		})
		if m := <-fired; m.Wall == 0 {
			t.Fatal("a timer fired without a time")
		}
	}
	edge.Execute(ctx, actors.Request{
		Message: &message.StartTimer{After: 3_600_000},
		Reply:   func(core.Message) { t.Error("a stopped timer fired") },
	})
	cancel()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// A block that the journal lost after it was accepted ends the node: without a
// verdict the chain would wait for ever.
func TestContentLost(t *testing.T) {
	damage := fault.New(fault.Corrupt, "content is missing")
	var cause error
	edge := &engineEdge{
		content: func(record.Content) ([]byte, error) { return nil, damage },
		log:     slog.New(slog.DiscardHandler),
		stop:    func(err error) { cause = err },
	}
	request := actors.Request{
		Message: &message.ImportPayloads{Blocks: []message.Block{{Signed: record.NewContent([]byte("block"))}}},
		Reply:   func(core.Message) { t.Error("a verdict without a block") },
	}
	ctx, cancel := context.WithCancel(t.Context())
	edge.Execute(ctx, request)
	if !fault.Is(cause, fault.Corrupt) {
		t.Errorf("stopped by %v", cause)
	}
	cause = nil
	cancel()
	edge.Execute(ctx, request)
	if cause != nil {
		t.Errorf("a node that stops anyway was stopped by %v", cause)
	}
}

// What a core ends the process for decides the exit code: a refusal for safety is
// one, a failing core is not.
func TestStopProcess(t *testing.T) {
	for exit, refused := range map[uint32]bool{0: false, chain.ExitRefused: true} {
		var cause error
		edge := &processEdge{stop: func(err error) { cause = err }}
		edge.Execute(t.Context(), actors.Request{Message: &message.StopProcess{Reason: "both proofs", Exit: exit}})
		if cause == nil || errors.Is(cause, ErrRefused) != refused || !strings.Contains(cause.Error(), "both proofs") {
			t.Errorf("exit %d: stopped by %v", exit, cause)
		}
	}
}
