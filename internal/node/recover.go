package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

// JournalDir returns where the journal of a data directory is.
func JournalDir(dataDir string) string { return filepath.Join(dataDir, "journal") }

// SnapshotDir returns where the snapshots of a data directory are.
func SnapshotDir(dataDir string) string { return filepath.Join(dataDir, "snapshots") }

// Recovered is a machine at a position of a journal, and how it got there.
type Recovered struct {
	Machine  *actors.Machine
	Snapshot uint64 // sequence of the snapshot it began from; 0 for none
	Report   replay.Report
}

// Restore returns a machine at the newest snapshot that is whole and belongs to
// the journal, or at sequence 0. after is the chain hash there, for replay.
// Damaged snapshots are passed over with a warning. atMost bounds the position;
// 0 means the journal's head.
func Restore(j *journal.Journal, store *snapshot.Store, work *memo.Memo, atMost uint64) (m *actors.Machine, after journal.Hash, err error) {
	if store != nil {
		manifest, found, err := store.Newest(func(candidate snapshot.Manifest) error {
			if atMost > 0 && candidate.Sequence > atMost {
				return snapshot.ErrSkip
			}
			if m, err = NewMachine(j.ID(), work); err != nil {
				return err
			}
			return fault.Wrap(fault.Corrupt, load(j, store, m, candidate), "snapshot")
		})
		if err != nil {
			return nil, journal.Hash{}, err
		}
		if found {
			return m, journal.Hash(manifest.Hash), nil
		}
	}
	m, err = NewMachine(j.ID(), work)
	return m, journal.Hash{}, err
}

func load(j *journal.Journal, store *snapshot.Store, m *actors.Machine, manifest snapshot.Manifest) error {
	if journal.ID(manifest.Journal) != j.ID() {
		return fault.New(fault.Invalid, "it belongs to journal %x", manifest.Journal)
	}
	_, hash, err := j.Event(manifest.Sequence)
	if err != nil {
		return err
	}
	if hash != journal.Hash(manifest.Hash) {
		return fault.New(fault.Corrupt, "its chain hash at sequence %d is not the journal's", manifest.Sequence)
	}
	resolve := func(h [32]byte) ([]byte, error) { return j.Content(h) }
	err = store.Load(manifest, func(section string, key, value []byte) error {
		return m.Load(section, bytes.Clone(key), bytes.Clone(value), resolve)
	})
	if err == nil && m.Sequence() != manifest.Sequence {
		err = fault.New(fault.Corrupt, "its states stand at sequence %d, its name says %d", m.Sequence(), manifest.Sequence)
	}
	return err
}

// recoverMachine brings a machine to the journal's head.
func recoverMachine(ctx context.Context, j *journal.Journal, store *snapshot.Store, work *memo.Memo) (Recovered, error) {
	m, after, err := Restore(j, store, work, 0)
	if err != nil {
		return Recovered{}, err
	}
	if config := chainState(m).Config; config != nil {
		work.Prepare(config) // its turn is before the snapshot
	}
	r := Recovered{Machine: m, Snapshot: m.Sequence()}
	r.Report, err = replay.Run(ctx, j, m, replay.Options{After: after, Prepare: work.Prepare})
	if err != nil {
		return r, fmt.Errorf("recovering from the journal: %w", err)
	}
	return r, nil
}

func openSnapshots(dataDir string, keep int, readOnly bool, fs vfs.FS, log *slog.Logger) (*snapshot.Store, error) {
	return snapshot.Open(snapshot.Options{FS: fs, Dir: SnapshotDir(dataDir), Keep: keep, ReadOnly: readOnly, Logger: log})
}
