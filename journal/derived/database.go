package derived

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// databaseFormat is pinned, as the journal's is.
const databaseFormat = pebble.FormatValueSeparation

const memTableSize = 8 << 20

// DatabaseOptions say where a database is.
type DatabaseOptions struct {
	FS         vfs.FS
	Dir        string
	ReadOnly   bool   // there must be one
	CacheBytes int64  // of the block cache
	Name       string // of what it holds, for the log: "index"
	Logger     *slog.Logger
}

// Database is one open Pebble without a log of its own. What a crash leaves is the
// state after some batch. Its methods may be called from any goroutine.
type Database struct {
	db     *pebble.DB
	name   string
	once   sync.Once
	failed chan struct{} // closed when Pebble cannot go on
	cause  error
	log    *slog.Logger
}

func databaseOptions(fs vfs.FS, cache *pebble.Cache, d *Database) *pebble.Options {
	o := &pebble.Options{
		FS: fs, Cache: cache, FormatMajorVersion: databaseFormat, Logger: d,
		// What a log would save is in the journal. Without one, what a crash
		// leaves is what was flushed: always the state after some batch.
		DisableWAL:                  true,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		MaxOpenFiles:                128,
		BytesPerSync:                1 << 20,
		DisableTableStats:           true,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
	}
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize = 16 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	o.EventListener = &pebble.EventListener{
		BackgroundError: d.Fail,
		DataCorruption:  func(info pebble.DataCorruptionInfo) { d.Fail(info.Details) },
	}
	return o
}

// Fail notes what the database cannot go on from.
func (d *Database) Fail(err error) {
	d.once.Do(func() {
		d.cause = err
		close(d.failed)
	})
}

// Err returns the noted failure, nil while there is none.
func (d *Database) Err() error {
	select {
	case <-d.failed:
		return d.cause
	default:
		return nil
	}
}

// Infof logs at debug level.
func (d *Database) Infof(format string, args ...any) {
	if d.log.Enabled(context.Background(), slog.LevelDebug) {
		d.log.Debug(d.name + " database: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs at debug level: whoever meets the error reports it once.
func (d *Database) Errorf(format string, args ...any) { d.Infof(format, args...) }

// Fatalf must not return, since Pebble's state is undefined after it. It parks
// the goroutine; [Database.Do] answers its caller.
func (d *Database) Fatalf(format string, args ...any) {
	d.Fail(errors.New(strings.TrimPrefix(fmt.Sprintf(format, args...), "pebble: ")))
	select {}
}

// Do calls f, which calls Pebble, on a goroutine of its own, so that neither a
// panic on damaged files nor a goroutine that Fatalf parks takes the caller along.
func (d *Database) Do(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- Guarded(f) }()
	select {
	case err := <-done:
		return errors.Join(err, d.Err())
	case <-d.failed:
		select {
		case err := <-done: // it may have ended with the error of this failure
			return errors.Join(err, d.cause)
		case <-time.After(closeGrace):
			return d.cause
		}
	}
}

// closeGrace is how long a database that failed may take to close.
const closeGrace = 2 * time.Second

var errPanicked = errors.New("the database panicked")

// Guarded returns a panic of f as an error.
func Guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return f()
}

// OpenDatabase opens Pebble; for reading only, there must be one.
func OpenDatabase(o DatabaseOptions) (*Database, error) {
	d := &Database{name: o.Name, failed: make(chan struct{}), log: o.Logger}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	p := databaseOptions(o.FS, cache, d)
	p.ReadOnly, p.ErrorIfNotExists = o.ReadOnly, o.ReadOnly
	err := d.Do(func() (err error) {
		d.db, err = pebble.Open(o.Dir, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	if v := d.db.FormatMajorVersion(); v != databaseFormat {
		return nil, errors.Join(fmt.Errorf("it has Pebble format %d, not %d", v, databaseFormat), d.Close())
	}
	return d, nil
}

// Flush writes the memtable to a table.
func (d *Database) Flush() error {
	var flushed <-chan struct{}
	err := d.Do(func() (err error) {
		flushed, err = d.db.AsyncFlush()
		return err
	})
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-d.failed:
		return d.cause
	}
}

// settle flushes, and moves everything to the lowest level. Without it, what a long build
// overwrote and deleted lies in every reader's way for days. A ctx that ends leaves the
// rest to Pebble.
func (d *Database) settle(ctx context.Context) error {
	if err := d.Flush(); err != nil {
		return err
	}
	err := d.Do(func() error { return d.db.Compact(ctx, []byte{0}, []byte{0xff, 0xff}, false) })
	if ctx.Err() != nil && d.Err() == nil {
		return nil
	}
	return err
}

// Close reports an error when the database does not close; its directory then
// stays locked until the process ends.
func (d *Database) Close() error {
	done := make(chan error, 1)
	go func() { done <- Guarded(d.db.Close) }()
	select {
	case err := <-done:
		if d.Err() != nil {
			return nil // it said so already
		}
		return err
	case <-time.After(closeGrace):
		return ErrNotClosed
	}
}

// ErrNotClosed means that a failed database keeps its directory until the process ends.
var ErrNotClosed = fault.New(fault.Fatal, "a failed database does not close; restart the process to build it again")

// Position is how far a database has followed a journal.
type Position struct {
	Journal journal.ID
	Head    journal.Head
}

// Encode returns journal id, u64 sequence and chain hash.
func (p Position) Encode() []byte {
	b := append(make([]byte, 0, len(p.Journal)+8+len(p.Head.Hash)), p.Journal[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Head.Sequence)
	return append(b, p.Head.Hash[:]...)
}

// DecodePosition reads what Encode wrote.
func DecodePosition(b []byte) (p Position, ok bool) {
	if len(b) != len(p.Journal)+8+len(p.Head.Hash) {
		return p, false
	}
	copy(p.Journal[:], b)
	p.Head.Sequence = binary.BigEndian.Uint64(b[len(p.Journal):])
	copy(p.Head.Hash[:], b[len(p.Journal)+8:])
	return p, true
}

// Read returns a copy of a value, nil if there is none.
func (d *Database) Read(key []byte) ([]byte, error) {
	value, closer, err := d.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

// DB returns Pebble itself. What is called on it belongs into [Database.Do] or [Guarded].
func (d *Database) DB() *pebble.DB { return d.db }

// Failed is closed when Pebble cannot go on.
func (d *Database) Failed() <-chan struct{} { return d.failed }

// Follows reports whether a position is one of the journal's history: an error of the
// journal, or why it is not, by the chain hash there.
func (p Position) Follows(j *journal.Journal) (why string, err error) {
	switch durable := j.Durable(); {
	case p.Journal != j.ID():
		return fmt.Sprintf("it belongs to journal %s, not %s", p.Journal, j.ID()), nil
	case p.Head.Sequence > durable.Sequence:
		return fmt.Sprintf("it stands at event %d, the journal ends at %d", p.Head.Sequence, durable.Sequence), nil
	}
	hash := journal.Origin(j.ID())
	if p.Head.Sequence > 0 {
		if _, hash, err = j.Event(p.Head.Sequence); err != nil {
			return "", err
		}
	}
	if hash != p.Head.Hash {
		return fmt.Sprintf("event %d had the hash %s, the journal's has %s", p.Head.Sequence, p.Head.Hash, hash), nil
	}
	return "", nil
}

// Locked reports whether an error of opening means that another user has the directory.
func Locked(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) ||
		err != nil && strings.Contains(err.Error(), "lock held by current process")
}
