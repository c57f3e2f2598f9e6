package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// small makes several segments of a small journal.
var small = ArchiveOptions{SegmentBytes: 16 << 10}

func mustArchive(t testing.TB, j *Journal, before uint64) ArchiveReport {
	t.Helper()
	r, err := j.Archive(t.Context(), before, small)
	if err != nil {
		t.Fatal(err)
	}
	if r.First != max(before, 1) {
		t.Fatalf("archived to %d, want %d", r.First, before)
	}
	return r
}

// hotEvents returns the sequences of the events in the database.
func hotEvents(t testing.TB, j *Journal) (sequences []uint64) {
	t.Helper()
	it, err := j.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEvent}, UpperBound: []byte{prefixEvent + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		s, _ := eventSequence(it.Key())
		sequences = append(sequences, s)
	}
	return sequences
}

// hotContents counts the contents in the database and those it knows to be in
// the archive.
func hotContents(t testing.TB, j *Journal) (here, away int) {
	t.Helper()
	it, err := j.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixContent}, UpperBound: []byte{prefixContent + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		if _, ok := ArchivedContent(Hash(it.Key()[1:]), it.Value()); ok {
			away++
		} else {
			here++
		}
	}
	return here, away
}

func TestArchivedEventsReadAsInPlace(t *testing.T) {
	fs := vfs.NewMem()
	j := mustOpen(t, memOptions(fs))
	fill(t, j, 8, 300)
	before, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	prints, err := fingerprint(j)
	if err != nil {
		t.Fatal(err)
	}
	r := mustArchive(t, j, 200)
	if len(r.Segments) < 3 || r.Events != 199 || r.Contents == 0 {
		t.Fatalf("%+v", r)
	}
	if hot := hotEvents(t, j); len(hot) != 101 || hot[0] != 200 {
		t.Fatalf("%d events are in the database, the first is %d", len(hot), hot[0])
	}
	if here, away := hotContents(t, j); here == 0 || away == 0 {
		t.Fatal(here, away)
	}
	same := func(j *Journal) {
		t.Helper()
		after, err := j.Verify(t.Context(), 0, 0, nil)
		if err != nil || after.Head != before.Head || after.Events != before.Events || after.Contents != before.Contents || after.ContentBytes != before.ContentBytes {
			t.Fatalf("verify: %+v, %v; before %+v", after, err, before)
		}
		if got, err := fingerprint(j); err != nil || got != prints {
			t.Fatalf("events or contents read differently: %v", err)
		}
		checkEvents(t, j, 8, 300)
	}
	same(j)
	mustArchive(t, j, 200) // nothing to do
	mustArchive(t, j, 250)
	same(j)
	if err := j.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{FS: fs, Dir: "journal", ReadOnly: true}, {FS: fs, Dir: "copy", ReadOnly: true}, {FS: fs, Dir: "journal"}} {
		j := mustOpen(t, o)
		same(j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j = mustOpen(t, memOptions(fs))
	fill(t, j, 8, 320)
	mustArchive(t, j, 320)
	checkEvents(t, j, 8, 320)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, memOptions(fs))
	defer j.Close()
	fill(t, j, 8, 330)
	checkEvents(t, j, 8, 330)
}

// TestArchivedRanges walks and verifies ranges that begin and end anywhere
// around the borders of segments and database.
func TestArchivedRanges(t *testing.T) {
	j := mustOpen(t, memOptions(vfs.NewMem()))
	defer j.Close()
	const last = 240
	fill(t, j, 9, last)
	mustArchive(t, j, 180)
	rapid.Check(t, func(rt *rapid.T) {
		from, to := rapid.Uint64Range(1, last).Draw(rt, "from"), rapid.Uint64Range(1, last).Draw(rt, "to")
		if from > to {
			from, to = to, from
		}
		r, err := j.Verify(rt.Context(), from, to, nil)
		if err != nil || r.Events != to+1-from {
			rt.Fatalf("verify %d to %d: %+v, %v", from, to, r, err)
		}
		for _, reverse := range []bool{false, true} {
			it := j.Iterate(from, reverse)
			want, n := from, 0
			for it.Next() {
				e, err := it.Event()
				expected, _ := event(9, want)
				if err != nil || e.Sequence != want || e.Time != expected.Time || string(e.Message) != string(expected.Message) {
					rt.Fatalf("reverse %v: event %d instead of %d, %v", reverse, e.Sequence, want, err)
				}
				n++
				if reverse {
					want--
				} else {
					want++
				}
			}
			if err := it.Close(); err != nil || reverse && n != int(from) || !reverse && n != int(last-from+1) {
				rt.Fatalf("reverse %v: %d events, %v", reverse, n, err)
			}
		}
	})
}

func TestArchiveRefuses(t *testing.T) {
	fs := vfs.NewMem()
	j := mustOpen(t, memOptions(fs))
	fill(t, j, 8, 20)
	if _, err := j.Archive(t.Context(), 21, small); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Archive(ctx, 10, small); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	if len(hotEvents(t, j)) != 20 {
		t.Fatal("a cancelled call moved events")
	}
	j.archiving.Lock()
	if _, err := j.Archive(t.Context(), 10, small); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	j.archiving.Unlock()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Archive(t.Context(), 10, small); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	j = mustOpen(t, Options{FS: fs, ReadOnly: true})
	defer j.Close()
	if _, err := j.Archive(t.Context(), 10, small); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
}

// TestArchivePowerCut cuts the power before every operation of an Archive and
// goes on after each: every event is there, and a second call finishes.
func TestArchivePowerCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	c := &cutter{mem: mem, rng: rand.New(rand.NewPCG(1, 2)), percents: []int{0, 50, 100}, every: 1}
	var armed atomic.Bool
	inner := c.injector()
	o := memOptions(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() {
			return nil
		}
		return inner.MaybeError(op)
	})))
	o.OnDurable = func(h Head) { c.acked.Store(h.Sequence) }
	j := mustOpen(t, o)
	const last = 60
	fill(t, j, 4, last)
	armed.Store(true)
	for _, before := range []uint64{30, 50} {
		mustArchive(t, j, before)
	}
	armed.Store(false)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cuts", len(c.cuts))
	for i, cut := range c.cuts {
		j, err := Open(memOptions(cut.fs))
		if err != nil {
			t.Fatalf("cut %d, before %s: %v", i, cut.op, err)
		}
		checkEvents(t, j, 4, last)
		_, err = j.Verify(t.Context(), 0, 0, nil)
		if err == nil {
			mustArchive(t, j, 55)
			checkEvents(t, j, 4, last)
			_, err = j.Verify(t.Context(), 0, 0, nil)
		}
		if err = errors.Join(err, j.Close()); err != nil || t.Failed() {
			t.Fatalf("cut %d, before %s: %v", i, cut.op, err)
		}
	}
}

// TestArchiveDiskErrors lets every operation on archive files fail, one at a
// time: nothing is lost, and the next call finishes.
func TestArchiveDiskErrors(t *testing.T) {
	for at := int64(0); ; at++ {
		var n atomic.Int64
		n.Store(-1 << 40)
		mem := vfs.NewMem()
		o := memOptions(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.Contains(op.Path, archiveName) && n.Add(1) == at+1 {
				return fmt.Errorf("injected in %v %s", op.Kind, op.Path)
			}
			return nil
		})))
		j := mustOpen(t, o)
		fill(t, j, 4, 60)
		n.Store(0)
		_, err := j.Archive(t.Context(), 50, small)
		done := n.Swap(-1<<40) <= at
		if !done && err == nil {
			// Closing a file that was read, for example.
			t.Logf("operation %d failed without consequence", at)
		}
		if err != nil && (fault.Of(err) == fault.Fatal || !strings.Contains(err.Error(), "injected")) {
			t.Fatalf("operation %d: %v", at, err)
		}
		checkEvents(t, j, 4, 60)
		mustArchive(t, j, 50)
		checkEvents(t, j, 4, 60)
		if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if done {
			t.Logf("%d operations", at)
			return
		}
	}
}

func TestDamagedArchive(t *testing.T) {
	build := func() (*vfs.MemFS, []Segment) {
		fs := vfs.NewMem()
		j := mustOpen(t, memOptions(fs))
		fill(t, j, 8, 300)
		mustArchive(t, j, 250)
		segments := j.Archived()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		return fs, segments
	}
	path := func(s Segment) string { return "journal/archive/" + s.Name }
	for name, spoil := range map[string]func(*vfs.MemFS, []Segment){
		"missing": func(fs *vfs.MemFS, s []Segment) {
			if err := fs.Remove(path(s[1])); err != nil {
				t.Fatal(err)
			}
		},
		"flipped": func(fs *vfs.MemFS, s []Segment) {
			b := readFile(t, fs, path(s[1]))
			b[len(b)/3] ^= 4
			writeFile(t, fs, path(s[1]), b)
		},
		"cut": func(fs *vfs.MemFS, s []Segment) {
			b := readFile(t, fs, path(s[1]))
			writeFile(t, fs, path(s[1]), b[:len(b)/2])
		},
		"of another": func(fs *vfs.MemFS, s []Segment) {
			writeFile(t, fs, path(s[1]), readFile(t, fs, path(s[0])))
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs, segments := build()
			spoil(fs, segments)
			j := mustOpen(t, memOptions(fs))
			defer j.Close()
			_, err := j.Verify(t.Context(), 0, 0, nil)
			var damage *CorruptError
			if !errors.As(err, &damage) || damage.Sequence < segments[1].First || damage.Sequence > segments[1].Last || damage.Key != segments[1].Name {
				t.Fatalf("verify: %v", err)
			}
			for s := uint64(1); s <= 300; s++ {
				_, _, err := j.Event(s)
				near := s >= segments[1].First && s <= segments[1].Last+1 // the event after it needs its hash
				if err != nil && (!near || !fault.Is(err, fault.Corrupt)) {
					t.Fatalf("event %d: %v", s, err)
				}
			}
			it := j.Iterate(1, false)
			for it.Next() {
				_, _, _ = it.Raw()
			}
			if err := it.Close(); name == "missing" && !fault.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
			fill(t, j, 8, 310) // it goes on
		})
	}
}

func TestArchiveRecordDamaged(t *testing.T) {
	fs := vfs.NewMem()
	j := mustOpen(t, memOptions(fs))
	fill(t, j, 8, 100)
	mustArchive(t, j, 80)
	good := archived{segments: j.Archived()}
	id, record := j.ID(), good.encode(j.ID())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if back, err := decodeArchived(id, record); err != nil || !slices.Equal(back.segments, good.segments) {
		t.Fatal(err)
	}
	for i := range record {
		bad := slices.Clone(record)
		bad[i] ^= 1
		if back, err := decodeArchived(id, bad); err == nil && slices.Equal(back.segments, good.segments) {
			t.Fatalf("byte %d is not looked at", i)
		}
	}
	edit(t, fs, func(db *pebble.DB) error { return db.Set(metaArchive, record[:len(record)-1], pebble.Sync) })
	if _, err := Open(memOptions(fs)); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "m/archive") {
		t.Fatal(err)
	}
	newer := slices.Clone(record)
	newer[0]++
	edit(t, fs, func(db *pebble.DB) error { return db.Set(metaArchive, newer, pebble.Sync) })
	if _, err := Open(memOptions(fs)); !errors.Is(err, ErrNewerFormat) {
		t.Fatal(err)
	}
	edit(t, fs, func(db *pebble.DB) error { return db.Delete(metaArchive, pebble.Sync) })
	if _, err := Open(memOptions(fs)); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "event 1") {
		t.Fatal(err)
	}
}

// TestOldHeadFileBesideArchive puts the head file of an earlier time beside a
// database whose events up to a later one are archived.
func TestOldHeadFileBesideArchive(t *testing.T) {
	fs := vfs.NewMem()
	makeJournal(t, fs, 8, 50)
	old := readFile(t, fs, "journal/HEAD")
	j := mustOpen(t, memOptions(fs))
	fill(t, j, 8, 100)
	mustArchive(t, j, 80)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, fs, "journal/HEAD", old)
	if _, err := Open(memOptions(fs)); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "older than the database") {
		t.Fatal(err)
	}
}

// TestArchiveWhileWorking appends, iterates in both directions, reads and takes
// checkpoints while events are archived.
func TestArchiveWhileWorking(t *testing.T) {
	o := Options{Dir: t.TempDir() + "/journal", Logger: quiet, MaxPendingBytes: 64 << 10}
	j := mustOpen(t, o)
	fill(t, j, 5, 400)
	const last = 1500
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stop)
		for s := uint64(401); s <= last; s++ {
			e, c := event(5, s)
			if _, err := j.Append(e, c); err != nil {
				t.Error(err)
				return
			}
			if s%50 == 0 {
				_ = j.WaitDurable(context.Background(), s)
			}
		}
	})
	for reader := range 3 {
		wg.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				it := j.Iterate(0, reader%2 == 1)
				n := uint64(0)
				for it.Next() {
					e, err := it.Event()
					if err != nil {
						t.Error(err)
						break
					}
					for _, h := range e.Contents {
						if _, err := j.Content(h); err != nil {
							t.Error(err)
						}
					}
					n++
				}
				if err := it.Close(); err != nil || n < 400 {
					t.Errorf("reader %d saw %d events: %v", reader, n, err)
					return
				}
				if reader == 2 && round%3 == 0 {
					dir := fmt.Sprintf("%s.copy%d", o.Dir, round)
					if err := j.Checkpoint(dir); err != nil {
						t.Error(err)
						return
					}
					checkCopy(t, dir)
					_ = os.RemoveAll(dir)
				}
			}
		})
	}
	for before := uint64(100); before <= 300; before += 100 {
		mustArchive(t, j, before)
	}
	<-stop
	if err := j.WaitDurable(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	mustArchive(t, j, last-10)
	wg.Wait()
	checkEvents(t, j, 5, last)
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkCopy(t *testing.T, dir string) {
	c, err := Open(Options{Dir: dir, ReadOnly: true, Logger: quiet})
	if err != nil {
		t.Errorf("checkpoint: %v", err)
		return
	}
	if _, err := c.Verify(context.Background(), 0, 0, nil); err != nil {
		t.Errorf("checkpoint: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzArchiveRecord(f *testing.F) {
	a := archived{segments: []Segment{{Name: "x", First: 1, Last: 5, Size: 9}, {Name: "y", First: 6, Last: 6, LastTime: -4, Size: 1}}}
	f.Add(a.encode(ID{1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := decodeArchived(ID{1}, data)
		if err == nil && string(a.encode(ID{1})) != string(data) {
			t.Fatal("decodes, and encodes to other bytes")
		}
	})
}
