package node

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

// JournalDir returns where the journal of a data directory is.
func JournalDir(dataDir string) string { return filepath.Join(dataDir, "journal") }

// SnapshotDir returns where the snapshots of a data directory are.
func SnapshotDir(dataDir string) string { return filepath.Join(dataDir, "snapshots") }

// Work is the chain core's slow work, and what computes it ahead of a message: a
// memo, or the stand-ins of a simulation.
type Work interface {
	chain.Work
	Prepare(core.Message)
}

// program is this node as far as its journal is concerned.
func program(work Work) restart.Program {
	return restart.Program{
		Behaviour:  Behaviour,
		Machine:    func(id journal.ID) (*actors.Machine, error) { return NewMachine(id, work) },
		Migrations: cores.Migrations(),
		Prepare:    work.Prepare,
		Loaded: func(m *actors.Machine) {
			if config := chainState(m).Config; config != nil {
				work.Prepare(config) // its turn is before the snapshot
			}
		},
	}
}

// Restore returns a machine where re-execution can begin: see [restart.Program.Restore].
func Restore(j *journal.Journal, store *snapshot.Store, work Work, atMost uint64) (m *actors.Machine, after journal.Hash, err error) {
	return program(work).Restore(restart.Store{Journal: j, Snapshots: store}, atMost)
}

// recoverMachine brings a machine to the journal's head, and a journal of an
// older behaviour to this one.
func (n *Node) recoverMachine(ctx context.Context) (restart.Recovered, error) {
	p, s := program(n.memo), restart.Store{Journal: n.journal, Snapshots: n.snapshots}
	p.Progress = func(r replay.Report) {
		n.opt.Telemetry.Health.Stage("handling the turns since the last snapshot again", r.Sequence-r.From, r.To-r.From)
	}
	r, err := p.Recover(ctx, s)
	if err == nil {
		return r, nil
	}
	if r, err = p.Upgrade(s, err, n.opt.DataDir, n.now()); err == nil {
		n.log.Warn("journal upgraded: from here on programs of an older behaviour refuse it", "behaviour", Behaviour, "seq", r.Report.Mark)
	}
	return r, err
}

func openSnapshots(dataDir string, keep int, readOnly bool, fs vfs.FS, log *slog.Logger) (*snapshot.Store, error) {
	return snapshot.Open(snapshot.Options{FS: fs, Dir: SnapshotDir(dataDir), Keep: keep, ReadOnly: readOnly, Logger: log})
}
