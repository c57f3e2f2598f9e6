package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/journal"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

const (
	kindHeight = KindOwn
	kindBlock  = KindOwn + 1
)

// heights is the extraction of the tests: the payload of a fact "head" is a
// height, and a hash that belongs to it.
var heights = Extract{Version: 7, Terms: func(e *journal.Event, _ func(journal.Hash) ([]byte, error), yield func(Kind, []byte)) error {
	for i := range e.Outputs {
		if o := &e.Outputs[i]; o.Type == "head" {
			yield(kindHeight, o.Payload[:8])
			yield(kindBlock, o.Payload[8:])
		}
	}
	return nil
}}

func head(height uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, height)
	sum := journal.SumContent(b)
	return append(b, sum[:]...)
}

// testEvent makes the event of a sequence, always the same one.
func testEvent(sequence uint64) *journal.Event {
	r := rand.New(rand.NewPCG(sequence, 1))
	e := &journal.Event{
		Sequence: sequence, Time: 1_700_000_000_000 + int64(sequence/3)*10, Schema: 1, Stored: true, Message: []byte{byte(sequence)},
		Actor: []string{"chain", "engine", "miner", "rare"}[min(r.IntN(40)/12, 3)], Type: fmt.Sprintf("type_%d", r.IntN(5)),
	}
	for range r.IntN(4) {
		switch r.IntN(4) {
		case 0:
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindSend, Target: "engine", Type: fmt.Sprintf("type_%d", r.IntN(5))})
		case 1:
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindEffect, Target: "disk", Type: "write"})
		case 2:
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: fmt.Sprintf("type_%d", r.IntN(7))})
		default:
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: "head", Payload: head(sequence / 20)})
		}
	}
	return e
}

func openJournal(t testing.TB, fs vfs.FS) *journal.Journal {
	t.Helper()
	j, err := journal.Open(journal.Options{FS: fs, Dir: "journal", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func fill(t testing.TB, j *journal.Journal, to uint64) {
	t.Helper()
	for s := j.Head().Sequence + 1; s <= to; s++ {
		if _, err := j.Append(testEvent(s), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), to); err != nil {
		t.Fatal(err)
	}
}

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "journal/index", Extract: heights, Logger: quiet, Gather: -1}
}

func openIndex(t testing.TB, j *journal.Journal, o Options) *Index {
	t.Helper()
	x, err := Open(j, o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// advance indexes batches until the position is at least to.
func advance(t testing.TB, x *Index, to uint64) {
	t.Helper()
	must(t, step(x, to))
}

func step(x *Index, to uint64) error {
	b, err := x.Source().Builder(x.Position().Sequence)
	if err != nil {
		return err
	}
	f := &follower{x: x, tree: b, terms: make(map[string]*[]byte), last: x.Position(), flushed: time.Now()}
	for f.last.Sequence < to {
		if err := errors.Join(f.take(), f.commit()); err != nil {
			return err
		}
	}
	return nil
}

// has is the model of a term: it knows nothing of postings or extraction.
func has(e *journal.Event, t Term) bool {
	fact := func(match func(o journal.Output) bool) bool {
		return slices.ContainsFunc(e.Outputs, func(o journal.Output) bool { return o.Kind == journal.KindFact && match(o) })
	}
	switch t.Kind {
	case KindActor:
		return e.Actor == t.Value
	case KindMessage:
		return e.Type == t.Value
	case KindFact:
		return fact(func(o journal.Output) bool { return o.Type == t.Value })
	case KindRequest:
		return slices.ContainsFunc(e.Outputs, func(o journal.Output) bool { return o.Kind != journal.KindFact && o.Type == t.Value })
	case kindHeight:
		return fact(func(o journal.Output) bool { return o.Type == "head" && string(o.Payload[:8]) == t.Value })
	default:
		return fact(func(o journal.Output) bool { return o.Type == "head" && string(o.Payload[8:]) == t.Value })
	}
}

// expect filters all events by looking at each.
func expect(q Query, last uint64) []uint64 {
	var out []uint64
	for s := max(q.From, 1); s <= last && (q.To == 0 || s <= q.To); s++ {
		e := testEvent(s)
		if q.Since != 0 && e.Time < q.Since || q.Until != 0 && e.Time > q.Until {
			continue
		}
		met := true
		for _, any := range q.All {
			met = met && slices.ContainsFunc(any, func(t Term) bool { return has(e, t) })
		}
		if met {
			out = append(out, s)
		}
	}
	if q.Reverse {
		slices.Reverse(out)
	}
	return out
}

func ctx() context.Context { return context.Background() }

func must(t interface {
	Helper()
	Fatal(...any)
}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
