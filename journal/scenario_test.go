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

// TestRecoveryScenarios builds a store for every row of the table.
func TestRecoveryScenarios(t *testing.T) {
	rows := recoveryRows(t)
	reached := make([]bool, len(rows))
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			fs := vfs.NewMem()
			id, head := makeJournal(t, fs, 5, s.events)
			s.damage(t, fs, id, head)
			before := dump(t, fs, "journal")

			plan, err := Inspect(memOptions(fs))
			if err != nil {
				t.Fatal(err)
			}
			if plan.Decision != s.want.String() {
				t.Fatalf("plan is %s, want %s (%+v)", plan.String(), s.want, plan.Findings)
			}
			if why := impossible(plan.Findings); why != "" {
				t.Fatalf("%+v: %s", plan.Findings, why)
			}
			found := rowOf(rows, plan.Findings)
			if len(found) != 1 || rows[found[0]][7] != plan.Decision {
				t.Fatalf("%+v is %v of the table", plan.Findings, found)
			}
			reached[found[0]] = true
			if after := dump(t, fs, "journal"); after != before {
				t.Fatalf("inspecting changed files:\n%s\n%s", before, after)
			}
			if s.grade == 0 {
				checkOpens(t, fs, id, s)
			} else {
				checkRefuses(t, fs, s)
				if after := dump(t, fs, "journal"); after != before {
					t.Fatalf("refusing changed files:\n%s\n%s", before, after)
				}
			}
		})
	}
	for i, r := range rows {
		if !reached[i] {
			t.Errorf("no store reaches row %v", r)
		}
	}
}

func checkOpens(t *testing.T, fs vfs.FS, id ID, s scenario) {
	t.Helper()
	j, err := Open(memOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, j, 5, s.events+9)
	if s.want != decideCreate && j.ID() != id {
		t.Fatal("identity changed")
	}
	checkEvents(t, j, 5, s.events+9)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkRefuses(t *testing.T, fs vfs.FS, s scenario) {
	t.Helper()
	_, err := Open(memOptions(fs))
	if err == nil {
		t.Fatal("it opens")
	}
	if fault.Of(err) != s.grade || !strings.Contains(err.Error(), s.text) {
		t.Fatalf("grade %v, error %v", fault.Of(err), err)
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

// A journal whose creation was cut short is whole: opening it for writing ends
// the creation.
func TestVerifyOfCreationCutShort(t *testing.T) {
	for name, damage := range map[string]func(vfs.FS) error{
		"no head file":    func(fs vfs.FS) error { return fs.Remove(headPath) },
		"empty head file": func(fs vfs.FS) error { writeFile(t, fs, headPath, nil); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			makeJournal(t, fs, 5, 0)
			if err := damage(fs); err != nil {
				t.Fatal(err)
			}
			o := memOptions(fs)
			o.ReadOnly = true
			j := mustOpen(t, o)
			r, err := j.Verify(t.Context(), 0, 0, nil)
			if err != nil || !r.Complete || r.Head.Sequence != 0 {
				t.Errorf("%+v, %v", r, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
