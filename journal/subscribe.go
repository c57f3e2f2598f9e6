package journal

import (
	"context"
	"io"
)

// What one call of [Subscription.Next] returns at most; one event may be larger.
const (
	subscriptionEvents = 256
	subscriptionBytes  = 1 << 20
)

// Subscription follows the journal from a sequence on: it catches up with what
// is there and then returns events as they become durable, each exactly once
// and in order, for as long as the journal is open.
//
// It is pulled. Between two calls of Next it holds nothing of the database and
// no event, so one that is never read costs the writer nothing, and one that is
// slow falls behind and catches up by reading what is stored. Next is for one
// goroutine, Close for any.
type Subscription struct {
	j      *Journal
	next   uint64
	events []Stored
	bytes  []byte
	closed context.Context
	cancel context.CancelFunc
}

// Stored is an event as it is stored.
type Stored struct {
	Sequence uint64
	Envelope []byte
	Hash     Hash
}

// Subscribe returns a subscription to the events from a sequence on; 0 means
// the first. It may lie in the future.
func (j *Journal) Subscribe(from uint64) *Subscription {
	s := &Subscription{j: j, next: max(from, 1)}
	s.closed, s.cancel = context.WithCancel(context.Background())
	return s
}

// Position returns the sequence of the event that Next returns first: where a
// later subscription goes on.
func (s *Subscription) Position() uint64 { return s.next }

// Next returns the events that follow, at least one, and waits for it if need
// be. They are valid until the next call.
//
// Errors: what [Journal.WaitDurable] returns when there is nothing to wait for
// any more, [ErrClosed] after Close, a *[CorruptError] when an event cannot be
// read; io.EOF at the end of a journal that is open for reading only. After an
// error the call can be repeated, and goes on where it was.
func (s *Subscription) Next(ctx context.Context) ([]Stored, error) {
	if s.closed.Err() != nil {
		return nil, ErrClosed
	}
	if s.j.Durable().Sequence < s.next {
		if s.j.opt.ReadOnly {
			return nil, io.EOF
		}
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	return s.read()
}

func (s *Subscription) wait(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closed, cancel)()
	err := s.j.WaitDurable(ctx, s.next)
	if err != nil && s.closed.Err() != nil {
		return ErrClosed
	}
	return err
}

// read copies a batch of durable events.
func (s *Subscription) read() ([]Stored, error) {
	s.events, s.bytes = s.events[:0], s.bytes[:0]
	if cap(s.bytes) > 2*subscriptionBytes {
		s.bytes = nil
	}
	it := s.j.Iterate(s.next, false)
	for len(s.events) < subscriptionEvents && len(s.bytes) < subscriptionBytes && it.Next() {
		sequence, envelope, hash := it.Raw()
		start := len(s.bytes)
		s.bytes = append(s.bytes, envelope...)
		s.events = append(s.events, Stored{sequence, s.bytes[start:len(s.bytes):len(s.bytes)], hash})
	}
	if err := it.Close(); err != nil && len(s.events) == 0 {
		return nil, err
	}
	s.next += uint64(len(s.events))
	return s.events, nil
}

// Event decodes a stored event, with what is kept outside its envelope.
func (s *Subscription) Event(x *Stored) (*Event, error) {
	e, err := DecodeEvent(x.Envelope, s.j.Content)
	if err != nil {
		return nil, undecodable(x.Sequence, err)
	}
	return e, nil
}

// Close ends the subscription and a Next that waits.
func (s *Subscription) Close() { s.cancel() }
