package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/archive"
)

// Slots of 5 seconds: the federation that sizes are computed for.
const (
	slotSeconds = 5
	slotsPerDay = 24 * 3600 / slotSeconds
	members     = 3
)

// sizes is what one journal takes.
type sizes struct {
	name          string
	events        uint64
	blocks        uint64
	eventBytes    int64 // stored values of events, keys too
	contents      uint64
	contentBytes  int64 // uncompressed
	archivedBytes int64
	disk          int64 // of the database
	snapshots     int64
	byType        map[string]*typeSize
}

type typeSize struct {
	events uint64
	bytes  int64
}

// sizing measures journals that real turns wrote, and computes from them what a
// federation takes.
func (b *bench) sizing(ctx context.Context) error {
	dev, err := b.devChain(ctx)
	if err != nil {
		return err
	}
	dev.print()
	for _, name := range []string{"fed3"} {
		if _, err := b.throughNode(ctx, name); err != nil {
			return err
		}
		s, err := measureJournal(ctx, "import of "+name, filepath.Join(b.dir, "import-"+name), b)
		if err != nil {
			return err
		}
		s.print()
	}
	dev.federation()
	return nil
}

// devChain runs the development node for some blocks.
func (b *bench) devChain(ctx context.Context) (sizes, error) {
	dir := filepath.Join(b.dir, "sizing")
	program := exec.CommandContext(ctx, b.alys, "node", "--dev", "--data-dir", dir)
	out, err := program.StdoutPipe()
	if err != nil {
		return sizes{}, err
	}
	if err := program.Start(); err != nil {
		return sizes{}, err
	}
	blocks := 0
	lines := bufio.NewScanner(out)
	deadline := time.Now().Add(time.Duration(b.seconds) * 8 * time.Second)
	for time.Now().Before(deadline) && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "block ") {
			blocks++
		}
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		return sizes{}, err
	}
	_, _ = io.Copy(io.Discard, out)
	if err := program.Wait(); err != nil {
		return sizes{}, fmt.Errorf("development node: %w", err)
	}
	return measureJournal(ctx, "development node", dir, b)
}

// measureJournal reads all of a journal.
func measureJournal(ctx context.Context, name, dataDir string, b *bench) (sizes, error) {
	s := sizes{name: name, byType: map[string]*typeSize{}}
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(dataDir), ReadOnly: true, Logger: b.log})
	if err != nil {
		return s, err
	}
	defer j.Close()
	counted := &byteCount{}
	w, err := archive.NewWriter(counted, archive.Start{Journal: j.ID(), First: 1, Before: journal.Origin(j.ID())})
	if err != nil {
		return s, err
	}
	named := map[journal.Hash]bool{}
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		_, envelope, hash := it.Raw()
		e, err := it.Event()
		if err != nil {
			return s, err
		}
		s.add(e, len(envelope))
		if err := w.Event(e.Time, append(slices.Clone(envelope), hash[:]...)); err != nil {
			return s, err
		}
		for _, h := range e.Contents {
			named[h] = true
		}
	}
	if err := it.Err(); err != nil {
		return s, err
	}
	for _, h := range slices.SortedFunc(maps.Keys(named), func(a, b journal.Hash) int { return cmp.Compare(string(a[:]), string(b[:])) }) {
		data, err := j.Content(h)
		if err != nil {
			return s, err
		}
		s.contents++
		s.contentBytes += int64(len(data))
		if err := w.Content(h, data); err != nil {
			return s, err
		}
	}
	if _, err := w.Finish(); err != nil {
		return s, err
	}
	s.archivedBytes = counted.n
	if s.disk, err = diskBytes(filepath.Join(node.JournalDir(dataDir), "pebble"), ""); err != nil {
		return s, err
	}
	if s.snapshots, err = diskBytes(node.SnapshotDir(dataDir), ""); os.IsNotExist(err) {
		err = nil
	}
	return s, err
}

type byteCount struct{ n int64 }

func (c *byteCount) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// keyAndHash is what an event takes beside its envelope: key and chain hash.
const keyAndHash = 1 + 8 + 32

func (s *sizes) add(e *journal.Event, envelope int) {
	s.events++
	s.eventBytes += int64(envelope) + keyAndHash
	name := e.Actor + "/" + e.Type
	t := s.byType[name]
	if t == nil {
		t = new(typeSize)
		s.byType[name] = t
	}
	t.events++
	t.bytes += int64(envelope) + keyAndHash
	for i := range e.Outputs {
		if e.Outputs[i].Kind == journal.KindFact && e.Outputs[i].Type == "block_connected" {
			s.blocks++
		}
	}
}

func (s *sizes) print() {
	row(s.name, "%d events, %d blocks, %.0f bytes an event, %.1f events a block", s.events, s.blocks,
		float64(s.eventBytes)/float64(s.events), float64(s.events)/float64(max(s.blocks, 1)))
	row("  a block", "%.0f bytes of events, %.0f of contents, %.0f archived", s.perBlock(s.eventBytes), s.perBlock(s.contentBytes), s.perBlock(s.archivedBytes))
	row("  database, snapshots on disk", "%s, %s bytes", thousands(float64(s.disk)), thousands(float64(s.snapshots)))
	for _, name := range slices.SortedFunc(maps.Keys(s.byType), func(a, b string) int { return cmp.Compare(s.byType[b].bytes, s.byType[a].bytes) }) {
		t := s.byType[name]
		row("    "+name, "%d events, %.0f bytes each, %.2f a block", t.events, float64(t.bytes)/float64(t.events), float64(t.events)/float64(max(s.blocks, 1)))
	}
}

func (s *sizes) perBlock(bytes int64) float64 { return float64(bytes) / float64(max(s.blocks, 1)) }

// federation computes from the measured block what a member of a federation of
// three takes. A member produces every third block and takes the others from
// peers; each of the others costs at most what a produced one does (the block
// comes in as content instead of being built), plus an approval of each other
// member, whose messages have the size of the largest small event measured.
func (s *sizes) federation() {
	approval := 0.0
	for _, t := range s.byType {
		if mean := float64(t.bytes) / float64(t.events); mean < 1024 {
			approval = max(approval, mean)
		}
	}
	hot := s.perBlock(s.eventBytes) + s.perBlock(s.contentBytes) + (members-1)*approval
	archived := s.perBlock(s.archivedBytes) * hot / (s.perBlock(s.eventBytes) + s.perBlock(s.contentBytes))
	const day, week, decade = slotsPerDay, 7 * slotsPerDay, 3653 * slotsPerDay
	gigabytes := func(bytesPerBlock float64, blocks int) string {
		return fmt.Sprintf("%.2f GB", bytesPerBlock*float64(blocks)/1e9)
	}
	row("federation of 3, a block of an empty payload", "%.0f bytes in the hot store, %.0f archived", hot, archived)
	row("  a day, a week, ten years, hot", "%s, %s, %s", gigabytes(hot, day), gigabytes(hot, week), gigabytes(hot, decade))
	row("  a day, a week, ten years, archived", "%s, %s, %s", gigabytes(archived, day), gigabytes(archived, week), gigabytes(archived, decade))
	row("  20 GB of hot store hold", "%.0f days", 20e9/(hot*day))
}
