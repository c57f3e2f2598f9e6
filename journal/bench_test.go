package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// benchEvent is a turn as the node writes most: a message of 256 bytes that
// makes one fact and one send. Payloads are half text-like, half hashes.
func benchEvent(e *Event, sequence uint64, r *rand.ChaCha8) {
	if e.Message == nil {
		*e = Event{
			Time: 1_700_000_000_000, Actor: "chain", Type: "alys.chain.ImportBlock", Schema: 1, Stored: true, Message: make([]byte, 256),
			Outputs: []Output{
				{Kind: KindFact, Type: "alys.chain.HeadChanged", Schema: 1, Payload: make([]byte, 72)},
				{Kind: KindSend, Target: "bridge", Type: "alys.bridge.Connect", Schema: 1, Payload: make([]byte, 40)},
			},
		}
	}
	e.Sequence, e.Time = sequence, e.Time+1
	_, _ = r.Read(e.Message[128:])
	_, _ = r.Read(e.Outputs[0].Payload[:32])
	_, _ = r.Read(e.Outputs[1].Payload[:32])
}

func benchDir(b *testing.B) Options {
	return Options{FS: vfs.Default, Dir: b.TempDir() + "/journal", Logger: quiet}
}

func BenchmarkAppendDurable(b *testing.B) {
	j := mustOpen(b, benchDir(b))
	defer j.Close()
	var e Event
	r := rand.NewChaCha8([32]byte{1})
	benchEvent(&e, 1, r)
	b.SetBytes(int64(len(e.AppendTo(nil)) + eventKeyLen + 32))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		benchEvent(&e, uint64(i+1), r)
		if _, err := j.Append(&e, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.WaitDurable(b.Context(), uint64(b.N)); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "turns/s")
	s := j.Stats()
	b.ReportMetric(float64(s.Events)/float64(s.Commits), "turns/group")
	b.ReportMetric(float64(s.Compacted)/float64(s.Bytes), "rewritten/byte")
}

// BenchmarkAppendContent brings a new content object of 8 KiB with every tenth
// event, as blocks do. Contents are keyed by hash, so compactions rewrite them.
func BenchmarkAppendContent(b *testing.B) {
	j := mustOpen(b, benchDir(b))
	defer j.Close()
	var e Event
	r := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 8<<10)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		benchEvent(&e, uint64(i+1), r)
		var contents []Content
		e.Contents = nil
		if i%10 == 0 {
			_, _ = r.Read(data)
			h := SumContent(data)
			e.Contents, contents = []Hash{h}, []Content{{h, data}}
		}
		if _, err := j.Append(&e, contents); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.WaitDurable(b.Context(), uint64(b.N)); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "turns/s")
	s := j.Stats()
	b.ReportMetric(float64(s.Compacted)/float64(s.Bytes), "rewritten/byte")
}

// BenchmarkRawPebble writes the same bytes in batches of the same size straight
// into Pebble with the same options: what the database alone can do.
func BenchmarkRawPebble(b *testing.B) {
	cache := pebble.NewCache(64 << 20)
	defer cache.Unref()
	db, err := openDatabase(b.TempDir(), databaseOptions(vfs.Default, cache, &databaseLog{log: quiet}))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var e Event
	r := rand.NewChaCha8([32]byte{1})
	var value []byte
	batch, next := db.NewBatch(), make(chan *pebble.Batch, 1)
	done := make(chan error, 1)
	free := make(chan *pebble.Batch, 2)
	free <- db.NewBatch()
	go func() {
		for g := range next {
			if err := g.Commit(pebble.Sync); err != nil {
				done <- err
				return
			}
			g.Reset()
			free <- g
		}
		done <- nil
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		benchEvent(&e, uint64(i+1), r)
		value = e.AppendTo(value[:0])
		value = append(value, make([]byte, 32)...)
		op := batch.SetDeferred(eventKeyLen, len(value))
		appendEventKey(op.Key[:0], uint64(i+1))
		copy(op.Value, value)
		if err := op.Finish(); err != nil {
			b.Fatal(err)
		}
		if batch.Len() >= 4<<20 {
			next <- batch
			batch = <-free
		}
	}
	next <- batch
	close(next)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "turns/s")
}

func filledJournal(b *testing.B, n uint64) *Journal {
	o := benchDir(b)
	j := mustOpen(b, o)
	var e Event
	r := rand.NewChaCha8([32]byte{1})
	for s := uint64(1); s <= n; s++ {
		benchEvent(&e, s, r)
		if _, err := j.Append(&e, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	o.ReadOnly = true
	return mustOpen(b, o)
}

func BenchmarkIterate(b *testing.B) {
	const n = 1_000_000
	j := filledJournal(b, n)
	defer j.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		it := j.Iterate(1, false)
		count := 0
		for it.Next() {
			e, err := it.Event()
			if err != nil || len(e.Outputs) != 2 {
				b.Fatal(err)
			}
			count++
		}
		if err := it.Close(); err != nil || count != n {
			b.Fatal(count, err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkVerify(b *testing.B) {
	const n = 1_000_000
	j := filledJournal(b, n)
	defer j.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if r, err := j.Verify(b.Context(), 0, 0, nil); err != nil || r.Events != n {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkOpen(b *testing.B) {
	const n = 1_000_000
	j := filledJournal(b, n)
	o := j.opt
	o.ReadOnly = false
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if err := mustOpen(b, o).Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenAfterCrash opens a journal whose log holds a full memtable.
func BenchmarkOpenAfterCrash(b *testing.B) {
	dir := b.TempDir()
	j := mustOpen(b, Options{Dir: dir + "/journal"})
	defer j.Close()
	var e Event
	r := rand.NewChaCha8([32]byte{1})
	for s := uint64(1); j.Stats().LogBytes < memTableSize*9/10; s++ {
		benchEvent(&e, s, r)
		if _, err := j.Append(&e, nil); err != nil {
			b.Fatal(err)
		}
		if s%500 == 0 {
			if err := j.WaitDurable(b.Context(), s); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		o := Options{Dir: fmt.Sprintf("%s/copy%d", dir, i)}
		if err := j.Checkpoint(o.Dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		c := mustOpen(b, o)
		b.StopTimer()
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkAppendTo(b *testing.B) {
	var e Event
	benchEvent(&e, 1<<40, rand.NewChaCha8([32]byte{}))
	buf := e.AppendTo(nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendTo(buf[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	var e, d Event
	benchEvent(&e, 1<<40, rand.NewChaCha8([32]byte{}))
	buf := e.AppendTo(nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeEventInto(&d, buf, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLink(b *testing.B) {
	var e Event
	benchEvent(&e, 1<<40, rand.NewChaCha8([32]byte{}))
	buf := append(make([]byte, 32), e.AppendTo(nil)...)
	var sink [32]byte
	for b.Loop() {
		sink = sha256.Sum256(buf)
	}
	_ = binary.BigEndian.Uint32(sink[:])
}
