package scrub

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

var quiet = slog.New(slog.DiscardHandler)

// running is a journal of which a half is archived, a snapshot, and their scrubber.
func running(t *testing.T) (dir string, j *journal.Journal, s *Scrubber) {
	t.Helper()
	dir = t.TempDir()
	j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "journal"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	for q := uint64(1); q <= 200; q++ {
		e := &journal.Event{Sequence: q, Time: int64(q), Actor: "a", Type: "t", Schema: 1, Stored: true, Message: []byte(strings.Repeat("m", int(q)))}
		if _, err := j.Append(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.WaitDurable(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Archive(t.Context(), 100, journal.ArchiveOptions{SegmentBytes: 4 << 10}); err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.Open(snapshot.Options{Dir: filepath.Join(dir, "snapshots"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Write(snapshot.Position{Sequence: 9}, []snapshot.Section{{Name: "a", Walk: func(yield func(key, value []byte) error) error {
		return yield([]byte("k"), []byte("v"))
	}}}); err != nil {
		t.Fatal(err)
	}
	return dir, j, New(Options{
		Journal: j.Checkpoint, Scratch: filepath.Join(dir, "scrub"), Snapshots: filepath.Join(dir, "snapshots"),
		BytesPerSecond: 1 << 40, Logger: quiet,
	})
}

func flip(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(pattern, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 8
	// In place: the checkpoint's links name the same file.
	if err := os.WriteFile(files[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPass(t *testing.T) {
	dir, _, s := running(t)
	if err := s.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.Status()
	if got.Passes != 1 || got.Findings != 0 || got.Covered != 201 || got.Total != 201 || got.Bytes == 0 || got.LastPassMs == 0 {
		t.Fatalf("%+v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "scrub")); !os.IsNotExist(err) {
		t.Fatal("the checkpoint stays", err)
	}
}

func TestFlippedBitIsFound(t *testing.T) {
	for _, pattern := range []string{"journal/archive/*.segment", "snapshots/chunks/*.chunk"} {
		t.Run(pattern, func(t *testing.T) {
			dir, j, s := running(t)
			flip(t, filepath.Join(dir, pattern))
			for pass := range 2 {
				if err := s.Pass(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := s.Status()
				if got.Findings < uint64(pass+1) || got.Passes != uint64(pass+1) || got.Covered != 201 {
					t.Fatalf("%+v", got)
				}
				name := filepath.Ext(pattern)
				if !strings.Contains(got.LastFinding, name) {
					t.Fatal(got.LastFinding)
				}
			}
			// The journal goes on.
			if _, err := j.Append(&journal.Event{Sequence: 201, Time: 300, Actor: "a", Type: "t", Stored: true}, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestStopEndsAPass(t *testing.T) {
	_, _, s := running(t)
	s.fs.rate = 1 // a byte a second
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Pass(ctx) }()
	for s.Status().Bytes == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err == nil {
		t.Fatal("a stopped pass counts as whole")
	}
	if got := s.Status(); got.Findings != 0 || got.Passes != 0 {
		t.Fatalf("stopping looks like damage: %+v", got)
	}
}

// TestRate holds the sum of the waits to the rate, without a clock.
func TestRate(t *testing.T) {
	p := newPacedFS(1000, func(int) {})
	now := time.Unix(100, 0)
	for i, want := range []time.Duration{0, time.Second, 1500 * time.Millisecond} {
		if wait, _ := p.reserve(now, []int{1000, 500, 1}[i]); wait != want {
			t.Fatalf("read %d waits %s, want %s", i, wait, want)
		}
	}
	if wait, _ := p.reserve(now.Add(time.Minute), 1); wait != 0 {
		t.Fatal("time that nobody used was not free")
	}
}
