package index

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
	"github.com/AnduroProject/alys-go/journal/tree"
)

// Dir is the name of the index's directory in that of its journal.
const Dir = "index"

// Options say where an index is and what it is made from. Only Dir is required.
type Options struct {
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Dir is the index's directory. Nothing else may be kept in it: it is
	// removed when the index has to be built again.
	Dir string
	// ReadOnly opens an index to ask it, and changes nothing. One that is not
	// there or of no use is no error: the journal is read instead.
	ReadOnly bool
	// Extract gives terms of the caller's own kinds.
	Extract Extract
	// CacheBytes bounds the block cache; 0 means 8 MiB.
	CacheBytes int64
	// Gather is how long events are gathered when the index is level with the
	// journal, so that a busy journal is followed in few large batches; 0
	// means 50 ms, below 0 not at all.
	Gather time.Duration
	// FlushEvery is how much time a crash may have to be indexed again; 0
	// means a minute.
	FlushEvery time.Duration
	// Progress, if not nil, is called after each batch with the position and
	// the durable head.
	Progress func(position, durable uint64)
	// Logger receives warnings; nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return fault.New(fault.Invalid, "index: no directory given")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 8 << 20
	}
	if o.Gather == 0 {
		o.Gather = 50 * time.Millisecond
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Index is an index of one journal. One goroutine may run it; every other
// method may be called from any goroutine.
type Index struct {
	opt     Options
	journal *journal.Journal
	missing error // why there is no database; only when read-only

	// mu is held for writing while the database is exchanged or closed, and
	// for reading by each single read.
	mu         sync.RWMutex
	db         *database // nil while there is none
	generation uint64    // raised when the database is exchanged

	position atomic.Pointer[journal.Head]
	rebuilt  atomic.Uint64
	dirty    bool // something is not flushed; the follower's
}

// Open opens the index of a journal. An index that is not there, damaged, of
// another format, extraction or history begins at event 0 again, with a warning
// that says why; with ReadOnly, see there. An error means that the directory
// cannot be used at all; its grade is Temporary when another process has it.
func Open(j *journal.Journal, o Options) (*Index, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	x := &Index{opt: o, journal: j}
	x.position.Store(&journal.Head{Hash: journal.Origin(j.ID())})
	if o.ReadOnly {
		x.missing = x.openToRead()
		return x, nil
	}
	return x, x.open()
}

// openToRead returns why the index cannot be asked.
func (x *Index) openToRead() error {
	if _, err := x.opt.FS.Stat(x.opt.Dir); errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Invalid, "there is no index %s", x.opt.Dir)
	}
	d, err := openDatabase(x.opt, true)
	if err != nil {
		return unusable(err, "index %s does not open", x.opt.Dir)
	}
	p, err := d.check(x.journal, x.opt)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	x.db = d
	x.position.Store(&p.Head)
	return nil
}

// open opens the index for writing, and makes it when there is none.
func (x *Index) open() error {
	_, err := x.opt.FS.Stat(x.opt.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return x.create()
	}
	d, err := openDatabase(x.opt, false)
	if derived.Locked(err) {
		return fault.Wrap(fault.Temporary, err, "index "+x.opt.Dir+" is in use")
	}
	var p derived.Position
	if err == nil {
		if p, err = d.check(x.journal, x.opt); err == nil {
			x.use(d, p)
			return nil
		}
		if !errors.Is(err, errIndex) { // the journal could not be read
			return errors.Join(err, d.Close())
		}
		if closing := d.Close(); closing != nil {
			return errors.Join(err, closing)
		}
	}
	x.opt.Logger.Warn("index: removed, to be built again from the journal", "dir", x.opt.Dir, "error", err)
	if err := remove(x.opt); err != nil {
		return err
	}
	return x.create()
}

func (x *Index) create() error {
	d, err := openDatabase(x.opt, false)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "create index "+x.opt.Dir)
	}
	p, err := d.begin(x.journal, x.opt)
	if err != nil {
		return fault.Wrap(fault.Temporary, errors.Join(err, d.Close()), "create index "+x.opt.Dir)
	}
	x.use(d, p)
	return nil
}

func (x *Index) use(d *database, p derived.Position) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.db = d
	x.generation++
	x.position.Store(&p.Head)
}

// Position returns the last event that is indexed.
func (x *Index) Position() journal.Head { return *x.position.Load() }

// Rebuilt returns how often the index was thrown away while it ran.
func (x *Index) Rebuilt() uint64 { return x.rebuilt.Load() }

// Missing returns why an index opened with ReadOnly is not used, nil if it is.
func (x *Index) Missing() error { return x.missing }

// Close ends the index. Run must have returned; results that are still read
// go on from the journal.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	d := x.db
	if d == nil {
		return nil
	}
	x.db = nil
	x.generation++
	if !x.opt.ReadOnly {
		if err := d.Flush(); err != nil {
			x.opt.Logger.Warn("index: not flushed, the next start goes on from an earlier event", "dir", x.opt.Dir, "error", err)
		}
	}
	return fault.Wrap(fault.Temporary, d.Close(), "close index "+x.opt.Dir)
}

// Checkpoint copies the index into a directory that does not exist, with hard
// links where possible. The copy may stand before the present position.
func (x *Index) Checkpoint(dir string) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.db == nil {
		return fault.New(fault.Temporary, "index %s is being built again", x.opt.Dir)
	}
	err := x.db.Flush()
	if err == nil {
		err = x.db.Do(func() error { return x.db.DB().Checkpoint(dir) })
	}
	return fault.Wrap(fault.Temporary, err, "copy index "+x.opt.Dir)
}

// Sizes returns the bytes on disk of the postings, by kind, and of the tree.
// They are estimates: a kind counts the blocks that it shares with others.
func (x *Index) Sizes() (postings map[Kind]uint64, nodes uint64, err error) {
	postings = make(map[Kind]uint64)
	err = x.read(func(d *database) error {
		kinds, err := d.kinds()
		if err != nil {
			return err
		}
		for _, k := range kinds {
			if postings[k], err = d.DB().EstimateDiskUsage([]byte{prefixPosting, byte(k)}, []byte{prefixPosting, byte(k) + 1}); err != nil {
				return err
			}
		}
		nodes, err = d.DB().EstimateDiskUsage([]byte{prefixNode}, []byte{prefixNode + 1})
		return err
	})
	return postings, nodes, err
}

// read calls f with the database. A failure of it is noted, so that the
// follower builds the index again.
func (x *Index) read(f func(*database) error) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.db == nil {
		return errIndex
	}
	err := derived.Guarded(func() error { return f(x.db) })
	if err != nil && !errors.Is(err, errExchanged) {
		err = unusable(err, "index %s", x.opt.Dir)
		x.db.Fail(err)
	}
	return err
}

// Source returns the nodes of the tree over the journal's events: stored ones
// up to the position, the others from the events. It is for one goroutine.
func (x *Index) Source() *tree.Source {
	return &tree.Source{Leaves: x.leaves, Stored: func(level uint, index uint64) (h tree.Hash, ok bool, err error) {
		err = x.read(func(d *database) error {
			value, err := d.Read(appendNode(nil, level, index))
			if err == nil && value != nil && len(value) != len(h) {
				err = fault.New(fault.Corrupt, "node %d/%d has %d bytes", level, index, len(value))
			}
			if err == nil && value != nil {
				h, ok = tree.Hash(value), true
			}
			return err
		})
		if errors.Is(err, errIndex) {
			return h, false, nil // the events have it too
		}
		return h, ok, err
	}}
}

// leaves hashes durable events.
func (x *Index) leaves(first, count uint64, yield func(tree.Hash)) error {
	it := x.journal.Iterate(first+1, false)
	for ; count > 0 && it.Next(); count-- {
		_, envelope, _ := it.Raw()
		yield(tree.Leaf(envelope))
	}
	return it.Close()
}
