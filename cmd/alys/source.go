package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/snapshot"
)

// source is a journal to read: that of a stopped node, or a checkpoint of a
// running one. Nothing in the data directory is changed.
type source struct {
	journal   *journal.Journal
	snapshots *snapshot.Store
	dir       string // of the journal that is read
	live      bool   // read from a checkpoint
	temporary string // directory of the checkpoint, removed by Close
}

// openSource opens the journal of a data directory for reading. A node that
// runs on it is asked for a checkpoint, which is made beside the data directory
// so that files can be hard links.
func openSource(ctx context.Context, set *settings) (*source, error) {
	dataDir, log := set.dataDir, set.log
	s := &source{}
	var err error
	s.snapshots, err = snapshot.Open(snapshot.Options{Dir: node.SnapshotDir(dataDir), ReadOnly: true, Logger: log})
	if err != nil {
		return nil, err
	}
	s.dir = node.JournalDir(dataDir)
	s.journal, err = openReadOnly(s.dir, set)
	switch {
	case errors.Is(err, journal.ErrLocked):
		err = s.checkpoint(ctx, set, err)
	case errors.Is(err, journal.ErrAbsent):
		err = fault.New(fault.Invalid, "data directory %s holds no journal: name another with --data-dir, or start a node on it: %w", dataDir, journal.ErrAbsent)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func openReadOnly(dir string, s *settings) (*journal.Journal, error) {
	return journal.Open(journal.Options{Dir: dir, Archive: s.archive, ReadOnly: true, CacheBytes: 32 << 20, Logger: s.log})
}

func (s *source) checkpoint(ctx context.Context, set *settings, locked error) error {
	dataDir := set.dataDir
	client, err := admin.Dial(dataDir)
	if errors.Is(err, admin.ErrNotRunning) {
		return fault.New(fault.Temporary, "a process holds the journal of %s but no node answers there: it is starting or stopping, or another command reads it; try again: %w", dataDir, locked)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	absolute, err := filepath.Abs(dataDir)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "data directory")
	}
	if s.temporary, err = os.MkdirTemp(filepath.Dir(absolute), ".alys-checkpoint-*"); err != nil {
		return fault.Wrap(fault.Temporary, err, "directory for a checkpoint of the running node's journal")
	}
	s.dir = filepath.Join(s.temporary, "journal")
	if err := client.Checkpoint(ctx, s.dir, nil); err != nil {
		return err
	}
	s.live = true
	s.journal, err = openReadOnly(s.dir, set)
	return err
}

// openIndex opens the index of the journal for reading. One that cannot be used
// is no error.
func (s *source) openIndex(machine *actors.Machine, log *slog.Logger) (*index.Index, error) {
	return index.Open(s.journal, index.Options{
		Dir: node.IndexDir(s.dir), ReadOnly: true, Extract: node.Terms(machine, memo.New()), Logger: log,
	})
}

// Close closes the journal and removes the checkpoint.
func (s *source) Close() error {
	var errs []error
	if s.journal != nil {
		errs = append(errs, s.journal.Close())
	}
	if s.temporary != "" {
		errs = append(errs, fault.Wrap(fault.Temporary, os.RemoveAll(s.temporary), "removing the checkpoint"))
	}
	return errors.Join(errs...)
}
