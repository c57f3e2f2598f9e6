package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func readFile(t testing.TB, fs vfs.FS, path string) []byte {
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

func writeFile(t testing.TB, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	// A file system may change what it is given to write.
	if _, err := f.Write(append([]byte(nil), data...)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// listFiles returns every file below a directory except locks, sorted.
func listFiles(t testing.TB, fs vfs.FS, dir string) []string {
	t.Helper()
	var files []string
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		path := fs.PathJoin(dir, n)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case info.IsDir():
			files = append(files, listFiles(t, fs, path)...)
		case n != lockName:
			files = append(files, path)
		}
	}
	slices.Sort(files)
	return files
}

func dump(t testing.TB, fs vfs.FS, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, f := range listFiles(t, fs, dir) {
		data := readFile(t, fs, f)
		fmt.Fprintf(&b, "%s %d %08x\n", f, len(data), crc32.ChecksumIEEE(data))
	}
	return b.String()
}

// makeJournal closes a journal of n events and returns its id and head.
func makeJournal(t testing.TB, fs vfs.FS, seed, n uint64) (ID, Head) {
	t.Helper()
	j := mustOpen(t, memOptions(fs))
	fill(t, j, seed, n)
	id, head := j.ID(), j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return id, head
}

// edit changes the database behind the journal's back.
func edit(t testing.TB, fs vfs.FS, f func(db *pebble.DB) error) {
	t.Helper()
	cache := pebble.NewCache(1 << 20)
	defer cache.Unref()
	db, err := openDatabase("journal/pebble", databaseOptions(fs, cache, &databaseLog{log: quiet}))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(db), db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func deleteEvents(from, to uint64) func(*pebble.DB) error {
	return func(db *pebble.DB) error {
		for s := from; s <= to; s++ {
			if err := db.Delete(appendEventKey(nil, s), pebble.Sync); err != nil {
				return err
			}
		}
		return nil
	}
}

func flipEvent(sequence uint64, at int) func(*pebble.DB) error {
	return func(db *pebble.DB) error {
		v, err := readKey(db, appendEventKey(nil, sequence))
		if err != nil {
			return err
		}
		v[(at+len(v))%len(v)] ^= 1
		return db.Set(appendEventKey(nil, sequence), v, pebble.Sync)
	}
}

const headPath = "journal/HEAD"

func writeSlots(t testing.TB, fs vfs.FS, a, b []byte) {
	file := make([]byte, headFileSize)
	copy(file, a)
	copy(file[headPage:], b)
	writeFile(t, fs, headPath, file)
}

func newerSlot(r record) []byte {
	b := encodeSlot(r)
	binary.BigEndian.PutUint32(b[8:], headVersion+1)
	binary.BigEndian.PutUint32(b[68:], crc32.Checksum(b[:68], castagnoli))
	return b
}

// scenario makes a row of the recovery table real.
type scenario struct {
	name   string
	events uint64
	damage func(t *testing.T, fs *vfs.MemFS, id ID, head Head)
	want   decision
	grade  fault.Grade // 0: opens
	text   string      // part of the refusal
}

func removeDatabase(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
	if err := fs.RemoveAll("journal/pebble"); err != nil {
		t.Fatal(err)
	}
}

func removeHead(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
	if err := fs.Remove(headPath); err != nil {
		t.Fatal(err)
	}
}

func setHead(sequence uint64) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, id ID, _ Head) {
		h := Head{Sequence: sequence, Hash: Hash{1}}
		if sequence == 0 {
			h.Hash = Origin(id)
		}
		writeSlots(t, fs, encodeSlot(record{id, h}), nil)
	}
}

func editing(f func(*pebble.DB) error) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) { edit(t, fs, f) }
}

func badHead(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) { writeSlots(t, fs, nil, nil) }

func foreignHead(t *testing.T, fs *vfs.MemFS, _ ID, head Head) {
	s := encodeSlot(record{ID{9}, head})
	writeSlots(t, fs, s, s)
}

func conflictHead(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
	writeSlots(t, fs, encodeSlot(record{id, head}), encodeSlot(record{id, Head{head.Sequence, Hash{7}}}))
}

func newerHead(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
	writeSlots(t, fs, newerSlot(record{id, head}), encodeSlot(record{id, head}))
}

func both(a, b func(*testing.T, *vfs.MemFS, ID, Head)) func(*testing.T, *vfs.MemFS, ID, Head) {
	return func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		a(t, fs, id, head)
		b(t, fs, id, head)
	}
}

var scenarios = []scenario{
	{"nothing there", 0, both(removeDatabase, removeHead), decideCreate, 0, ""},
	{"unfinished creation", 0, both(both(removeDatabase, removeHead), func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) {
		if err := fs.MkdirAll("journal/pebble.new", 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, "journal/pebble.new/MANIFEST-000001", []byte("torn"))
	}), decideCreate, 0, ""},
	{"database gone", 20, removeDatabase, decideLost, fault.Corrupt, "database is gone"},
	{"database gone, head bad", 20, both(removeDatabase, badHead), decideLost, fault.Corrupt, "database is gone"},
	{"database gone, head in conflict", 20, both(removeDatabase, conflictHead), decideLost, fault.Corrupt, "database is gone"},
	{"database gone, head foreign", 20, both(removeDatabase, foreignHead), decideLost, fault.Corrupt, "database is gone"},
	{"head newer", 20, newerHead, decideNewer, fault.Invalid, "newer program"},
	{"head newer, empty", 0, newerHead, decideNewer, fault.Invalid, "newer program"},
	{"head foreign", 20, foreignHead, decideForeign, fault.Corrupt, "09000000000000000000000000000000"},
	{"head foreign, empty", 0, foreignHead, decideForeign, fault.Corrupt, "09000000000000000000000000000000"},
	{"head in conflict", 20, conflictHead, decideDamagedHead, fault.Corrupt, headPath},
	{"head in conflict, empty", 0, conflictHead, decideDamagedHead, fault.Corrupt, headPath},
	{"head of two journals", 20, func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		writeSlots(t, fs, encodeSlot(record{id, head}), encodeSlot(record{ID{9}, head}))
	}, decideDamagedHead, fault.Corrupt, "two journals"},
	{"record ahead", 20, setHead(21), decideLost, fault.Corrupt, "acknowledged events 21 to 21 are lost"},
	{"record ahead, empty", 0, setHead(3), decideLost, fault.Corrupt, "acknowledged events 1 to 3 are lost"},
	{"last events gone", 20, editing(deleteEvents(18, 20)), decideLost, fault.Corrupt, "acknowledged events 18 to 20 are lost"},
	{"all events gone", 20, editing(deleteEvents(1, 20)), decideLost, fault.Corrupt, "acknowledged events 1 to 20 are lost"},
	{"record behind", 20, func(t *testing.T, fs *vfs.MemFS, id ID, _ Head) {
		h := eventHead(t, fs, 17)
		writeSlots(t, fs, nil, encodeSlot(record{id, h}))
	}, decideAdvance, 0, ""},
	{"record of the empty journal", 20, setHead(0), decideAdvance, 0, ""},
	{"record behind with another hash", 20, setHead(17), decideDamaged, fault.Corrupt, "event 17 "},
	{"record equal with another hash", 20, setHead(20), decideDamaged, fault.Corrupt, "event 20 "},
	{"origin with another hash", 0, func(t *testing.T, fs *vfs.MemFS, id ID, _ Head) {
		writeSlots(t, fs, encodeSlot(record{id, Head{Hash: Hash{1}}}), nil)
	}, decideDamaged, fault.Corrupt, "origin"},
	{"hole", 20, editing(deleteEvents(9, 9)), decideDamaged, fault.Corrupt, "event 9 (key e/0000000000000009): it is missing"},
	{"first event gone", 20, editing(deleteEvents(1, 1)), decideDamaged, fault.Corrupt, "event 1 (key e/0000000000000001): it is missing"},
	{"wrong digest", 20, editing(flipEvent(20, -1)), decideDamaged, fault.Corrupt, "event 20 "},
	{"changed envelope", 20, editing(flipEvent(7, 12)), decideDamaged, fault.Corrupt, "event 7 (key e/0000000000000007)"},
	{"hole and no head file", 20, both(editing(deleteEvents(9, 9)), removeHead), decideDamaged, fault.Corrupt, "event 9 "},
	{"hole and a bad head file", 20, both(editing(deleteEvents(9, 9)), badHead), decideDamaged, fault.Corrupt, "event 9 "},
	{"hole and record behind", 20, both(editing(deleteEvents(9, 9)), setHead(0)), decideDamaged, fault.Corrupt, "event 9 "},
	{"head file gone", 20, removeHead, decideDamagedHead, fault.Corrupt, "HEAD"},
	{"head file bad", 20, badHead, decideDamagedHead, fault.Corrupt, "HEAD"},
	{"head file short", 20, func(t *testing.T, fs *vfs.MemFS, _ ID, _ Head) { writeFile(t, fs, headPath, []byte("ALYSHEAD")) }, decideDamagedHead, fault.Corrupt, "HEAD"},
	{"head file gone, empty", 0, removeHead, decideRestoreEmpty, 0, ""},
	{"head file bad, empty", 0, badHead, decideRestoreEmpty, 0, ""},
	{"untouched", 20, func(*testing.T, *vfs.MemFS, ID, Head) {}, decideOpen, 0, ""},
	{"untouched, empty", 0, func(*testing.T, *vfs.MemFS, ID, Head) {}, decideOpen, 0, ""},
	{"one slot torn", 20, func(t *testing.T, fs *vfs.MemFS, id ID, head Head) {
		torn := encodeSlot(record{id, Head{Sequence: 21}})
		clear(torn[40:])
		writeSlots(t, fs, encodeSlot(record{id, head}), torn)
	}, decideOpen, 0, ""},
}

// eventHead reads the head after an event from the database.
func eventHead(t *testing.T, fs vfs.FS, sequence uint64) (h Head) {
	edit(t, fs, func(db *pebble.DB) error {
		v, err := readKey(db, appendEventKey(nil, sequence))
		_, h.Hash, _ = splitEvent(v)
		h.Sequence = sequence
		return err
	})
	return h
}

func TestRecoveryScenarios(t *testing.T) {
	seen := map[decision]bool{}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			fs := vfs.NewMem()
			id, head := makeJournal(t, fs, 5, s.events)
			s.damage(t, fs, id, head)
			seen[s.want] = true
			before := dump(t, fs, "journal")

			plan, err := Inspect(memOptions(fs))
			if err != nil {
				t.Fatal(err)
			}
			if plan.Decision != s.want.String() {
				t.Fatalf("plan is %s, want %s", plan.String(), s.want)
			}
			if after := dump(t, fs, "journal"); after != before {
				t.Fatalf("inspecting changed files:\n%s\n%s", before, after)
			}
			j, err := Open(memOptions(fs))
			if s.grade == 0 {
				if err != nil {
					t.Fatal(err)
				}
				fill(t, j, 5, s.events+5)
				if s.want != decideCreate && j.ID() != id {
					t.Fatal("identity changed")
				}
				checkEvents(t, j, 5, s.events+5)
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it opens")
			}
			if fault.Of(err) != s.grade || !strings.Contains(err.Error(), s.text) {
				t.Fatalf("grade %v, error %v", fault.Of(err), err)
			}
			if after := dump(t, fs, "journal"); after != before {
				t.Fatalf("refusing changed files:\n%s\n%s", before, after)
			}
		})
	}
	for d := range decisionNames {
		if !seen[d] {
			t.Errorf("no scenario for %v", d)
		}
	}
}

func TestNewerDatabaseIsRefusedByName(t *testing.T) {
	fs := vfs.NewMem()
	makeJournal(t, fs, 5, 3)
	edit(t, fs, func(db *pebble.DB) error {
		return db.Set(metaFormat, binary.BigEndian.AppendUint32(nil, FormatVersion+1), pebble.Sync)
	})
	if _, err := Open(memOptions(fs)); !errors.Is(err, ErrNewerFormat) || !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}

	fs = vfs.NewMem()
	makeJournal(t, fs, 5, 3)
	for _, f := range listFiles(t, fs, "journal/pebble") {
		if strings.Contains(f, "marker.format-version") {
			if err := fs.Rename(f, f[:len(f)-3]+"099"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Open(memOptions(fs)); !errors.Is(err, ErrNewerFormat) || !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestOlderDatabaseFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	makeJournal(t, fs, 5, 0)
	if err := fs.RemoveAll("journal/pebble"); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open("journal/pebble", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatVirtualSSTables, Logger: &databaseLog{log: quiet}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(memOptions(fs)); err == nil || !strings.Contains(err.Error(), "Pebble format") {
		t.Fatal(err)
	}
}
