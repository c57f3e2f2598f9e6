package peg

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// Options say where a ledger is. Only Dir is required.
type Options struct {
	FS         vfs.FS // nil means the operating system's
	Dir        string // nothing else may be kept in it
	ReadOnly   bool
	CacheBytes int64         // of the block cache; 0 means 32 MiB
	Gather     time.Duration // see [derived.Options]
	FlushEvery time.Duration
	BatchBytes int
	Progress   func(position, durable uint64)
	Logger     *slog.Logger
}

// Ledger is the ledger of one journal. One goroutine may run it; every other method may
// be called from any goroutine.
type Ledger struct {
	store   *derived.Store
	journal *journal.Journal
	present atomic.Pointer[moments] // what answers of now need, at the last position that was asked
}

// Open opens the ledger of a journal, or begins an empty one; see [derived.Open].
func Open(j *journal.Journal, o Options) (*Ledger, error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	s, err := derived.Open(j, derived.Options{
		FS: o.FS, Dir: o.Dir, Name: "peg ledger", Model: model{}, ReadOnly: o.ReadOnly, CacheBytes: o.CacheBytes,
		Gather: o.Gather, FlushEvery: o.FlushEvery, BatchBytes: o.BatchBytes, Progress: o.Progress, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Ledger{store: s, journal: j}, nil
}

// Run follows the journal until ctx ends or the journal is closed, which are no errors.
func (l *Ledger) Run(ctx context.Context) error { return l.store.Run(ctx) }

// Advance folds everything that is durable now, for a ledger that is not run.
func (l *Ledger) Advance(ctx context.Context) error { return l.store.Advance(ctx) }

// Rebuild has the running ledger built again beside the present one.
func (l *Ledger) Rebuild() { l.store.Rebuild() }

// Position returns the sequence of the last event that is folded.
func (l *Ledger) Position() uint64 { return l.store.Position() }

// Rebuilt returns how often the ledger was built again while it ran.
func (l *Ledger) Rebuilt() uint64 { return l.store.Rebuilt() }

// Checkpoint copies the ledger into a directory that does not exist.
func (l *Ledger) Checkpoint(dir string) error { return l.store.Checkpoint(dir) }

// Close ends the ledger. Run must have returned.
func (l *Ledger) Close() error { return l.store.Close() }

// txid reads a transaction of the journal and returns its id.
func (f *folder) txid(c record.Content) (id chainhash.Hash, err error) {
	raw, err := f.content(journal.Hash(c.Hash))
	if err != nil {
		return id, err
	}
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return id, fault.Wrap(fault.Corrupt, err, "peg ledger: a Bitcoin transaction of the journal")
	}
	return tx.TxHash(), nil
}

// SequenceAt returns the last event at a time or before, for questions as of then.
func (l *Ledger) SequenceAt(ms int64) (uint64, error) {
	low, high := uint64(0), l.journal.Durable().Sequence // low is at or before, high+1 after
	for low < high {
		middle := low + (high-low+1)/2
		e, _, err := l.journal.Event(middle)
		if err != nil {
			return 0, err
		}
		if e.Time <= ms {
			low = middle
		} else {
			high = middle - 1
		}
	}
	if low == 0 {
		return 0, errors.Join(fault.New(fault.Invalid, "the journal begins after that time"))
	}
	return low, nil
}
