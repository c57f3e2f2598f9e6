package actors_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// When the disk is full the runtime stops with a fatal error and releases
// nothing whose turn is not durable; with room again everything acknowledged is
// there.
func TestDiskFull(t *testing.T) {
	var full atomic.Bool
	mem := vfs.NewMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	r := boot(t, fs, false)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.runtime.Run(ctx) }()
	for i := range uint64(100) {
		if i == 50 {
			if err := r.journal.WaitDurable(ctx, r.journal.Head().Sequence); err != nil {
				t.Fatal(err)
			}
			full.Store(true)
		}
		if err := r.runtime.Submit(ctx, ledgerID, &deposit{Account: 1, Amount: 2}, actors.Normal, actors.Block); err != nil {
			break // the runtime has stopped
		}
	}
	err := <-done
	if err == nil || !fault.Is(err, fault.Fatal) {
		t.Fatalf("a full disk gave %v, graded %v", err, fault.Of(err))
	}
	t.Log(err)
	durable := r.journal.Durable()
	r.mu.Lock()
	for _, ref := range r.executed {
		if ref.Sequence > durable.Sequence {
			t.Errorf("effect of turn %d left, durable is %d", ref.Sequence, durable.Sequence)
		}
	}
	r.mu.Unlock()
	_ = r.journal.Close()
	full.Store(false)
	again := boot(t, fs, false)
	defer again.close(t)
	if _, hash, err := again.journal.Event(durable.Sequence); err != nil || hash != durable.Hash {
		t.Errorf("event %d was acknowledged: %v", durable.Sequence, err)
	}
}
