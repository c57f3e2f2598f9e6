package derived

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// longestPause is the longest time between two attempts to build a store again whose
// disk goes on failing.
const longestPause = time.Minute

// Run follows the journal until ctx ends or the journal is closed, which are no errors.
// A store that fails is built again; an error means that the journal cannot be read, or
// that the failed database cannot be given up.
func (s *Store) Run(ctx context.Context) error {
	pause := time.Second
	for {
		began := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, journal.ErrClosed) {
			return nil
		}
		if !errors.Is(err, errStore) {
			return err
		}
		if time.Since(began) > longestPause {
			pause = time.Second
		}
		s.opt.Logger.Warn(s.opt.Name+": removed, to be built again from the journal", "dir", s.opt.Dir, "error", err, "pause", pause)
		for err = s.replace(); err != nil; err = s.replace() {
			if errors.Is(err, ErrNotClosed) || !sleep(ctx, pause) {
				return err
			}
			pause = min(2*pause, longestPause)
		}
	}
}

// replace exchanges failed databases for empty ones. The one that still works answers
// on, or takes the place of the one that does not.
func (s *Store) replace() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil && s.next.Err() != nil {
		failed := s.next
		s.next = nil
		s.again.Store(true)
		return s.discard(failed)
	}
	failed := s.now
	s.now, s.next = s.next, nil
	if failed != nil {
		if err := failed.Close(); errors.Is(err, ErrNotClosed) {
			return err
		}
		if err := s.remove(failed.name); err != nil {
			return err
		}
	}
	if s.now == nil {
		b, err := s.create()
		if err != nil {
			return err
		}
		s.now = b
	}
	s.position.Store(s.now.position.Head.Sequence)
	s.rebuilt.Add(1)
	return nil
}

// follow folds what becomes durable into the store, and into the one built beside it.
func (s *Store) follow(ctx context.Context) error {
	var appended uint64 // journal's head when the last round began
	for {
		if err := s.wait(ctx); err != nil {
			return err
		}
		began := time.Now()
		if err := s.round(ctx); err != nil {
			return err
		}
		if s.opt.Progress != nil {
			s.opt.Progress(s.position.Load(), s.journal.Durable().Sequence)
		}
		// Half of the time is the journal's, while it is written.
		head := s.journal.Head().Sequence
		busy := head != appended && head != s.position.Load()
		appended = head
		if busy && !sleep(ctx, min(time.Since(began), 20*time.Millisecond)) || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// round folds one batch into each build.
func (s *Store) round(ctx context.Context) error {
	if s.again.CompareAndSwap(true, false) && s.next == nil {
		b, err := s.create()
		if err != nil {
			return unusable(err, "%s cannot be built again", s.opt.Name)
		}
		s.mu.Lock()
		s.next = b
		s.mu.Unlock()
	}
	if err := s.advance(ctx, s.now); err != nil {
		return err
	}
	s.position.Store(s.now.position.Head.Sequence)
	if s.next == nil {
		return nil
	}
	if err := s.advance(ctx, s.next); err != nil {
		return err
	}
	if s.next.level && s.next.position.Head.Sequence >= s.now.position.Head.Sequence {
		return s.swap()
	}
	return nil
}

// swap has the build beside take the place of the one that answers.
func (s *Store) swap() error {
	s.mu.Lock()
	old := s.now
	s.now, s.next = s.next, nil
	s.position.Store(s.now.position.Head.Sequence)
	s.mu.Unlock()
	s.rebuilt.Add(1)
	return s.discard(old)
}

// wait returns when there is something to do. While there is nothing, it flushes what
// is old enough.
func (s *Store) wait(ctx context.Context) error {
	for !s.due() {
		waiting, cancel := context.WithTimeout(ctx, s.opt.FlushEvery)
		done := make(chan error, 1)
		go func() { done <- s.journal.WaitDurable(waiting, s.now.position.Head.Sequence+1) }()
		var err error
		select {
		case err = <-done:
		case <-s.wake:
			cancel()
			<-done
		case <-s.now.Failed():
			cancel()
			<-done
		}
		cancel()
		if err != nil && (ctx.Err() != nil || !fault.Is(err, fault.Temporary)) {
			if ctx.Err() == nil && s.journal.Err() != nil {
				return journal.ErrClosed // its owner knows of the failure
			}
			return err
		}
		if err := s.flush(0); err != nil {
			return err
		}
		if s.now.position.Head.Sequence < s.journal.Durable().Sequence && !sleep(ctx, s.opt.Gather) {
			return ctx.Err()
		}
	}
	return s.flush(s.opt.FlushEvery)
}

func (s *Store) due() bool {
	return s.again.Load() || s.next != nil || !s.now.level || s.now.position.Head.Sequence < s.journal.Durable().Sequence
}

// flush writes what is in memory to tables when the last time is that long ago.
func (s *Store) flush(after time.Duration) error {
	for _, b := range []*build{s.now, s.next} {
		if b == nil {
			continue
		}
		if err := b.Err(); err != nil {
			return unusable(err, "%s %s", s.opt.Name, s.path(b.name))
		}
		if !b.dirty || time.Since(b.flushed) < after {
			continue
		}
		b.flushed, b.dirty = time.Now(), false
		if err := b.Flush(); err != nil {
			return unusable(err, "%s %s cannot be written", s.opt.Name, s.path(b.name))
		}
	}
	return nil
}

// advance folds one batch of events into a build.
func (s *Store) advance(ctx context.Context, b *build) error {
	durable := s.journal.Durable()
	if b.level && b.position.Head.Sequence >= durable.Sequence {
		return nil
	}
	batch := b.DB().NewIndexedBatch()
	w := &batchWriter{b: batch}
	last, err := s.fold(b, w)
	level := b.level || last.Sequence >= durable.Sequence
	position := Position{b.position.Journal, last}
	if err == nil {
		err = s.commit(b, batch, position, level && !b.level)
	}
	if closing := batch.Close(); err == nil && closing != nil {
		err = unusable(closing, "%s %s cannot be written", s.opt.Name, s.path(b.name))
	}
	if err != nil {
		return err
	}
	rose := level && !b.level
	b.position, b.dirty = position, true
	if !rose {
		return nil
	}
	s.mu.Lock()
	b.level = true
	s.mu.Unlock()
	if err := b.settle(ctx); err != nil {
		return unusable(err, "%s %s cannot be written", s.opt.Name, s.path(b.name))
	}
	return s.clear()
}

// fold has the model take the events of one batch. What the journal says of itself, and
// the model of the journal, stays as it is.
func (s *Store) fold(b *build, w *batchWriter) (last journal.Head, err error) {
	last = b.position.Head
	err = b.Do(func() error {
		folder := s.opt.Model.Begin(w, s.journal.Content)
		it := s.journal.Iterate(last.Sequence+1, false)
		for bytes := 0; bytes < s.opt.BatchBytes && it.Next(); {
			sequence, envelope, hash := it.Raw()
			e, err := it.Event()
			if err == nil {
				err = folder.Fold(e)
			}
			if err != nil {
				return errors.Join(err, it.Close())
			}
			bytes += len(envelope)
			last = journal.Head{Sequence: sequence, Hash: hash}
		}
		return errors.Join(it.Close(), folder.End())
	})
	if err != nil && (w.failed != nil || b.Err() != nil || errors.Is(err, errPanicked)) {
		err = unusable(err, "%s %s", s.opt.Name, s.path(b.name))
	}
	return last, err
}

func (s *Store) commit(b *build, batch *pebble.Batch, p Position, level bool) error {
	err := b.Do(func() error {
		if err := batch.Set(keyPosition, p.Encode(), nil); err != nil {
			return err
		}
		if level {
			if err := batch.Set(keyLevel, nil, nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.NoSync)
	})
	if err != nil {
		return unusable(err, "%s %s cannot be written", s.opt.Name, s.path(b.name))
	}
	return nil
}

// clear removes what other versions left, once this one is level.
func (s *Store) clear() error {
	all, err := s.opt.FS.List(s.opt.Dir)
	if err != nil {
		return fault.Wrap(fault.Temporary, errors.Join(errStore, err), s.opt.Name+" directory")
	}
	keep := []string{s.now.name}
	if s.next != nil {
		keep = append(keep, s.next.name)
	}
	for _, name := range others(all, keep...) {
		if err := s.remove(name); err != nil {
			return errors.Join(errStore, err)
		}
	}
	return nil
}

// sleep reports false when ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Step folds one batch of events, for a store that is not run. It reports whether there
// was anything to do.
func (s *Store) Step(ctx context.Context) (bool, error) {
	if s.now.level && s.now.position.Head.Sequence >= s.journal.Durable().Sequence {
		return false, nil
	}
	err := s.advance(ctx, s.now)
	s.position.Store(s.now.position.Head.Sequence)
	return true, err
}

// Advance folds everything that is durable now, for a store that is not run.
func (s *Store) Advance(ctx context.Context) error {
	for durable := s.journal.Durable().Sequence; ; {
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.Temporary, err, s.opt.Name)
		}
		if more, err := s.Step(ctx); err != nil || !more {
			return err
		}
		if s.opt.Progress != nil {
			s.opt.Progress(s.position.Load(), durable)
		}
	}
}
