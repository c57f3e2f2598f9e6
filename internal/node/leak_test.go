package node_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
)

// goroutines returns the stacks of all goroutines but those that go-ethereum
// starts for each engine API and has no way to stop.
func goroutines() (stacks []string) {
	buf := make([]byte, 8<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(stack, "catalyst.NewConsensusAPI") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// Opening, running and closing a node again and again leaves no goroutine.
func TestNoGoroutineLeft(t *testing.T) {
	dir := usedDirectory(t)
	cycle := func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := devOptions(t, dir)
		o.Logger = slog.New(slog.DiscardHandler)
		n, err := node.Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(ctx, func() { time.AfterFunc(200*time.Millisecond, cancel) }); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	cycle() // what a process starts once stays
	before := len(goroutines())
	for range 4 {
		cycle()
	}
	now := goroutines()
	for deadline := time.Now().Add(5 * time.Second); len(now) > before && time.Now().Before(deadline); now = goroutines() {
		time.Sleep(10 * time.Millisecond)
	}
	if len(now) > before {
		t.Errorf("%d goroutines after one run, %d after five:\n%s", before, len(now), strings.Join(now, "\n\n"))
	}
}
