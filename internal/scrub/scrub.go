// Package scrub re-reads what a running node has stored, so that a disk that
// loses bits is noticed while there are still copies to mend it from.
//
//	s := scrub.New(scrub.Options{Journal: j.Checkpoint, Scratch: dir, Snapshots: snapshots, BytesPerSecond: 1 << 20})
//	go s.Run(ctx)
//	s.Status()
//
// A pass makes a checkpoint of the journal (hard links), reads and hashes every
// event and content of it, those in the archive too, and then every byte of every
// snapshot. It reads the files and not the node's caches: its own cache is small,
// and the kernel is told to drop its pages of a file when the file is opened.
// Reading waits, so that it takes no more than BytesPerSecond from the disk.
//
// A finding is a loud line in the log that names the place. The scrubber never
// stops the node and never changes a byte.
package scrub

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
	"github.com/AnduroProject/alys-go/snapshot"
)

// Options configures a Scrubber; all but Pause and Logger are needed.
type Options struct {
	// Journal makes a checkpoint of the running journal in a new directory.
	Journal func(dir string) error
	// Scratch is the directory for that, on the file system of the journal. It
	// is emptied at every pass.
	Scratch string
	// Snapshots is the directory of the snapshots.
	Snapshots string
	// Archive has the archived events; nil means the directory in the checkpoint.
	Archive archive.Storage
	// BytesPerSecond bounds what is read.
	BytesPerSecond int64
	// Pause is the time between two passes; 0 means an hour.
	Pause  time.Duration
	Logger *slog.Logger
}

// Status is what the scrubber has done in this run of the node.
type Status struct {
	Passes      uint64 `json:"passes"`       // whole ones
	Bytes       uint64 `json:"bytes"`        // read
	Findings    uint64 `json:"findings"`     // damaged places met; a place is met again in each pass
	Covered     uint64 `json:"covered"`      // events and snapshots read in this pass, or the last one
	Total       uint64 `json:"total"`        // of so many
	LastPassMs  int64  `json:"last_pass"`    // Unix milliseconds of the end of the last whole pass; 0 for none
	LastFinding string `json:"last_finding"` // empty for none
}

// Scrubber is a background reader. Make it with [New].
type Scrubber struct {
	opt Options
	fs  *pacedFS

	mu     sync.Mutex
	status Status
}

// New returns a scrubber that has read nothing.
func New(o Options) *Scrubber {
	if o.Pause == 0 {
		o.Pause = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Scrubber{opt: o}
	s.fs = newPacedFS(o.BytesPerSecond, func(n int) {
		s.mu.Lock()
		s.status.Bytes += uint64(n)
		s.mu.Unlock()
	})
	return s
}

// Status returns what was done so far.
func (s *Scrubber) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run makes passes until ctx ends.
func (s *Scrubber) Run(ctx context.Context) error {
	for {
		if err := s.Pass(ctx); err != nil && ctx.Err() == nil {
			s.opt.Logger.Warn("scrub: the pass ended early", "error", err)
		}
		select {
		case <-ctx.Done():
			return os.RemoveAll(s.opt.Scratch)
		case <-time.After(s.opt.Pause):
		}
	}
}

// Pass reads everything once. Damage is no error of it but a finding; an error
// says that not everything was read.
func (s *Scrubber) Pass(ctx context.Context) (err error) {
	s.fs.begin(ctx)
	s.cover(0, 0)
	if err := os.RemoveAll(s.opt.Scratch); err != nil {
		return fault.Wrap(fault.Temporary, err, "scrub: emptying "+s.opt.Scratch)
	}
	dir := filepath.Join(s.opt.Scratch, "journal")
	if err := os.MkdirAll(s.opt.Scratch, 0o700); err != nil {
		return fault.Wrap(fault.Temporary, err, "scrub: directory for a checkpoint")
	}
	if err := s.opt.Journal(dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.opt.Scratch)) }()
	if err := s.journal(ctx, dir); err != nil {
		return err
	}
	if err := s.snapshots(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Passes++
	s.status.LastPassMs = time.Now().UnixMilli()
	return nil
}

func (s *Scrubber) cover(done, total uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Covered, s.status.Total = done, total
}

// judged counts damage as a finding and returns any other error.
func (s *Scrubber) judged(what string, err error) error {
	if !fault.Is(err, fault.Corrupt) {
		return err
	}
	s.mu.Lock()
	s.status.Findings++
	s.status.LastFinding = err.Error()
	s.mu.Unlock()
	var damage *journal.CorruptError
	sequence := uint64(0)
	if errors.As(err, &damage) {
		sequence = damage.Sequence
	}
	s.opt.Logger.Error("scrub: stored bytes are damaged; the node goes on, make a backup now and verify it", "what", what, "seq", sequence, "error", err)
	return nil
}

// journal verifies the checkpoint. Verifying ends with the first damage, so it
// goes on behind it, until the end.
func (s *Scrubber) journal(ctx context.Context, dir string) error {
	where := journal.Options{FS: s.fs, Dir: dir, ReadOnly: true, CacheBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)}
	if s.opt.Archive != nil {
		where.Archive = pacedStorage{s.opt.Archive, s.fs}
	}
	j, err := journal.Open(where)
	if err != nil {
		return s.judged("journal", err)
	}
	defer func() { _ = j.Close() }() // nothing was written
	last := j.Durable().Sequence
	for from := uint64(1); from <= last; {
		report, err := j.Verify(ctx, from, last, func(done, _ uint64, _ int64) { s.cover(from-1+done, last) })
		if err == nil {
			break
		}
		if err := s.judged("journal", err); err != nil {
			return err
		}
		from = max(report.Head.Sequence+2, from+1)
		var damage *journal.CorruptError
		if errors.As(err, &damage) {
			from = max(from, damage.Sequence+2) // the next one is chained to the damaged one
		}
	}
	s.cover(last, last)
	return nil
}

func (s *Scrubber) snapshots(ctx context.Context) error {
	store, err := snapshot.Open(snapshot.Options{FS: s.fs, Dir: s.opt.Snapshots, ReadOnly: true, Logger: s.opt.Logger})
	if err != nil {
		return err
	}
	all, err := store.List()
	if err != nil {
		return err
	}
	events := s.Status().Total
	for i, m := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.cover(events+uint64(i), events+uint64(len(all)))
		err := store.Verify(m)
		if err != nil && !s.stands(m) {
			continue // the node has removed it meanwhile
		}
		if err := s.judged("snapshot "+m.File, err); err != nil {
			return err
		}
	}
	s.cover(events+uint64(len(all)), events+uint64(len(all)))
	return nil
}

func (s *Scrubber) stands(m snapshot.Manifest) bool {
	_, err := os.Stat(filepath.Join(s.opt.Snapshots, m.File))
	return err == nil
}
