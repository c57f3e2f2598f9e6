package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/snapshot"
)

// flipsEnv switches this lane on: the number of bits to flip in each byte, 1 to 8.
const flipsEnv = "ALYS_FLIPS"

const (
	flipJournal   = "data/journal"
	flipIndex     = "data/journal/index"
	flipSnapshots = "data/snapshots"
)

var silent = slog.New(slog.DiscardHandler)

func flipOptions(fs vfs.FS, readOnly bool) journal.Options {
	return journal.Options{FS: fs, Dir: flipJournal, ReadOnly: readOnly, CacheBytes: 1 << 18, Logger: silent}
}

// appendFlip appends small events up to a sequence, in groups of three.
func appendFlip(t *testing.T, j *journal.Journal, to uint64) {
	t.Helper()
	for s := j.Head().Sequence + 1; s <= to; s++ {
		rng := rand.New(rand.NewPCG(s, 3))
		data := make([]byte, 20+rng.IntN(60))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		e := &journal.Event{
			Sequence: s, Time: 1_700_000_000_000 + int64(s), Actor: []string{"chain", "engine"}[s%2], Type: "turn", Schema: 1,
			Stored: true, Message: data,
			Outputs: []journal.Output{{Kind: journal.KindFact, Type: "fact", Schema: 1, Payload: data[:9]}},
		}
		var contents []journal.Content
		if s%4 == 0 {
			body := bytes.Repeat(data, 4)
			h := journal.SumContent(body)
			e.Contents, contents = []journal.Hash{h}, []journal.Content{{Hash: h, Data: body}}
		}
		if _, err := j.Append(e, contents); err != nil {
			t.Fatal(err)
		}
		if s%3 == 0 || s == to {
			if err := j.WaitDurable(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// flipDisk makes what a small node leaves: tables, a log, an archive, an index
// and two snapshots, closed cleanly or cut off.
func flipDisk(t *testing.T, killed bool) *vfs.MemFS {
	mem := vfs.NewCrashableMem()
	open := func() *journal.Journal {
		j, err := journal.Open(flipOptions(mem, false))
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	store, err := snapshot.Open(snapshot.Options{FS: mem, Dir: flipSnapshots, Keep: 2, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	j := open()
	appendFlip(t, j, 20)
	if _, err := j.Archive(t.Context(), 9, journal.ArchiveOptions{}); err != nil {
		t.Fatal(err)
	}
	flipSnapshot(t, store, j)
	followFlip(t, mem, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open()
	appendFlip(t, j, 32)
	flipSnapshot(t, store, j)
	if killed {
		clone := mem.CrashClone(vfs.CrashCloneCfg{})
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		return clone
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return mem
}

func flipSnapshot(t *testing.T, store *snapshot.Store, j *journal.Journal) {
	t.Helper()
	head := j.Durable()
	var sections []snapshot.Section
	for _, name := range []string{"chain", "miner"} {
		sections = append(sections, snapshot.Section{Name: name, Walk: func(yield func(key, value []byte) error) error {
			for i := range 12 {
				if err := yield(fmt.Appendf(nil, "%s %02d", name, i), fmt.Appendf(nil, "value %d at %d", i, head.Sequence)); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	if _, err := store.Write(snapshot.Position{Journal: j.ID(), Sequence: head.Sequence, Hash: snapshot.Hash(head.Hash)}, sections); err != nil {
		t.Fatal(err)
	}
}

// followFlip lets an index follow the journal to its end.
func followFlip(t *testing.T, fs vfs.FS, j *journal.Journal) {
	t.Helper()
	x, err := index.Open(j, index.Options{FS: fs, Dir: flipIndex, Gather: -1, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	for x.Position().Sequence < j.Durable().Sequence {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

// lookFlip opens, verifies and reads a journal; what it finds wrong is the error.
func lookFlip(fs vfs.FS, readOnly bool) (text string, err error) {
	j, err := journal.Open(flipOptions(fs, readOnly))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if _, err := j.Verify(context.Background(), 0, 0, nil); err != nil {
		return "", err
	}
	return journal.Fingerprint(j)
}

// askFlip asks the index for the events of an actor.
func askFlip(fs vfs.FS) (text string, err error) {
	j, err := journal.Open(flipOptions(fs, true))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	x, err := index.Open(j, index.Options{FS: fs, Dir: flipIndex, ReadOnly: true, CacheBytes: 1 << 18, Logger: silent})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	r, err := x.Find(context.Background(), index.Query{All: []index.Any{{index.Actor("engine")}}})
	if err != nil {
		return "", err
	}
	for r.Next() {
		text += fmt.Sprintln(r.Event().Sequence, r.Hash())
	}
	return text, r.Close()
}

// statesFlip reads the newest snapshot that is whole, as a node does.
func statesFlip(fs vfs.FS) (text string, warned int, err error) {
	var count counter
	store, err := snapshot.Open(snapshot.Options{FS: fs, Dir: flipSnapshots, ReadOnly: true, Logger: slog.New(&count)})
	if err != nil {
		return "", 0, err
	}
	all, err := store.List()
	if err != nil {
		return "", 0, err
	}
	for _, m := range all {
		one := fmt.Sprintln(m.Sequence, m.Root)
		err := store.Load(m, func(section string, key, value []byte) error {
			one += fmt.Sprintf("%s %q %q\n", section, key, value)
			return nil
		})
		if err != nil {
			count.n++
			continue
		}
		text += one
	}
	return text, count.n, nil
}

// counter counts warnings.
type counter struct{ n int }

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }
func (c *counter) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		c.n++
	}
	return nil
}
func (c *counter) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *counter) WithGroup(string) slog.Handler      { return c }

// position is one byte of one file.
type position struct {
	file string
	at   int
}

// flipCount is what came of the flips of one kind of file.
type flipCount struct{ tried, detected, harmless, silent, unnamed int }

// TestFlips flips a bit of every byte of what a small node leaves, cleanly
// closed and killed: each flip is detected and named, or changes nothing that
// can be read.
func TestFlips(t *testing.T) {
	bits := 0
	if _, err := fmt.Sscan(os.Getenv(flipsEnv), &bits); err != nil || bits < 1 || bits > 8 {
		t.Skipf("a slow lane: %s=1 flips one bit of every byte, 8 all of them (make journal-flips)", flipsEnv)
	}
	journal.SmallDatabases(t)
	for _, disk := range []struct {
		name string
		fs   *vfs.MemFS
	}{{"closed", flipDisk(t, false)}, {"killed", flipDisk(t, true)}} {
		t.Run(disk.name, func(t *testing.T) {
			counts := flipAll(t, disk.fs, bits)
			var all flipCount
			for _, kind := range slices.Sorted(maps.Keys(counts)) {
				c := counts[kind]
				t.Logf("%-18s %6d flips, %6d detected, %6d harmless", kind, c.tried, c.detected, c.harmless)
				all.tried, all.detected, all.harmless = all.tried+c.tried, all.detected+c.detected, all.harmless+c.harmless
				all.silent, all.unnamed = all.silent+c.silent, all.unnamed+c.unnamed
			}
			t.Logf("%-18s %6d flips, %6d detected, %6d harmless, %d silent, %d not named", "all, "+disk.name, all.tried, all.detected, all.harmless, all.silent, all.unnamed)
		})
	}
}

func flipAll(t *testing.T, disk *vfs.MemFS, bits int) map[string]flipCount {
	w := newFlipper(t, disk)
	want := *w
	work := make(chan position, 64)
	counts := map[string]flipCount{}
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			f := want
			f.fs = copyDisk(t, disk)
			for p := range work {
				for i := range bits {
					bit := (p.at + i) % 8
					result := f.flip(p, bit)
					mu.Lock()
					c := counts[kindOf(p.file)]
					c.tried++
					switch {
					case result == "":
						c.harmless++
					case result == "detected":
						c.detected++
					case strings.HasPrefix(result, "unnamed"):
						c.detected++
						c.unnamed++
						t.Errorf("%s byte %d bit %d: %s", p.file, p.at, bit, result)
					default:
						c.silent++
						t.Errorf("%s byte %d bit %d: %s", p.file, p.at, bit, result)
					}
					counts[kindOf(p.file)] = c
					mu.Unlock()
				}
			}
		})
	}
	for _, file := range filesOf(t, disk, "data") {
		for at := range bytesOf(t, disk, file) {
			work <- position{file, at}
		}
	}
	close(work)
	workers.Wait()
	return counts
}

func kindOf(file string) string {
	kind := "journal "
	switch {
	case strings.HasPrefix(file, flipSnapshots+"/"):
		kind = "snapshot "
	case strings.HasPrefix(file, flipIndex+"/"):
		kind = "index "
	case strings.HasPrefix(file, flipJournal+"/archive"):
		return "archive segment"
	}
	base := file[strings.LastIndexByte(file, '/')+1:]
	switch {
	case strings.HasPrefix(base, "MANIFEST"):
		return kind + "manifest"
	case strings.HasPrefix(base, "OPTIONS"):
		return kind + "options"
	case strings.Contains(base, "."):
		return kind + base[strings.LastIndexByte(base, '.')+1:]
	default:
		return kind + base
	}
}

// flipper knows what a disk reads as when nothing is flipped.
type flipper struct {
	t                       *testing.T
	fs                      *vfs.MemFS
	events, answers, states string
}

func newFlipper(t *testing.T, disk *vfs.MemFS) *flipper {
	f := &flipper{t: t, fs: copyDisk(t, disk)}
	var err1, err2, err3 error
	f.events, err1 = lookFlip(f.fs, true)
	f.answers, err2 = askFlip(f.fs)
	var warned int
	f.states, warned, err3 = statesFlip(f.fs)
	if err := errors.Join(err1, err2, err3); err != nil || warned > 0 || f.answers == "" || f.states == "" {
		t.Fatal(err, warned, f.answers, f.states)
	}
	return f
}

// flip flips a bit, looks, and flips it back. It returns "" for a harmless flip,
// "detected", or what is wrong.
func (f *flipper) flip(p position, bit int) string {
	original := bytesOf(f.t, f.fs, p.file)
	data := bytes.Clone(original)
	data[p.at] ^= 1 << bit
	putFile(f.t, f.fs, p.file, data)
	defer putFile(f.t, f.fs, p.file, original)
	if strings.HasPrefix(p.file, flipSnapshots+"/") {
		states, warned, err := statesFlip(f.fs)
		switch {
		case err != nil:
			return named(err)
		case warned > 0:
			return "detected"
		case states != f.states:
			return "snapshots read back differently without a warning"
		}
		return ""
	}
	events, err := lookFlip(f.fs, true)
	if err != nil {
		return named(err)
	}
	if events != f.events {
		return "the journal verifies and reads back differently"
	}
	if strings.HasPrefix(p.file, flipIndex+"/") {
		return f.flipIndex()
	}
	if strings.HasSuffix(p.file, "/HEAD") && p.at%64 != 0 {
		return "" // most of that file is padding
	}
	return f.write()
}

// flipIndex asks the damaged index.
func (f *flipper) flipIndex() string {
	answers, err := askFlip(f.fs)
	if err != nil {
		return named(err)
	}
	if answers != f.answers {
		return "the index answers differently"
	}
	return ""
}

// write opens the harmlessly changed journal for writing, which may remove
// files, and reads it again.
func (f *flipper) write() string {
	clone := copyDisk(f.t, f.fs)
	if events, err := lookFlip(clone, false); err != nil {
		return named(err)
	} else if events != f.events {
		return "opened for writing it reads back differently"
	}
	if events, err := lookFlip(clone, true); err != nil {
		return "opened for writing, closed and opened again: " + err.Error()
	} else if events != f.events {
		return "opened for writing and closed it reads back differently"
	}
	return ""
}

// named wants an error that says damage, and where.
func named(err error) string {
	var c *journal.CorruptError
	switch {
	case errors.Is(err, journal.ErrNewerFormat):
		return "detected"
	case !fault.Is(err, fault.Corrupt):
		return fmt.Sprintf("unnamed: graded %v: %v", fault.Of(err), err)
	case errors.As(err, &c) && c.Key == "" && c.Sequence == 0:
		return "unnamed: " + err.Error()
	}
	return "detected"
}

func filesOf(t *testing.T, fs vfs.FS, dir string) (files []string) {
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, n := range names {
		path := fs.PathJoin(dir, n)
		if info, err := fs.Stat(path); err != nil {
			t.Fatal(err)
		} else if info.IsDir() {
			files = append(files, filesOf(t, fs, path)...)
		} else if n != "LOCK" {
			files = append(files, path)
		}
	}
	return files
}

func bytesOf(t *testing.T, fs vfs.FS, path string) []byte {
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

func putFile(t *testing.T, fs vfs.FS, path string, data []byte) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(bytes.Clone(data))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func copyDisk(t *testing.T, from vfs.FS) *vfs.MemFS {
	to := vfs.NewMem()
	for _, f := range filesOf(t, from, "data") {
		if err := to.MkdirAll(from.PathDir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		putFile(t, to, f, bytesOf(t, from, f))
	}
	return to
}
