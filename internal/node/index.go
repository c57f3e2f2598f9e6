package node

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/journal/index"
)

// IndexDir returns where the index of a journal directory is.
func IndexDir(journalDir string) string { return filepath.Join(journalDir, index.Dir) }

// longBuild is how many events an index lacks when its progress is shown.
const longBuild = 100_000

// openIndex opens the index of the journal. The node works without one: what
// keeps it from being used is a warning, and journal commands read more.
func (n *Node) openIndex() {
	var job *progress.Job
	x, err := index.Open(n.journal, index.Options{
		Dir: IndexDir(JournalDir(n.opt.DataDir)), Extract: Terms(n.recovered.Machine, n.memo), Logger: n.log,
		Progress: func(position, durable uint64) {
			switch {
			case job == nil && durable-position > longBuild:
				job = progress.Start("index", progress.Options{Logger: n.log, Unit: "events", From: position})
			case job != nil && position == durable:
				job.Stop()
				job = nil
			}
			if job != nil {
				job.Set(progress.Update{Done: position, Total: durable})
			}
		},
	})
	if err != nil {
		n.log.Warn("the journal is not indexed in this run", "error", err)
		return
	}
	n.index = x
}

// indexLag returns how many durable events are not indexed yet.
func (n *Node) indexLag() uint64 {
	if n.index == nil {
		return n.journal.Durable().Sequence
	}
	position := n.index.Position().Sequence // before the head, which only grows
	return n.journal.Durable().Sequence - position
}

// copyJournal makes a checkpoint of the journal, with its index when there is
// one. The index is copied first: it may be behind the journal, never ahead.
func (n *Node) copyJournal(dir string) error {
	beside := dir + ".index"
	if n.index != nil {
		if err := n.index.Checkpoint(beside); err != nil {
			n.log.Warn("the copy of the journal has no index", "dir", dir, "error", err)
		}
	}
	err := n.journal.Checkpoint(dir)
	if err == nil {
		if err := os.Rename(beside, IndexDir(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			n.log.Warn("the copy of the journal has no index", "dir", dir, "error", err)
		}
	}
	return errors.Join(err, os.RemoveAll(beside))
}
