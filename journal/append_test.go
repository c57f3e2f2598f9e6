package journal

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func TestAppendRefuses(t *testing.T) {
	j := mustOpen(t, memOptions(vfs.NewMem()))
	defer j.Close()
	fill(t, j, 1, 5)
	before := j.Head()
	data := []byte("data")
	base := func() *Event {
		return &Event{Sequence: 6, Time: 1_800_000_000_000, Actor: "a", Type: "t", Stored: true}
	}
	for _, c := range []struct {
		name     string
		change   func(e *Event)
		contents []Content
		text     string
	}{
		{"sequence again", func(e *Event) { e.Sequence = 5 }, nil, "does not follow"},
		{"sequence left out", func(e *Event) { e.Sequence = 7 }, nil, "does not follow"},
		{"sequence 0", func(e *Event) { e.Sequence = 0 }, nil, "start at 1"},
		{"time goes back", func(e *Event) { e.Time = 1 }, nil, "has time 1"},
		{"unknown outcome", func(e *Event) { e.Outcome = 2 }, nil, "outcome(2)"},
		{"unknown kind", func(e *Event) { e.Outputs = []Output{{Kind: 9}} }, nil, "kind(9)"},
		{"no message, no cause", func(e *Event) { e.Stored = false }, nil, "neither"},
		{"message not stored", func(e *Event) { e.Stored, e.Cause, e.Message = false, Ref{1, 0}, data }, nil, "not stored"},
		{"cause is itself", func(e *Event) { e.Cause = Ref{6, 0} }, nil, "earlier"},
		{"cause without sequence", func(e *Event) { e.Cause = Ref{0, 4} }, nil, "no sequence"},
		{"content twice", func(e *Event) { e.Contents = []Hash{{1}, {1}} }, nil, "twice"},
		{"content not named", func(*Event) {}, []Content{{SumContent(data), data}}, "does not name"},
		{"content with a wrong hash", func(e *Event) { e.Contents = []Hash{{1}} }, []Content{{Hash{1}, data}}, "hashes to"},
	} {
		e := base()
		c.change(e)
		if _, err := j.Append(e, c.contents); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if j.Head() != before {
		t.Fatal("a refused event moved the head")
	}
	if _, err := j.Append(base(), nil); err != nil {
		t.Fatal(err)
	}
}

// TestContentIsWrittenOnce also checks that contents far larger than a memtable
// and a group fit.
func TestContentIsWrittenOnce(t *testing.T) {
	fs := vfs.NewMem()
	o := memOptions(fs)
	o.MaxPendingBytes = 1 << 20
	j := mustOpen(t, o)
	big := bytes.Repeat([]byte("0123456789abcdef"), 3<<20)
	h := SumContent(big)
	for s := uint64(1); s <= 4; s++ {
		e := &Event{Sequence: s, Stored: true, Contents: []Hash{h}, Message: big[:s*1000]}
		if _, err := j.Append(e, []Content{{h, big}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	s := j.Stats()
	if s.Contents != 1 || s.Suppressed != 3 || s.Events != 4 || s.Head != j.Head() || s.PendingBytes != 0 && s.Durable != s.Head {
		t.Fatalf("%+v", s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, o)
	defer j.Close()
	if got, err := j.Content(h); err != nil || !bytes.Equal(got, big) {
		t.Fatal(err)
	}
	if r, err := j.Verify(t.Context(), 0, 0, nil); err != nil || r.Contents != 1 || r.ContentBytes != int64(len(big)) {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestNotFoundAndClosed(t *testing.T) {
	j := mustOpen(t, memOptions(vfs.NewMem()))
	fill(t, j, 1, 3)
	for _, s := range []uint64{0, 4, 1 << 63} {
		if _, _, err := j.Event(s); !errors.Is(err, ErrNotFound) {
			t.Errorf("event %d: %v", s, err)
		}
	}
	if _, err := j.Content(Hash{1}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := j.Verify(t.Context(), 2, 9, nil); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if it := j.Iterate(4, false); it.Next() || it.Close() != nil {
		t.Error("iterates past the end")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := j.WaitDurable(ctx, 4); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	e, c := event(1, 4)
	_, appendErr := j.Append(e, c)
	_, _, eventErr := j.Event(1)
	_, contentErr := j.Content(Hash{})
	_, verifyErr := j.Verify(t.Context(), 0, 0, nil)
	it := j.Iterate(1, false)
	it.Next()
	for i, err := range []error{appendErr, eventErr, contentErr, verifyErr, it.Close(), j.Checkpoint("x"), j.WaitDurable(t.Context(), 9)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d on a closed journal: %v", i, err)
		}
	}
	if s := j.Stats(); s.Durable.Sequence != 3 {
		t.Errorf("%+v", s)
	}
}

func TestReadOnly(t *testing.T) {
	fs := vfs.NewMem()
	o := memOptions(fs)
	o.ReadOnly = true
	if _, err := Open(o); !errors.Is(err, ErrAbsent) {
		t.Fatal(err)
	}
	makeJournal(t, fs, 2, 40)
	before := dump(t, fs, "journal")
	j := mustOpen(t, o)
	checkEvents(t, j, 2, 40)
	e, c := event(2, 41)
	if _, err := j.Append(e, c); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if after := dump(t, fs, "journal"); after != before {
		t.Fatal("reading changed files")
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{}, {Dir: "x", CacheBytes: -1}, {Dir: "x", MaxPendingBytes: -1}, {Dir: "x", CommitDelay: -1}, {Dir: "x", CommitDelay: maxCommitDelay + 1}} {
		if _, err := Open(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestAppendWaitsForTheDisk holds the disk still: Append stops when the queue
// is full, nothing is durable, readers see nothing, and all goes on after.
func TestAppendWaitsForTheDisk(t *testing.T) {
	mem := vfs.NewMem()
	var hold sync.RWMutex
	o := memOptions(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncTo {
			hold.RLock()
			defer hold.RUnlock()
		}
		return nil
	})))
	o.MaxPendingBytes = 20_000
	j := mustOpen(t, o)
	defer j.Close()
	fill(t, j, 1, 10)
	hold.Lock()
	var appended sync.WaitGroup
	appended.Go(func() {
		for s := uint64(11); s <= 300; s++ {
			e, c := event(1, s)
			if _, err := j.Append(e, c); err != nil {
				t.Error(err)
			}
		}
	})
	for j.Stats().Waits == 0 {
		time.Sleep(time.Millisecond)
	}
	if s := j.Stats(); s.Durable.Sequence != 10 || s.PendingBytes < 20_000 || s.PendingBytes > 40_000 {
		t.Errorf("%+v", s)
	}
	it := j.Iterate(0, true)
	if !it.Next() {
		t.Error(it.Err())
	}
	if s, _, _ := it.Raw(); s != 10 {
		t.Errorf("a reader sees event %d", s)
	}
	it.Close()
	hold.Unlock()
	appended.Wait()
	if err := j.WaitDurable(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	checkEvents(t, j, 1, 300)
}

// TestReadersBesideTheWriter runs every reader while events are appended, and
// closes under them.
func TestReadersBesideTheWriter(t *testing.T) {
	mem := vfs.NewMem()
	j := mustOpen(t, memOptions(mem))
	const events = 3000
	var wg sync.WaitGroup
	reader := func(f func() error) {
		wg.Go(func() {
			for {
				if err := f(); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	reader(func() error {
		from := max(j.Durable().Sequence, 200) - 100
		it := j.Iterate(from, false)
		for it.Next() {
			got, err := it.Event()
			if err != nil {
				t.Error(err)
			}
			want, _ := event(1, got.Sequence)
			sameEvent(t, got, want)
		}
		return it.Close()
	})
	reader(func() error {
		s := j.Durable().Sequence
		if s == 0 {
			return nil
		}
		_, _, err := j.Event(s)
		return err
	})
	reader(func() error {
		_, err := j.Verify(t.Context(), 0, 0, nil)
		return err
	})
	reader(func() error {
		if err := j.Checkpoint("copy"); err != nil {
			return err
		}
		c := mustOpen(t, Options{FS: mem, Dir: "copy", ReadOnly: true})
		if _, err := c.Verify(t.Context(), 0, 0, nil); err != nil {
			t.Error(err)
		}
		return errors.Join(c.Close(), mem.RemoveAll("copy"))
	})
	for s := uint64(1); s <= events; s += 20 {
		fill(t, j, 1, s+19)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func TestVerifyProgressAndCancel(t *testing.T) {
	j := mustOpen(t, memOptions(vfs.NewMem()))
	defer j.Close()
	const n = 3 * progressEvents
	for s := uint64(1); s <= n; s++ {
		if _, err := j.Append(&Event{Sequence: s, Stored: true}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	var seen []uint64
	r, err := j.Verify(t.Context(), 0, 0, func(done, total uint64, bytes int64) {
		if total != n || bytes == 0 {
			t.Errorf("total %d, bytes %d", total, bytes)
		}
		seen = append(seen, done)
	})
	if err != nil || r.Head != j.Head() || len(seen) < 3 || seen[len(seen)-1] != n {
		t.Fatal(r, err, seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err = j.Verify(ctx, 0, 0, func(uint64, uint64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) || r.Events >= n {
		t.Fatal(r, err)
	}
}

func TestCheckpointRefusesExisting(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, Options{Dir: dir + "/journal"})
	defer j.Close()
	fill(t, j, 1, 50)
	if err := j.Checkpoint(dir + "/copies/a"); err != nil {
		t.Fatal(err)
	}
	if err := j.Checkpoint(dir + "/copies/a"); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	fill(t, j, 1, 80)
	c := mustOpen(t, Options{Dir: dir + "/copies/a", ReadOnly: true})
	checkEvents(t, c, 1, 50)
	if err := c.Checkpoint(dir + "/copies/b"); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// A restored copy opens for writing too.
	c = mustOpen(t, Options{Dir: dir + "/copies/a"})
	defer c.Close()
	if c.ID() != j.ID() {
		t.Fatal("identity changed")
	}
	fill(t, c, 1, 60)
	checkEvents(t, c, 1, 60)
	checkEvents(t, j, 1, 80)
}

// TestCommitDelay: an idle journal commits at once, a busy one gathers, and
// neither a full queue nor Close waits for the delay.
func TestCommitDelay(t *testing.T) {
	o := memOptions(vfs.NewMem())
	o.CommitDelay, o.MaxPendingBytes = maxCommitDelay, 1<<20
	var appended atomic.Bool
	o.OnDurable = func(Head) {
		for !appended.Load() { // keeps the first commit going, so that there is a second group
			time.Sleep(time.Millisecond)
		}
	}
	j := mustOpen(t, o)
	for s := uint64(1); s <= 200; s++ {
		e, c := event(2, s)
		if _, err := j.Append(e, c); err != nil {
			t.Fatal(err)
		}
	}
	appended.Store(true)
	if err := j.WaitDurable(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Commits > 3 || s.LargestGroup < 60 || s.CommitTime < s.DatabaseTime || s.DatabaseTime == 0 || s.HeadTime == 0 {
		t.Errorf("%+v", s)
	}
	for s := uint64(201); s <= 240; s++ { // 40 MiB through a queue of one
		if _, err := j.Append(&Event{Sequence: s, Time: 1 << 41, Stored: true, Note: strings.Repeat("x", 1<<20)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestManyWaiters: each of many calls returns for its own event, whether they
// wait in order or not, and those that give up leave nothing behind.
func TestManyWaiters(t *testing.T) {
	j := mustOpen(t, memOptions(vfs.NewMem()))
	const n = 256
	var waiting sync.WaitGroup
	for i := range uint64(n) {
		sequence := (i*97)%n + 1
		waiting.Go(func() {
			if err := j.WaitDurable(t.Context(), sequence); err != nil || j.Durable().Sequence < sequence {
				t.Errorf("event %d: %v", sequence, err)
			}
		})
		if i%8 == 0 {
			ctx, cancel := context.WithCancel(t.Context())
			waiting.Go(func() {
				if err := j.WaitDurable(ctx, n+10); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
			cancel()
		}
	}
	fill(t, j, 1, n)
	waiting.Wait()
	late := make(chan error, 1)
	go func() { late <- j.WaitDurable(t.Context(), n+1) }()
	for j.Stats().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	if j.Stats().Waiting != 1 {
		t.Errorf("%d waiters", j.Stats().Waiting)
	}
	if err := errors.Join(j.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-late; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestAppendBatch appends batches from several goroutines, some of them larger
// than a group and some with an event that is refused.
func TestAppendBatch(t *testing.T) {
	o := Options{FS: vfs.NewMem(), Dir: "j", Logger: quiet, MaxPendingBytes: 4 << 10}
	j := mustOpen(t, o)
	var order sync.Mutex
	var running sync.WaitGroup
	for w := range 8 {
		running.Go(func() {
			for i := range 20 {
				order.Lock()
				first := j.Head().Sequence + 1
				events := make([]Event, 1+(w*7+i*3)%60)
				for k := range events {
					events[k] = Event{Sequence: first + uint64(k), Time: 1, Actor: "a", Type: "t", Schema: 1, Stored: true, Message: make([]byte, 100)}
				}
				bad := i%5 == 4
				if bad {
					events[len(events)-1].Sequence++
				}
				head, err := j.AppendBatch(events)
				order.Unlock()
				want := first + uint64(len(events)) - 1
				if bad {
					want--
				}
				if bad != (fault.Of(err) == fault.Invalid) || head.Sequence != want {
					t.Errorf("batch from %d of %d: head %d, error %v", first, len(events), head.Sequence, err)
				}
				if err := j.WaitDurable(t.Context(), head.Sequence); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	report, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil || report.Events != j.Head().Sequence {
		t.Errorf("verified %d of %d events: %v", report.Events, j.Head().Sequence, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
