package derived

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// View calls f with the store as it is after the last batch. An error of f that is not
// of reading stays as it is. It is Temporary while the store was never level, and says
// how far it is.
func (s *Store) View(f func(r Reader, at Position) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.now
	if b == nil {
		return fault.New(fault.Temporary, "the %s is being built again; ask again", s.opt.Name)
	}
	durable := s.journal.Durable().Sequence
	if !b.level && s.position.Load() < durable {
		return fault.New(fault.Temporary, "the %s is being built: it has come to event %d of %d; ask again", s.opt.Name, s.position.Load(), durable)
	}
	r := &snapshotReader{}
	err := Guarded(func() error {
		r.s = b.DB().NewSnapshot()
		raw, err := r.Get(keyPosition)
		at, ok := DecodePosition(raw)
		if err == nil && !ok {
			err = unusable(nil, "%s: its position is %x", s.opt.Name, raw)
		}
		if err != nil {
			return errors.Join(err, r.close())
		}
		return errors.Join(f(r, at), r.close())
	})
	if cause := errors.Join(r.failed, b.Err()); cause != nil || errors.Is(err, errStore) {
		err = unusable(errors.Join(err, cause), "%s %s", s.opt.Name, s.path(b.name))
		b.Fail(err)
	}
	return err
}

// Damaged makes an error of a value that no Fold wrote; the store is built again.
func Damaged(err error, what string) error { return unusable(err, "%s", what) }

// source is what a Pebble snapshot and a batch have in common.
type source interface {
	NewIter(*pebble.IterOptions) (*pebble.Iterator, error)
}

type snapshotReader struct {
	s      *pebble.Snapshot
	failed error

	// One iterator serves all scans but those within a scan: to make one costs more
	// than to move it.
	it   *pebble.Iterator
	busy bool
}

func (r *snapshotReader) close() error {
	if r.it != nil {
		return errors.Join(r.it.Close(), r.s.Close())
	}
	return r.s.Close()
}

// Get implements Reader.
func (r *snapshotReader) Get(key []byte) ([]byte, error) {
	value, closer, err := r.s.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		r.failed = errors.Join(r.failed, err)
		return nil, err
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

// Scan implements Reader.
func (r *snapshotReader) Scan(low, high []byte, reverse bool, yield func(key, value []byte) bool) error {
	err := r.scan(low, high, reverse, yield)
	r.failed = errors.Join(r.failed, err)
	return err
}

func (r *snapshotReader) scan(low, high []byte, reverse bool, yield func(key, value []byte) bool) error {
	if r.busy {
		return scan(r.s, low, high, reverse, yield)
	}
	if r.it == nil {
		var err error
		if r.it, err = r.s.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high}); err != nil {
			return err
		}
	} else {
		r.it.SetBounds(low, high)
	}
	r.busy = true
	defer func() { r.busy = false }()
	return walk(r.it, reverse, yield)
}

func scan(from source, low, high []byte, reverse bool, yield func(key, value []byte) bool) error {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	return errors.Join(walk(it, reverse, yield), it.Close())
}

// walk yields what is within the bounds of an iterator.
func walk(it *pebble.Iterator, reverse bool, yield func(key, value []byte) bool) error {
	var ok bool
	step := it.Next
	if reverse {
		ok, step = it.Last(), it.Prev
	} else {
		ok = it.First()
	}
	for ; ok; ok = step() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !yield(it.Key(), value) {
			return nil
		}
	}
	return it.Error()
}

// batchWriter is the Writer of one batch.
type batchWriter struct {
	b      *pebble.Batch
	failed error
}

func (w *batchWriter) note(err error) error {
	w.failed = errors.Join(w.failed, err)
	return err
}

// Get implements Reader.
func (w *batchWriter) Get(key []byte) ([]byte, error) {
	value, closer, err := w.b.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, w.note(err)
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

// Scan implements Reader.
func (w *batchWriter) Scan(low, high []byte, reverse bool, yield func(key, value []byte) bool) error {
	return w.note(scan(w.b, low, high, reverse, yield))
}

// Set implements Writer.
func (w *batchWriter) Set(key, value []byte) error { return w.note(w.b.Set(key, value, nil)) }

// Delete implements Writer.
func (w *batchWriter) Delete(key []byte) error { return w.note(w.b.Delete(key, nil)) }
