package salvage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/journal"
)

func rebuild(t *testing.T, f *Found) (Rebuilt, *journal.Journal) {
	t.Helper()
	o := journal.Options{FS: vfs.NewMem(), Dir: "rebuilt", Logger: silentLog()}
	r, err := f.WriteJournal(t.Context(), o, 77)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	report, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil || !report.Complete || report.Head != r.Head {
		t.Fatalf("the rebuilt journal does not verify: %+v, %v", report, err)
	}
	return r, j
}

// TestRebuild makes a journal of what was found: all of it, and what is before a
// lost block.
func TestRebuild(t *testing.T) {
	d := makeDisk(t, 2000, 600, true)
	f, _ := scan(t, d, d.fs)
	r, j := rebuild(t, f)
	if r.Head.Sequence != d.last || r.Head.Hash != d.hashes[d.last] || r.Incident != nil || r.Stopped != "" || j.ID() != f.ID {
		t.Fatalf("rebuilt %+v from a whole journal of %d events", r, d.last)
	}

	path, whole, blocks, _ := eventTable(t, d)
	data := bytes.Clone(whole)
	at := len(blocks) / 2
	data[blocks[at].from] ^= 1
	write(t, d.fs, path, data)
	f, got := scan(t, d, d.fs)
	r, j = rebuild(t, f)
	if !got[r.Head.Sequence] || got[r.Head.Sequence+1] && r.Stopped == "" || r.Head.Hash != d.hashes[r.Head.Sequence] {
		t.Fatalf("rebuilt %+v", r)
	}
	pending, ok := j.PendingIncident()
	if !ok || r.Incident == nil || pending.Kind != journal.IncidentRepair || pending.Before.Sequence != d.last || !strings.Contains(pending.Text, "are not in this journal") {
		t.Fatalf("incident %+v, pending %v", r.Incident, ok)
	}
	if _, err := j.Append(&journal.Event{Sequence: r.Head.Sequence + 1, Time: 1 << 40, Actor: "chain", Type: "block", Stored: true}, nil); err == nil {
		t.Error("the journal goes on as if nothing were missing")
	}
}

func TestWriteEvents(t *testing.T) {
	d := makeDisk(t, 800, 300, false)
	var lost uint64
	for s, h := range d.contents {
		if lost == 0 || s < lost {
			lost = s
		}
		_ = h
	}
	f, got := scan(t, d, d.fs)
	if err := f.store.db.Delete(append([]byte{prefixContent}, sum(d.contents[lost])...), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := f.WriteEvents(t.Context(), &out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.Events != uint64(len(got)) || w.Unproven != 0 || w.ContentsMissing != 1 || w.MissingContents[0].Sequence != lost {
		t.Fatalf("%+v", w)
	}
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<20)
	before := journal.Origin(f.ID)
	n := uint64(0)
	for lines.Scan() {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		n++
		if l.Sequence != n || !l.Proven || l.Actor != "chain" || l.Undecoded != "" {
			t.Fatalf("line %d: %+v", n, l)
		}
		if before = journal.Link(before, l.Envelope); before.String() != l.Hash || before != d.hashes[n] {
			t.Fatalf("line %d does not chain", n)
		}
	}
	if n != d.last {
		t.Errorf("%d lines", n)
	}
	// A journal of it ends before the event whose content is lost.
	if r, _ := rebuild(t, f); r.Head.Sequence != lost-1 || !strings.Contains(r.Stopped, "lost") {
		t.Errorf("rebuilt %+v, content of event %d is lost", r, lost)
	}
}

func sum(h journal.Hash) []byte { return h[:] }

// TestNothing scans what is no journal.
func TestNothing(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{FS: fs, Dir: dir, Scratch: t.TempDir() + "/s"}, {FS: fs, Dir: "nowhere", Scratch: t.TempDir() + "/s"}} {
		if f, err := Scan(t.Context(), o); err == nil {
			t.Errorf("%s: %+v", o.Dir, f)
		}
	}
	write(t, fs, dir+"/x.log", []byte("no log"))
	d := &disk{}
	f, got := scan(t, d, fs)
	if len(got) != 0 || f.HasID {
		t.Errorf("%+v", f)
	}
	if _, err := f.WriteJournal(t.Context(), journal.Options{FS: fs, Dir: "out", Logger: silentLog()}, 1); err == nil {
		t.Error("a journal was made of nothing")
	}
}

// TestArchived scans a journal whose oldest events are in the archive: they are
// not missing, and what follows them is proven by the archive's record.
func TestArchived(t *testing.T) {
	d := makeDisk(t, 600, 300, true)
	j, err := journal.Open(journal.Options{FS: d.fs, Dir: dir, Logger: silentLog()})
	if err != nil {
		t.Fatal(err)
	}
	const before = 401
	if _, err := j.Archive(t.Context(), before, journal.ArchiveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Scan(t.Context(), Options{FS: d.fs, Dir: dir, Scratch: t.TempDir() + "/scratch"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	last := f.Runs[len(f.Runs)-1]
	if len(f.Gaps()) != 0 || !last.Whole || last.First.Sequence > before || last.Last.Sequence != d.last || f.archived.Sequence != before-1 || f.archived.Hash != d.hashes[before-1] {
		t.Errorf("runs %+v, gaps %v, archived %v", f.Runs, f.Gaps(), f.archived)
	}
}
