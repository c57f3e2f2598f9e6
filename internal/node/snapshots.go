package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
	"github.com/AnduroProject/alys-go/snapshot"
)

// SnapshotInfo describes a snapshot, for JSON.
type SnapshotInfo struct {
	Sequence  uint64         `json:"sequence"`
	Journal   string         `json:"journal"`
	Hash      string         `json:"hash"` // of the journal's chain at Sequence
	Behaviour uint32         `json:"behaviour"`
	Root      string         `json:"root"`
	File      string         `json:"file"`
	Chunks    int            `json:"chunks"`
	Entries   uint64         `json:"entries"`
	Bytes     uint64         `json:"bytes"` // uncompressed
	States    []SnapshotPart `json:"states"`
}

// SnapshotPart is one actor's state in a snapshot.
type SnapshotPart struct {
	Name    string `json:"name"`
	Digest  string `json:"digest"`
	Entries uint64 `json:"entries"`
	Bytes   uint64 `json:"bytes"`
}

// DescribeSnapshot returns what a manifest says.
func DescribeSnapshot(m snapshot.Manifest) SnapshotInfo {
	info := SnapshotInfo{
		Sequence: m.Sequence, Journal: journal.ID(m.Journal).String(), Hash: journal.Hash(m.Hash).String(),
		Behaviour: restart.BehaviourOf(m), Root: m.Root.String(), File: m.File,
		Chunks: m.Chunks(), Entries: m.Entries(), Bytes: m.Bytes(),
	}
	for _, s := range m.Sections {
		info.States = append(info.States, SnapshotPart{Name: s.Name, Digest: s.Digest.String(), Entries: s.Entries, Bytes: s.Bytes})
	}
	return info
}

// TakeSnapshot takes a snapshot of a stopped node at its journal's end, which a
// newer program can then upgrade from. The turns after the newest snapshot are
// handled again; no effect leaves.
func TakeSnapshot(ctx context.Context, dataDir string, storage archive.Storage, keep int, log *slog.Logger) (m snapshot.Manifest, err error) {
	if _, err := os.Stat(JournalDir(dataDir)); errors.Is(err, os.ErrNotExist) {
		return m, fault.New(fault.Invalid, "data directory %s holds no journal: name another with --data-dir: %w", dataDir, journal.ErrAbsent)
	}
	j, err := journal.Open(journal.Options{Dir: JournalDir(dataDir), Archive: storage, CacheBytes: 32 << 20, Logger: log})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	store, err := openSnapshots(dataDir, keep, false, nil, log)
	if err != nil {
		return m, err
	}
	return program(memo.New()).TakeSnapshot(ctx, restart.Store{Journal: j, Snapshots: store}, func() int64 { return time.Now().UnixMilli() })
}

// SnapshotHeight returns the height of the head in a snapshot's states. It reads
// and checks all of them; ok is false for those of another behaviour.
func SnapshotHeight(j *journal.Journal, store *snapshot.Store, m snapshot.Manifest) (height uint64, ok bool, err error) {
	if restart.BehaviourOf(m) != Behaviour {
		return 0, false, nil
	}
	machine, err := program(memo.New()).Load(restart.Store{Journal: j, Snapshots: store}, m)
	if err != nil {
		return 0, false, err
	}
	return chainState(machine).Head.Number, true, nil
}
