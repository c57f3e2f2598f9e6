package peers

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// Options say where a store is. Only Dir is required.
type Options struct {
	FS         vfs.FS // nil means the operating system's
	Dir        string // nothing else may be kept in it
	ReadOnly   bool
	Gather     time.Duration // see [derived.Options]
	FlushEvery time.Duration
	BatchBytes int
	Progress   func(position, durable uint64)
	Logger     *slog.Logger
}

// Store is the read model of one journal. One goroutine may run it; every other method may
// be called from any goroutine.
type Store struct{ store *derived.Store }

// Open opens the read model of a journal, or begins an empty one; see [derived.Open].
func Open(j *journal.Journal, o Options) (*Store, error) {
	s, err := derived.Open(j, derived.Options{
		FS: o.FS, Dir: o.Dir, Name: "record of peers", Model: model{}, ReadOnly: o.ReadOnly,
		Gather: o.Gather, FlushEvery: o.FlushEvery, BatchBytes: o.BatchBytes, Progress: o.Progress, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Store{store: s}, nil
}

// Run follows the journal until ctx ends or the journal is closed, which are no errors.
func (s *Store) Run(ctx context.Context) error { return s.store.Run(ctx) }

// Advance folds everything that is durable now, for a store that is not run.
func (s *Store) Advance(ctx context.Context) error { return s.store.Advance(ctx) }

// Rebuild has the running store built again beside the present one.
func (s *Store) Rebuild() { s.store.Rebuild() }

// Position returns the sequence of the last event that is folded.
func (s *Store) Position() uint64 { return s.store.Position() }

// Close ends the store. Run must have returned.
func (s *Store) Close() error { return s.store.Close() }
