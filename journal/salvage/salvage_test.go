package salvage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/journal"
)

const dir = "journal"

// disk is a journal in memory with what it holds.
type disk struct {
	fs       *vfs.MemFS
	hashes   map[uint64]journal.Hash
	contents map[uint64]journal.Hash // content that an event brought
	last     uint64
}

func silentLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// makeDisk writes n events of about size bytes, in groups; every tenth brings a
// content. If it is closed, all of them are in tables.
func makeDisk(t testing.TB, n, size int, closed bool) *disk {
	t.Helper()
	d := &disk{fs: vfs.NewMem(), hashes: map[uint64]journal.Hash{}, contents: map[uint64]journal.Hash{}}
	j, err := journal.Open(journal.Options{FS: d.fs, Dir: dir, Logger: silentLog()})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := 1; i <= n; i++ {
		e := &journal.Event{Sequence: uint64(i), Time: int64(i), Actor: "chain", Type: "block", Schema: 1, Stored: true, Message: noise(rng, size/2+rng.IntN(size))}
		var contents []journal.Content
		if i%10 == 0 {
			data := noise(rng, 1+rng.IntN(8*size))
			c := journal.Content{Hash: journal.SumContent(data), Data: data}
			e.Contents, contents = []journal.Hash{c.Hash}, []journal.Content{c}
			d.contents[e.Sequence] = c.Hash
		}
		head, err := j.Append(e, contents)
		if err != nil {
			t.Fatal(err)
		}
		d.hashes[e.Sequence] = head.Hash
		if i%50 == 0 || i == n {
			if err := j.WaitDurable(t.Context(), uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.last = uint64(n)
	if !closed {
		d.fs = copyDisk(t, d.fs)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// files lists the files below the directory.
func files(t testing.TB, fs vfs.FS) []string {
	t.Helper()
	var out []string
	var walk func(string)
	walk = func(d string) {
		names, err := fs.List(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			path := fs.PathJoin(d, n)
			if info, err := fs.Stat(path); err == nil && info.IsDir() {
				walk(path)
			} else {
				out = append(out, path)
			}
		}
	}
	walk(dir)
	return out
}

func read(t testing.TB, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	// A file system may change what it is given to write; Pebble's does so beside
	// the race detector.
	if _, err := f.Write(append([]byte(nil), data...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func copyDisk(t testing.TB, from vfs.FS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	for _, f := range files(t, from) {
		if err := to.MkdirAll(from.PathDir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, to, f, read(t, from, f))
	}
	return to
}

// scan salvages and checks what no damage may change: every event of every run
// is one that was written, and every content too.
func scan(t testing.TB, d *disk, fs vfs.FS) (*Found, map[uint64]bool) {
	t.Helper()
	f, err := Scan(t.Context(), Options{FS: fs, Dir: dir, Scratch: filepath.Join(t.TempDir(), "scratch")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	got := map[uint64]bool{}
	for _, r := range f.Runs {
		next := r.First.Sequence
		if err := f.Each(r, func(e Event) error {
			if e.Sequence != next {
				t.Fatalf("event %d where %d was expected", e.Sequence, next)
			}
			if e.Hash != d.hashes[e.Sequence] {
				t.Fatalf("event %d has hash %s, written was %s", e.Sequence, e.Hash, d.hashes[e.Sequence])
			}
			if e.Proven != (r.Whole || e.Sequence != r.First.Sequence) {
				t.Fatalf("event %d: proven %v in a run from %d that is whole: %v", e.Sequence, e.Proven, r.First.Sequence, r.Whole)
			}
			event, err := journal.DecodeEvent(e.Envelope, f.Content)
			if err != nil || event.Sequence != e.Sequence {
				t.Fatalf("event %d does not decode: %v", e.Sequence, err)
			}
			got[e.Sequence] = true
			next++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if next != r.Last.Sequence+1 {
			t.Fatalf("run to %d ended at %d", r.Last.Sequence, next-1)
		}
	}
	checkGaps(t, d, f, got)
	return f, got
}

// checkGaps compares runs and gaps with what was found.
func checkGaps(t testing.TB, d *disk, f *Found, got map[uint64]bool) {
	t.Helper()
	missing := map[uint64]bool{}
	for _, g := range f.Gaps() {
		for s := g.From; s <= g.To; s++ {
			missing[s] = true
		}
	}
	last := f.Acknowledged.Sequence
	if n := len(f.Runs); n > 0 {
		last = max(last, f.Runs[n-1].Last.Sequence)
	}
	for s := uint64(1); s <= last; s++ {
		if got[s] == missing[s] {
			t.Fatalf("event %d: found %v and missing %v", s, got[s], missing[s])
		}
	}
}

// wantLost checks that exactly these events are not found.
func wantLost(t testing.TB, d *disk, got, lost map[uint64]bool) {
	t.Helper()
	for s := uint64(1); s <= d.last; s++ {
		if got[s] == lost[s] {
			t.Fatalf("event %d: found %v, lost by the damage %v (%d lost in all, %d found of %d)", s, got[s], lost[s], len(lost), len(got), d.last)
		}
	}
}

// keepOnly removes all logs and tables but the largest of a kind, and returns
// its path.
func keepOnly(t testing.TB, fs vfs.FS, suffix string) (path string) {
	t.Helper()
	size := 0
	all := files(t, fs)
	for _, f := range all {
		if n := len(read(t, fs, f)); strings.HasSuffix(f, suffix) && n > size {
			path, size = f, n
		}
	}
	if path == "" {
		t.Fatalf("no file with %s in %v", suffix, all)
	}
	for _, f := range all {
		if f != path && (strings.HasSuffix(f, ".log") || strings.HasSuffix(f, ".sst")) {
			if err := fs.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return path
}

// allBut returns the sequences of a disk that are not in entries.
func allBut(d *disk, entries []logEntry) map[uint64]bool {
	lost := map[uint64]bool{}
	for s := uint64(1); s <= d.last; s++ {
		lost[s] = true
	}
	for _, e := range entries {
		delete(lost, e.sequence)
	}
	return lost
}

func TestWhole(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			d := makeDisk(t, 700, 300, closed)
			f, got := scan(t, d, d.fs)
			wantLost(t, d, got, nil)
			if f.Damaged != 0 || len(f.Runs) != 1 || !f.Runs[0].Whole || f.Runs[0].Confirmed == "" || len(f.Conflicts) != 0 {
				t.Errorf("runs %+v, conflicts %+v, damage %v", f.Runs, f.Conflicts, f.Damage)
			}
			if f.Contents != uint64(len(d.contents)) {
				t.Errorf("%d contents found, %d written", f.Contents, len(d.contents))
			}
			for _, h := range d.contents {
				if data, err := f.Content(h); err != nil || journal.SumContent(data) != h {
					t.Fatalf("content %s: %v", h, err)
				}
			}
		})
	}
}

// TestNoList takes away what the database needs to open.
func TestNoList(t *testing.T) {
	for _, closed := range []bool{false, true} {
		d := makeDisk(t, 300, 300, closed)
		for _, f := range files(t, d.fs) {
			base := d.fs.PathBase(f)
			if bookkeeping(base) && base != "HEAD" {
				if err := d.fs.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := journal.Open(journal.Options{FS: copyDisk(t, d.fs), Dir: dir, ReadOnly: true, Logger: silentLog()}); err == nil {
			t.Error("the journal opens without a list of its files: the test tests nothing")
		}
		_, got := scan(t, d, d.fs)
		wantLost(t, d, got, nil)
	}
}

// logEntry is where the bytes of an event's entry are in the log.
type logEntry struct {
	sequence uint64
	chunks   map[int]bool // index of the chunks that hold a byte of it
}

// logMap reads an undamaged log, written on its own: chunk headers are
// believed, entries read by their lengths.
func logMap(t testing.TB, data []byte) (chunks [][2]int, entries []logEntry) {
	t.Helper()
	var payload []byte
	var owner []int
	flush := func() {
		at := 12
		for at < len(payload) {
			start := at
			kind := payload[at]
			at++
			var parts [2][]byte
			for i := range parts {
				n, w := binary.Uvarint(payload[at:])
				at += w
				parts[i] = payload[at : at+int(n)]
				at += int(n)
			}
			if kind != 1 {
				t.Fatalf("entry of kind %d in a test journal", kind)
			}
			if parts[0][0] != 'e' {
				continue
			}
			e := logEntry{binary.BigEndian.Uint64(parts[0][1:]), map[int]bool{}}
			for i := start; i < at; i++ {
				e.chunks[owner[i]] = true
			}
			entries = append(entries, e)
		}
		payload, owner = nil, nil
	}
	for block := 0; block < len(data); block += 32 << 10 {
		for at := block; at+19 <= min(block+32<<10, len(data)); {
			kind := data[at+6]
			if kind < 9 || kind > 12 {
				break
			}
			n := int(binary.LittleEndian.Uint16(data[at+4:]))
			body := data[at+19 : at+19+n]
			for range body {
				owner = append(owner, len(chunks))
			}
			payload = append(payload, body...)
			chunks = append(chunks, [2]int{at, at + 19 + n})
			if kind == 9 || kind == 12 {
				flush()
			}
			at += 19 + n
		}
	}
	return chunks, entries
}

// TestFlipsInLog flips bytes of the log: exactly the events with a byte in a
// damaged chunk are lost.
func TestFlipsInLog(t *testing.T) {
	d := makeDisk(t, 3000, 300, false)
	path := keepOnly(t, d.fs, ".log")
	whole := read(t, d.fs, path)
	chunks, entries := logMap(t, whole)
	if len(entries) < 500 {
		t.Fatalf("the log holds %d events of %d", len(entries), d.last)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	lostInAll := 0
	for round := range 40 {
		data := bytes.Clone(whole)
		damaged := map[int]bool{}
		for range 1 + rng.IntN(4) {
			c := rng.IntN(len(chunks))
			damaged[c] = true
			from, to := chunks[c][0], chunks[c][1]
			switch rng.IntN(3) {
			case 0:
				data[from+rng.IntN(to-from)] ^= 1 << rng.IntN(8)
			case 1: // a sector of zeros
				at := from + rng.IntN(to-from)
				clear(data[at:min(at+512, to)])
			default: // garbage over all of it
				copy(data[from:to], noise(rng, to-from))
			}
			if bytes.Equal(data[from:to], whole[from:to]) {
				delete(damaged, c)
			}
		}
		lost := allBut(d, entries)
		for _, e := range entries {
			for c := range e.chunks {
				if damaged[c] {
					lost[e.sequence] = true
				}
			}
		}
		fs := copyDisk(t, d.fs)
		write(t, fs, path, data)
		f, got := scan(t, d, fs)
		// A damaged length field may hide a chunk that is as good as intact;
		// never more than the oracle says is lost.
		wantLost(t, d, got, lost)
		if len(damaged) > 0 && f.Damaged == 0 {
			t.Errorf("round %d: %d chunks damaged, none reported", round, len(damaged))
		}
		lostInAll += len(lost)
	}
	t.Logf("%d chunks, %d events lost in 40 rounds", len(chunks), lostInAll)
}

// TestLogCut cuts the log: every event whose bytes are before the cut is found.
func TestLogCut(t *testing.T) {
	d := makeDisk(t, 1000, 300, false)
	path := keepOnly(t, d.fs, ".log")
	whole := read(t, d.fs, path)
	chunks, entries := logMap(t, whole)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		at := rng.IntN(chunks[len(chunks)-1][1])
		lost := allBut(d, entries)
		for _, e := range entries {
			for c := range e.chunks {
				if chunks[c][1] > at {
					lost[e.sequence] = true
				}
			}
		}
		fs := copyDisk(t, d.fs)
		write(t, fs, path, whole[:at])
		_, got := scan(t, d, fs)
		wantLost(t, d, got, lost)
	}
}
