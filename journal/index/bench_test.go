package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/AnduroProject/alys-go/journal"
)

// benchEvent is a turn as the node writes most; one in ten has a block's
// height and hash.
func benchEvent(sequence uint64, r *rand.ChaCha8) *journal.Event {
	e := &journal.Event{
		Sequence: sequence, Time: 1_700_000_000_000 + int64(sequence), Actor: []string{"chain", "engine", "chain", "miner"}[sequence%4],
		Type: fmt.Sprintf("message_%d", sequence%7), Schema: 1, Stored: true, Message: make([]byte, 256),
		Outputs: []journal.Output{
			{Kind: journal.KindFact, Type: "head_changed", Schema: 1, Payload: make([]byte, 72)},
			{Kind: journal.KindSend, Target: "bridge", Type: "connect", Schema: 1, Payload: make([]byte, 40)},
		},
	}
	_, _ = r.Read(e.Message[128:])
	if sequence%10 == 0 {
		e.Outputs[0].Type, e.Outputs[0].Payload = "head", head(sequence/10)
	}
	return e
}

func benchJournal(b *testing.B, n uint64) *journal.Journal {
	b.Helper()
	j, err := journal.Open(journal.Options{Dir: b.TempDir() + "/journal", Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	r := rand.NewChaCha8([32]byte{1})
	for s := uint64(1); s <= n; s++ {
		if _, err := j.Append(benchEvent(s, r), nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.WaitDurable(b.Context(), n); err != nil {
		b.Fatal(err)
	}
	return j
}

// BenchmarkBuild indexes a journal from its beginning: postings, tree, flush.
func BenchmarkBuild(b *testing.B) {
	const n = 1_000_000
	j := benchJournal(b, n)
	b.ReportAllocs()
	b.ResetTimer()
	var size uint64
	for range b.N {
		o := testOptions(nil)
		o.Dir = b.TempDir() + "/index"
		x := openIndex(b, j, o)
		advance(b, x, n)
		if err := x.db.Flush(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := x.db.DB().Compact(b.Context(), []byte{0}, []byte{255}, false); err != nil {
			b.Fatal(err)
		}
		postings, nodes, err := x.Sizes()
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("postings by kind %v, nodes %d", postings, nodes)
		size = nodes
		for _, bytes := range postings {
			size += bytes
		}
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(size)/n, "bytes/event")
}

// BenchmarkFind asks for one event by a hash, and for the newest of a frequent
// and a rare term.
func BenchmarkFind(b *testing.B) {
	const n = 1_000_000
	j := benchJournal(b, n)
	o := testOptions(nil)
	o.Dir = b.TempDir() + "/index"
	x := openIndex(b, j, o)
	defer x.Close()
	advance(b, x, n)
	for name, q := range map[string]func(i int) Query{
		"hash":   func(i int) Query { return Query{All: []Any{{{kindBlock, string(head(uint64(i*7919) % 100_000)[8:])}}}} },
		"newest": func(int) Query { return Query{All: []Any{{Actor("chain")}, {Fact("head")}}, Reverse: true} },
		"time":   func(i int) Query { return Query{Since: 1_700_000_000_000 + int64(i*7919%n)} },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				r, err := x.Find(b.Context(), q(i+1))
				if err != nil || !r.Next() {
					b.Fatal(err, r.Err())
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
