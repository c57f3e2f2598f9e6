package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Open opens the journal in a directory, and makes it when there is none and
// ReadOnly is not set. Nothing is changed before the recovery table of
// docs/decisions/0018-journal-recovery.md has decided that it opens: the
// database is read first in read-only mode, since Pebble deletes files that a
// damaged manifest no longer names.
//
// Errors: [ErrLocked], [ErrAbsent], [ErrNewerFormat]; *[CorruptError] when what
// is stored is not what was acknowledged; grade Fatal when the machine fails.
func Open(o Options) (*Journal, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	lock, err := lockDir(o)
	if err != nil {
		return nil, err
	}
	j := &Journal{opt: o, lock: lock, failed: make(chan struct{}), hurry: make(chan struct{}, 1)}
	j.durable.Store(new(Head)) // fail may be called before begin
	j.work, j.space, j.idle = sync.NewCond(&j.mu), sync.NewCond(&j.mu), sync.NewCond(&j.mu)
	j.cache = pebble.NewCache(o.CacheBytes)
	if err := j.open(); err != nil {
		if j.db != nil {
			err = errors.Join(err, closeDatabase(j.db, j.dblog))
		}
		j.cache.Unref()
		return nil, errors.Join(err, lock.Close())
	}
	return j, nil
}

// Inspect returns the plan of opening a journal, without changing a file
// except the lock. An error means that no plan could be made; that a journal
// does not open is in the plan.
func Inspect(o Options) (Plan, error) {
	o.ReadOnly = true
	if err := o.setDefaults(); err != nil {
		return Plan{}, err
	}
	lock, err := lockDir(o)
	if errors.Is(err, ErrAbsent) {
		p := Plan{Dir: o.Dir, Decision: decideCreate.String(), Slots: noSlots, Findings: Findings{
			Database: isAbsent, Head: isAbsent, Position: isNone, Tail: isWhole, Chain: isOK, Content: isOK, Index: isAbsent}}
		p.Does = p.does(decideCreate)
		return p, nil
	}
	if err != nil {
		return Plan{}, err
	}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	p, err := examine(o, cache)
	if err == nil && p.db != nil {
		err = guarded(p.db.Close)
	}
	return p.plan, errors.Join(err, lock.Close())
}

// open runs the decision and brings the journal up.
func (j *Journal) open() error {
	p, err := examine(j.opt, j.cache)
	if err != nil {
		return err
	}
	j.plan, j.db, j.id, j.dblog, j.incidents = p.plan, p.db, p.plan.ID, p.log, p.incidents
	j.history = p.history
	if p.plan.Refusal != nil {
		return p.plan.Refusal
	}
	for _, w := range p.plan.Warnings {
		j.opt.Logger.Warn("journal: "+w, "dir", j.opt.Dir)
	}
	if j.opt.ReadOnly {
		if p.decision == decideCreate {
			return fault.New(fault.Invalid, "journal %s: %w", j.opt.Dir, ErrAbsent)
		}
		j.begin(p.plan.Last, p.tail.time)
		return nil
	}
	if j.db != nil {
		db := j.db
		j.db = nil
		if err := guarded(db.Close); err != nil {
			return fault.Wrap(fault.Fatal, err, "close journal database after checking it")
		}
	}
	return j.openForWriting(p)
}

// openForWriting opens the database a second time, now that it may change.
func (j *Journal) openForWriting(p examined) error {
	if p.decision == decideCreate {
		if err := j.create(); err != nil {
			return err
		}
		p.plan.Last = Head{Hash: Origin(j.id)}
		j.history = newHistory(j.opt, j.id, archived{})
	}
	dir := j.opt.FS.PathJoin(j.opt.Dir, databaseName)
	j.dblog = j.failingLog(dir)
	po := databaseOptions(j.opt.FS, j.cache, j.dblog)
	po.MemTableSize = j.opt.memTableSize
	db, err := openDatabase(dir, po)
	if err != nil {
		return err
	}
	j.db = db
	again, err := checkTail(db, j.history, record{j.id, p.plan.Last}, 1)
	switch {
	case err != nil:
		return err
	case again.broken != nil:
		return again.broken
	case again.lacks != nil:
		return again.lacks
	case again.last != p.plan.Last:
		return &CorruptError{Sequence: p.plan.Last.Sequence, Key: dir, What: fmt.Sprintf(
			"opened for reading it ends at %s, opened for writing at %s", p.plan.Last, again.last)}
	}
	if err := upgradeFormat(db, dir); err != nil {
		return err
	}
	j.head, err = openHeadFile(j.opt.FS, j.opt.FS.PathJoin(j.opt.Dir, headName), j.id, p.head)
	if err != nil {
		return err
	}
	if p.decision != decideOpen || p.head.warning != "" {
		if err := j.head.writeBoth(p.plan.Last); err != nil {
			return fault.Wrap(fault.Fatal, errors.Join(err, j.head.close()), "open journal "+j.opt.Dir)
		}
	}
	// What an interrupted repair left is of no use once the journal opens.
	if err := j.opt.FS.RemoveAll(j.opt.FS.PathJoin(j.opt.Dir, repairName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(fault.Fatal, errors.Join(err, j.head.close()), "open journal "+j.opt.Dir)
	}
	j.begin(p.plan.Last, p.tail.time)
	j.queue, j.spare = j.newGroup(), j.newGroup()
	j.applied, j.done = make(chan applied, 1), make(chan struct{})
	go j.commitLoop()
	return nil
}

// failingLog makes the journal fail when the database in dir does.
func (j *Journal) failingLog(dir string) *databaseLog {
	return &databaseLog{log: j.opt.Logger, fatal: func(err error) {
		j.fail(fault.Wrap(fault.Fatal, err, fmt.Sprintf(
			"journal database %s, the last durable event is %d; free or repair the disk and start again", dir, j.Durable().Sequence)))
	}}
}

func (j *Journal) begin(head Head, time int64) {
	j.tip, j.last, j.time = head, head, time
	j.durable.Store(&head)
}

// create makes an empty database beside its final place, closes it, so that
// its log starts in the pinned format at the next opening, and moves it there.
// A crash leaves either nothing that counts or a whole empty journal.
func (j *Journal) create() error {
	fs, dir := j.opt.FS, j.opt.Dir
	fresh, final := fs.PathJoin(dir, newDatabase), fs.PathJoin(dir, databaseName)
	if err := fs.RemoveAll(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(fault.Fatal, err, "remove unfinished database "+fresh)
	}
	id := j.opt.NewID
	if id == (ID{}) {
		var err error
		if id, err = newID(); err != nil {
			return err
		}
	}
	log := j.failingLog(fresh)
	db, err := openDatabase(fresh, databaseOptions(fs, j.cache, log))
	if err != nil {
		return err
	}
	err = guarded(func() error {
		b := db.NewBatch()
		return errors.Join(
			b.Set(metaID, id[:], nil),
			b.Set(metaFormat, binary.BigEndian.AppendUint32(nil, FormatVersion), nil),
			b.Commit(pebble.Sync))
	})
	if err == nil {
		err = flush(db, log, j.failed)
	}
	if err = errors.Join(j.Err(), err, closeDatabase(db, log)); err == nil {
		if err = fs.Rename(fresh, final); err == nil {
			err = syncDir(fs, dir)
		}
	}
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "create journal database "+final)
	}
	j.id, j.plan.ID = id, id
	return nil
}

// lockDir makes the directory if it may, and takes it for this process.
func lockDir(o Options) (unlocker, error) {
	if _, err := o.FS.Stat(o.Dir); errors.Is(err, os.ErrNotExist) {
		if o.ReadOnly {
			return nil, fault.New(fault.Invalid, "journal %s: %w", o.Dir, ErrAbsent)
		}
		if err := makeDir(o.FS, o.Dir); err != nil {
			return nil, fault.Wrap(fault.Fatal, err, "create journal directory "+o.Dir)
		}
	}
	return takeLock(o)
}

// makeDir creates a directory and its missing parents and makes their entries
// durable, so that a crash cannot take the directory away under its files. A
// parent that is there may have been made a moment ago by somebody who did not
// sync it, so every entry up to the root is made durable; only those that were
// missing have to be.
func makeDir(fs vfs.FS, dir string) error {
	type entry struct {
		dir      string // to be synced
		required bool
	}
	var entries []entry
	required := true
	for d := dir; ; {
		up := fs.PathDir(d)
		entries = append(entries, entry{up, required})
		if up == d {
			break
		}
		if _, err := fs.Stat(up); err == nil {
			required = false
		}
		d = up
	}
	if err := fs.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncDir(fs, e.dir); err != nil && e.required {
			return err
		}
	}
	return nil
}
