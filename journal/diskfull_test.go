package journal

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// fullFor fails writes to files with the given suffix while armed.
func fullFor(fs vfs.FS, suffix string, armed *atomic.Bool) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, suffix) {
			return syscall.ENOSPC
		}
		return nil
	}))
}

// TestCloseOnFullDisk has the log on disk and no room for the tables that a
// clean close writes. Close must end, say so, and lose nothing.
func TestCloseOnFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	makeJournal(t, mem, 4, 10)
	var armed atomic.Bool
	j := mustOpen(t, memOptions(fullFor(mem, ".sst", &armed)))
	fill(t, j, 4, 20)
	if err := j.WaitDurable(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	if err := j.Close(); !fault.Is(err, fault.Fatal) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("close: %v", err)
	}
	armed.Store(false)
	j = mustOpen(t, memOptions(mem))
	defer j.Close()
	if head := j.Head(); head.Sequence != 20 {
		t.Fatalf("head %d after the close, want 20", head.Sequence)
	}
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// TestFlushOnFullDisk fills the disk while the journal runs: the failure reaches
// whoever watches Failed, though every append so far went well.
func TestFlushOnFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var armed atomic.Bool
	j := mustOpen(t, memOptions(fullFor(mem, ".sst", &armed)))
	fill(t, j, 4, 20)
	armed.Store(true)
	if _, err := j.db.AsyncFlush(); err != nil {
		t.Fatal(err)
	}
	<-j.Failed()
	if err := j.Close(); !fault.Is(err, fault.Fatal) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("close: %v", err)
	}
}

// TestCreateOnFullDisk leaves nothing that counts, and the next try succeeds.
func TestCreateOnFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var armed atomic.Bool
	armed.Store(true)
	if _, err := Open(memOptions(fullFor(mem, ".sst", &armed))); !fault.Is(err, fault.Fatal) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("open: %v", err)
	}
	armed.Store(false)
	j := mustOpen(t, memOptions(mem))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// fillingDisk counts the operations that need room and lets one of them fail,
// or it and all after it.
type fillingDisk struct {
	at, n atomic.Int64
	stays bool
}

func (d *fillingDisk) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	n, at := d.n.Add(1), d.at.Load()
	if at > 0 && (n == at || d.stays && n > at) {
		return syscall.ENOSPC
	}
	return nil
}

func (d *fillingDisk) String() string { return "disk full" }

// rotatingRun appends events that make the database rotate its log and write
// tables several times, and returns what was durable and the first error.
func rotatingRun(t *testing.T, fs vfs.FS) (durable Head, id ID, err error) {
	o := memOptions(fs)
	o.memTableSize, o.closeGrace = 64<<10, 20*time.Millisecond
	j, err := Open(o)
	if err != nil {
		return Head{}, ID{}, err
	}
	for s := uint64(1); s <= 60 && err == nil; s++ {
		e := &Event{Sequence: s, Stored: true, Message: bytes.Repeat([]byte{byte(s)}, 5000)}
		if s == 30 {
			e.Message = bytes.Repeat([]byte{30}, 50_000) // larger than half a memtable
		}
		if _, err = j.Append(e, nil); err == nil {
			err = j.WaitDurable(t.Context(), s)
		}
		if err == nil && j.Durable().Sequence < s {
			t.Errorf("event %d is not durable", s)
		}
	}
	closing := j.Close()
	if err == nil {
		err = closing
	}
	return j.Durable(), j.ID(), err
}

// TestDiskFullAnywhere lets the disk be full at every fifth operation of a run
// that rotates its log, for that operation and for good; with
// ALYS_TEST_EVERY_OPERATION=1 at each. Each time the error says
// so, the process lives, and nothing durable is lost.
func TestDiskFullAnywhere(t *testing.T) {
	step := int64(5) // prime to the number of operations, mostly
	if os.Getenv("ALYS_TEST_EVERY_OPERATION") != "" {
		step = 1
	}
	count := &fillingDisk{}
	if _, _, err := rotatingRun(t, errorfs.Wrap(vfs.NewMem(), count)); err != nil {
		t.Fatal(err)
	}
	failed, total := 0, count.n.Load()
	for at := int64(1); at <= 2*total; at += step {
		disk := &fillingDisk{stays: at > total}
		disk.at.Store((at-1)%total + 1)
		mem := vfs.NewCrashableMem()
		durable, id, err := rotatingRun(t, errorfs.Wrap(mem, disk))
		if err != nil {
			failed++
			if !fault.Is(err, fault.Fatal) && !fault.Is(err, fault.Temporary) || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("operation %d: %v (%v)", at, err, fault.Of(err))
			}
		}
		checkAfterDiskFull(t, mem.CrashClone(vfs.CrashCloneCfg{}), at, durable, id)
	}
	t.Logf("%d operations, each failing once and for good: %d runs ended with an error", total, failed)
	if failed < int(total/step) {
		t.Errorf("only %d runs failed", failed)
	}
	checkParked(t)
}

func checkAfterDiskFull(t *testing.T, fs vfs.FS, at int64, durable Head, id ID) {
	t.Helper()
	j, err := Open(memOptions(fs))
	if err != nil {
		t.Errorf("operation %d: durable up to %d, and then: %v", at, durable.Sequence, err)
		return
	}
	defer j.Close()
	if durable.Sequence > 0 {
		if _, hash, err := j.Event(durable.Sequence); err != nil || hash != durable.Hash || j.ID() != id {
			t.Errorf("operation %d: event %d: %v", at, durable.Sequence, err)
		}
	}
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Errorf("operation %d: %v", at, err)
	}
}

// checkParked fails when a goroutine of this package is left that is not parked
// inside the database or waits there for one that is. One that is about to end may
// take its time.
func checkParked(t *testing.T) {
	t.Helper()
	left, parked := leftBehind()
	for end := time.Now().Add(time.Minute); len(left) > 0 && time.Now().Before(end); left, parked = leftBehind() {
		time.Sleep(10 * time.Millisecond)
	}
	for _, g := range left {
		t.Errorf("left behind: %s", g)
	}
	t.Logf("%d goroutines are parked", parked)
}

func leftBehind() (left []string, parked int) {
	buf := make([]byte, 64<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, g := range strings.Split(string(buf), "\n\n") {
		switch {
		case !strings.Contains(g, "alys-go/journal."), strings.Contains(g, "testing.tRunner"):
		case strings.Contains(g, "journal.(*databaseLog).park"):
			parked++
		case strings.Contains(g, "cockroachdb/pebble"):
		default:
			left = append(left, g)
		}
	}
	return left, parked
}
