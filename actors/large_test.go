package actors_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// set writes a few keys of the large map. Sent is when it was submitted.
type set struct {
	Sent int64 // nanoseconds
	Keys []uint64
}

func (*set) Type() string   { return "set" }
func (*set) Schema() uint32 { return 1 }
func (s *set) Fields(f *record.Fields) {
	f.Int64(1, &s.Sent)
	f.Uint64s(2, &s.Keys)
}

const largeID core.ID = "large"

// large is an actor with a map of many entries. It notes how long each message
// waited for its turn, which a real core could not.
type large struct {
	entries uint64
	waits   *[]time.Duration
	begun   time.Time
}

type largeState struct{ m *btree.Map[uint64, [32]byte] }

func (*large) ID() core.ID              { return largeID }
func (*large) Messages() []core.Message { return []core.Message{&set{}} }
func (l *large) NewState() core.State {
	s := &largeState{new(btree.Map[uint64, [32]byte])}
	for i := range l.entries {
		var v [32]byte
		binary.BigEndian.PutUint64(v[:], i*0x9e3779b97f4a7c15)
		s.m.Load(i, v)
	}
	return s
}

func (l *large) Handle(state core.State, m core.Message, t core.Turn, _ *core.Out) {
	s := state.(*largeState)
	for _, k := range m.(*set).Keys {
		var v [32]byte
		binary.BigEndian.PutUint64(v[:], t.Sequence)
		s.m.Set(k, v)
	}
	if sent := m.(*set).Sent; sent != 0 && len(*l.waits) < cap(*l.waits) {
		*l.waits = append(*l.waits, time.Since(l.begun)-time.Duration(sent))
	}
}

func (s *largeState) Clone() core.State { return &largeState{s.m.Copy()} }
func (s *largeState) Walk(yield func(key, value []byte) error) error {
	var err error
	var key [8]byte
	s.m.Scan(func(k uint64, v [32]byte) bool {
		binary.BigEndian.PutUint64(key[:], k)
		err = yield(key[:], v[:])
		return err == nil
	})
	return err
}

func (s *largeState) Load(key, value []byte, _ record.Resolver) error {
	s.m.Set(binary.BigEndian.Uint64(key), [32]byte(value))
	return nil
}

// largeEntries is how many entries the map has: few, unless the measurement of
// docs/performance.md is wanted (make bench-snapshot).
func largeEntries(t *testing.T) uint64 {
	s := os.Getenv("ALYS_LARGE_ENTRIES")
	if s == "" {
		return 5_000
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func quantiles(g []time.Duration) string {
	if len(g) == 0 {
		return "no turn"
	}
	g = slices.Sorted(slices.Values(g))
	at := func(p float64) time.Duration { return g[min(len(g)-1, int(p*float64(len(g))))] }
	over := len(g) - func() int { i, _ := slices.BinarySearch(g, 5*time.Millisecond); return i }()
	return fmt.Sprintf("%d turns, p50 %s, p99.9 %s, max %s, %d above 5ms", len(g), at(.5), at(.999), g[len(g)-1], over)
}

// Snapshots of an actor with a large map, taken while its turns go on: how long
// its turns stand still for it, what a snapshot costs, and what a second one
// costs after one entry in a thousand changed. Figures are printed; what fails
// is what does not depend on the machine: the second snapshot writes only what
// changed, and both hold the states that the map had.
func TestLargeState(t *testing.T) {
	entries := largeEntries(t)
	dir := t.TempDir()
	var r *actors.Runtime
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "journal"), Logger: silent, OnDurable: func(h journal.Head) {
		if r != nil {
			r.Durable(h)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	store, err := snapshot.Open(snapshot.Options{Dir: filepath.Join(dir, "snapshots"), Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	waits := make([]time.Duration, 0, 1<<22)
	actor := &large{entries: entries, waits: &waits, begun: time.Now()}
	m, err := actors.NewMachine(j.ID(), []core.Core{supervisor.New(), actor}, []core.Message{&message.StopProcess{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries made in %s, heap %d MiB", entries, time.Since(actor.begun).Round(time.Millisecond), heapMiB())
	r = actors.NewRuntime(actors.Options{
		Journal: j, Machine: m, Snapshots: store, Logger: silent,
		SnapshotTurns: 1 << 40, SnapshotBytes: 1 << 40, SnapshotEvery: 1 << 40, MaxTail: 1 << 40,
		Clock: func() int64 { return time.Now().UnixMilli() },
	})
	if err := r.Start(t.Context(), actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{}}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	window := func(name string, during func()) {
		waits = waits[:0]
		quit, done := make(chan struct{}), make(chan struct{})
		go func() { defer close(done); load(t, r, actor, quit) }()
		started := time.Now()
		during()
		took := time.Since(started)
		close(quit)
		<-done
		settle(t, r, j)
		t.Logf("%-28s %8s: %s", name, took.Round(time.Millisecond), quantiles(waits))
	}
	window("no snapshot", func() { time.Sleep(restFor(entries)) })
	var one snapshot.Manifest
	window("first snapshot", func() { one = mustSnapshot(t, r) })
	mustSnapshot(t, r) // of what the load above changed
	before := files(t, dir)
	if err := r.Submit(ctx, largeID, oneInAThousand(entries), actors.Normal, actors.Block); err != nil {
		t.Fatal(err)
	}
	settle(t, r, j)
	started := time.Now()
	two := mustSnapshot(t, r)
	took := time.Since(started)
	fresh, bytes := newFiles(t, dir, before)
	t.Logf("second, 1 in 1000 changed:   %8s: %d of %d chunks, %s written", took.Round(time.Millisecond), fresh, two.Chunks(), fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)))
	window("third, under load", func() { mustSnapshot(t, r) })
	if one.Entries() < entries || two.Entries() != one.Entries() {
		t.Errorf("%d and %d entries in the snapshots, the map has %d", one.Entries(), two.Entries(), entries)
	}
	if fresh == 0 || entries > 100_000 && fresh > two.Chunks()/50 {
		t.Errorf("the second snapshot wrote %d of %d chunks for one change in a thousand entries", fresh, two.Chunks())
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// load submits two messages every millisecond, each of one change.
func load(t *testing.T, r *actors.Runtime, actor *large, quit <-chan struct{}) {
	random := newRand(1)
	for {
		select {
		case <-quit:
			return
		default:
		}
		for range 2 {
			m := &set{Keys: make([]uint64, 1)}
			for i := range m.Keys {
				m.Keys[i] = random.Uint64N(actor.entries)
			}
			m.Sent = int64(time.Since(actor.begun))
			if err := r.Submit(t.Context(), largeID, m, actors.Normal, actors.Block); err != nil {
				t.Error(err)
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// oneInAThousand changes a block of neighbours of one thousandth of the entries.
func oneInAThousand(entries uint64) *set {
	m := &set{}
	for i := range entries / 1000 {
		m.Keys = append(m.Keys, entries/3+i)
	}
	return m
}

func settle(t *testing.T, r *actors.Runtime, j *journal.Journal) {
	for {
		before := r.Counts()
		if err := j.WaitDurable(t.Context(), before.Sequence); err != nil {
			t.Fatal(err)
		}
		if after := r.Counts(); after.Waiting == 0 && after.Sequence == before.Sequence {
			return
		}
	}
}

func restFor(entries uint64) time.Duration {
	if entries > 1_000_000 {
		return 10 * time.Second
	}
	return 50 * time.Millisecond
}

func mustSnapshot(t *testing.T, r *actors.Runtime) snapshot.Manifest {
	m, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func heapMiB() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc >> 20
}

// files are the sizes of the chunks in a directory of snapshots.
func files(t *testing.T, dir string) map[string]int64 {
	list, err := os.ReadDir(filepath.Join(dir, "snapshots", "chunks"))
	if err != nil {
		t.Fatal(err)
	}
	sizes := make(map[string]int64, len(list))
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sizes[e.Name()] = info.Size()
	}
	return sizes
}

func newFiles(t *testing.T, dir string, before map[string]int64) (count int, bytes int64) {
	for name, size := range files(t, dir) {
		if _, ok := before[name]; !ok {
			count++
			bytes += size
		}
	}
	return count, bytes
}

// What a snapshot does on the sequencer: freezing, and the first write to what
// is frozen. The rest is another goroutine's.
func BenchmarkFreezeLarge(b *testing.B) {
	waits := []time.Duration{}
	actor := &large{entries: 1_000_000, waits: &waits, begun: time.Now()}
	m, err := actors.NewMachine(journal.ID{1}, []core.Core{supervisor.New(), actor}, []core.Message{&message.StopProcess{}})
	if err != nil {
		b.Fatal(err)
	}
	random := newRand(1)
	var frozen []snapshot.Section
	b.ReportAllocs()
	for b.Loop() {
		frozen = m.Freeze()
		if _, err := m.Step(actors.Input{Actor: largeID, Message: &set{Keys: []uint64{random.Uint64N(actor.entries)}}}); err != nil {
			b.Fatal(err)
		}
	}
	if len(frozen) != 3 {
		b.Fatal(frozen)
	}
}
