package sim

import (
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/faultfs"
)

// Disk is a member's disk in memory. It forgets what was not synced when the power
// is cut, and one chosen operation can fail. What holds a file system of an earlier
// life writes to nothing that counts.
type Disk struct {
	mu    sync.Mutex // the journal's goroutines meet faults
	mem   *vfs.MemFS
	armed *diskFault
	dead  bool // every operation fails
	image *vfs.MemFS
}

// diskFault is what is to happen at one of the next operations.
type diskFault struct {
	cut   bool // the power goes before the operation; otherwise it returns an error
	after bool // it happens all the same
	sync  string
	skip  int // operations of that kind that pass before
}

// Where a fault can be: the syncs by which a group of turns gets on disk, in order.
const (
	syncLog  = "log"  // of the journal's write-ahead log
	syncHead = "head" // of the head file
)

func newDisk() *Disk { return &Disk{mem: vfs.NewCrashableMem()} }

// FS is the file system of this life.
func (d *Disk) FS() vfs.FS { return faultfs.Wrap(d.mem, d.hook(d.mem)) }

func (d *Disk) hook(mem *vfs.MemFS) func(faultfs.Op) faultfs.Fault {
	return func(op faultfs.Op) faultfs.Fault {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.mem != mem || d.dead {
			return faultfs.Fault{Err: syscall.EIO} // of a life that ended
		}
		if d.armed == nil || d.armed.sync != syncKind(op) {
			return faultfs.Fault{}
		}
		if d.armed.skip--; d.armed.skip >= 0 {
			return faultfs.Fault{}
		}
		f := d.armed
		d.armed = nil
		if f.cut {
			d.freeze(0)
		}
		return faultfs.Fault{Err: syscall.EIO, After: f.after && !f.cut}
	}
}

// syncKind says which sync of a commit an operation is, "" for none.
func syncKind(op faultfs.Op) string {
	if op.Name != "sync" && op.Name != "sync-data" {
		return ""
	}
	switch base := path.Base(op.Path); {
	case strings.HasSuffix(base, ".log"):
		return syncLog
	case base == "HEAD":
		return syncHead
	}
	return ""
}

// freeze takes what a crash leaves at this moment; it needs mu. Nothing that is
// still under way reaches the disk any more.
func (d *Disk) freeze(unsyncedPercent int) {
	d.image = d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsyncedPercent, RNG: rand.New(rand.NewPCG(0, 0))})
	d.dead = true
}

// arm has a fault happen at one of the next syncs.
func (d *Disk) arm(f diskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = &f
}

// end ends a life. With power off what was not synced is lost, unless a cut has
// frozen the disk already.
func (d *Disk) end(powerOff bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.image == nil {
		percent := 100
		if powerOff {
			percent = 0
		}
		d.freeze(percent)
	}
	d.mem, d.image, d.dead, d.armed = d.image, nil, false, nil
}

// cutHappened reports whether the power was cut in the middle of a commit.
func (d *Disk) cutHappened() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.image != nil
}

// isArmed reports whether a fault waits for its operation.
func (d *Disk) isArmed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.armed != nil
}

// disarm takes back a fault that has not happened.
func (d *Disk) disarm() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = nil
}
