package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// follow reads a subscription up to a sequence and fails unless every event
// from its position on comes once, in order, and links to the one before.
func follow(t *testing.T, j *Journal, s *Subscription, to uint64, pause func()) {
	next := s.Position()
	var before Hash
	known := next == 1
	if known {
		before = Origin(j.ID())
	}
	for next <= to {
		batch, err := s.Next(t.Context())
		if err != nil {
			t.Errorf("after event %d: %v", next-1, err)
			return
		}
		if len(batch) == 0 || len(batch) > subscriptionEvents {
			t.Errorf("a batch of %d events", len(batch))
			return
		}
		for i := range batch {
			x := &batch[i]
			if x.Sequence != next || known && Link(before, x.Envelope) != x.Hash {
				t.Errorf("event %d came for %d, or does not follow it", x.Sequence, next)
				return
			}
			if e, err := s.Event(x); err != nil || e.Sequence != next {
				t.Errorf("event %d: %v", next, err)
				return
			}
			if j.Durable().Sequence < next {
				t.Errorf("event %d came before it was durable", next)
			}
			next, before, known = next+1, x.Hash, true
		}
		if next != s.Position() {
			t.Errorf("position %d, want %d", s.Position(), next)
		}
		pause()
	}
}

// TestSubscribe has readers from everywhere, fast and slow, beside one that
// never reads, while events are appended.
func TestSubscribe(t *testing.T) {
	const last = 5000
	j := mustOpen(t, memOptions(vfs.NewMem()))
	defer j.Close()
	fill(t, j, 3, 700)
	never := j.Subscribe(1)
	var readers sync.WaitGroup
	for i, from := range []uint64{0, 1, 2, 300, 700, 701, 702, 2000, last} {
		s := j.Subscribe(from)
		r := rand.New(rand.NewPCG(1, uint64(i)))
		pause := func() {
			if i%2 == 0 && r.IntN(4) == 0 {
				time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			}
		}
		readers.Go(func() {
			follow(t, j, s, last, pause)
			s.Close()
		})
	}
	for s := uint64(701); s <= last; s += 50 {
		fill(t, j, 3, min(s+49, last))
	}
	readers.Wait()
	if never.Position() != 1 || len(j.waiters) != 0 {
		t.Fatalf("position %d, %d waiters left", never.Position(), len(j.waiters))
	}
	follow(t, j, never, last, func() {})
}

func TestSubscribeEnds(t *testing.T) {
	fs := vfs.NewMem()
	j := mustOpen(t, memOptions(fs))
	fill(t, j, 1, 10)
	s := j.Subscribe(5)
	follow(t, j, s, 10, func() {})
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	fill(t, j, 1, 12) // the call that was given up has lost nothing
	follow(t, j, s, 12, func() {})
	for _, end := range []func(s *Subscription){
		func(s *Subscription) { s.Close() },
		func(*Subscription) { _ = j.Close() },
	} {
		s := j.Subscribe(13)
		waiting := make(chan error, 1)
		go func() {
			_, err := s.Next(context.Background())
			waiting <- err
		}()
		time.Sleep(time.Millisecond) // either order is right
		end(s)
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := j.Subscribe(1).Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed journal: %v", err)
	}
	o := memOptions(fs)
	o.ReadOnly = true
	j = mustOpen(t, o)
	defer j.Close()
	s = j.Subscribe(0)
	follow(t, j, s, 12, func() {})
	if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// TestSubscribeLarge: what a subscription holds is bounded, whatever is stored.
func TestSubscribeLarge(t *testing.T) {
	j := mustOpen(t, memOptions(vfs.NewMem()))
	defer j.Close()
	big := bytes.Repeat([]byte("x"), InlineMax)
	for s := uint64(1); s <= 200; s++ {
		e := &Event{Sequence: s, Stored: true, Message: big}
		if s == 100 {
			e.Message = bytes.Repeat(big, 40)
		}
		if _, err := j.Append(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	s := j.Subscribe(1)
	defer s.Close()
	for s.Position() <= 200 {
		batch, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.bytes) > subscriptionBytes+2*InlineMax {
			t.Fatalf("%d events of %d bytes at once", len(batch), len(s.bytes))
		}
		for i := range batch {
			e, err := s.Event(&batch[i])
			if err != nil || e.Sequence != 100 && len(e.Message) != len(big) || e.Sequence == 100 && len(e.Message) != 40*len(big) {
				t.Fatal(batch[i].Sequence, err)
			}
		}
	}
}

func BenchmarkSubscribe(b *testing.B) {
	const n = 100_000
	j := filledJournal(b, n)
	defer j.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s := j.Subscribe(1)
		for s.Position() <= n {
			if _, err := s.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
}
