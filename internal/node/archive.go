package node

import (
	"context"
	"errors"
	"log/slog"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Archive moves the events before a sequence of the running node into the
// archive; see [journal.Journal.Archive]. [ErrRefused] when no snapshot covers
// them.
func (n *Node) Archive(ctx context.Context, before uint64, o journal.ArchiveOptions) (journal.ArchiveReport, error) {
	if err := covered(n.journal, n.snapshots, before); err != nil {
		return journal.ArchiveReport{}, err
	}
	return n.journal.Archive(ctx, before, o)
}

// ArchiveStopped does the same for a node that does not run.
func ArchiveStopped(ctx context.Context, dataDir string, storage archive.Storage, before uint64, o journal.ArchiveOptions, log *slog.Logger) (r journal.ArchiveReport, err error) {
	where := journal.Options{Dir: JournalDir(dataDir), Archive: storage, Logger: log}
	if p, err := journal.Inspect(where); err != nil {
		return r, err
	} else if p.ID == (journal.ID{}) && p.Refusal == nil { // Open would make one
		return r, fault.New(fault.Invalid, "data directory %s: %w", dataDir, journal.ErrAbsent)
	}
	j, err := journal.Open(where)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	store, err := openSnapshots(dataDir, 0, true, nil, log)
	if err != nil {
		return r, err
	}
	if err := covered(j, store, before); err != nil {
		return r, err
	}
	return j.Archive(ctx, before, o)
}

// covered refuses to archive events that a start may have to replay: a whole
// snapshot of this journal must stand at or after the last of them.
func covered(j *journal.Journal, store *snapshot.Store, before uint64) error {
	if before == 0 || before > j.Durable().Sequence {
		return fault.New(fault.Invalid, "cannot archive the events before %d: the journal's events are 1 to %d, and the last one stays", before, j.Durable().Sequence)
	}
	newest := uint64(0)
	_, found, err := store.Newest(func(m snapshot.Manifest) error {
		if journal.ID(m.Journal) != j.ID() || m.Sequence > j.Durable().Sequence {
			return snapshot.ErrSkip
		}
		newest = max(newest, m.Sequence)
		if m.Sequence+1 < before {
			return snapshot.ErrSkip
		}
		_, hash, err := j.Event(m.Sequence)
		if err != nil {
			return err
		}
		if hash != journal.Hash(m.Hash) {
			return fault.New(fault.Corrupt, "its chain hash at sequence %d is not the journal's", m.Sequence)
		}
		return store.Verify(m)
	})
	if err != nil || found {
		return err
	}
	if newest == 0 {
		return refused("the events before %d stay: there is no snapshot, and a start would have to replay them", before)
	}
	return refused("the events before %d stay: no whole snapshot is at or after event %d, the newest of this journal is at %d; archive before %d or less, or after a newer snapshot",
		before, before-1, newest, newest+1)
}
