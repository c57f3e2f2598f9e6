package derived

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// Model says what a store holds.
type Model interface {
	// Version is raised with every change of what Fold writes.
	Version() uint32
	// Begin returns what folds the events of one batch into the writer.
	Begin(w Writer, content func(journal.Hash) ([]byte, error)) Folder
}

// Folder folds the events of one batch, in order.
type Folder interface {
	// Fold takes one event, which it must not keep. An error ends the run of the
	// store when the journal is at fault, and has the store built again otherwise.
	Fold(e *journal.Event) error
	// End writes what Fold gathered.
	End() error
}

// Reader reads keys and values. Values are copies.
type Reader interface {
	// Get returns a value, nil when there is none.
	Get(key []byte) ([]byte, error)
	// Scan yields the entries of a range in order until yield returns false: from
	// low on and below high, or from the last one down. Key and value are valid
	// during the call.
	Scan(low, high []byte, reverse bool, yield func(key, value []byte) bool) error
}

// Writer is a Reader that sees what was written before.
type Writer interface {
	Reader
	Set(key, value []byte) error
	Delete(key []byte) error
}

// Options say where a store is and what it is made from. Dir, Name and Model are required.
type Options struct {
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// Dir is the store's directory. Nothing else may be kept in it.
	Dir string
	// Name is what the store holds, for the log and for errors: "peg ledger".
	Name string
	// Model folds.
	Model Model
	// ReadOnly opens a store to ask it, and changes nothing.
	ReadOnly bool
	// CacheBytes bounds the block cache; 0 means 8 MiB.
	CacheBytes int64
	// Gather is how long events are gathered when the store is level with the
	// journal; 0 means 20 ms, below 0 not at all.
	Gather time.Duration
	// FlushEvery is how much time a crash may have to be folded again; 0 means a
	// minute.
	FlushEvery time.Duration
	// BatchBytes bounds the envelopes of a batch; 0 means 4 MiB.
	BatchBytes int
	// Progress, if not nil, is called after each batch with the position and the
	// durable head.
	Progress func(position, durable uint64)
	// Logger receives warnings; nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) setDefaults() error {
	if o.Dir == "" || o.Name == "" || o.Model == nil {
		return fault.New(fault.Invalid, "a derived store needs a directory, a name and a model")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 8 << 20
	}
	if o.Gather == 0 {
		o.Gather = 20 * time.Millisecond
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = time.Minute
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 4 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// errStore marks errors of the store itself, which is removed and built again.
var errStore = errors.New("the store is of no use")

func unusable(err error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if err == nil {
		return fault.New(fault.Corrupt, "%s: %w", text, errStore)
	}
	return fault.Wrap(fault.Corrupt, errors.Join(errStore, err), text)
}

var (
	keyPosition = []byte("\x00position")
	keyLevel    = []byte("\x00level")
)

// build is one database of a store.
type build struct {
	*Database
	name     string // of its directory: VERSION-BUILD
	position Position
	level    bool // was level with the journal once
	dirty    bool // something is not flushed; the follower's
	flushed  time.Time
}

// Store is what is folded from one journal. One goroutine may run it; every other
// method may be called from any goroutine.
type Store struct {
	opt     Options
	journal *journal.Journal

	// mu is held for writing while a database is exchanged or closed, and for
	// reading by each view.
	mu   sync.RWMutex
	now  *build // answers; nil while there is none
	next *build // is built beside it, or nil

	position atomic.Uint64 // of now
	rebuilt  atomic.Uint64
	again    atomic.Bool // a new build is asked for
	wake     chan struct{}
}

// Open opens the store of a journal. One that is not there, damaged, of another format,
// version or history begins at event 0 again, with a warning that says why. With
// ReadOnly it must be there, level or not. An error means that the directory cannot be
// used at all; its grade is Temporary when another process has it.
func Open(j *journal.Journal, o Options) (*Store, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Store{opt: o, journal: j, wake: make(chan struct{}, 1)}
	names, err := s.builds()
	if err != nil {
		return nil, err
	}
	if err := s.choose(names); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	switch {
	case s.now == nil && o.ReadOnly:
		return nil, fault.New(fault.CannotJudge, "there is no %s of this version in %s", o.Name, o.Dir)
	case s.now == nil:
		if s.now, err = s.create(); err != nil {
			return nil, err
		}
	}
	s.position.Store(s.now.position.Head.Sequence)
	return s, nil
}

// builds lists the directories of this version's builds, newest first.
func (s *Store) builds() ([]string, error) {
	all, err := s.opt.FS.List(s.opt.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, s.opt.Name+" directory")
	}
	return ofVersion(all, s.opt.Model.Version()), nil
}

// choose opens the newest build that was level, else the newest. Others of this version
// are removed, damaged ones too.
func (s *Store) choose(names []string) error {
	for _, name := range names {
		b, err := s.open(name)
		switch {
		case err == nil && (s.now == nil || b.level && !s.now.level):
			if err := s.discard(s.now); err != nil {
				return err
			}
			s.now = b
		case err == nil:
			if err := s.discard(b); err != nil {
				return err
			}
		case !errors.Is(err, errStore):
			return err
		case !s.opt.ReadOnly:
			s.opt.Logger.Warn(s.opt.Name+": removed, to be built again from the journal", "dir", s.path(name), "error", err)
			if err := s.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// open opens a build that is there and checks its position.
func (s *Store) open(name string) (*build, error) {
	d, err := s.database(name)
	if Locked(err) {
		return nil, fault.Wrap(fault.Temporary, err, s.opt.Name+" "+s.path(name)+" is in use")
	}
	if err != nil {
		return nil, unusable(err, "%s %s does not open", s.opt.Name, s.path(name))
	}
	b := &build{Database: d, name: name, flushed: time.Now()}
	if err := s.check(b); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return b, nil
}

func (s *Store) check(b *build) error {
	return Guarded(func() error {
		raw, err := b.Read(keyPosition)
		if err != nil {
			return unusable(err, "%s %s cannot be read", s.opt.Name, s.path(b.name))
		}
		var ok bool
		if b.position, ok = DecodePosition(raw); !ok {
			return unusable(nil, "%s %s: its position is %x", s.opt.Name, s.path(b.name), raw)
		}
		why, err := b.position.Follows(s.journal)
		if err != nil {
			return err
		}
		if why != "" {
			return unusable(nil, "%s %s: %s", s.opt.Name, s.path(b.name), why)
		}
		level, err := b.Read(keyLevel)
		b.level = level != nil
		return err
	})
}

// create makes an empty build beside all others.
func (s *Store) create() (*build, error) {
	all, err := s.opt.FS.List(s.opt.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.Temporary, err, s.opt.Name+" directory")
	}
	b := &build{
		name:     following(all, s.opt.Model.Version()),
		position: Position{s.journal.ID(), journal.Head{Hash: journal.Origin(s.journal.ID())}}, flushed: time.Now(),
	}
	if err := s.opt.FS.MkdirAll(s.opt.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "create "+s.opt.Name)
	}
	if b.Database, err = s.database(b.name); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "create "+s.opt.Name)
	}
	err = b.Do(func() error { return b.DB().Set(keyPosition, b.position.Encode(), pebble.NoSync) })
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, errors.Join(err, b.Close()), "create "+s.opt.Name)
	}
	return b, nil
}

func (s *Store) database(name string) (*Database, error) {
	return OpenDatabase(DatabaseOptions{
		FS: s.opt.FS, Dir: s.path(name), ReadOnly: s.opt.ReadOnly, CacheBytes: s.opt.CacheBytes, Name: s.opt.Name, Logger: s.opt.Logger,
	})
}

func (s *Store) path(name string) string { return filepath.Join(s.opt.Dir, name) }

// discard closes a build and removes it. A store for reading only closes it.
func (s *Store) discard(b *build) error {
	if b == nil {
		return nil
	}
	if err := b.Close(); err != nil || s.opt.ReadOnly {
		return err
	}
	return s.remove(b.name)
}

func (s *Store) remove(name string) error {
	if err := s.opt.FS.RemoveAll(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(fault.Temporary, err, "remove "+s.opt.Name+" "+s.path(name))
	}
	return nil
}

// Position returns the sequence of the last event that is folded.
func (s *Store) Position() uint64 { return s.position.Load() }

// Rebuilt returns how often the store was built again while it ran.
func (s *Store) Rebuilt() uint64 { return s.rebuilt.Load() }

// Rebuild has the running store built again beside the present one, which answers
// meanwhile. It does not wait.
func (s *Store) Rebuild() {
	s.again.Store(true)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close ends the store. Run must have returned.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, b := range []*build{s.now, s.next} {
		if b == nil {
			continue
		}
		if !s.opt.ReadOnly {
			if err := b.Flush(); err != nil {
				s.opt.Logger.Warn(s.opt.Name+": not flushed, the next start goes on from an earlier event", "dir", s.path(b.name), "error", err)
			}
		}
		errs = append(errs, b.Close())
	}
	s.now, s.next = nil, nil
	return fault.Wrap(fault.Temporary, errors.Join(errs...), "close "+s.opt.Name)
}

// Checkpoint copies the store into a directory that does not exist, with hard links
// where possible. The copy may stand before the present position.
func (s *Store) Checkpoint(dir string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now == nil {
		return fault.New(fault.Temporary, "%s %s is being built again", s.opt.Name, s.opt.Dir)
	}
	err := s.now.Flush()
	if err == nil {
		if err = s.opt.FS.MkdirAll(dir, 0o700); err == nil {
			err = s.now.Do(func() error { return s.now.DB().Checkpoint(s.opt.FS.PathJoin(dir, s.now.name)) })
		}
	}
	return fault.Wrap(fault.Temporary, err, "copy "+s.opt.Name)
}
