package exportfile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/snapshot/exportfile"
)

// write returns an export file of these frames, kinds counting up from the first.
func write(t testing.TB, frames ...[]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := exportfile.NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range frames {
		if err := w.Frame(exportfile.Manifest+byte(i), data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// read returns the frames of a file up to its end.
func read(file []byte) (frames [][]byte, err error) {
	r, err := exportfile.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	for {
		kind, data, err := r.Next()
		if err != nil || kind == exportfile.End {
			return frames, err
		}
		frames = append(frames, bytes.Clone(data))
	}
}

// What is written is read, and no byte of it can change, be missing or follow.
func TestEveryByteCounts(t *testing.T) {
	want := [][]byte{[]byte("manifest"), {}, []byte("genesis")}
	file := write(t, want...)
	got, err := read(file)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d frames, %v", len(got), err)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("frame %d is %q, written was %q", i, got[i], want[i])
		}
	}
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= 1
		if _, err := read(damaged); err == nil {
			t.Errorf("byte %d changed and nobody noticed", i)
		}
		if _, err := read(file[:i]); err == nil {
			t.Errorf("cut to %d bytes and nobody noticed", i)
		}
	}
	if _, err := read(append(bytes.Clone(file), 0)); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a byte behind the end: %v", err)
	}
}

// sealed gives the bytes of an export a right end.
func sealed(body []byte) []byte {
	file := append(bytes.Clone(body), 0, 0, 0, 0, 0)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// Whatever a file says, reading it ends, with an error of a grade that a caller
// can act on or with bytes that were there.
func FuzzExportFile(f *testing.F) {
	head := binary.BigEndian.AppendUint32([]byte("ALYSEXPT"), 1)
	f.Add(head)
	f.Add(append(bytes.Clone(head), 1, 0xff, 0xff, 0xff, 0x3f))
	f.Add(append(bytes.Clone(head), 1, 0, 0, 0, 3, 'a', 'b', 'c'))
	f.Add([]byte("ALYSEXPT\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, file := range [][]byte{body, sealed(body)} {
			frames, err := read(file)
			if g := fault.Of(err); err != nil && g != fault.Corrupt && g != fault.Invalid {
				t.Fatalf("grade %v of %v", g, err)
			}
			size := 0
			for _, data := range frames {
				size += len(data)
			}
			if size > len(file) {
				t.Fatalf("%d bytes of frames in a file of %d", size, len(file))
			}
		}
	})
}
