package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// fingerprint reads everything a journal holds. Two journals with the same
// fingerprint are the same to every reader.
func fingerprint(j *Journal) (string, error) {
	var b strings.Builder
	fmt.Fprintln(&b, j.ID(), j.Head())
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		s, raw, h := it.Raw()
		fmt.Fprintf(&b, "%d %x %s\n", s, raw, h)
		e, err := it.Event()
		if err != nil {
			return "", err
		}
		for _, h := range e.Contents {
			data, err := j.Content(h)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%x\n", data)
		}
	}
	return b.String(), it.Close()
}

func cloneFS(t testing.TB, from vfs.FS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	for _, f := range listFiles(t, from, "journal") {
		if err := to.MkdirAll(from.PathDir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, to, f, readFile(t, from, f))
	}
	return to
}

// examineDamage opens a damaged journal and reads all of it. It is fine to find
// the damage, and fine not to when nothing is different; anything else is not.
func examineDamage(t *testing.T, what string, fs vfs.FS, want string) (found error) {
	t.Helper()
	j, err := Open(memOptions(fs))
	if err != nil {
		return err
	}
	defer func() {
		if err := j.Close(); err != nil && found == nil {
			found = err
		}
	}()
	if _, err := j.Verify(t.Context(), 0, 0, nil); err != nil {
		return err
	}
	got, err := fingerprint(j)
	if err != nil {
		t.Errorf("%s: verifies, but reading fails: %v", what, err)
	} else if got != want {
		t.Errorf("%s: verifies, but holds something else", what)
	}
	return nil
}

// damagedDisks are a journal closed cleanly, all of it in tables, and one that
// was cut off, most of it in the log.
func damagedDisks(t *testing.T) map[string]*vfs.MemFS {
	disks := map[string]*vfs.MemFS{}
	closed := vfs.NewMem()
	makeJournal(t, closed, 6, 150)
	disks["closed"] = cloneFS(t, closed)

	running := vfs.NewCrashableMem()
	j := mustOpen(t, memOptions(running))
	fill(t, j, 6, 50)
	if err := j.db.Flush(); err != nil {
		t.Fatal(err)
	}
	for s := uint64(60); s <= 150; s += 10 {
		fill(t, j, 6, s)
	}
	disks["cut off"] = running.CrashClone(vfs.CrashCloneCfg{})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return disks
}

func wantFingerprint(t *testing.T, fs vfs.FS) string {
	j := mustOpen(t, memOptions(cloneFS(t, fs)))
	defer j.Close()
	want, err := fingerprint(j)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// TestBitFlips flips single bits in every file of a journal.
func TestBitFlips(t *testing.T) {
	// Pebble searches for the flipped bit of a damaged block, which takes most
	// of the time here.
	perFile := 20
	if testing.Short() {
		perFile = 5
	}
	for name, disk := range damagedDisks(t) {
		t.Run(name, func(t *testing.T) {
			want := wantFingerprint(t, disk)
			rng := rand.New(rand.NewPCG(3, 4))
			found, harmless, named := 0, 0, 0
			for _, file := range listFiles(t, disk, "journal") {
				data := readFile(t, disk, file)
				for range min(perFile, 8*len(data)) {
					bit := rng.IntN(8 * len(data))
					if strings.HasSuffix(file, headName) {
						bit = 8*headPage*(bit&1) + bit%(8*headSlotSize)
					}
					fs := cloneFS(t, disk)
					flipped := append([]byte(nil), data...)
					flipped[bit/8] ^= 1 << (bit % 8)
					writeFile(t, fs, file, flipped)
					err := examineDamage(t, fmt.Sprintf("%s bit %d", file, bit), fs, want)
					var c *CorruptError
					switch {
					case err == nil:
						harmless++
					case errors.As(err, &c) && c.Sequence != 0:
						named++
						fallthrough
					default:
						found++
					}
				}
			}
			t.Logf("%d flips found, %d of them name an event, %d changed nothing", found, named, harmless)
		})
	}
}

// TestTruncatedAndMissingFiles cuts every file short, and takes it away.
func TestTruncatedAndMissingFiles(t *testing.T) {
	for name, disk := range damagedDisks(t) {
		t.Run(name, func(t *testing.T) {
			want := wantFingerprint(t, disk)
			rng := rand.New(rand.NewPCG(5, 6))
			for _, file := range listFiles(t, disk, "journal") {
				data := readFile(t, disk, file)
				for range min(15, len(data)) {
					n := rng.IntN(len(data))
					fs := cloneFS(t, disk)
					writeFile(t, fs, file, data[:n])
					what := fmt.Sprintf("%s cut at %d", file, n)
					wantCorrupt(t, what, examineDamage(t, what, fs, want))
				}
				fs := cloneFS(t, disk)
				if err := fs.Remove(file); err != nil {
					t.Fatal(err)
				}
				wantCorrupt(t, file+" removed", examineDamage(t, file+" removed", fs, want))
			}
		})
	}
}

// wantCorrupt checks that damage that was found is graded as such, and not as a
// failure of the machine or a wrong request.
func wantCorrupt(t *testing.T, what string, found error) {
	t.Helper()
	if found != nil && !fault.Is(found, fault.Corrupt) && !errors.Is(found, ErrNewerFormat) {
		t.Errorf("%s: graded %s: %v", what, fault.Of(found), found)
	}
}

// TestDamageIsNamed changes what is stored through Pebble, so that all of
// Pebble's checksums are right, far from the end that opening checks.
func TestDamageIsNamed(t *testing.T) {
	const n, at = tailEvents + 300, 123
	clean := vfs.NewMem()
	_, head := makeJournal(t, clean, 8, n)
	var withContent uint64
	var content Hash
	for s := uint64(1); withContent == 0; s++ {
		if e, _ := event(8, s); len(e.Contents) != 0 {
			withContent, content = s, e.Contents[0]
		}
	}
	set := func(key, value []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { return db.Set(key, value, pebble.Sync) }
	}
	for _, c := range []struct {
		name string
		edit func(*pebble.DB) error
		seq  uint64
		key  string
		text string
	}{
		{"missing event", deleteEvents(at, at), at, eventKeyText(at), "missing"},
		{"missing events", deleteEvents(at, at+40), at, eventKeyText(at), "event 164"},
		{"wrong digest", flipEvent(at, -1), at, eventKeyText(at), "chain gives"},
		{"changed message", flipEvent(at, 40), at, eventKeyText(at), "chain gives"},
		{"changed version byte", flipEvent(at, 0), at, eventKeyText(at), "chain gives"},
		{"short value", set(appendEventKey(nil, at), []byte("x")), at, eventKeyText(at), "1 bytes"},
		{"event of another place", func(db *pebble.DB) error {
			v, err := readKey(db, appendEventKey(nil, at+1))
			return errors.Join(err, db.Set(appendEventKey(nil, at), v, pebble.Sync))
		}, at, eventKeyText(at), "chain gives"},
		{"missing content", func(db *pebble.DB) error { return db.Delete(appendContentKey(nil, content), pebble.Sync) }, withContent, contentKeyText(content), "missing"},
		{"changed content", set(appendContentKey(nil, content), []byte("other")), withContent, contentKeyText(content), "hash to"},
		{"changed orphan", set(appendContentKey(nil, Hash{1}), []byte("other")), 0, contentKeyText(Hash{1}), "hash to"},
		{"strange key", set([]byte("x"), nil), 0, "key 78", "no journal has such a key"},
		{"strange metadata", set([]byte("mother"), nil), 0, "key 6d6f74686572", "no journal has such a key"},
		{"long content key", set(append(appendContentKey(nil, Hash{1}), 0), nil), 0, "", "no content key"},
		{"long event key", set(append(appendEventKey(nil, at), 0), nil), at + 1, "", "no event key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := cloneFS(t, clean)
			edit(t, fs, c.edit)
			j := mustOpen(t, memOptions(fs))
			defer j.Close()
			if j.Head() != head {
				t.Fatal("head changed")
			}
			r, err := j.Verify(t.Context(), 0, 0, nil)
			var ce *CorruptError
			if !errors.As(err, &ce) || !fault.Is(err, fault.Corrupt) {
				t.Fatalf("verify: %v, %+v", err, r)
			}
			if ce.Sequence != c.seq || c.key != "" && ce.Key != c.key || !strings.Contains(ce.Error(), c.text) {
				t.Fatalf("verify: %v", err)
			}
			if c.seq == at {
				if r.Events != at-1 {
					t.Fatalf("%d events verified", r.Events)
				}
				if _, _, err := j.Event(at); !errors.As(err, &ce) || ce.Sequence != at {
					t.Fatalf("event: %v", err)
				}
				if _, err := j.Verify(t.Context(), at+100, 0, nil); err != nil {
					t.Fatalf("verify after it: %v", err)
				}
				if _, err := j.Verify(t.Context(), 0, at-1, nil); err != nil {
					t.Fatalf("verify before it: %v", err)
				}
			}
		})
	}
}

// TestIteratorNamesAHole walks over a missing event in both directions.
func TestIteratorNamesAHole(t *testing.T) {
	const n = tailEvents + 300
	fs := vfs.NewMem()
	makeJournal(t, fs, 8, n)
	edit(t, fs, deleteEvents(100, 101))
	j := mustOpen(t, memOptions(fs))
	defer j.Close()
	for _, c := range []struct {
		reverse bool
		hole    uint64
		count   int
	}{{false, 100, 99}, {true, 101, n - 101}} {
		it := j.Iterate(0, c.reverse)
		count := 0
		for it.Next() {
			count++
		}
		var ce *CorruptError
		if err := it.Close(); !errors.As(err, &ce) || ce.Sequence != c.hole || count != c.count {
			t.Fatalf("reverse %v: %d events, then %v", c.reverse, count, err)
		}
	}
}

// TestOrphansAreCounted puts a content object that no event names.
func TestOrphansAreCounted(t *testing.T) {
	fs := vfs.NewMem()
	makeJournal(t, fs, 8, 50)
	data := []byte("nobody's")
	edit(t, fs, func(db *pebble.DB) error {
		return db.Set(appendContentKey(nil, SumContent(data)), data, pebble.Sync)
	})
	j := mustOpen(t, memOptions(fs))
	defer j.Close()
	r, err := j.Verify(t.Context(), 0, 0, nil)
	if err != nil || r.Orphans != 1 || r.OrphanBytes != int64(len(data)) {
		t.Fatalf("%+v %v", r, err)
	}
}

// TestBackgroundFailure makes the manifest unwritable, which Pebble meets on a
// goroutine of its own and takes as the end of the process.
func TestBackgroundFailure(t *testing.T) {
	mem := vfs.NewCrashableMem()
	makeJournal(t, mem, 4, 10)
	var armed atomic.Bool
	manifest := regexp.MustCompile(`MANIFEST-\d+$`)
	o := memOptions(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && manifest.MatchString(op.Path) {
			return syscall.ENOSPC
		}
		return nil
	})))
	j := mustOpen(t, o)
	fill(t, j, 4, 20)
	armed.Store(true)
	if _, err := j.db.AsyncFlush(); err != nil {
		t.Fatal(err)
	}
	<-j.failed
	err := j.Err()
	if !fault.Is(err, fault.Fatal) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	e, c := event(4, 21)
	if _, again := j.Append(e, c); again == nil || again.Error() != err.Error() {
		t.Fatalf("append: %v", again)
	}
	if got := j.WaitDurable(t.Context(), 21); got == nil || got.Error() != err.Error() {
		t.Fatalf("wait: %v", got)
	}
	if _, _, err := j.Event(20); err != nil {
		t.Fatalf("what is durable is no longer readable: %v", err)
	}
	if got := j.Close(); got == nil || got.Error() != err.Error() {
		t.Fatalf("close: %v", got)
	}
	armed.Store(false)
	checkSurvives(t, cut{fs: mem.CrashClone(vfs.CrashCloneCfg{}), acked: 20}, 4, 20)
}
