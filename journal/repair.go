package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// repairName is the directory, inside the journal's, in which a repair builds
// what takes the place of the damaged files.
const repairName = "repair"

// RepairSource gives what can be read of a damaged journal. The journal's own
// database is one, as long as Pebble opens it; files that it refuses are
// another (package salvage).
type RepairSource interface {
	// ID is the journal's identity.
	ID() ID
	// Archived is the record of the events that are in the archive, as it was
	// stored; nil for none. The walk begins behind them.
	Archived() []byte
	// ArchivedContents calls visit for each content that an archived event may
	// name, as it was stored: one in the archive has its place there instead.
	ArchivedContents(visit func(h Hash, stored []byte) error) error
	// Events calls visit for events as they were stored, in order from a
	// sequence on, until visit fails or nothing follows. What ends the walk
	// early is returned; nil at the end.
	Events(from uint64, visit func(sequence uint64, envelope []byte, hash Hash) error) error
	// Stored returns a content as it was stored, unchecked.
	Stored(h Hash) ([]byte, error)
	io.Closer
}

// Assessment is what a repair of a journal would keep and lose.
type Assessment struct {
	Plan    Plan
	ID      ID
	Whole   Head  // last event up to which everything verifies, contents included
	Stopped error // what is wrong behind it; nil when nothing is
	// Claimed is the last event that anything knows of: the head record, the
	// database, the index.
	Claimed Head
	// Resumes is set when an earlier repair was interrupted: that one has to be
	// finished, with this sequence.
	Resumes bool
	// Archived is the last event in the archive, 0 for none. A repair neither
	// reads nor cuts there.
	Archived  uint64
	incidents []Incident
}

// Healthy reports whether there is nothing to repair.
func (a *Assessment) Healthy() bool {
	return a.Plan.Refusal == nil && a.Stopped == nil && !a.Resumes && a.Whole.Sequence >= a.Claimed.Sequence
}

// RepairOptions say what to repair.
type RepairOptions struct {
	Options
	// Source is asked when the journal's own database does not open; nil means
	// that nothing can be read then.
	Source func() (RepairSource, error)
	// Progress, if not nil, is called with the events read and the bytes.
	Progress func(events uint64, bytes int64)
	Time     time.Time // of the repair
}

// Repaired is what a repair did.
type Repaired struct {
	Head     Head
	Incident Incident
	Aside    string // directory with the damaged files
}

// Assess reads everything a repair could keep, and changes nothing.
func Assess(ctx context.Context, o RepairOptions) (a Assessment, err error) {
	o.ReadOnly = true
	r, err := beginRepair(o)
	if err != nil {
		return Assessment{}, err
	}
	defer func() { err = errors.Join(err, r.end()) }()
	return r.assess(ctx)
}

// Repair cuts a damaged journal behind the event of a sequence: it builds a new
// database of the events up to there, which all verify, writes an incident, and
// puts the damaged files aside, where nothing reads or removes them. The next
// event must tell of the incident ([IncidentType]).
//
// It refuses, as Invalid, a journal that is healthy, a sequence beyond what
// verifies, and what a newer program wrote. The same call finishes a repair
// that was interrupted at any point; until then the journal does not open.
func Repair(ctx context.Context, o RepairOptions, sequence uint64) (done Repaired, err error) {
	o.ReadOnly = true // nothing may create a journal here
	r, err := beginRepair(o)
	if err != nil {
		return Repaired{}, err
	}
	defer func() { err = errors.Join(err, r.end()) }()
	if a, i, ok := r.unfinished(); ok {
		if a.Sequence != sequence {
			return Repaired{}, fault.New(fault.Invalid, "journal %s: an interrupted repair keeps the events up to %d; finish that one", o.Dir, a.Sequence)
		}
		return Repaired{Head: a, Incident: i, Aside: r.aside}, r.swap(false)
	}
	a, err := r.assess(ctx)
	switch {
	case err != nil:
		return Repaired{}, err
	case a.Healthy():
		return Repaired{}, fault.New(fault.Invalid, "journal %s is whole up to its last event %d; there is nothing to repair", o.Dir, a.Whole.Sequence)
	case sequence > a.Whole.Sequence:
		return Repaired{}, fault.New(fault.Invalid, "journal %s: events verify up to %d only, so %d cannot be kept", o.Dir, a.Whole.Sequence, sequence)
	case sequence < a.Archived:
		return Repaired{}, fault.New(fault.Invalid, "journal %s: events up to %d are in the archive and stay; name that or a later one", o.Dir, a.Archived)
	}
	return r.cut(ctx, a, sequence)
}

// repair is one assessment or repair under way, with the directory locked.
type repair struct {
	opt   RepairOptions
	lock  unlocker
	cache *pebble.Cache
	dir   string // of what is built
	aside string
}

func beginRepair(o RepairOptions) (*repair, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Options)
	if err != nil {
		return nil, err
	}
	r := &repair{opt: o, lock: lock, cache: pebble.NewCache(o.CacheBytes), dir: o.FS.PathJoin(o.Dir, repairName)}
	r.aside = fmt.Sprintf("%s.damaged-%s", o.Dir, o.Time.UTC().Format("20060102T150405.000Z"))
	return r, nil
}

func (r *repair) end() error {
	r.cache.Unref()
	return r.lock.Close()
}

func (r *repair) path(name string) string { return r.opt.FS.PathJoin(r.opt.Dir, name) }

func (r *repair) exists(path string) bool {
	_, err := r.opt.FS.Stat(path)
	return err == nil
}

// unfinished reports an earlier repair that had built its journal and was
// interrupted while it put it in place, and where that one ends.
func (r *repair) unfinished() (Head, Incident, bool) {
	// Before the damaged database was moved there is nothing to go on with.
	if !r.exists(r.dir) || r.exists(r.path(databaseName)) && r.exists(r.opt.FS.PathJoin(r.dir, databaseName)) {
		return Head{}, Incident{}, false
	}
	read, err := readHeadFile(r.opt.FS, r.opt.FS.PathJoin(r.dir, headName))
	if err != nil || read.state != headOK {
		return Head{}, Incident{}, false
	}
	where := r.dir
	if r.exists(r.path(databaseName)) {
		where = r.opt.Dir
	}
	db, _, err := openChecked(r.opt.Options, r.opt.FS.PathJoin(where, databaseName), r.cache, &databaseLog{log: r.opt.Logger})
	if err != nil {
		return Head{}, Incident{}, false
	}
	list, err := readIncidents(db)
	last, _ := readKey(db, appendEventKey(nil, read.record.head.Sequence+1)) // one, if it is in use again
	err = errors.Join(err, guarded(db.Close))
	i, pending := pendingIncident(list, read.record.head.Sequence)
	if err != nil || last != nil || !pending || i.Kind != IncidentRepair {
		return Head{}, Incident{}, false
	}
	return read.record.head, i, true
}

// errEnough ends a walk that has seen what it wants.
var errEnough = errors.New("enough")

// cut builds the journal up to a sequence and puts it in place.
func (r *repair) cut(ctx context.Context, a Assessment, sequence uint64) (Repaired, error) {
	fs := r.opt.FS
	if err := fs.RemoveAll(r.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Repaired{}, fault.Wrap(fault.Fatal, err, "remove unfinished repair "+r.dir)
	}
	incident := Incident{
		Kind: IncidentRepair, After: sequence, Before: a.Claimed, Time: r.opt.Time.UnixMilli(),
		Text: fmt.Sprintf("events %d to %d given up: %s; damaged files are in %s", sequence+1, max(a.Claimed.Sequence, sequence), reason(a), r.aside),
	}
	if a.Claimed.Sequence <= sequence {
		incident.Text = fmt.Sprintf("nothing known is given up, but whether event %d was the last acknowledged one cannot be told: %s; damaged files are in %s", sequence, reason(a), r.aside)
	}
	incident.Text = incident.Text[:min(len(incident.Text), maxIncidentText)]
	head, err := r.build(ctx, a, sequence, &incident)
	if err != nil {
		return Repaired{}, err
	}
	return Repaired{Head: head, Incident: incident, Aside: r.aside}, r.swap(true)
}

func reason(a Assessment) string {
	switch {
	case a.Plan.Refusal != nil:
		return a.Plan.Refusal.Error()
	case a.Stopped != nil:
		return a.Stopped.Error()
	default:
		return "no reason"
	}
}

// build writes the journal that takes the place of the damaged one.
func (r *repair) build(ctx context.Context, a Assessment, sequence uint64, incident *Incident) (head Head, err error) {
	x, err := examine(r.opt.Options, r.cache)
	if x.db != nil {
		err = errors.Join(err, guarded(x.db.Close))
	}
	if err != nil {
		return Head{}, err
	}
	src, err := r.source(x)
	if err != nil {
		return Head{}, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	o := r.opt.Options
	o.Dir, o.ReadOnly = r.dir, false
	past, err := r.past(src)
	if err != nil {
		return Head{}, err
	}
	b, err := NewRebuild(o, a.ID, stored(src, past))
	if err != nil {
		return Head{}, err
	}
	defer func() { err = errors.Join(err, b.Abort()) }()
	if err := b.begunBy(past, src); err != nil {
		return Head{}, err
	}
	if sequence > a.Archived {
		if err := r.copyEvents(ctx, src, b, a.ID, sequence); err != nil {
			return Head{}, err
		}
	}
	if got := b.Head().Sequence; got != sequence {
		return Head{}, fault.New(fault.Fatal, "journal %s: read again it ends at event %d, not %d", r.opt.Dir, got, sequence)
	}
	incident.Number = 1
	for _, i := range a.incidents {
		if i.After > sequence {
			break
		}
		if err := b.Incident(i); err != nil {
			return Head{}, err
		}
		incident.Number = i.Number + 1
	}
	if err := b.Incident(*incident); err != nil {
		return Head{}, err
	}
	return b.Finish()
}

// begunBy makes the new journal begin behind archived events.
func (b *Rebuild) begunBy(past *history, src RepairSource) error {
	record := src.Archived()
	if record == nil {
		return nil
	}
	b.chain = past.start().chain(b.chain.resolve)
	err := src.ArchivedContents(func(h Hash, stored []byte) error {
		if _, elsewhere := ArchivedContent(h, stored); elsewhere {
			return b.set(appendContentKey(nil, h), stored)
		}
		err := b.Content(h, stored)
		if fault.Is(err, fault.Corrupt) {
			return nil // of use to nobody; the events that are kept were checked
		}
		return err
	})
	return errors.Join(err, b.set(metaArchive, record))
}

// copyEvents hands the verified events to the new journal, with the contents
// they name.
func (r *repair) copyEvents(ctx context.Context, src RepairSource, b *Rebuild, id ID, sequence uint64) error {
	var written recentHashes
	again := Assessment{ID: id}
	err := r.walk(ctx, src, &again, func(n uint64, envelope []byte, hash Hash, e *Event) error {
		for _, h := range e.Contents {
			if !written.add(h) {
				continue
			}
			value, err := src.Stored(h)
			if _, elsewhere := ArchivedContent(h, value); err == nil && !elsewhere {
				err = b.Content(h, value)
			}
			if err != nil {
				return err
			}
		}
		if err := b.Event(n, envelope, hash); err != nil {
			return err
		}
		if n == sequence {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// swap puts what was built in place. Each step leaves a directory that does
// not open, until the last one leaves one that does; a crash between them is
// gone on from by the next repair.
func (r *repair) swap(fresh bool) error {
	fs := r.opt.FS
	built := func(name string) string { return fs.PathJoin(r.dir, name) }
	step := func(err error, what string) error {
		return fault.Wrap(fault.Fatal, err, fmt.Sprintf("repair journal %s: %s; run the same repair again", r.opt.Dir, what))
	}
	if fresh {
		if err := step(r.putAside(), "put the damaged files aside in "+r.aside); err != nil {
			return err
		}
	}
	if r.exists(built(databaseName)) {
		// Only now: an index that has seen more is what refuses some journals.
		if err := step(r.moveAside(indexName), "put the index aside in "+r.aside); err != nil {
			return err
		}
		if err := fs.Rename(built(databaseName), r.path(databaseName)); err != nil {
			return step(err, "move the new database")
		}
		if err := errors.Join(syncDir(fs, r.opt.Dir), syncDir(fs, r.dir)); err != nil {
			return step(err, "move the new database")
		}
	}
	if err := errors.Join(fs.Rename(built(headName), r.path(headName)), syncDir(fs, r.opt.Dir)); err != nil {
		return step(err, "move the new head file")
	}
	if err := fs.RemoveAll(r.dir); err != nil {
		return step(err, "remove "+r.dir)
	}
	return step(syncDir(fs, r.opt.Dir), "sync the directory")
}

// putAside copies the head file and moves the database: as long as a head file
// is there and the database is not, nothing opens.
func (r *repair) putAside() error {
	fs := r.opt.FS
	if err := makeDir(fs, r.aside); err != nil {
		return err
	}
	if !r.exists(r.path(headName)) {
		// Without any head file, a directory whose database is on its way
		// would be taken for one that never had a journal.
		if err := writeWhole(fs, r.path(headName), []byte("a repair is under way; run it again\n")); err != nil {
			return err
		}
	} else if err := copyFile(fs, r.path(headName), fs.PathJoin(r.aside, headName)); err != nil {
		return err
	}
	return r.moveAside(databaseName)
}

// moveAside moves a directory of the journal to the damaged files, if it is there.
func (r *repair) moveAside(name string) error {
	fs := r.opt.FS
	if !r.exists(r.path(name)) {
		return nil
	}
	return errors.Join(makeDir(fs, r.aside), fs.Rename(r.path(name), fs.PathJoin(r.aside, name)),
		syncDir(fs, r.aside), syncDir(fs, r.opt.Dir))
}

func copyFile(fs vfs.FS, from, to string) error {
	in, err := fs.Open(from)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		return err
	}
	return writeWhole(fs, to, data)
}

// writeWhole writes a file and makes it and its entry durable.
func writeWhole(fs vfs.FS, path string, data []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close(), syncDir(fs, fs.PathDir(path)))
}
