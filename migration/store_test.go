package migration

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/journal"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func TestSourceUntouched(t *testing.T) {
	for _, name := range chains {
		dir := copyStore(t, chainDB(name))
		for _, f := range must(os.ReadDir(dir))(t) {
			if err := os.Chmod(filepath.Join(dir, f.Name()), 0o400); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o700) })
		before := snapshotOf(t, dir)
		im := newImport(t, dir, name, Options{})
		n := (&node{im: im}).start(t)
		if _, err := im.Run(context.Background(), n); err != nil {
			t.Fatal(err)
		}
		if err := im.store.Close(); err != nil {
			t.Fatal(err)
		}
		if after := snapshotOf(t, dir); after != before {
			t.Errorf("%s: before\n%safter\n%s", name, before, after)
		}
	}
}

func TestCount(t *testing.T) {
	for _, name := range chains {
		s := openStore(t, chainDB(name))
		records := must(s.Count(context.Background()))(t)
		for column, want := range expectedOf(t, name).Records {
			if records[column] != want {
				t.Errorf("%s: %d %s records, want %d", name, records[column], column, want)
			}
		}
		if records[OtherKeys] != 0 || len(s.Unused()) != 0 {
			t.Errorf("%s: %v, unused %v", name, records, s.Unused())
		}
	}
}

func TestNotAStore(t *testing.T) {
	empty := t.TempDir()
	foreign := filepath.Join(t.TempDir(), "db")
	editStore(t, foreign, func(db *leveldb.DB) {
		if err := db.Put([]byte("some key"), []byte("some value"), nil); err != nil {
			t.Fatal(err)
		}
	})
	headless := copyStore(t, chainDB("crashed"))
	editStore(t, headless, func(db *leveldb.DB) {
		if err := db.Delete(key(ColumnChain, single(keyHead)), nil); err != nil {
			t.Fatal(err)
		}
	})
	ordered := filepath.Join(t.TempDir(), "db")
	if db, err := leveldb.OpenFile(ordered, &opt.Options{Comparer: backwards{}}); err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir, text string
		grade           fault.Grade
	}{
		{"missing", filepath.Join(empty, "none"), "no such file", fault.Invalid},
		{"empty", empty, "not a LevelDB directory", fault.Invalid},
		{"a file", "store_test.go", "not a directory", fault.Invalid},
		{"the directory above", filepath.Join(chainsDir, "single"), "its chain_db is one", fault.Invalid},
		{"sled wallet", filepath.Join(chainsDir, "single", "wallet"), "not a LevelDB directory", fault.Invalid},
		{"something else's", foreign, "without an Alys chain", fault.Invalid},
		{"other order", ordered, "keys are ordered by", fault.Invalid},
		{"no head", headless, "no head record", fault.Corrupt},
	} {
		s, err := OpenStore(c.dir)
		if err == nil {
			s.Close()
		}
		if !fault.Is(err, c.grade) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// backwards is a key order no legacy store has.
type backwards struct{}

func (backwards) Compare(a, b []byte) int         { return bytes.Compare(b, a) }
func (backwards) Name() string                    { return "backwards" }
func (backwards) Separator(_, _, _ []byte) []byte { return nil }
func (backwards) Successor(_, _ []byte) []byte    { return nil }

// TestDamagedFiles flips bytes anywhere in a store's files. The store then fails,
// or has the very content it had before: some bytes mean nothing, such as the
// padding of a table's footer.
func TestDamagedFiles(t *testing.T) {
	const name = "crashed"
	want := must(verify(t, chainDB(name), name))(t)
	rng := rand.New(rand.NewPCG(1, 2))
	failed, same := 0, 0
	for range 250 {
		dir := copyStore(t, chainDB(name))
		files := must(os.ReadDir(dir))(t)
		path := filepath.Join(dir, files[rng.IntN(len(files))].Name())
		data := must(os.ReadFile(path))(t)
		at := rng.IntN(len(data))
		flip := byte(1 + rng.IntN(255))
		data[at] ^= flip
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := verify(t, dir, name)
		switch {
		case err != nil:
			failed++
			if g := fault.Of(err); g != fault.Corrupt && g != fault.Invalid {
				t.Errorf("%s, offset %d ^ %02x: graded %s: %v", filepath.Base(path), at, flip, g, err)
			}
		case got.Head != want.Head || got.Blocks != want.Blocks || got.Bytes != want.Bytes || got.Fees.Cmp(want.Fees) != 0 ||
			got.FeesTotal.Cmp(want.FeesTotal) != 0 || got.Records[ColumnBlocks] != want.Records[ColumnBlocks]:
			t.Errorf("%s, offset %d ^ %02x: silently another store: %+v", filepath.Base(path), at, flip, got)
		default:
			same++
			t.Logf("%s, offset %d ^ %02x of %d: no effect", filepath.Base(path), at, flip, len(data))
		}
	}
	t.Logf("%d errors, %d without effect", failed, same)
	if failed < 200 {
		t.Errorf("only %d of 250 flips were noticed", failed)
	}
}

// TestCutFiles cuts files off. Only a log that ends between two records can go
// unnoticed: the store is then what it was at that time.
func TestCutFiles(t *testing.T) {
	const name = "crashed"
	want := must(verify(t, chainDB(name), name))(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, file := range []string{"000005.ldb", "000006.log", "CURRENT", "MANIFEST-000004"} {
		size := len(must(os.ReadFile(filepath.Join(chainDB(name), file)))(t))
		ends := recordEnds(t, filepath.Join(chainDB(name), file))
		for i := range 25 {
			length := rng.IntN(size)
			if i == 0 {
				length = size - 1
			}
			dir := copyStore(t, chainDB(name))
			if err := os.Truncate(filepath.Join(dir, file), int64(length)); err != nil {
				t.Fatal(err)
			}
			_, err := verify(t, dir, name)
			if err == nil && !(file == "000006.log" && ends[int64(length)]) {
				t.Errorf("%s cut to %d of %d bytes is not noticed", file, length, size)
			}
		}
		dir := copyStore(t, chainDB(name))
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, dir, name); err == nil {
			t.Errorf("%s is missing, which is not noticed", file)
		}
	}
	// A whole earlier state: the log without its last record.
	log := filepath.Join(chainDB(name), "000006.log")
	var last, size int64
	for end := range recordEnds(t, log) {
		if size = int64(len(must(os.ReadFile(log))(t))); end < size {
			last = max(last, end)
		}
	}
	dir := copyStore(t, chainDB(name))
	if err := os.Truncate(filepath.Join(dir, "000006.log"), last); err != nil {
		t.Fatal(err)
	}
	if got, err := verify(t, dir, name); err != nil || got.Head.Number > want.Head.Number {
		t.Errorf("log without its last record: %+v, %v", got.Head, err)
	}
}

// recordEnds returns the offsets at which a record of a log ends; of no use for
// files that are no logs.
func recordEnds(t *testing.T, path string) map[int64]bool {
	t.Helper()
	ends := map[int64]bool{0: true}
	f := newFrames(path, must(os.Open(path))(t))
	for {
		if _, _, err := f.next(); err != nil {
			return ends
		}
		ends[f.offset] = true
	}
}

// TestExcisedRecord removes one record from the middle of a log, which leaves a
// well-formed log.
func TestExcisedRecord(t *testing.T) {
	dir := copyStore(t, chainDB("crashed"))
	path := filepath.Join(dir, "000006.log")
	records := readRecords(t, path)
	writeRecords(t, path, append(records[:5:5], records[6:]...))
	_, err := OpenStore(dir)
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "records are missing") || !strings.Contains(err.Error(), "000006.log") {
		t.Error(err)
	}
}

func readRecords(t *testing.T, path string) (records [][]byte) {
	t.Helper()
	f := newFrames(path, bytes.NewReader(must(os.ReadFile(path))(t)))
	for {
		record, _, err := f.next()
		if err == io.EOF {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, bytes.Clone(record))
	}
}

func writeRecords(t *testing.T, path string, records [][]byte) {
	t.Helper()
	var out bytes.Buffer
	w := journal.NewWriter(&out)
	for _, r := range records {
		if _, err := must(w.Next())(t).Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSequenceAhead gives the manifest a last sequence from the middle of the
// log, as legacy's LevelDB writes it when a table is finished while writing goes
// on. The database library by itself takes the older batches for damage.
func TestSequenceAhead(t *testing.T) {
	const name = "single"
	want := must(verify(t, chainDB(name), name))(t)
	dir := copyStore(t, chainDB(name))
	log := readRecords(t, filepath.Join(dir, "000006.log"))
	middle := binary.LittleEndian.Uint64(log[len(log)/2])
	manifest := filepath.Join(dir, "MANIFEST-000004")
	edit := binary.AppendUvarint([]byte{editLastSequence}, middle)
	writeRecords(t, manifest, append(readRecords(t, manifest), edit))
	if db, err := leveldb.OpenFile(copyStore(t, dir), &opt.Options{Strict: opt.StrictAll}); err == nil {
		db.Close()
		t.Error("the library reads such a store by now: the rewriting of the manifest can go")
	}
	got, err := verify(t, dir, name)
	if err != nil || got.Head != want.Head || got.Bytes != want.Bytes || got.FeesTotal.Cmp(want.FeesTotal) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestTwoLogs splits the log, as a store has it whose node stopped while a table
// was being made.
func TestTwoLogs(t *testing.T) {
	const name = "single"
	want := must(verify(t, chainDB(name), name))(t)
	dir := copyStore(t, chainDB(name))
	path := filepath.Join(dir, "000006.log")
	log := readRecords(t, path)
	writeRecords(t, path, log[:100])
	writeRecords(t, filepath.Join(dir, "000009.log"), log[100:])
	got, err := verify(t, dir, name)
	if err != nil || got.Head != want.Head || got.Bytes != want.Bytes || got.FeesTotal.Cmp(want.FeesTotal) != 0 || len(got.Unused) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	writeRecords(t, path, log[:99])
	if _, err := OpenStore(dir); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "000009.log: offset 0") {
		t.Error(err)
	}
}

func TestUnusedFiles(t *testing.T) {
	dir := copyStore(t, chainDB("crashed"))
	for _, name := range []string{"000003.log", "000099.ldb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left behind"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := verify(t, dir, "crashed")
	if err != nil || strings.Join(got.Unused, " ") != "000003.log 000099.ldb" {
		t.Error(got.Unused, err)
	}
}

func TestDigest(t *testing.T) {
	ctx := context.Background()
	digests := make(map[[32]byte]string)
	for _, name := range chains {
		d := must(openStore(t, chainDB(name)).Digest(ctx))(t)
		if again := must(openStore(t, copyStore(t, chainDB(name))).Digest(ctx))(t); again != d {
			t.Errorf("%s: a copy has digest %x, not %x", name, again, d)
		}
		digests[d] = name
	}
	dir := copyStore(t, chainDB("single"))
	if err := os.WriteFile(filepath.Join(dir, "LOG"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	digests[must(openStore(t, dir).Digest(ctx))(t)] = "one more file"
	if len(digests) != 4 {
		t.Errorf("digests %v", digests)
	}
}

func TestChangedWhileRead(t *testing.T) {
	dir := copyStore(t, chainDB("crashed"))
	s := openStore(t, dir)
	if err := s.Unchanged(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "000007.log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Unchanged(); !fault.Is(err, fault.Temporary) {
		t.Error(err)
	}
}
