package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"path"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ChunkNames returns the names of the chunk files of m, with repetitions.
func ChunkNames(m Manifest) []string {
	var names []string
	for _, refs := range m.chunks {
		for _, ref := range refs {
			names = append(names, ref.hash.chunkName())
		}
	}
	return names
}

// WithManifestVersion returns the manifest as a file of another version.
func WithManifestVersion(m Manifest, version uint32) []byte {
	m.version = version
	return m.encode()
}

// Base returns the last element of a path.
func (s *Store) Base(file string) string { return path.Base(file) }

func sampleManifest(t testing.TB) Manifest {
	s, err := Open(Options{FS: vfs.NewMem(), Dir: "x"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Write(Position{Sequence: 4}, []Section{
		{Name: "a", Walk: func(yield func(key, value []byte) error) error {
			for i := range 300 {
				if err := yield(binary.BigEndian.AppendUint32(nil, uint32(i)), []byte("value")); err != nil {
					return err
				}
			}
			return nil
		}},
		{Name: "b", Walk: func(func(key, value []byte) error) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A manifest of version 1, which has no rules, reads as before.
func TestManifestVersion1(t *testing.T) {
	m := sampleManifest(t)
	m.Behaviour, m.Fingerprint = 0, Hash{}
	file := WithManifestVersion(m, 1)
	got, err := decodeManifest(file)
	if err != nil || got.Root != m.Root || got.Position != m.Position || got.Chunks() != m.Chunks() {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(file) != len(m.encode())-36 || string(got.encode()) != string(file) {
		t.Error("it does not encode to itself")
	}
}

// resum gives changed content a right checksum, so that tests and the fuzzer
// reach what lies behind it.
func resum(file []byte) []byte {
	sum := sha256.Sum256(file)
	return append(file[:len(file):len(file)], sum[:]...)
}

// Every manifest that differs from a sound one in a byte and has a right
// checksum all the same is either refused or decodes to what it says.
func TestManifestIsCanonical(t *testing.T) {
	m := sampleManifest(t)
	file := m.encode()
	body := file[:len(file)-manifestTrailer]
	for i := range body {
		changed := append([]byte(nil), body...)
		changed[i] ^= 0x55
		got, err := decodeManifest(resum(changed))
		if err == nil && got.Root != m.Root {
			t.Errorf("byte %d: a manifest with another root decodes", i)
		}
		if _, err := decodeManifest(resum(changed[:i])); err == nil {
			t.Errorf("first %d bytes decode", i)
		}
	}
}

func FuzzManifest(f *testing.F) {
	m := sampleManifest(f)
	file := m.encode()
	f.Add(file[:len(file)-manifestTrailer])
	old := WithManifestVersion(m, 1)
	f.Add(old[:len(old)-manifestTrailer])
	f.Add(WithManifestVersion(m, 3))
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeManifest(body); err == nil && len(body) < manifestHeader+manifestTrailer {
			t.Fatal("too short, yet decoded")
		}
		file := resum(body)
		m, err := decodeManifest(file)
		if err != nil {
			if g := fault.Of(err); g != fault.Corrupt && g != fault.Invalid {
				t.Fatalf("grade %v of %v", g, err)
			}
			return
		}
		if string(m.encode()) != string(file) {
			t.Fatal("decodes, but does not encode to itself")
		}
	})
}

func FuzzChunk(f *testing.F) {
	data := appendEntry(appendEntry(nil, []byte("a"), []byte("1")), []byte("b"), nil)
	f.Add(encodeChunk(data)[chunkHeader:], uint32(len(data)), uint32(2))
	f.Add([]byte{}, uint32(0), uint32(0))
	f.Add(encodeChunk(make([]byte, maxChunk))[chunkHeader:], uint32(maxChunk), uint32(1))
	f.Add(encodeChunk(make([]byte, maxChunk))[chunkHeader:], uint32(10), uint32(1))
	f.Fuzz(func(t *testing.T, frame []byte, size, entries uint32) {
		file := append([]byte(chunkMagic), 0, 0, 0, chunkVersion)
		file = binary.BigEndian.AppendUint32(file, size)
		file = append(file, frame...)
		file = binary.BigEndian.AppendUint32(file, crc32.Checksum(file, castagnoli))
		for _, in := range [][]byte{frame, file} {
			out, err := decodeChunk(in, size, Hash{})
			if err == nil {
				t.Fatalf("%d bytes hash to zero", len(out))
			}
		}
		var r sectionReader
		if err := r.check(frame, entries); err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatalf("grade of %v", err)
			}
			return
		}
		// What passes is exactly what the writer would have made of its entries.
		var again []byte
		for rest := frame; len(rest) > 0; {
			var key, value []byte
			var err error
			if key, value, rest, err = nextEntry(rest); err != nil {
				t.Fatal(err)
			}
			again = appendEntry(again, key, value)
		}
		if string(again) != string(frame) {
			t.Fatal("entries do not encode to themselves")
		}
	})
}

// A frame that inflates to more than it should is refused without inflating it.
func TestInflatesNoFurther(t *testing.T) {
	big := make([]byte, 8<<20)
	file := encodeChunk(big)
	binary.BigEndian.PutUint32(file[12:], 100)
	body := len(file) - chunkTrailer
	binary.BigEndian.PutUint32(file[body:], crc32.Checksum(file[:body], castagnoli))
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := decodeChunk(file, 100, chunkHash(big)); !fault.Is(err, fault.Corrupt) {
			t.Errorf("error %v", err)
		}
	})
	if allocated > 50 {
		t.Errorf("%v allocations", allocated)
	}
}
