package regtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var (
	federation = append([]byte{0x51, 0x20}, bytes.Repeat([]byte{0x79}, 32)...)
	account    = bytes.Repeat([]byte{0xac}, 20)
)

// made opens a chain, mines two blocks more, closes it, and says what it was.
func made(t *testing.T, dir string) (height uint64, tip string) {
	t.Helper()
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Deposit(t.Context(), federation, 1_000_000, account); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Mine(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); !fault.Is(err, fault.Temporary) {
		t.Errorf("a call after Close: %v", err)
	}
	return info.Height, info.Tip.String()
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	height, tip := made(t, dir)
	if height != Ready+2 {
		t.Errorf("height %d", height)
	}
	c := open(t, dir)
	if info, err := c.Info(t.Context()); err != nil || info.Height != height || info.Tip.String() != tip {
		t.Errorf("reopened at %+v, %v; was %d %s", info, err, height, tip)
	}
	if _, err := Open(Options{Dir: dir}); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
}

// Whatever happens to btcd's database, the blocks bring it back.
func TestDamagedDatabase(t *testing.T) {
	for name, damage := range map[string]func(path string, size int64) error{
		"removed":  func(path string, _ int64) error { return os.Remove(path) },
		"emptied":  func(path string, _ int64) error { return os.Truncate(path, 0) },
		"cut":      func(path string, size int64) error { return os.Truncate(path, size/2) },
		"scribble": func(path string, size int64) error { return scribble(path, size) },
	} {
		t.Run(name, func(t *testing.T) {
			first := t.TempDir()
			height, tip := made(t, first)
			var files []string
			err := filepath.WalkDir(filepath.Join(first, databaseName), func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() && d.Name() != "LOCK" {
					files = append(files, path)
				}
				return err
			})
			if err != nil || len(files) < 3 {
				t.Fatalf("files %v, %v", files, err)
			}
			for _, path := range files {
				relative, _ := filepath.Rel(first, path)
				t.Run(strings.ReplaceAll(relative, "/", "_"), func(t *testing.T) {
					dir := t.TempDir()
					if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
						t.Fatal(err)
					}
					info, err := os.Stat(filepath.Join(dir, relative))
					if err != nil {
						t.Fatal(err)
					}
					if err := damage(filepath.Join(dir, relative), info.Size()); err != nil {
						t.Fatal(err)
					}
					c := open(t, dir)
					got, err := c.Info(t.Context())
					if err != nil || got.Height != height || got.Tip.String() != tip {
						t.Fatalf("came back as %+v, %v; was %d %s", got, err, height, tip)
					}
					if _, err := c.FaucetBalance(t.Context()); err != nil {
						t.Fatalf("the blocks cannot be read: %v", err)
					}
					if _, err := c.Mine(t.Context(), 1); err != nil {
						t.Fatal(err)
					}
				})
			}
		})
	}
}

// A damage that shows late ends the use of the chain, and the next opening mends it.
func TestDamagedLater(t *testing.T) {
	dir := t.TempDir()
	height, tip := made(t, dir)
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, databaseName, "*.fdb"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := scribble(files[0], 20_000); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.FaucetBalance(t.Context()); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("a damaged block was read: %v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Logf("closed: %v", err)
	}
	c = open(t, dir)
	if info, err := c.Info(t.Context()); err != nil || info.Height != height || info.Tip.String() != tip {
		t.Fatalf("came back as %+v, %v; was %d %s", info, err, height, tip)
	}
	if _, err := c.FaucetBalance(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func scribble(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for at := int64(0); at < size; at += 97 {
		if _, err := f.WriteAt([]byte{0xa5}, at); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// A kill in the middle of a write leaves a part of the last block; the others stay.
func TestTornFile(t *testing.T) {
	first := t.TempDir()
	height, _ := made(t, first)
	path := filepath.Join(first, blocksName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := lastRecord(t, whole)
	for _, cut := range []int{last + 1, last + 4, last + recordHeader, last + recordHeader + 50, len(whole) - 1} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, blocksName), whole[:cut])
		c := open(t, dir)
		if info, err := c.Info(t.Context()); err != nil || info.Height != height-1 {
			t.Errorf("cut at %d of %d: %+v, %v, want height %d", cut, len(whole), info, err, height-1)
		}
		if _, err := c.Mine(t.Context(), 1); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, blocksName), append(bytes.Clone(whole), make([]byte, 5000)...))
	if info, err := open(t, dir).Info(t.Context()); err != nil || info.Height != height {
		t.Errorf("zeroes behind the last block: %+v, %v", info, err)
	}
}

func lastRecord(t *testing.T, file []byte) (at int) {
	t.Helper()
	for next := len(blockMagic); next < len(file); {
		at = next
		next += recordHeader + int(binary.LittleEndian.Uint32(file[at:]))
	}
	return at
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Damage in the middle of the file is an error that names the place, and nothing is cut.
func TestDamagedFile(t *testing.T) {
	first := t.TempDir()
	made(t, first)
	whole, err := os.ReadFile(filepath.Join(first, blocksName))
	if err != nil {
		t.Fatal(err)
	}
	second := len(blockMagic) + recordHeader + int(binary.LittleEndian.Uint32(whole[len(blockMagic):]))
	for name, test := range map[string]struct {
		change func(file []byte)
		want   string
	}{
		"checksum":       {func(f []byte) { f[second+recordHeader+10] ^= 1 }, "block 2"},
		"length of zero": {func(f []byte) { copy(f[second:], make([]byte, 4)) }, "block 2"},
		"huge length":    {func(f []byte) { binary.LittleEndian.PutUint32(f[second:], 1<<31) }, "block 2"},
		"magic":          {func(f []byte) { f[0] = 'x' }, "no file of blocks"},
		"no parent": {func(f []byte) {
			raw := f[second+recordHeader:][:binary.LittleEndian.Uint32(f[second:])]
			raw[10] ^= 1
			binary.LittleEndian.PutUint32(f[second+4:], crc32.Checksum(raw, castagnoli))
		}, "has no parent"}, // of block 3 when the other hash of block 2 has no work
	} {
		dir := t.TempDir()
		file := bytes.Clone(whole)
		test.change(file)
		path := filepath.Join(dir, blocksName)
		write(t, path, file)
		_, err := Open(Options{Dir: dir})
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, file) {
			t.Errorf("%s: the damaged file was changed (%v)", name, err)
		}
	}
}

// Any file is opened or refused with an error, and what is opened can go on.
func FuzzBlockFile(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(blockMagic))
	f.Add([]byte(blockMagic + "\x00\x01\x00\x00abcd"))
	f.Add(append([]byte(blockMagic), make([]byte, 300)...))
	record := make([]byte, recordHeader+minBlock)
	binary.LittleEndian.PutUint32(record, minBlock)
	binary.LittleEndian.PutUint32(record[4:], crc32.Checksum(record[recordHeader:], castagnoli))
	f.Add(append([]byte(blockMagic), append(bytes.Clone(record), record[:100]...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), blocksName)
		write(t, path, data)
		count := 0
		b, _, err := openBlockFile(path, func([]byte) error { count++; return nil })
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatalf("refused with grade %v: %v", fault.Of(err), err)
			}
			return
		}
		if err := errors.Join(b.append(make([]byte, minBlock)), b.sync(), b.close()); err != nil {
			t.Fatal(err)
		}
		again := 0
		b, cut, err := openBlockFile(path, func([]byte) error { again++; return nil })
		if err != nil || cut != 0 || again != count+1 {
			t.Fatalf("%d blocks and one more came back as %d, cut %d, %v", count, again, cut, err)
		}
		if err := b.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A panic of btcd's packages is an error, and ends the use of the chain.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	c, err := Open(Options{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := c.do("try", func() error { panic("block data is not what it was") })
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "block data is not what it was") {
			t.Fatal(err)
		}
	}
	if _, err := c.Mine(t.Context(), 1); !fault.Is(err, fault.Corrupt) {
		t.Errorf("mined after a panic: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Many blocks at once would carry the chain's time away from the clock.
func TestAheadOfTheClock(t *testing.T) {
	c, err := Open(Options{Dir: t.TempDir(), Now: func() time.Time { return time.Now().Add(-2 * maxAhead) }})
	if !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "ahead of the clock") {
		t.Errorf("%v", err)
	}
	if c != nil {
		t.Error("opened all the same")
	}
}
