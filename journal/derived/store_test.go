package derived

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// sums is a model that counts: an event folded twice, or not at all, shows.
type sums struct{ version uint32 }

func (m sums) Version() uint32 { return m.version }

func (m sums) Begin(w Writer, _ func(journal.Hash) ([]byte, error)) Folder { return &summing{w: w} }

type summing struct{ w Writer }

var sumKey = []byte("sum")

func (f *summing) Fold(e *journal.Event) error {
	raw, err := f.w.Get(sumKey)
	if err != nil {
		return err
	}
	sum := uint64(0)
	if raw != nil {
		sum = binary.BigEndian.Uint64(raw)
	}
	key := fmt.Appendf(nil, "event %d", e.Sequence%7)
	if err := f.w.Set(key, e.Message); err != nil {
		return err
	}
	return f.w.Set(sumKey, binary.BigEndian.AppendUint64(nil, sum+e.Sequence))
}

func (f *summing) End() error { return nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openJournal(t testing.TB, fs vfs.FS, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(journal.Options{FS: fs, Dir: dir, Logger: quiet})
	must(t, err)
	return j
}

func fill(t testing.TB, j *journal.Journal, to uint64) {
	t.Helper()
	for n := j.Head().Sequence + 1; n <= to; n++ {
		_, err := j.Append(&journal.Event{Sequence: n, Time: int64(n), Actor: "a", Type: "t", Schema: 1, Stored: true, Message: binary.BigEndian.AppendUint64(nil, n)}, nil)
		must(t, err)
	}
	must(t, j.WaitDurable(t.Context(), to))
}

func options(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "store", Name: "test", Model: sums{1}, Gather: -1, FlushEvery: time.Millisecond, BatchBytes: 4096, Logger: quiet}
}

// sum reads the store, and how far it holds.
func sum(s *Store) (got, want uint64, err error) {
	err = s.View(func(r Reader, at Position) error {
		raw, err := r.Get(sumKey)
		if len(raw) == 8 {
			got = binary.BigEndian.Uint64(raw)
		}
		want = at.Head.Sequence * (at.Head.Sequence + 1) / 2
		return err
	})
	return got, want, err
}

func check(t *testing.T, s *Store, at uint64) {
	t.Helper()
	got, want, err := sum(s)
	if err != nil || got != want || s.Position() != at || want != at*(at+1)/2 {
		t.Errorf("at %d of %d: sum %d, want %d (%v)", s.Position(), at, got, want, err)
	}
}

// start runs a store and returns how to end it.
func start(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + " did not come")
		}
	}
}

// Each event counts once while the journal grows, the store is asked and built again
// beside itself; it answers all the time.
func TestRebuildBeside(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs, "journal")
	defer j.Close()
	fill(t, j, 3000)
	s, err := Open(j, options(fs))
	must(t, err)
	stop := start(t, s)
	until(t, "level", func() bool { return s.Position() == 3000 })
	var asking sync.WaitGroup
	var ended atomic.Bool
	asking.Go(func() {
		for last := uint64(0); !ended.Load(); {
			got, want, err := sum(s)
			if err != nil || got != want || want < last {
				t.Errorf("sum %d, want %d, before %d: %v", got, want, last, err)
				return
			}
			last = want
		}
	})
	for n := range uint64(5) {
		s.Rebuild()
		fill(t, j, 3000+n*400)
		until(t, "the new build", func() bool { return s.Rebuilt() == n+1 })
	}
	until(t, "level", func() bool { return s.Position() == j.Durable().Sequence })
	ended.Store(true)
	asking.Wait()
	check(t, s, 4600)
	stop()
	must(t, s.Close())
	names, err := fs.List("store")
	if err != nil || len(names) != 1 || names[0] != "1-6" {
		t.Errorf("left are %v, %v", names, err)
	}
	s, err = Open(j, options(fs))
	must(t, err)
	check(t, s, 4600)
	must(t, s.Close())
}

// A store of another version stays until this version's is level, and serves a program
// that goes back before.
func TestOtherVersion(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs, "journal")
	defer j.Close()
	fill(t, j, 500)
	old, err := Open(j, options(fs))
	must(t, err)
	must(t, old.Advance(t.Context()))
	must(t, old.Close())
	o := options(fs)
	o.Model = sums{2}
	s, err := Open(j, o)
	must(t, err)
	if _, _, err := sum(s); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "event 0 of 500") {
		t.Errorf("being built: %v", err)
	}
	_, err = s.Step(context.Background())
	must(t, err)
	must(t, s.Close())
	old, err = Open(j, options(fs)) // the old program again, before the new store was level
	must(t, err)
	check(t, old, 500)
	must(t, old.Close())
	s, err = Open(j, o)
	must(t, err)
	must(t, s.Advance(t.Context()))
	check(t, s, 500)
	must(t, s.Close())
	if names, _ := fs.List("store"); len(names) != 1 || names[0] != "2-1" {
		t.Errorf("left are %v", names)
	}
}

// A store of another journal, or of a longer one, is built again.
func TestOtherJournal(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs, "journal")
	fill(t, j, 500)
	s, err := Open(j, options(fs))
	must(t, err)
	must(t, s.Advance(t.Context()))
	must(t, s.Close())
	must(t, j.Close())
	j = openJournal(t, fs, "other")
	defer j.Close()
	fill(t, j, 600)
	o := options(fs)
	o.ReadOnly = true
	if _, err := Open(j, o); !fault.Is(err, fault.CannotJudge) {
		t.Errorf("for reading: %v", err)
	}
	if s, err = Open(j, options(fs)); err != nil || s.Position() != 0 {
		t.Fatalf("opened at %d: %v", s.Position(), err)
	}
	must(t, s.Advance(t.Context()))
	check(t, s, 600)
	must(t, s.Close())
	o = options(fs)
	o.ReadOnly = true
	s, err = Open(j, o)
	must(t, err)
	check(t, s, 600)
	must(t, s.Close())
}

// The journal closes first: the store ends by itself.
func TestRunEndsWithTheJournal(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs, "journal")
	fill(t, j, 100)
	s, err := Open(j, options(fs))
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	until(t, "level", func() bool { return s.Position() == 100 })
	must(t, j.Close())
	must(t, <-done)
	must(t, s.Close())
}

// The directory is deleted while the store runs: it is built again.
func TestDeletedWhileRunning(t *testing.T) {
	dir := t.TempDir()
	j, err := journal.Open(journal.Options{Dir: dir + "/journal", Logger: quiet})
	must(t, err)
	defer j.Close()
	fill(t, j, 1000)
	o := options(nil)
	o.Dir = dir + "/store"
	s, err := Open(j, o)
	must(t, err)
	stop := start(t, s)
	until(t, "level", func() bool { return s.Position() == 1000 })
	for vfs.Default.RemoveAll(o.Dir) != nil { // the store may just write a file
	}
	for n := uint64(1001); s.Rebuilt() == 0; n++ {
		fill(t, j, n)
		time.Sleep(time.Millisecond)
	}
	until(t, "level", func() bool { return s.Position() == j.Durable().Sequence })
	check(t, s, j.Durable().Sequence)
	stop()
	must(t, s.Close())
}

// Every file operation of the store fails once, with a full disk: the journal goes on,
// answers stay right or are refused, and the store is level again in the end.
func TestEveryFailure(t *testing.T) {
	mem := vfs.NewMem()
	j := openJournal(t, mem, "journal")
	defer j.Close()
	const n = 1500
	fill(t, j, n)
	stuck := 0
	for at, tried := int64(0), 0; ; at, tried = at+1+at/12, tried+1 {
		var count atomic.Int64
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.Contains(op.Path, "store") && count.Add(1) == at+1 {
				return &injected{op.Path}
			}
			return nil
		}))
		o := options(fs)
		o.Dir = fmt.Sprintf("store%d", at)
		s, err := Open(j, o)
		if err != nil {
			if count.Load() < at+1 {
				t.Fatalf("operation %d: %v", at, err)
			}
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		for s.Position() < n && len(done) == 0 {
			time.Sleep(time.Millisecond)
		}
		if got, want, err := sum(s); err == nil && got != want {
			t.Fatalf("operation %d: sum %d, want %d", at, got, want)
		}
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			var i *injected
			if errors.Is(err, ErrNotClosed) {
				stuck++ // a goroutine of the database is parked for good
			} else if !errors.As(err, &i) {
				t.Errorf("operation %d: %v", at, err)
			}
		}
		if count.Load() < at+1 {
			t.Logf("%d positions of %d operations, %d databases did not close", tried, count.Load(), stuck)
			return
		}
	}
}

type injected struct{ path string }

func (e *injected) Error() string { return "injected at " + e.path }
func (e *injected) Unwrap() error { return syscall.ENOSPC }

// What the model says of the journal ends the run; it is not the store's fault.
func TestModelRefuses(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs, "journal")
	defer j.Close()
	fill(t, j, 10)
	o := options(fs)
	o.Model = refusing{}
	s, err := Open(j, o)
	must(t, err)
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "event 7 is odd") {
		t.Errorf("%v", err)
	}
	must(t, s.Close())
}

type refusing struct{ sums }

func (refusing) Begin(Writer, func(journal.Hash) ([]byte, error)) Folder { return refusing{} }
func (refusing) End() error                                              { return nil }
func (refusing) Fold(e *journal.Event) error {
	if e.Sequence == 7 {
		return fault.New(fault.Corrupt, "event 7 is odd")
	}
	return nil
}

func TestNames(t *testing.T) {
	names := []string{"1-1", "1-10", "1-9", "2-3", "01-2", "1-02", "x", "", "1-", "-1", "1-1-1", "4294967296-1", "1-2 "}
	if got := ofVersion(names, 1); fmt.Sprint(got) != "[1-10 1-9 1-1]" {
		t.Errorf("%v", got)
	}
	if got := following(names, 1) + following(names, 2) + following(names, 7); got != "1-112-47-1" {
		t.Errorf("%v", got)
	}
	if got := others(names, "1-10"); fmt.Sprint(got) != "[1-1 1-9 2-3]" {
		t.Errorf("%v", got)
	}
}
