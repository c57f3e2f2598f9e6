package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// databaseFormat is pinned so that a new release of Pebble changes nothing on
// disk by itself. It is above FormatWALSyncChunks (20), without which one
// flipped bit in the newest log silently ends recovery there, and has
// checksummed table footers.
const databaseFormat = pebble.FormatValueSeparation

const (
	memTableSize = 32 << 20
	tableSize    = 64 << 20
)

// databaseOptions are Pebble's options for an append-only log: large tables
// that are written once, few levels of work, everything checksummed.
func databaseOptions(fs vfs.FS, cache *pebble.Cache, log *databaseLog) *pebble.Options {
	o := &pebble.Options{
		FS:                 markerFS{fs},
		Cache:              cache,
		FormatMajorVersion: databaseFormat,
		Logger:             log,
		// A group commit is at most MaxPendingBytes and stays far below half a
		// memtable, so that it takes the common path.
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: 4,
		// Event tables never overlap and move down without being rewritten;
		// many of them in L0 cost nothing, so writes are stopped late.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 256,
		LBaseMaxBytes:         512 << 20,
		MaxOpenFiles:          512,
		BytesPerSync:          1 << 20,
		// Statistics guide compactions of deletions, and nothing is deleted.
		DisableTableStats:          true,
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	}
	for i := range o.Levels {
		o.TargetFileSizes[i] = tableSize
		l := &o.Levels[i]
		l.BlockSize = 32 << 10
		l.IndexBlockSize = 256 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	o.Experimental.SpanPolicyFunc = splitAtPrefix
	listener := pebble.EventListener{
		BackgroundError: log.background,
		// The default ends the process. A damaged block fails the read that
		// meets it, with an error that says where.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			log.damaged.Add(1)
			log.log.Error("journal database: damaged data", "path", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			log.log.Warn("journal database: writes wait for background work", "reason", info.Reason)
		},
	}
	o.EventListener = &listener
	return o
}

// markerFS makes the directory durable before Pebble creates a marker file in
// it. A marker names another new file (the manifest), and Pebble syncs the
// directory only after both are made: a crash may keep the marker's entry and
// lose that of the file it names, and then nothing opens.
type markerFS struct{ vfs.FS }

// Create syncs the directory first if the file is a marker.
func (m markerFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(m.PathBase(name), "marker.") {
		if err := syncDir(m.FS, m.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return m.FS.Create(name, category)
}

// Unwrap returns the file system below.
func (m markerFS) Unwrap() vfs.FS { return m.FS }

// splitAtPrefix ends tables where the key prefix changes. Event keys ascend, so
// a table of events only never overlaps another one and is never rewritten;
// one that also held contents would overlap all.
func splitAtPrefix(start []byte) (pebble.SpanPolicy, []byte, error) {
	if len(start) == 0 {
		return pebble.SpanPolicy{}, []byte{prefixContent + 1}, nil
	}
	return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
}

// openDatabase opens Pebble and asserts the pinned format. A panic of Pebble
// on damaged files becomes an error.
func openDatabase(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	err = guarded(func() error {
		var err error
		db, err = pebble.Open(dir, o)
		return err
	})
	if err != nil {
		return nil, classifyOpen(dir, err)
	}
	if v := db.FormatMajorVersion(); v != databaseFormat {
		err := fault.New(fault.Invalid, "journal database %s has Pebble format %d, this program works with %d only", dir, v, databaseFormat)
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// classifyOpen grades an error of pebble.Open. Pebble marks damage; a format
// or option it does not know is a newer program's; anything else is the
// machine's.
func classifyOpen(dir string, err error) error {
	var p *panicError
	switch {
	case pebble.IsCorruptionError(err), errors.As(err, &p), errors.Is(err, pebble.ErrDBNotPristine),
		// A directory that exists had a whole database: what it names is gone.
		errors.Is(err, pebble.ErrDBDoesNotExist), errors.Is(err, os.ErrNotExist),
		strings.Contains(err.Error(), "object size mismatch"):
		return &CorruptError{Key: dir, What: "the database does not open", Cause: err}
	case strings.Contains(err.Error(), "unknown format major version"):
		return fault.New(fault.Invalid, "journal database %s: %w: %v", dir, ErrNewerFormat, err)
	default:
		return fault.Wrap(fault.Fatal, err, "open journal database "+dir)
	}
}

// databaseLog routes Pebble's log to slog and decides about its fatal errors.
type databaseLog struct {
	log *slog.Logger
	// fatal receives what Pebble's own goroutines cannot go on from.
	fatal func(error)
	// damaged counts the reads that met a damaged block.
	damaged atomic.Uint64
	logged  atomic.Int64 // Unix seconds of the last line about background work
}

// backgroundPause is the least time between two lines about failed background
// work, in seconds. Pebble tries again at once, thousands of times a second.
const backgroundPause = 10

// background takes a failure of a flush or compaction. Pebble goes on trying,
// in the hope of more room; a journal whose disk is full or broken ends instead,
// so that the operator hears of it and a stop need not wait for that flush.
func (l *databaseLog) background(err error) {
	now := time.Now().Unix()
	if last := l.logged.Load(); now-last >= backgroundPause && l.logged.CompareAndSwap(last, now) {
		l.log.Error("journal database: background work failed", "error", err)
	}
	if l.fatal != nil && diskFailed(err) {
		l.fatal(fmt.Errorf("%w; free or repair the disk and start again", err))
	}
}

// diskFailed reports whether trying again is of no use.
func diskFailed(err error) bool {
	for _, number := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// Infof logs at debug level: Pebble tells of every flush and compaction.
func (l *databaseLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("journal database: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs at error level.
func (l *databaseLog) Errorf(format string, args ...any) {
	l.log.Error("journal database: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble's state is undefined after it, and its own
// default ends the process without a word to the caller. On a goroutine that
// this package called Pebble on, it panics and [guarded] makes an error of it.
// On one of Pebble's, it makes the journal fail and parks the goroutine for
// ever, so that no background work goes on from an undefined state.
func (l *databaseLog) Fatalf(format string, args ...any) {
	err := &databaseError{text: strings.TrimPrefix(fmt.Sprintf(format, args...), "pebble: ")}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err.cause = cause
		}
	}
	l.log.Error("journal database: fatal error", "error", err)
	if onGuardedStack() {
		panic(err)
	}
	if l.fatal != nil {
		l.fatal(err)
	}
	select {}
}

// databaseError is a fatal error of Pebble, with the error it was about.
type databaseError struct {
	text  string
	cause error
}

func (e *databaseError) Error() string { return "pebble: " + e.text }
func (e *databaseError) Unwrap() error { return e.cause }

// panicError is a panic of Pebble that guarded turned into an error.
type panicError struct{ cause error }

func (e *panicError) Error() string { return e.cause.Error() }
func (e *panicError) Unwrap() error { return e.cause }

// guarded calls f, which calls Pebble, and returns its panic as an error. What
// Pebble held at that time stays held: the database is unusable afterwards.
func guarded(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = &panicError{p}
		default:
			err = &panicError{fmt.Errorf("%v", p)}
		}
	}()
	return f()
}

// flush writes the memtables to tables. Pebble's own Flush waits for ever when
// the disk is full; this one ends when failed is closed.
func flush(db *pebble.DB, failed <-chan struct{}) error {
	var flushed <-chan struct{}
	err := guarded(func() (err error) {
		flushed, err = db.AsyncFlush()
		return err
	})
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-failed:
		return errFlush
	}
}

// errFlush says that a flush was given up for a failure reported elsewhere.
var errFlush = errors.New("the flush was given up")

// onGuardedStack reports whether guarded is among the callers.
func onGuardedStack() bool {
	pc := make([]uintptr, 256)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "/journal.guarded") {
			return true
		}
		if !more {
			return false
		}
	}
}
