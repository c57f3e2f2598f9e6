package journal

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// equalEvents compares with nil and empty slices taken as equal, as the format
// does.
func sameEvent(t testing.TB, got, want *Event) {
	t.Helper()
	if string(got.AppendTo(nil)) != string(want.AppendTo(nil)) {
		t.Fatalf("event differs:\n%s", cmp.Diff(want, got))
	}
}

func TestWriteReadReopen(t *testing.T) {
	for _, where := range []struct {
		name string
		fs   vfs.FS
		dir  string
	}{{"memory", vfs.NewMem(), "a/b/journal"}, {"disk", vfs.Default, t.TempDir() + "/journal"}} {
		t.Run(where.name, func(t *testing.T) {
			o := Options{FS: where.fs, Dir: where.dir, Logger: quiet}
			var released []uint64
			o.OnDurable = func(h Head) { released = append(released, h.Sequence) }
			j := mustOpen(t, o)
			if p := j.Opened(); p.Decision != "create" {
				t.Fatalf("plan %s", p.String())
			}
			id := j.ID()
			if j.Head() != (Head{Hash: Origin(id)}) {
				t.Fatal("empty journal's head is not its origin")
			}
			fill(t, j, 1, 500)
			head := j.Head()
			if j.Durable() != head {
				t.Fatalf("durable %v, head %v", j.Durable(), head)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(released); i++ {
				if released[i] <= released[i-1] {
					t.Fatal("OnDurable out of order")
				}
			}
			if len(released) == 0 || released[len(released)-1] != 500 {
				t.Fatal("OnDurable did not reach the head")
			}

			o.OnDurable = nil
			j = mustOpen(t, o)
			defer j.Close()
			if p := j.Opened(); p.Decision != "open" || len(p.Warnings) != 0 {
				t.Fatalf("plan %s", p.String())
			}
			if j.ID() != id || j.Head() != head || j.Durable() != head {
				t.Fatal("identity or head changed")
			}
			checkEvents(t, j, 1, 500)
			fill(t, j, 1, 600)
			checkEvents(t, j, 1, 600)
		})
	}
}

// checkEvents compares every event and content with what was appended, read in
// every way there is.
func checkEvents(t testing.TB, j *Journal, seed, to uint64) {
	t.Helper()
	forward, back := j.Iterate(1, false), j.Iterate(0, true)
	defer forward.Close()
	defer back.Close()
	hash := Origin(j.ID())
	for s := uint64(1); s <= to; s++ {
		want, contents := event(seed, s)
		if !forward.Next() {
			t.Fatalf("forward ends at %d: %v", s, forward.Err())
		}
		seq, raw, h := forward.Raw()
		hash = Link(hash, raw)
		if seq != s || h != hash {
			t.Fatalf("event %d: sequence %d, hash %s, want %s", s, seq, h, hash)
		}
		got, err := forward.Event()
		if err != nil {
			t.Fatal(err)
		}
		sameEvent(t, got, want)
		if got, h, err := j.Event(s); err != nil || h != hash {
			t.Fatalf("event %d: %v", s, err)
		} else {
			sameEvent(t, got, want)
		}
		for _, c := range contents {
			if data, err := j.Content(c.Hash); err != nil || string(data) != string(c.Data) {
				t.Fatalf("content of event %d: %v", s, err)
			}
		}
		want, _ = event(seed, to+1-s)
		if !back.Next() {
			t.Fatalf("backward ends at %d: %v", s, back.Err())
		}
		if got, err = back.Event(); err != nil {
			t.Fatal(err)
		}
		sameEvent(t, got, want)
	}
	if forward.Next() || back.Next() || forward.Err() != nil || back.Err() != nil {
		t.Fatalf("iterators do not end: %v %v", forward.Err(), back.Err())
	}
	r, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Complete || r.Events != to || r.Orphans != 0 || r.Head != j.Durable() {
		t.Fatalf("report %+v", r)
	}
}

func TestLocked(t *testing.T) {
	for _, o := range []Options{memOptions(vfs.NewMem()), {Dir: t.TempDir(), Logger: quiet}} {
		j := mustOpen(t, o)
		if _, err := Open(o); !errors.Is(err, ErrLocked) || !fault.Is(err, fault.Invalid) {
			t.Fatalf("second open: %v", err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, o).Close()
	}
}
