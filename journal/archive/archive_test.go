package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// sample is a segment and what went into it.
type sample struct {
	start    Start
	values   [][]byte
	contents map[[32]byte][]byte
	info     Info
}

func build(t testing.TB, s Storage, name string, events, contents, size int, seed uint64) sample {
	t.Helper()
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	r := rand.New(rand.NewChaCha8(key))
	x := sample{start: Start{Journal: [16]byte{1, 2}, First: 1 + r.Uint64N(1000), Before: [32]byte{9}, TimeBefore: 77}, contents: map[[32]byte][]byte{}}
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.IntN(4))
		}
		return b
	}
	for range events {
		x.values = append(x.values, random(32+r.IntN(size)))
	}
	for range contents {
		data := random(1 + r.IntN(4*size))
		x.contents[sha256.Sum256(data)] = data
	}
	err := s.Put(t.Context(), name, func(w io.Writer) error {
		sw, err := NewWriter(w, x.start)
		for i, v := range x.values {
			err = errors.Join(err, sw.Event(int64(i), v))
		}
		for _, h := range slices.SortedFunc(maps.Keys(x.contents), func(a, b [32]byte) int { return bytes.Compare(b[:], a[:]) }) {
			err = errors.Join(err, sw.Content(h, x.contents[h]))
		}
		if err != nil {
			return err
		}
		x.info, err = sw.Finish()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// mustBe holds what a reader says against what was written.
func (x *sample) mustBe(t testing.TB, r *Reader) {
	t.Helper()
	ctx := context.Background()
	want := x.info
	want.Sum = [32]byte{}
	if r.Info() != want {
		t.Fatalf("info is %+v, want %+v", r.Info(), want)
	}
	for i, v := range x.values {
		if got, err := r.Event(ctx, x.start.First+uint64(i)); err != nil || !bytes.Equal(got, v) {
			t.Fatalf("event %d: %x, %v", i, got, err)
		}
	}
	for h, data := range x.contents {
		if got, found, err := r.Content(ctx, h); err != nil || !found || !bytes.Equal(got, data) {
			t.Fatalf("content %x: %v %v", h, found, err)
		}
	}
	events, contents := 0, 0
	info, err := r.Check(ctx, Visitor{
		Event: func(s uint64, v []byte) error {
			if s != x.start.First+uint64(events) || !bytes.Equal(v, x.values[events]) {
				t.Fatalf("check hands out event %d wrongly", s)
			}
			events++
			return nil
		},
		Content: func(h [32]byte, data []byte) error {
			contents++
			return nil
		},
	})
	if err != nil || info != x.info || events != len(x.values) || contents != len(x.contents) {
		t.Fatalf("check: %+v, %v, %d events, %d contents; want %+v", info, err, events, contents, x.info)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := NewLocal(vfs.NewMem(), "archive")
		x := build(t, s, "a.segment", rapid.IntRange(1, 200).Draw(rt, "events"), rapid.IntRange(0, 60).Draw(rt, "contents"),
			rapid.SampledFrom([]int{1, 100, 3_000, 30_000}).Draw(rt, "size")/10+1, rapid.Uint64().Draw(rt, "seed"))
		r, err := Open(t.Context(), s, "a.segment")
		if err != nil {
			t.Fatal(err)
		}
		x.mustBe(t, r)
		if _, found, err := r.Content(t.Context(), [32]byte{1}); found || err != nil {
			t.Fatal("it holds a content that nobody wrote")
		}
		for _, outside := range []uint64{0, x.start.First - 1, x.info.Last + 1} {
			if _, err := r.Event(t.Context(), outside); !fault.Is(err, fault.Invalid) {
				t.Fatalf("event %d outside: %v", outside, err)
			}
		}
	})
}

// memory is a storage of one object.
type memory []byte

func (m memory) Put(context.Context, string, func(io.Writer) error) error { return io.ErrClosedPipe }
func (m memory) Size(context.Context, string) (int64, error)              { return int64(len(m)), nil }
func (m memory) List(context.Context) ([]string, error)                   { return []string{"x"}, nil }
func (m memory) String() string                                           { return "memory" }
func (m memory) ReadAt(_ context.Context, _ string, p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return readError(io.ErrUnexpectedEOF, "x")
	}
	copy(p, m[off:])
	return nil
}

func readAll(t testing.TB, s Storage, name string) []byte {
	t.Helper()
	size, err := s.Size(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if err := s.ReadAt(context.Background(), name, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func checkBytes(b []byte) (Info, error) {
	r, err := Open(context.Background(), memory(b), "x")
	if err != nil {
		return Info{}, err
	}
	return r.Check(context.Background(), Visitor{})
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	s := NewLocal(vfs.NewMem(), "archive")
	build(t, s, "a", 20, 6, 60, 1)
	whole := readAll(t, s, "a")
	for i := range whole {
		for bit := range 8 {
			whole[i] ^= 1 << bit
			_, err := checkBytes(whole)
			if err == nil || !fault.Is(err, fault.Corrupt) && !errors.Is(err, ErrNewerFormat) {
				t.Fatalf("bit %d of byte %d of %d: %v", bit, i, len(whole), err)
			}
			whole[i] ^= 1 << bit
		}
	}
	for n := range len(whole) {
		if _, err := checkBytes(whole[:n]); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := checkBytes(whole); err != nil {
		t.Fatal(err)
	}
}

func TestDamageElsewhereIsNoMatter(t *testing.T) {
	fs := vfs.NewMem()
	s := NewLocal(fs, "archive")
	x := build(t, s, "a", 4000, 0, 1000, 2)
	whole := readAll(t, s, "a")
	r, err := Open(t.Context(), s, "a")
	if err != nil || len(r.index.events) < 3 {
		t.Fatal(len(r.index.events), err)
	}
	bad := r.index.events[1]
	whole[bad.offset+blockHeaderSize+5] ^= 1
	if r, err = Open(t.Context(), memory(whole), "a"); err != nil {
		t.Fatal(err)
	}
	for i := range x.values {
		sequence := x.start.First + uint64(i)
		_, err := r.Event(t.Context(), sequence)
		damaged := sequence >= bad.first && sequence < bad.first+uint64(bad.count)
		if damaged != fault.Is(err, fault.Corrupt) || !damaged && err != nil {
			t.Fatalf("event %d, in the damaged block %v: %v", sequence, damaged, err)
		}
	}
}

func TestNewerFormatIsRefusedByName(t *testing.T) {
	s := NewLocal(vfs.NewMem(), "archive")
	build(t, s, "a", 3, 0, 60, 1)
	whole := readAll(t, s, "a")
	whole[11] = Version + 1
	if _, err := checkBytes(whole); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("a damaged version number: %v", err)
	}
	binary.BigEndian.PutUint32(whole[headerSize-4:], crc(whole[:headerSize-4]))
	if _, err := checkBytes(whole); !errors.Is(err, ErrNewerFormat) || fault.Of(err) != fault.Invalid {
		t.Fatal(err)
	}
}

func TestPutLeavesNothingHalf(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := NewLocal(fs, "archive")
	if err := fs.MkdirAll("archive", 0o755); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no more")
	err := s.Put(t.Context(), "a", func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if names, err := s.List(t.Context()); err != nil || len(names) != 0 {
		t.Fatal(names, err)
	}
	build(t, s, "b", 10, 3, 100, 3)
	after := NewLocal(fs.CrashClone(vfs.CrashCloneCfg{}), "archive")
	if _, err := Open(t.Context(), after, "b"); err != nil {
		t.Fatalf("after a power cut: %v", err)
	}
	if _, err := Open(t.Context(), after, "c"); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("a missing segment: %v", err)
	}
}

// FuzzSegment reads hostile bytes: an error or a segment, never a panic, never
// more memory than the file can justify.
func FuzzSegment(f *testing.F) {
	for seed := range uint64(3) {
		s := NewLocal(vfs.NewMem(), "archive")
		build(f, s, "a", 5, 3, 50, seed)
		f.Add(readAll(f, s, "a"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(context.Background(), memory(b), "x")
		if err != nil {
			return
		}
		info := r.Info()
		for s := info.First; s <= min(info.Last, info.First+20); s++ {
			_, _ = r.Event(context.Background(), s)
		}
		for _, c := range r.index.table {
			_, _, _ = r.Content(context.Background(), c.hash)
		}
		_, _ = r.Check(context.Background(), Visitor{})
	})
}

// FuzzFooter reaches behind the checksum, which a fuzzer does not guess.
func FuzzFooter(f *testing.F) {
	s := NewLocal(vfs.NewMem(), "archive")
	build(f, s, "a", 5, 3, 50, 7)
	whole := readAll(f, s, "a")
	f.Add(whole[headerSize:len(whole)-footerSize], whole[len(whole)-footerSize:])
	f.Fuzz(func(t *testing.T, body, end []byte) {
		if len(end) != footerSize {
			return
		}
		b := slices.Concat(whole[:headerSize], body, end)
		end = b[len(b)-footerSize:]
		copy(end[footerSize-8:], footerMagic)
		if o := binary.BigEndian.Uint64(end); o <= uint64(len(b)-footerSize) {
			binary.BigEndian.PutUint32(end[96:], crc(b[o:len(b)-footerSize]))
		}
		binary.BigEndian.PutUint32(end[100:], crc(end[:100]))
		r, err := Open(context.Background(), memory(b), "x")
		if err != nil {
			return
		}
		_, _ = r.Check(context.Background(), Visitor{})
		_, _ = r.Event(context.Background(), r.Info().Last)
	})
}
