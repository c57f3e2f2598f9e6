package actors_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// At full load and with a disk that takes long for snapshots, the turns since
// the newest snapshot stay below the bound, and none is lost.
func TestTailIsBounded(t *testing.T) {
	const maxTail, turns = 1000, 20_000
	mem := vfs.NewMem()
	slow := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData {
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	}))
	var r *actors.Runtime
	j, err := journal.Open(journal.Options{FS: mem, Dir: "journal", Logger: silent, OnDurable: func(h journal.Head) {
		if r != nil {
			r.Durable(h)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	store, err := snapshot.Open(snapshot.Options{FS: slow, Dir: "snapshots", Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	// The newest SnapshotTaken says which snapshot is on disk for sure.
	var clock atomic.Int64
	r = actors.NewRuntime(actors.Options{
		Journal: j, Machine: newMachine(t, j.ID()), Snapshots: store, SnapshotTurns: 100, MaxTail: maxTail, Logger: silent,
		Clock: func() int64 { return clock.Add(1) },
		Edges: map[core.Edge]actors.Executor{"bank": actors.ExecutorFunc(func(context.Context, actors.Request) {})},
	})
	if err := r.Start(t.Context(), actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{}}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for i := range uint64(turns) {
		if err := r.Submit(ctx, ledgerID, &deposit{Account: i % 50, Amount: 1}, actors.Normal, actors.Block); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, r, j)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	worst, snapshots := longestTail(t, j)
	t.Logf("%d snapshots, at most %d turns since the newest", snapshots, worst)
	// One round of messages and their sends may come on top.
	if worst > maxTail+500 || snapshots < turns/maxTail/2 {
		t.Errorf("%d turns since the newest snapshot, allowed are %d; %d snapshots", worst, maxTail, snapshots)
	}
}

// longestTail returns the most turns that a crash at any event would have left
// to be handled again, and how many snapshots there were.
func longestTail(t *testing.T, j *journal.Journal) (worst uint64, snapshots int) {
	it := j.Iterate(1, false)
	defer it.Close()
	var at uint64
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == (*message.SnapshotTaken)(nil).Type() {
			m := decodeTaken(t, e.Message)
			at = m.At
			snapshots++
		}
		worst = max(worst, e.Sequence-at)
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return worst, snapshots
}

func decodeTaken(t *testing.T, data []byte) (m message.SnapshotTaken) {
	if err := record.Decode(data, &m, nil); err != nil {
		t.Fatal(err)
	}
	return m
}
