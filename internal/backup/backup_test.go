package backup

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func appendTo(t testing.TB, j *journal.Journal, to uint64) {
	t.Helper()
	for s := j.Head().Sequence + 1; s <= to; s++ {
		data := []byte(strings.Repeat("content ", int(s%50)+1))
		e := &journal.Event{Sequence: s, Time: int64(s), Actor: "a", Type: "t", Schema: 1, Stored: true, Message: []byte{byte(s)}}
		c := journal.Content{Hash: journal.SumContent(data), Data: data}
		e.Contents = []journal.Hash{c.Hash}
		if _, err := j.Append(e, []journal.Content{c}); err != nil {
			t.Error(err)
			return
		}
	}
	if err := j.WaitDurable(context.Background(), to); err != nil {
		t.Error(err)
	}
}

// running is a data directory whose journal is open for appending.
func running(t *testing.T) (dataDir string, j *journal.Journal, s Source) {
	t.Helper()
	dataDir = filepath.Join(t.TempDir(), "data")
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dataDir, journalName), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	appendTo(t, j, 300)
	for name, text := range map[string]string{"genesis.json": "{}", "snapshots/1.manifest": "m", "snapshots/chunks/1.chunk": "c", "snapshots/chunks/2.chunk.tmp": "x"} {
		path := filepath.Join(dataDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s = Source{DataDir: dataDir, Journal: func(context.Context) (Still, error) {
		head := j.Durable()
		dir := filepath.Join(t.TempDir(), "checkpoint")
		return Still{Dir: dir, ID: j.ID(), Head: head, Release: func() error { return os.RemoveAll(dir) }}, j.Checkpoint(dir)
	}}
	return dataDir, j, s
}

// TestUnderLoad takes backups while events are appended and archived; each
// restores to what had been acknowledged when it began, at least.
func TestUnderLoad(t *testing.T) {
	dataDir, j, s := running(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for next := uint64(310); ; next += 10 {
			select {
			case <-stop:
				return
			default:
				appendTo(t, j, next)
			}
		}
	})
	for round := range 3 {
		acked := j.Durable().Sequence
		dir := filepath.Join(filepath.Dir(dataDir), "backup"+string(rune('a'+round)))
		m, err := Write(t.Context(), dir, s)
		if err != nil {
			t.Fatal(err)
		}
		if m.Head.Sequence < acked || m.Journal != j.ID() {
			t.Fatalf("%+v, acknowledged were %d", m.Head, acked)
		}
		if checked, err := Check(t.Context(), dir, nil); err != nil || checked.Head != m.Head || checked.Bytes() != m.Bytes() {
			t.Fatal(err)
		}
		back := filepath.Join(filepath.Dir(dataDir), "restored"+string(rune('a'+round)))
		if _, err := Restore(t.Context(), dir, back, nil, nil); err != nil {
			t.Fatal(err)
		}
		checkRestored(t, back, j, m.Head)
		if _, err := j.Archive(t.Context(), uint64(100*(round+1)), journal.ArchiveOptions{SegmentBytes: 4 << 10}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}

func checkRestored(t *testing.T, dataDir string, original *journal.Journal, head journal.Head) {
	t.Helper()
	r, err := journal.Open(journal.Options{Dir: filepath.Join(dataDir, journalName), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	_, want, err := original.Event(r.Head().Sequence)
	if err != nil || want != r.Head().Hash || r.Head().Sequence < head.Sequence || r.ID() != original.ID() {
		t.Fatalf("restored to %s, backed up was %s: %v", r.Head(), head, err)
	}
	if i, pending := r.PendingIncident(); !pending || i.Kind != journal.IncidentRestore || i.Before != r.Head() {
		t.Fatalf("incident %+v, pending %v", i, pending)
	}
	if _, err := os.Stat(filepath.Join(dataDir, "snapshots/chunks/2.chunk.tmp")); err == nil {
		t.Fatal("an unfinished file was copied")
	}
}

// TestEveryFlippedByte flips a bit of every byte of a small backup's manifest
// and one of every file.
func TestEveryFlippedByte(t *testing.T) {
	_, _, s := running(t)
	dir := filepath.Join(t.TempDir(), "backup")
	m, err := Write(t.Context(), dir, s)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(path string, at int) {
		t.Helper()
		whole, err := os.ReadFile(path)
		if err != nil || len(whole) == 0 {
			return
		}
		bad := append([]byte(nil), whole...)
		bad[at%len(bad)] ^= 1 << (at % 8)
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Check(t.Context(), dir, nil); !fault.Is(err, fault.Corrupt) && !strings.Contains(err.Error(), "format") {
			t.Fatalf("%s, byte %d: %v", path, at, err)
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	manifest := filepath.Join(dir, ManifestName)
	size, err := os.Stat(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for at := range int(size.Size()) {
		flipped(manifest, at)
	}
	for i, f := range m.Files {
		flipped(filepath.Join(dir, f.Path), 7*i)
	}
	if _, err := Check(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
}

func TestInterrupted(t *testing.T) {
	dataDir, _, s := running(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := dataDir + ".backup"
	if _, err := Write(ctx, dir, s); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(dir + "*"); len(left) != 0 {
		t.Fatal(left)
	}
	if _, err := Write(t.Context(), dir, s); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(ctx, dir, dataDir+".new", nil, nil); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(dataDir + ".new*"); len(left) != 0 {
		t.Fatal(left)
	}
}

func FuzzManifest(f *testing.F) {
	m := Manifest{Journal: journal.ID{1}, Head: journal.Head{Sequence: 4}, Time: 5, Files: []File{{Path: "a/b c", Size: 3}, {Path: "b"}}}
	f.Add(m.encode())
	f.Add([]byte("alys backup 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			return
		}
		if string(m.encode()) != string(data) {
			t.Fatal("decodes, and encodes to other bytes")
		}
		for _, x := range m.Files {
			if !filepath.IsLocal(filepath.FromSlash(x.Path)) {
				t.Fatalf("path %q leads out", x.Path)
			}
		}
	})
}

// remote is a storage that a checkpoint does not copy.
type remote struct{ archive.Storage }

// TestElsewhere makes a backup of a journal whose archive is in another place:
// the backup refers to it, and is none of a segment that is gone.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	bucket := filepath.Join(dir, "bucket")
	storage := remote{archive.NewLocal(nil, bucket)}
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "data", journalName), Archive: storage, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	appendTo(t, j, 300)
	report, err := j.Archive(t.Context(), 200, journal.ArchiveOptions{SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	s := Source{DataDir: filepath.Join(dir, "data"), Journal: func(ctx context.Context) (Still, error) {
		still := Still{Dir: filepath.Join(t.TempDir(), "checkpoint"), ID: j.ID(), Head: j.Durable(), Release: func() error { return nil }}
		elsewhere, err := FindElsewhere(ctx, storage, j.Archived())
		still.Elsewhere = elsewhere
		return still, errors.Join(err, j.Checkpoint(still.Dir))
	}}
	to := filepath.Join(dir, "backup")
	if _, err := Write(t.Context(), to, s); err != nil {
		t.Fatal(err)
	}
	m, err := Check(t.Context(), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Elsewhere{Storage: bucket, Segments: len(report.Segments), Last: 199, Bytes: report.Bytes}
	if m.Elsewhere == nil || *m.Elsewhere != want {
		t.Fatalf("%+v, want %+v", m.Elsewhere, want)
	}
	for i := range m.Files {
		if strings.HasSuffix(m.Files[i].Path, ".segment") {
			t.Errorf("%s is in the backup", m.Files[i].Path)
		}
	}
	back := filepath.Join(dir, "restored")
	if _, err := Restore(t.Context(), to, back, storage, nil); err != nil {
		t.Fatal(err)
	}
	r, err := journal.Open(journal.Options{Dir: filepath.Join(back, journalName), Archive: storage, ReadOnly: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Verify(t.Context(), 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(bucket, report.Segments[0].Name), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), to+"2", s); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), report.Segments[0].Name) {
		t.Fatal(err)
	}
}
