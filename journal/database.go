package journal

import (
	"errors"
	"os"
	"strings"

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

// tableCompression is Snappy for blocks that it makes smaller at all. Much of an
// event is hashes and payload, which do not shrink; the names in its envelope
// do, and are less than the eighth of a block that Pebble asks for.
var tableCompression = func() sstable.CompressionProfile {
	p := *sstable.SnappyCompression
	p.MinReductionPercent = 3
	return p
}()

// databaseOptions are Pebble's options for an append-only log: large tables
// that are written once, few levels of work, everything checksummed.
func databaseOptions(fs vfs.FS, cache *pebble.Cache, log *databaseLog) *pebble.Options {
	o := &pebble.Options{
		FS:                 databaseFS{fs, log},
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
		l.Compression = func() *sstable.CompressionProfile { return &tableCompression }
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
	if adjust != nil {
		adjust(o)
	}
	return o
}

// adjust changes the options of every database, in tests that need small ones.
var adjust func(*pebble.Options)

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
	db, err = attempt(logOf(o), func() (*pebble.DB, error) { return pebble.Open(dir, o) })
	if err != nil {
		return nil, classifyOpen(dir, err)
	}
	if v := db.FormatMajorVersion(); v != databaseFormat {
		err := fault.New(fault.Invalid, "journal database %s has Pebble format %d, this program works with %d only", dir, v, databaseFormat)
		return nil, errors.Join(err, closeDatabase(db, logOf(o)))
	}
	return db, nil
}

func logOf(o *pebble.Options) *databaseLog {
	log, _ := o.Logger.(*databaseLog)
	return log
}

// closeDatabase closes a database, unless it broke: then it stays as it is.
func closeDatabase(db *pebble.DB, log *databaseLog) error {
	return log.attempt(db.Close)
}

// optionsDamaged reports whether Pebble refuses its own OPTIONS file, whose
// contents this program never changes.
func optionsDamaged(err error) bool {
	text := err.Error()
	for _, part := range []string{"name from file", "may contain relevant WAL", "from previous options"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// classifyOpen grades an error of pebble.Open. Pebble marks damage; a format
// or option it does not know is a newer program's; anything else is the
// machine's.
func classifyOpen(dir string, err error) error {
	var p *panicError
	switch {
	case diskFailed(err):
		return fault.Wrap(fault.Fatal, err, "open journal database "+dir)
	case pebble.IsCorruptionError(err), errors.As(err, &p), errors.Is(err, pebble.ErrDBNotPristine),
		// A directory that exists had a whole database: what it names is gone.
		errors.Is(err, pebble.ErrDBDoesNotExist), errors.Is(err, os.ErrNotExist),
		strings.Contains(err.Error(), "object size mismatch"), optionsDamaged(err):
		return &CorruptError{Key: dir, What: "the database does not open", Cause: err}
	case strings.Contains(err.Error(), "unknown format major version"):
		return fault.New(fault.Invalid, "journal database %s: %w: %v", dir, ErrNewerFormat, err)
	default:
		return fault.Wrap(fault.Fatal, err, "open journal database "+dir)
	}
}
