package journal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// commitPayload is the message of an event in these benchmarks.
const commitPayload = 256

// BenchmarkCommit has writers that each append a batch and wait until it is
// durable, beside Pebble alone doing the same with the same bytes: its own
// batches, its own group commit, the same options and disk.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64, 256} {
		for _, batch := range []int{1, 10, 100, 1000} {
			name := fmt.Sprintf("writers=%d/batch=%d/", writers, batch)
			b.Run(name+"journal", func(b *testing.B) { benchCommit(b, writers, batch, journalWriter(b, benchDir(b))) })
			b.Run(name+"pebble", func(b *testing.B) { benchCommit(b, writers, batch, pebbleWriter(b, vfs.Default, b.TempDir())) })
		}
	}
}

// BenchmarkCommitSlowSync is the same in memory with syncs of 2 ms: it shows how
// many syncs a batch waits for, on a machine whose disk is not quiet.
func BenchmarkCommitSlowSync(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		for _, batch := range []int{1, 10, 100} {
			name := fmt.Sprintf("writers=%d/batch=%d/", writers, batch)
			b.Run(name+"journal", func(b *testing.B) {
				benchCommit(b, writers, batch, journalWriter(b, Options{FS: slowFS{vfs.NewMem()}, Dir: "j", Logger: quiet}))
			})
			b.Run(name+"pebble", func(b *testing.B) {
				benchCommit(b, writers, batch, pebbleWriter(b, slowFS{vfs.NewMem()}, "p"))
			})
		}
	}
}

const slowSync = 2 * time.Millisecond

// slowFS is a file system whose syncs of files take slowSync.
type slowFS struct{ vfs.FS }

type slowFile struct{ vfs.File }

func (f slowFile) Sync() error     { time.Sleep(slowSync); return f.File.Sync() }
func (f slowFile) SyncData() error { time.Sleep(slowSync); return f.File.SyncData() }

func (s slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, c)
	return slowFile{f}, err
}

func (s slowFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.ReuseForWrite(oldname, newname, c)
	return slowFile{f}, err
}

func (s slowFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.OpenReadWrite(name, c, o...)
	return slowFile{f}, err
}

// benchCommit makes b.N commits of a batch and reports their latencies.
func benchCommit(b *testing.B, writers, batch int, write func(batch int) error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, writers)
	var running sync.WaitGroup
	b.SetBytes(int64(batch * commitPayload))
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				start := time.Now()
				if err := write(batch); err != nil {
					b.Error(err)
					return
				}
				took[w] = append(took[w], time.Since(start))
			}
		})
	}
	running.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Microseconds()) }
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(at(0.50), "p50-µs")
	b.ReportMetric(at(0.99), "p99-µs")
}

func commitEvent(r *rand.ChaCha8) *Event {
	e := &Event{Time: 1_700_000_000_000, Actor: "chain", Type: "alys.chain.ImportBlock", Schema: 1, Stored: true, Message: make([]byte, commitPayload)}
	_, _ = r.Read(e.Message)
	return e
}

func journalWriter(b *testing.B, o Options) func(int) error {
	j := mustOpen(b, o)
	b.Cleanup(func() { _ = j.Close() })
	e := commitEvent(rand.NewChaCha8([32]byte{1}))
	var appending sync.Mutex
	var events []Event
	return func(batch int) error {
		appending.Lock()
		events = events[:0]
		for range batch {
			e.Sequence = j.tip.Sequence + 1 + uint64(len(events))
			events = append(events, *e)
		}
		head, err := j.AppendBatch(events)
		appending.Unlock()
		if err != nil {
			return err
		}
		return j.WaitDurable(b.Context(), head.Sequence)
	}
}

func pebbleWriter(b *testing.B, fs vfs.FS, dir string) func(int) error {
	cache := pebble.NewCache(64 << 20)
	db, err := openDatabase(dir, databaseOptions(fs, cache, &databaseLog{log: quiet}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close(); cache.Unref() })
	var sequence atomic.Uint64
	e := commitEvent(rand.NewChaCha8([32]byte{1}))
	e.Sequence = 1
	value := append(e.AppendTo(nil), make([]byte, len(Hash{}))...)
	return func(batch int) error {
		group := db.NewBatch()
		defer group.Close()
		for range batch {
			if err := group.Set(appendEventKey(nil, sequence.Add(1)), value, nil); err != nil {
				return err
			}
		}
		return group.Commit(pebble.Sync)
	}
}

// BenchmarkOverhead reports the bytes an event takes on disk beside its payload,
// once its table is written.
func BenchmarkOverhead(b *testing.B) {
	const n = 200_000
	for range b.N {
		o := benchDir(b)
		j := mustOpen(b, o)
		e := commitEvent(rand.NewChaCha8([32]byte{1}))
		noise := rand.NewChaCha8([32]byte{2})
		for s := uint64(1); s <= n; s++ {
			_, _ = noise.Read(e.Message)
			e.Sequence, e.Time = s, e.Time+3
			if _, err := j.Append(e, nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
		o.ReadOnly = true
		j = mustOpen(b, o)
		var tables uint64
		m := j.db.Metrics()
		for i := range m.Levels {
			tables += uint64(m.Levels[i].TablesSize)
		}
		b.ReportMetric(float64(tables)/n-commitPayload, "overhead-B/event")
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
