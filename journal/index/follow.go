package index

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
	"github.com/AnduroProject/alys-go/journal/tree"
)

// Bounds of one batch; a single event may exceed the last two.
const (
	batchBytes = 8 << 20 // of envelopes
	batchTerms = 1 << 16 // postings
)

// longestPause is the longest time between two attempts to build an index
// again whose disk goes on failing.
const longestPause = time.Minute

// Run follows the journal until ctx ends or the journal is closed, which are
// no errors. An index that fails is built again; an error means that the
// journal cannot be read, or that the failed database cannot be given up.
func (x *Index) Run(ctx context.Context) error {
	pause := time.Second
	for {
		began := time.Now()
		err := x.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, journal.ErrClosed) {
			return nil
		}
		if !errors.Is(err, errIndex) {
			return err
		}
		if time.Since(began) > longestPause {
			pause = time.Second
		}
		x.opt.Logger.Warn("index: removed, to be built again from the journal", "dir", x.opt.Dir, "error", err, "pause", pause)
		for err = x.rebuild(); err != nil; err = x.rebuild() {
			if errors.Is(err, derived.ErrNotClosed) || !sleep(ctx, pause) {
				return err
			}
			pause = min(2*pause, longestPause)
		}
	}
}

// rebuild exchanges the database for an empty one.
func (x *Index) rebuild() error {
	x.mu.Lock()
	d := x.db
	x.db = nil
	x.generation++
	x.position.Store(&journal.Head{Hash: journal.Origin(x.journal.ID())})
	x.mu.Unlock()
	if d != nil {
		if err := d.Close(); errors.Is(err, derived.ErrNotClosed) {
			return err
		}
	}
	if err := remove(x.opt); err != nil {
		return err
	}
	x.rebuilt.Add(1)
	return x.create()
}

// follower is one run over the journal from the index's position on.
type follower struct {
	x        *Index
	tree     *tree.Builder
	terms    map[string]*[]byte // of the batch: key of a posting -> offsets
	keys     [][]byte           // nodes of the batch: key, hash
	postings int
	key      []byte
	last     journal.Head
	flushed  time.Time
	appended uint64 // journal's head when the last batch began
}

func (x *Index) follow(ctx context.Context) error {
	position := x.Position()
	builder, err := x.Source().Builder(position.Sequence)
	if err != nil {
		return err
	}
	f := &follower{x: x, tree: builder, terms: make(map[string]*[]byte), last: position, flushed: time.Now()}
	for {
		if err := x.wait(ctx, f); err != nil {
			return err
		}
		began := time.Now()
		if err := f.take(); err != nil {
			return err
		}
		if err := f.commit(); err != nil {
			return err
		}
		if x.opt.Progress != nil {
			x.opt.Progress(f.last.Sequence, x.journal.Durable().Sequence)
		}
		if !f.yield(ctx, time.Since(began)) {
			return ctx.Err()
		}
	}
}

// wait returns when there is something to index. While there is nothing, it
// flushes what is old enough.
func (x *Index) wait(ctx context.Context, f *follower) error {
	if f.last.Sequence < x.journal.Durable().Sequence {
		return f.flush(x.opt.FlushEvery)
	}
	for {
		waiting, cancel := context.WithTimeout(ctx, x.opt.FlushEvery)
		err := x.journal.WaitDurable(waiting, f.last.Sequence+1)
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil || !fault.Is(err, fault.Temporary) {
			if ctx.Err() == nil && x.journal.Err() != nil {
				return journal.ErrClosed // its owner knows of the failure
			}
			return err
		}
		if err := f.flush(0); err != nil {
			return err
		}
	}
	if !sleep(ctx, x.opt.Gather) {
		return ctx.Err()
	}
	return f.flush(x.opt.FlushEvery)
}

// flush writes what is in memory to tables when the last time is that long ago.
func (f *follower) flush(after time.Duration) error {
	d := f.x.db // exchanged by this goroutine only
	if err := d.Err(); err != nil {
		return unusable(err, "index %s", f.x.opt.Dir)
	}
	if !f.x.dirty || time.Since(f.flushed) < after {
		return nil
	}
	f.flushed, f.x.dirty = time.Now(), false
	if err := d.Flush(); err != nil {
		return unusable(err, "index %s cannot be written", f.x.opt.Dir)
	}
	return nil
}

// yield gives way to a journal that is being written: half of the time is its.
func (f *follower) yield(ctx context.Context, worked time.Duration) bool {
	head := f.x.journal.Head().Sequence
	busy := head != f.appended
	f.appended = head
	if !busy || head == f.last.Sequence {
		return ctx.Err() == nil
	}
	return sleep(ctx, min(worked, 20*time.Millisecond))
}

// take reads the events of one batch, which ends where a block of postings does.
func (f *follower) take() error {
	it := f.x.journal.Iterate(f.last.Sequence+1, false)
	bytes := 0
	for bytes < batchBytes && f.postings < batchTerms && it.Next() {
		sequence, envelope, hash := it.Raw()
		e, err := it.Event()
		if err == nil {
			err = f.add(e, envelope)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
		bytes += len(envelope)
		f.last = journal.Head{Sequence: sequence, Hash: hash}
		if (sequence+1)%blockEvents == 0 {
			break
		}
	}
	return it.Close()
}

func (f *follower) add(e *journal.Event, envelope []byte) error {
	f.tree.Append(tree.Leaf(envelope), func(level uint, index uint64, h tree.Hash) {
		if level >= tree.StoredLevel {
			f.keys = append(f.keys, appendNode(nil, level, index), append([]byte(nil), h[:]...))
		}
	})
	var offset [2]byte
	binary.BigEndian.PutUint16(offset[:], uint16(e.Sequence%blockEvents))
	block := e.Sequence / blockEvents
	return f.x.opt.Extract.each(e, f.x.journal.Content, true, func(k Kind, value []byte) {
		f.key = appendBlock(appendTerm(f.key[:0], k, value), block)
		list := f.terms[string(f.key)] // by pointer: storing would copy the key each time
		if list == nil {
			list = new([]byte)
			f.terms[string(f.key)] = list
		}
		if n := len(*list); n >= 2 && (*list)[n-2] == offset[0] && (*list)[n-1] == offset[1] {
			return // the event has this term twice
		}
		*list = append(*list, offset[:]...)
		f.postings++
	})
}

// commit writes the batch with its position. Postings are merged, which for
// Pebble means appended: they ascend, since batches do.
func (f *follower) commit() error {
	x := f.x
	if f.last.Sequence == x.Position().Sequence {
		return nil
	}
	err := x.db.Do(func() error {
		b := x.db.DB().NewBatch()
		for key, offsets := range f.terms {
			if err := b.Merge([]byte(key), *offsets, nil); err != nil {
				return err
			}
		}
		for i := 0; i < len(f.keys); i += 2 {
			if err := b.Set(f.keys[i], f.keys[i+1], nil); err != nil {
				return err
			}
		}
		if err := b.Set(metaPosition, derived.Position{Journal: x.journal.ID(), Head: f.last}.Encode(), nil); err != nil {
			return err
		}
		return b.Commit(pebble.NoSync)
	})
	if err != nil {
		return unusable(err, "index %s cannot be written", x.opt.Dir)
	}
	clear(f.terms)
	f.keys, f.postings = f.keys[:0], 0
	last := f.last
	x.position.Store(&last)
	x.dirty = true
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
