package journal

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Iterator walks over the events that were durable when it was made. It is for
// one goroutine. A missing event ends it with a *[CorruptError]; the hash
// chain is not computed again, [Journal.Verify] does that.
type Iterator struct {
	j       *Journal
	it      *pebble.Iterator
	resolve Resolver
	hot     uint64 // events before it come from the archive
	reverse bool
	left    uint64 // events still to come
	next    uint64 // sequence expected
	started bool

	sequence uint64
	envelope []byte
	hash     Hash
	event    Event
	decoded  bool
	err      error
}

// Iterate returns an iterator that starts at sequence from and goes up to the
// last durable event, or down to event 1 if reverse is set. From 0, or one past
// the end when going down, means the first event in that direction. The
// iterator must be closed.
func (j *Journal) Iterate(from uint64, reverse bool) *Iterator {
	i := &Iterator{j: j, reverse: reverse}
	if i.err = j.enter(); i.err != nil {
		i.j = nil
		return i
	}
	i.resolve = j.content
	last := j.Durable().Sequence
	lower, upper := max(from, 1), last
	if reverse {
		lower = 1
		if from != 0 {
			upper = min(from, last)
		}
	}
	if lower > upper {
		return i
	}
	i.left = upper - lower + 1
	i.next = lower
	if reverse {
		i.next = upper
	}
	i.err = guarded(func() error {
		var err error
		i.it, err = j.db.NewIter(&pebble.IterOptions{
			LowerBound: appendEventKey(nil, lower),
			UpperBound: appendEventKey(nil, upper+1),
		})
		return err
	})
	// After the database's iterator, so that what is not in it is in the archive.
	i.hot = j.history.start().first
	return i
}

// Next moves to the next event and reports whether there is one. When it
// returns false, Err says whether the walk ended early.
func (i *Iterator) Next() bool {
	i.decoded = false
	if i.err != nil || i.left == 0 || i.it == nil {
		return false
	}
	if i.j.ended.Load() {
		i.err = ErrClosed
		return false
	}
	if i.next < i.hot {
		return i.archived()
	}
	if !i.move() {
		if err := i.it.Error(); err != nil {
			i.err = corruptEvent(i.next, err, "it cannot be read")
		} else {
			i.err = corruptEvent(i.next, nil, "it is missing")
		}
		return false
	}
	return i.take()
}

func (i *Iterator) move() bool {
	switch {
	case i.started && i.reverse:
		return i.it.Prev()
	case i.started:
		return i.it.Next()
	}
	i.started = true
	if i.reverse {
		return i.it.Last()
	}
	return i.it.SeekGE(appendEventKey(nil, i.next))
}

// archived reads the next event from the archive.
func (i *Iterator) archived() bool {
	value, found, err := i.j.history.value(i.next)
	if err == nil && !found {
		err = corruptEvent(i.next, nil, "it is missing")
	}
	if err != nil {
		i.err = err
		return false
	}
	return i.split(i.next, value)
}

// take reads the event the iterator stands on.
func (i *Iterator) take() bool {
	sequence, ok := eventSequence(i.it.Key())
	if !ok || sequence != i.next {
		i.err = corruptEvent(i.next, nil, "it is missing; the next one there is key %x", i.it.Key())
		return false
	}
	value, err := i.it.ValueAndErr()
	if err != nil {
		i.err = corruptEvent(sequence, err, "it cannot be read")
		return false
	}
	return i.split(sequence, value)
}

// split takes a stored event apart and moves on.
func (i *Iterator) split(sequence uint64, value []byte) (ok bool) {
	if i.envelope, i.hash, ok = splitEvent(value); !ok {
		i.err = corruptEvent(sequence, nil, "its value has %d bytes, fewer than a hash", len(value))
		return false
	}
	i.sequence = sequence
	i.left--
	if i.reverse {
		i.next--
	} else {
		i.next++
	}
	return true
}

// Raw returns the event Next moved to as it is stored. The envelope is valid
// until the next call of Next or Close.
func (i *Iterator) Raw() (sequence uint64, envelope []byte, hash Hash) {
	return i.sequence, i.envelope, i.hash
}

// Event decodes the event Next moved to. The result is valid until the next
// call of Next or Close; its strings may be kept.
func (i *Iterator) Event() (*Event, error) {
	if i.decoded {
		return &i.event, nil
	}
	if err := DecodeEventInto(&i.event, i.envelope, i.resolve); err != nil {
		return nil, undecodable(i.sequence, err)
	}
	if i.event.Sequence != i.sequence {
		return nil, corruptEvent(i.sequence, nil, "its envelope is that of event %d", i.event.Sequence)
	}
	i.decoded = true
	return &i.event, nil
}

// Err returns why Next returned false before the end; nil at the end.
func (i *Iterator) Err() error { return i.err }

// Close releases the iterator and returns Err. It may be called twice.
func (i *Iterator) Close() error {
	if i.it != nil {
		err := i.j.dblog.attempt(i.it.Close)
		if err != nil && !fault.Is(err, fault.Fatal) {
			err = corruptEvent(i.next, err, "it cannot be read")
		}
		if i.err == nil {
			i.err = err
		}
		i.it = nil
	}
	if i.j != nil {
		i.j.leave()
		i.j = nil
	}
	return i.err
}
