package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/snapshot"
)

// state is section, key, value.
type state map[string]map[string]string

func (s state) sections() []snapshot.Section {
	var out []snapshot.Section
	for name, entries := range s {
		out = append(out, snapshot.Section{Name: name, Walk: func(yield func(key, value []byte) error) error {
			for _, k := range slices.Sorted(maps.Keys(entries)) {
				if err := yield([]byte(k), []byte(entries[k])); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return out
}

func (s state) clone() state {
	out := state{}
	for name, entries := range s {
		out[name] = maps.Clone(entries)
	}
	return out
}

func equal(a, b state) bool { return maps.EqualFunc(a, b, maps.Equal[map[string]string]) }

// numbered returns n entries that spread over many chunks.
func numbered(section string, n int) state {
	entries := map[string]string{}
	for i := range n {
		entries[fmt.Sprintf("key/%06d", i)] = fmt.Sprintf("value %d of the section", i)
	}
	return state{section: entries, "empty": {}}
}

func at(sequence uint64) snapshot.Position {
	return snapshot.Position{Journal: [16]byte{7}, Sequence: sequence, Hash: [32]byte{byte(sequence)}}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fatalf is what testing.T and rapid.T share.
type fatalf interface {
	Helper()
	Fatalf(format string, args ...any)
}

func open(t fatalf, fs vfs.FS, keep int) (*snapshot.Store, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	s, err := snapshot.Open(snapshot.Options{FS: fs, Dir: "snapshots", Keep: keep, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s, log
}

func write(t fatalf, s *snapshot.Store, sequence uint64, st state) snapshot.Manifest {
	t.Helper()
	m, err := s.Write(at(sequence), st.sections())
	if err != nil {
		t.Fatalf("write %d: %v", sequence, err)
	}
	return m
}

func load(s *snapshot.Store, m snapshot.Manifest) (state, error) {
	out := state{}
	for _, d := range m.Sections {
		out[d.Name] = map[string]string{}
	}
	err := s.Load(m, func(section string, key, value []byte) error {
		out[section][string(key)] = string(value)
		return nil
	})
	return out, err
}

func genState(t *rapid.T) state {
	return rapid.MapOfN(
		rapid.StringMatching(`[a-z]{1,8}`),
		rapid.MapOfN(rapid.StringMatching(`[a-z0-9]{0,6}`), rapid.String(), 0, 400),
		0, 4,
	).Draw(t, "state")
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := open(t, vfs.NewMem(), 3)
		want := genState(t)
		m := write(t, s, 9, want)
		list, err := s.List()
		if err != nil || len(list) != 1 || list[0].Root != m.Root || list[0].Position != at(9) || list[0].File != m.File {
			t.Fatalf("list: %+v, %v", list, err)
		}
		got, err := load(s, list[0])
		if err != nil || !equal(got, want) {
			t.Fatalf("load: %v\n got %v\nwant %v", err, got, want)
		}
		digests, err := snapshot.Digests(want.sections())
		if err != nil || !slices.Equal(digests, m.Sections) || snapshot.Root(digests) != m.Root {
			t.Fatalf("digests differ from the manifest: %v %v %v", digests, m.Sections, err)
		}
	})
}

// The real file system: what the others do in memory.
func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	want := numbered("chain", 5000)
	s, err := snapshot.Open(snapshot.Options{Dir: dir + "/data/snapshots"})
	if err != nil {
		t.Fatal(err)
	}
	m := write(t, s, 1, want)
	reader, err := snapshot.Open(snapshot.Options{Dir: dir + "/data/snapshots", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	found, ok, err := reader.Newest(func(m snapshot.Manifest) error { return reader.Verify(m) })
	if err != nil || !ok || found.Root != m.Root {
		t.Fatalf("newest: %+v %v %v", found, ok, err)
	}
	if got, err := load(reader, found); err != nil || !equal(got, want) {
		t.Fatalf("load: %v", err)
	}
	if _, err := reader.Write(at(2), nil); !fault.Is(err, fault.Invalid) {
		t.Fatalf("write on a read-only store: %v", err)
	}
	absent, err := snapshot.Open(snapshot.Options{Dir: dir + "/absent", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := absent.List(); err != nil || len(list) != 0 {
		t.Fatalf("list of an absent directory: %v %v", list, err)
	}
}

// Only chunks that a change touches are written again.
func TestWritesChangedChunks(t *testing.T) {
	var mu sync.Mutex
	created := 0
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate {
			mu.Lock()
			created++
			mu.Unlock()
		}
		return nil
	}))
	s, _ := open(t, fs, 3)
	st := numbered("chain", 20000)
	m := write(t, s, 1, st)
	chunks := m.Chunks()
	if created != chunks+1 || chunks < 20000/64/2 || chunks > 20000/64*2 {
		t.Fatalf("%d chunks, %d files created", chunks, created)
	}
	for i, change := range []func(){
		func() {},
		func() { st["chain"]["key/010000"] = "changed" },
		func() { st["chain"]["key/010000a"] = "inserted" },
		func() { delete(st["chain"], "key/005000") },
	} {
		created = 0
		change()
		m := write(t, s, uint64(i+2), st)
		if want := min(i, 1) + 1; created < want || created > want+1 {
			t.Errorf("change %d: %d files created of %d chunks", i, created, m.Chunks())
		}
	}
	// A new process reads what it finds before it relies on it, and writes nothing.
	created = 0
	s, _ = open(t, fs, 3)
	write(t, s, 9, st)
	if created != 1 {
		t.Errorf("after reopening: %d files created", created)
	}
}

func TestPrune(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := open(t, fs, 2)
	st := numbered("chain", 500)
	for i := range uint64(6) {
		st["chain"][fmt.Sprintf("key/%06d", i*80)] = fmt.Sprint("changed ", i)
		write(t, s, i+1, st)
	}
	list, err := s.List()
	if err != nil || len(list) != 2 || list[0].Sequence != 6 || list[1].Sequence != 5 {
		t.Fatalf("kept %v %v", list, err)
	}
	used := map[string]bool{}
	for _, m := range list {
		if err := s.Verify(m); err != nil {
			t.Error(err)
		}
		for _, name := range snapshot.ChunkNames(m) {
			used[name] = true
		}
	}
	names, _ := fs.List("snapshots/chunks")
	for _, name := range names {
		if !used[name] {
			t.Errorf("chunk %s is referred to by nothing", name)
		}
	}
	// A shorter history, as after a repair, and another journal: what was just written stays.
	write(t, s, 3, numbered("chain", 10))
	expectSequences(t, s, 6, 5, 3)
	other := at(1)
	other.Journal = [16]byte{8}
	if _, err := s.Write(other, numbered("chain", 20).sections()); err != nil {
		t.Fatal(err)
	}
	expectSequences(t, s, 6, 5, 1)
}

func expectSequences(t *testing.T, s *snapshot.Store, want ...uint64) {
	t.Helper()
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, m := range list {
		got = append(got, m.Sequence)
		if err := s.Verify(m); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("sequences %v, want %v", got, want)
	}
}

// A damaged chunk that the next snapshot contains too is written anew.
func TestDamagedChunkIsReplaced(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := open(t, mem, 3)
	st := numbered("chain", 200)
	m := write(t, s, 1, st)
	path := "snapshots/chunks/" + snapshot.ChunkNames(m)[1]
	data, err := mem.UnsafeGetFileDataBuffer(path)
	if err != nil {
		t.Fatal(err)
	}
	data[20] ^= 4
	s, log := open(t, mem, 3)
	if err := s.Verify(m); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), path) {
		t.Fatalf("verify: %v", err)
	}
	write(t, s, 2, st)
	if !strings.Contains(log.String(), "written anew") {
		t.Errorf("log: %s", log)
	}
	if err := s.Verify(m); err != nil {
		t.Errorf("after the next write: %v", err)
	}
	// Also when files vanish while the process relies on them.
	if err := mem.RemoveAll("snapshots"); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(write(t, s, 3, st)); err != nil {
		t.Error(err)
	}
}

func TestNewerFormat(t *testing.T) {
	mem := vfs.NewMem()
	s, log := open(t, mem, 1)
	first := write(t, s, 5, numbered("chain", 100))
	newer := snapshot.WithManifestVersion(first, 3)
	if err := mem.Remove("snapshots/" + first.File); err != nil {
		t.Fatal(err)
	}
	f, err := mem.Create("snapshots/"+first.File, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(newer); err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil || len(list) != 0 || !strings.Contains(log.String(), "version 3, known is 2") {
		t.Fatalf("list %v %v\n%s", list, err, log)
	}
	// Its chunks are not ours to remove.
	before, _ := mem.List("snapshots/chunks")
	write(t, s, 9, state{"chain": {"k": "v"}})
	after, _ := mem.List("snapshots/chunks")
	if len(after) != len(before)+1 {
		t.Errorf("%d chunks before, %d after", len(before), len(after))
	}
	if _, err := mem.Stat("snapshots/" + first.File); err != nil {
		t.Errorf("manifest of the newer format: %v", err)
	}
}

func TestNewest(t *testing.T) {
	s, _ := open(t, vfs.NewMem(), 5)
	for i := range uint64(4) {
		write(t, s, i+1, numbered("chain", int(i)))
	}
	m, found, err := s.Newest(func(m snapshot.Manifest) error {
		if m.Sequence > 2 {
			return snapshot.ErrSkip
		}
		return nil
	})
	if err != nil || !found || m.Sequence != 2 {
		t.Errorf("newest: %d %v %v", m.Sequence, found, err)
	}
	if _, found, err := s.Newest(func(snapshot.Manifest) error { return snapshot.ErrSkip }); found || err != nil {
		t.Errorf("all skipped: %v %v", found, err)
	}
	boom := errors.New("boom")
	if _, _, err := s.Newest(func(snapshot.Manifest) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("error of try: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	walk := func(entries ...[2]string) func(func(key, value []byte) error) error {
		return func(yield func(key, value []byte) error) error {
			for _, e := range entries {
				if err := yield([]byte(e[0]), []byte(e[1])); err != nil {
					return err
				}
			}
			return nil
		}
	}
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		sections []snapshot.Section
		text     string
	}{
		"descending": {[]snapshot.Section{{Name: "a", Walk: walk([2]string{"b"}, [2]string{"a"})}}, "ascend"},
		"equal":      {[]snapshot.Section{{Name: "a", Walk: walk([2]string{""}, [2]string{""})}}, "ascend"},
		"long key":   {[]snapshot.Section{{Name: "a", Walk: walk([2]string{strings.Repeat("k", snapshot.MaxKey+1)})}}, "allowed"},
		"long value": {[]snapshot.Section{{Name: "a", Walk: walk([2]string{"k", strings.Repeat("v", snapshot.MaxValue+1)})}}, "allowed"},
		"no name":    {[]snapshot.Section{{Walk: walk()}}, "name"},
		"long name":  {[]snapshot.Section{{Name: strings.Repeat("n", 256), Walk: walk()}}, "name"},
		"twice":      {[]snapshot.Section{{Name: "a", Walk: walk()}, {Name: "a", Walk: walk()}}, "two sections"},
		"walk fails": {[]snapshot.Section{{Name: "a", Walk: func(func(key, value []byte) error) error { return boom }}}, "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t, vfs.NewMem(), 1)
			if _, err := s.Write(at(1), test.sections); !fault.Is(err, fault.Fatal) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("write: %v", err)
			}
			if _, err := snapshot.Digests(test.sections); !fault.Is(err, fault.Fatal) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("digests: %v", err)
			}
			if list, err := s.List(); err != nil || len(list) != 0 {
				t.Errorf("list: %v %v", list, err)
			}
		})
	}
	for _, o := range []snapshot.Options{{FS: vfs.NewMem()}, {FS: vfs.NewMem(), Dir: "x", Keep: -1}} {
		if _, err := snapshot.Open(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("open %+v: %v", o, err)
		}
	}
}

// Values at and around the limits of a chunk keep their place.
func TestLargeEntries(t *testing.T) {
	s, _ := open(t, vfs.NewMem(), 1)
	entries := map[string]string{}
	rng := rand.New(rand.NewPCG(1, 2))
	for i, size := range []int{0, 1, 1 << 10, 1<<20 - 40, 1 << 20, 1<<20 + 1, 3 << 20, snapshot.MaxValue} {
		value := make([]byte, size)
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		entries[fmt.Sprint("large", i)] = string(value)
	}
	entries[strings.Repeat("k", snapshot.MaxKey)] = "long key"
	want := state{"big": entries}
	if got, err := load(s, write(t, s, 1, want)); err != nil || !equal(got, want) {
		t.Fatalf("load: %v", err)
	}
}
