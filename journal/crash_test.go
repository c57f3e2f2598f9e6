package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// cut is the disk at one moment, and what had been acknowledged before it.
type cut struct {
	fs    *vfs.MemFS
	acked uint64
	op    string
}

// cutter takes a picture of the disk before every operation that changes it.
type cutter struct {
	mem      *vfs.MemFS
	acked    atomic.Uint64
	mu       sync.Mutex
	rng      *rand.Rand
	percents []int
	every    int
	n        int
	cuts     []cut
}

func (c *cutter) injector() errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n++
		if c.n%c.every != 0 {
			return nil
		}
		for _, p := range c.percents {
			acked := c.acked.Load()
			fs := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p, RNG: c.rng})
			c.cuts = append(c.cuts, cut{fs: fs, acked: acked, op: fmt.Sprintf("%v %s", op.Kind, op.Path)})
		}
		return nil
	})
}

// TestPowerCutAtEveryOperation cuts the power before each write, sync, rename
// and so on of a journal's life, from its creation to its close.
func TestPowerCutAtEveryOperation(t *testing.T) {
	mem := vfs.NewCrashableMem()
	c := &cutter{mem: mem, rng: rand.New(rand.NewPCG(1, 2)), percents: []int{0, 30, 100}, every: 1}
	o := memOptions(errorfs.Wrap(mem, c.injector()))
	o.OnDurable = func(h Head) { c.acked.Store(h.Sequence) }
	const events = 60
	for _, to := range []uint64{events / 2, events} {
		j := mustOpen(t, o)
		for s := j.Head().Sequence + 1; s <= to; s += 5 {
			fill(t, j, 3, s+4)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cuts", len(c.cuts))
	for i, cut := range c.cuts {
		checkSurvives(t, cut, 3, events)
		if t.Failed() {
			t.Fatalf("cut %d, before %s, %d acknowledged", i, cut.op, cut.acked)
		}
	}
}

// checkSurvives opens the disk after a cut: everything acknowledged is there,
// nothing but what was appended is there, and it goes on.
func checkSurvives(t testing.TB, c cut, seed, appended uint64) {
	t.Helper()
	j, err := Open(memOptions(c.fs))
	if err != nil {
		t.Errorf("does not open: %v", err)
		return
	}
	head := j.Head().Sequence
	if head < c.acked || head > appended {
		t.Errorf("head %d, %d were acknowledged, %d appended", head, c.acked, appended)
	}
	fill(t, j, seed, head+3)
	checkEvents(t, j, seed, head+3)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestCrashProperty runs random lives: appending, waiting, clean stops, crashes
// at random moments with any part of the unsynced data kept, checkpoints.
func TestCrashProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64Range(1, 1000).Draw(rt, "seed")
		mem := vfs.NewCrashableMem()
		var acked atomic.Uint64
		open := func() *Journal {
			o := memOptions(mem)
			o.MaxPendingBytes = 1 << 16
			o.OnDurable = func(h Head) { acked.Store(h.Sequence) }
			j, err := Open(o)
			if err != nil {
				rt.Fatal(err)
			}
			if h := j.Head().Sequence; h < acked.Load() {
				rt.Fatalf("head %d, %d were acknowledged", h, acked.Load())
			}
			return j
		}
		j := open()
		defer func() { j.Close() }()
		appendSome := func() {
			for range rapid.IntRange(1, 80).Draw(rt, "events") {
				e, c := event(seed, j.Head().Sequence+1)
				if _, err := j.Append(e, c); err != nil {
					rt.Fatal(err)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) { appendSome() },
			"wait": func(rt *rapid.T) {
				if err := j.WaitDurable(context.Background(), j.Head().Sequence); err != nil {
					rt.Fatal(err)
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				j = open()
			},
			"crash": func(rt *rapid.T) {
				percent := rapid.IntRange(0, 100).Draw(rt, "unsynced")
				known, appended := acked.Load(), j.Head().Sequence
				clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, known))})
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				mem = clone
				acked.Store(known)
				j = open()
				if h := j.Head().Sequence; h > appended {
					rt.Fatalf("head %d, only %d were appended", h, appended)
				}
			},
			"checkpoint": func(rt *rapid.T) {
				durable := j.Durable()
				// A crash may have kept the copy of an earlier checkpoint.
				if err := errors.Join(mem.RemoveAll("copy"), mem.RemoveAll("copy.partial")); err != nil && !errors.Is(err, os.ErrNotExist) {
					rt.Fatal(err)
				}
				if err := j.Checkpoint("copy"); err != nil {
					rt.Fatal(err)
				}
				copied, err := Open(Options{FS: mem, Dir: "copy", ReadOnly: true, Logger: quiet})
				if err != nil {
					rt.Fatal(err)
				}
				if copied.ID() != j.ID() || copied.Head().Sequence < durable.Sequence {
					rt.Fatalf("copy ends at %v, %v was durable", copied.Head(), durable)
				}
				if _, err := copied.Verify(context.Background(), 0, 0, nil); err != nil {
					rt.Fatal(err)
				}
				if err := errors.Join(copied.Close(), mem.RemoveAll("copy")); err != nil {
					rt.Fatal(err)
				}
			},
		})
		if err := j.WaitDurable(context.Background(), j.Head().Sequence); err != nil {
			rt.Fatal(err)
		}
		checkEvents(t, j, seed, j.Head().Sequence)
		if t.Failed() {
			rt.Fatal("events differ")
		}
	})
}

// TestWriteFailures lets each write to the disk fail in turn, with the error of
// a full disk: the journal stops for good, and what was acknowledged is there
// once the disk has room again.
func TestWriteFailures(t *testing.T) {
	for _, target := range []struct{ name, path string }{
		{"log", ".log"}, {"head file", "HEAD"}, {"any", ""},
	} {
		t.Run(target.name, func(t *testing.T) {
			for at := int32(0); at < 12; at++ {
				failAt(t, target.path, at)
			}
		})
	}
}

func failAt(t *testing.T, path string, at int32) {
	mem := vfs.NewCrashableMem()
	makeJournal(t, mem, 4, 10)
	var armed atomic.Bool
	var count atomic.Int32
	full := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || len(op.Path) < len(path) || op.Path[len(op.Path)-len(path):] != path {
			return nil
		}
		if count.Add(1) > at {
			return syscall.ENOSPC
		}
		return nil
	})
	var acked atomic.Uint64
	o := memOptions(errorfs.Wrap(mem, full))
	o.OnDurable = func(h Head) { acked.Store(h.Sequence) }
	j := mustOpen(t, o)
	armed.Store(true)
	var failure error
	for s := uint64(11); failure == nil && s < 200; s++ {
		e, c := event(4, s)
		if _, failure = j.Append(e, c); failure == nil {
			failure = j.WaitDurable(t.Context(), s)
		}
	}
	if !errors.Is(failure, syscall.ENOSPC) || !fault.Is(failure, fault.Fatal) {
		t.Fatalf("fails with %v (%v)", failure, fault.Of(failure))
	}
	appended := j.Head().Sequence
	e, c := event(4, appended+1)
	if _, err := j.Append(e, c); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the error does not stay: %v", err)
	}
	if err := j.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("close: %v", err)
	}
	armed.Store(false)
	known := max(acked.Load(), 10)
	checkSurvives(t, cut{fs: mem.CrashClone(vfs.CrashCloneCfg{}), acked: known}, 4, appended)
	checkSurvives(t, cut{fs: mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), acked: known}, 4, appended)
}

// TestDirectoryMadeByOthersSurvives cuts the power after somebody else made the
// parent of the journal's directory, and did not sync it.
func TestDirectoryMadeByOthersSurvives(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, Options{FS: mem, Dir: "a/b/journal"})
	fill(t, j, 4, 5)
	clone := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, Options{FS: clone, Dir: "a/b/journal"})
	defer again.Close()
	if h := again.Head().Sequence; h != 5 {
		t.Fatalf("head %d, 5 were acknowledged", h)
	}
}
