package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// start runs an index and returns how to end it.
func start(t *testing.T, x *Index) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// level waits until the index has reached a sequence.
func level(t *testing.T, x *Index, to uint64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); x.Position().Sequence < to; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the index stands at %d, not at %d", x.Position().Sequence, to)
		}
	}
}

// Questions are asked while the journal grows and the index follows.
func TestRunBehindTheWriter(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs)
	defer j.Close()
	o := testOptions(fs)
	o.FlushEvery = 5 * time.Millisecond
	x := openIndex(t, j, o)
	stop := start(t, x)
	var asking sync.WaitGroup
	var ended atomic.Bool
	asking.Go(func() {
		for turn := 0; !ended.Load(); turn++ {
			q := Query{All: []Any{Type("type_2"), {Actor("chain"), Actor("rare")}}, Reverse: turn%2 == 0}
			r, err := x.Find(ctx(), q)
			if err != nil {
				t.Error(err)
				return
			}
			want := expect(q, r.x.journal.Durable().Sequence)
			var got []uint64
			for r.Next() {
				got = append(got, r.Event().Sequence)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			// The journal may have grown between Find and Durable.
			if q.Reverse && len(got) > 0 {
				want = want[max(slices.Index(want, got[0]), 0):]
			}
			if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) || len(want)-len(got) > 2000 {
				t.Errorf("%d found, %d there", len(got), len(want))
				return
			}
		}
	})
	for to := uint64(500); to <= 10_000; to += 500 {
		fill(t, j, to)
	}
	level(t, x, 10_000)
	ended.Store(true)
	asking.Wait()
	stop()
	must(t, x.Close())
	x = openIndex(t, j, o)
	if at := x.Position(); at != j.Durable() {
		t.Errorf("closed at %v, the journal at %v", at, j.Durable())
	}
	must(t, x.Close())
}

// The journal closes first: the index ends by itself.
func TestRunEndsWithTheJournal(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs)
	x := openIndex(t, j, testOptions(fs))
	done := make(chan error, 1)
	go func() { done <- x.Run(t.Context()) }()
	fill(t, j, 100)
	level(t, x, 100)
	must(t, j.Close())
	if err := <-done; err != nil {
		t.Error(err)
	}
	must(t, x.Close())
}

// The directory is deleted while the index runs: it is built again.
func TestDeletedWhileRunning(t *testing.T) {
	dir := t.TempDir() + "/journal"
	j, err := journal.Open(journal.Options{Dir: dir, Logger: quiet})
	must(t, err)
	defer j.Close()
	fill(t, j, 3000)
	o := testOptions(nil)
	o.Dir, o.FlushEvery = dir+"/index", 10*time.Millisecond
	x := openIndex(t, j, o)
	stop := start(t, x)
	level(t, x, 3000)
	for vfs.Default.RemoveAll(o.Dir) != nil { // the index may just write a file
	}
	for s := uint64(3001); x.Rebuilt() == 0; s++ {
		fill(t, j, s)
		time.Sleep(time.Millisecond)
	}
	level(t, x, j.Durable().Sequence)
	q := Query{All: []Any{{Fact("head")}, {Actor("rare")}}}
	if got, want := ask(t, x, q, 0, nil), expect(q, j.Durable().Sequence); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	stop()
	must(t, x.Close())
	o.ReadOnly = true
	x = openIndex(t, j, o)
	if x.Missing() != nil || x.Position() != j.Durable() {
		t.Errorf("%v, at %v", x.Missing(), x.Position())
	}
	must(t, x.Close())
}

// Every file operation of the index fails once, with a full disk: the journal
// goes on, answers stay right, and the index is level again in the end.
func TestEveryFailure(t *testing.T) {
	mem := vfs.NewMem()
	j := openJournal(t, mem)
	defer j.Close()
	const n = 6000
	fill(t, j, n)
	q := Query{All: []Any{{Actor("rare")}, {Fact("head")}}}
	want := expect(q, n)
	stuck := 0
	for at, tried := int64(0), 0; ; at, tried = at+1+at/12, tried+1 {
		var count atomic.Int64
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.Contains(op.Path, "index") && count.Add(1) == at+1 {
				return &vfsError{op.Path}
			}
			return nil
		}))
		o := testOptions(fs)
		o.Dir = fmt.Sprintf("journal/index%d", at)
		o.FlushEvery = time.Millisecond
		x, err := Open(j, o)
		if err != nil {
			if count.Load() < at+1 {
				t.Fatalf("operation %d: %v", at, err)
			}
			continue
		}
		running, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- x.Run(running) }()
		for x.Position().Sequence < n && len(done) == 0 {
			time.Sleep(time.Millisecond)
		}
		if got := ask(t, x, q, 0, nil); !slices.Equal(got, want) {
			t.Fatalf("operation %d: %d events, want %d", at, len(got), len(want))
		}
		cancel()
		if err := errors.Join(<-done, x.Close()); err != nil {
			var injected *vfsError
			if errors.Is(err, derived.ErrNotClosed) {
				stuck++ // a goroutine of the database is parked for good
			} else if !errors.As(err, &injected) {
				t.Errorf("operation %d: %v", at, err)
			}
		}
		if count.Load() < at+1 {
			t.Logf("%d positions of %d operations, %d databases did not close", tried, count.Load(), stuck)
			return
		}
	}
}

type vfsError struct{ path string }

func (e *vfsError) Error() string { return "injected at " + e.path }
func (e *vfsError) Unwrap() error { return syscall.ENOSPC }
