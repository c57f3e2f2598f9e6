package journal

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

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
