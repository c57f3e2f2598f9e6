package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
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

// formatVersion is the version of keys and values.
const formatVersion = 1

var (
	metaFormat   = []byte("mformat")
	metaExtract  = []byte("mextract")
	metaPosition = []byte("mposition")
)

const memTableSize = 8 << 20

// errIndex marks errors of the index itself, which is removed and built again.
var errIndex = errors.New("the index is of no use")

// unusable says why an index cannot be used; its grade is Corrupt.
func unusable(err error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if err == nil {
		return fault.New(fault.Corrupt, "%s: %w", text, errIndex)
	}
	return fault.Wrap(fault.Corrupt, errors.Join(errIndex, err), text)
}

// database is one open Pebble of an index.
type database struct {
	db     *pebble.DB
	once   sync.Once
	failed chan struct{} // closed when Pebble cannot go on
	cause  error
	log    *slog.Logger
}

func databaseOptions(fs vfs.FS, cache *pebble.Cache, d *database) *pebble.Options {
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
		BackgroundError: d.fail,
		DataCorruption:  func(info pebble.DataCorruptionInfo) { d.fail(info.Details) },
	}
	return o
}

// fail notes what the database cannot go on from.
func (d *database) fail(err error) {
	d.once.Do(func() {
		d.cause = err
		close(d.failed)
	})
}

// err returns the noted failure, nil while there is none.
func (d *database) err() error {
	select {
	case <-d.failed:
		return d.cause
	default:
		return nil
	}
}

// Infof logs at debug level.
func (d *database) Infof(format string, args ...any) {
	if d.log.Enabled(context.Background(), slog.LevelDebug) {
		d.log.Debug("index database: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs at debug level: whoever meets the error reports it once.
func (d *database) Errorf(format string, args ...any) { d.Infof(format, args...) }

// Fatalf must not return, since Pebble's state is undefined after it. It parks
// the goroutine; [database.do] answers its caller.
func (d *database) Fatalf(format string, args ...any) {
	d.fail(errors.New(strings.TrimPrefix(fmt.Sprintf(format, args...), "pebble: ")))
	select {}
}

// do calls f, which calls Pebble, on a goroutine of its own, so that neither a
// panic on damaged files nor a goroutine that Fatalf parks takes the caller along.
func (d *database) do(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- guarded(f) }()
	select {
	case err := <-done:
		return errors.Join(err, d.err())
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

// guarded returns a panic of f as an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database panicked: %v", p)
		}
	}()
	return f()
}

// openDatabase opens Pebble; for reading only, there must be one.
func openDatabase(o Options, readOnly bool) (*database, error) {
	d := &database{failed: make(chan struct{}), log: o.Logger}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	p := databaseOptions(o.FS, cache, d)
	p.ReadOnly, p.ErrorIfNotExists = readOnly, readOnly
	err := d.do(func() (err error) {
		d.db, err = pebble.Open(o.Dir, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	if v := d.db.FormatMajorVersion(); v != databaseFormat {
		return nil, errors.Join(fmt.Errorf("it has Pebble format %d, not %d", v, databaseFormat), d.close())
	}
	return d, nil
}

// flush writes the memtable to a table.
func (d *database) flush() error {
	var flushed <-chan struct{}
	err := d.do(func() (err error) {
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

// close reports an error when the database does not close; its directory then
// stays locked until the process ends.
func (d *database) close() error {
	done := make(chan error, 1)
	go func() { done <- guarded(d.db.Close) }()
	select {
	case err := <-done:
		if d.err() != nil {
			return nil // it said so already
		}
		return err
	case <-time.After(closeGrace):
		return errNotClosed
	}
}

var errNotClosed = fault.New(fault.Fatal, "the failed index database does not close; restart the process to index again")

// position is how far an index has come.
type position struct {
	id   journal.ID
	head journal.Head
}

func (p position) encode() []byte {
	b := append(make([]byte, 0, len(p.id)+8+len(p.head.Hash)), p.id[:]...)
	b = binary.BigEndian.AppendUint64(b, p.head.Sequence)
	return append(b, p.head.Hash[:]...)
}

func decodePosition(b []byte) (p position, ok bool) {
	if len(b) != len(p.id)+8+len(p.head.Hash) {
		return p, false
	}
	copy(p.id[:], b)
	p.head.Sequence = binary.BigEndian.Uint64(b[len(p.id):])
	copy(p.head.Hash[:], b[len(p.id)+8:])
	return p, true
}

// read returns a copy of a value, nil if there is none.
func (d *database) read(key []byte) ([]byte, error) {
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

// kinds lists the kinds that have postings.
func (d *database) kinds() (out []Kind, err error) {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixPosting}, UpperBound: []byte{prefixPosting + 1}})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(it.Key()) > 1; ok = it.SeekGE([]byte{prefixPosting, byte(out[len(out)-1]) + 1}) {
		if out = append(out, Kind(it.Key()[1])); out[len(out)-1] == 0xff {
			break
		}
	}
	return out, it.Close()
}

// check returns the position of an index that fits journal and options.
func (d *database) check(j *journal.Journal, o Options) (position, error) {
	number := func(key []byte, want uint32) error {
		b, err := d.read(key)
		if err != nil {
			return unusable(err, "index %s cannot be read", o.Dir)
		}
		if len(b) != 4 || binary.BigEndian.Uint32(b) != want {
			return unusable(nil, "index %s: key %s is %x, this program writes %d", o.Dir, key, b, want)
		}
		return nil
	}
	if err := errors.Join(number(metaFormat, formatVersion), number(metaExtract, o.Extract.Version)); err != nil {
		return position{}, err
	}
	b, err := d.read(metaPosition)
	if err != nil {
		return position{}, unusable(err, "index %s cannot be read", o.Dir)
	}
	p, ok := decodePosition(b)
	switch durable := j.Durable(); {
	case !ok:
		return p, unusable(nil, "index %s: its position is %x", o.Dir, b)
	case p.id != j.ID():
		return p, unusable(nil, "index %s belongs to journal %s, not %s", o.Dir, p.id, j.ID())
	case p.head.Sequence > durable.Sequence:
		return p, unusable(nil, "index %s stands at event %d, the journal ends at %d", o.Dir, p.head.Sequence, durable.Sequence)
	}
	return p, sameHistory(j, p.head, o.Dir)
}

// sameHistory compares the chain hash at the index's position with the journal's.
func sameHistory(j *journal.Journal, head journal.Head, dir string) error {
	hash := journal.Origin(j.ID())
	if head.Sequence > 0 {
		var err error
		if _, hash, err = j.Event(head.Sequence); err != nil {
			return err
		}
	}
	if hash != head.Hash {
		return unusable(nil, "index %s: event %d had the hash %s, the journal's has %s", dir, head.Sequence, head.Hash, hash)
	}
	return nil
}

// begin writes the metadata of a new index.
func (d *database) begin(j *journal.Journal, o Options) (position, error) {
	p := position{j.ID(), journal.Head{Hash: journal.Origin(j.ID())}}
	err := d.do(func() error {
		b := d.db.NewBatch()
		return errors.Join(
			b.Set(metaFormat, binary.BigEndian.AppendUint32(nil, formatVersion), nil),
			b.Set(metaExtract, binary.BigEndian.AppendUint32(nil, o.Extract.Version), nil),
			b.Set(metaPosition, p.encode(), nil),
			b.Commit(pebble.NoSync))
	})
	if err == nil {
		err = d.flush()
	}
	return p, err
}

// remove deletes an index with everything in it.
func remove(o Options) error {
	if err := o.FS.RemoveAll(o.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.Wrap(fault.Temporary, err, "remove index "+o.Dir)
	}
	return nil
}
