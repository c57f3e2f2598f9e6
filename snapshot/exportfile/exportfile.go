package exportfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// An export file is a magic, a version, frames, and the SHA-256 of all before.
// A frame is a kind, a length and that many bytes; the last is an empty frame of
// kind [End]. docs/formats/snapshot.md draws it.
const (
	magic    = "ALYSEXPT"
	version  = 2
	maxFrame = 1 << 30
)

// The kinds of frames, in the order in which they come.
const (
	End      byte = 0
	Manifest byte = 1 // one: the snapshot's manifest file
	Chunk    byte = 2 // the chunk files that the manifest names, each once, in its order
	Content  byte = 8 // what the bridge's state refers to by hash, each once, in the order of its entries
	Genesis  byte = 3 // one: the execution layer's genesis as JSON
	Spec     byte = 4 // one: the chain spec as the journal has it
	Payload  byte = 5 // one: the execution payload of block 0, MessagePack
	Fact     byte = 6 // a block_connected record; genesis first, each the parent of the next
	Block    byte = 7 // the signed block of the fact before it; none for genesis
)

// Writer writes an export file. Close it to end the file.
type Writer struct {
	w   *bufio.Writer
	sum hash.Hash
	out io.Writer // w and sum
}

// NewWriter begins an export file.
func NewWriter(w io.Writer) (*Writer, error) {
	f := &Writer{w: bufio.NewWriterSize(w, 1<<20), sum: sha256.New()}
	f.out = io.MultiWriter(f.w, f.sum)
	_, err := f.out.Write(binary.BigEndian.AppendUint32([]byte(magic), version))
	return f, err
}

// Frame writes one frame. Data of more than a GiB is Invalid; other errors are
// those of the file.
func (f *Writer) Frame(kind byte, data []byte) error {
	if len(data) > maxFrame {
		return fault.New(fault.Invalid, "a part of kind %d has %d bytes, an export holds at most %d", kind, len(data), maxFrame)
	}
	if _, err := f.out.Write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(data)))); err != nil {
		return err
	}
	_, err := f.out.Write(data)
	return err
}

// Close writes the last frame and the sum over the file. It does not close what
// the file is written to.
func (f *Writer) Close() error {
	if err := f.Frame(End, nil); err != nil {
		return err
	}
	_, err := f.w.Write(f.sum.Sum(nil))
	return errors.Join(err, f.w.Flush())
}

// Reader reads an export file. Its errors are Corrupt, or Invalid for a
// file of another kind or a newer version.
type Reader struct {
	r   io.Reader // adds to sum
	raw io.Reader
	sum hash.Hash
	buf bytes.Buffer
}

// NewReader reads the beginning of an export file.
func NewReader(r io.Reader) (*Reader, error) {
	f := &Reader{raw: bufio.NewReaderSize(r, 1<<20), sum: sha256.New()}
	f.r = io.TeeReader(f.raw, f.sum)
	var head [12]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil || string(head[:8]) != magic {
		return nil, fault.New(fault.Invalid, "this is no export of a snapshot")
	}
	if v := binary.BigEndian.Uint32(head[8:]); v != version {
		return nil, fault.New(fault.Invalid, "the export has version %d, this program reads version %d: use the program that wrote it", v, version)
	}
	return f, nil
}

// Next returns the next frame; its bytes are valid until the call after it. At
// the end it checks the sum and that nothing follows.
func (f *Reader) Next() (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, fault.New(fault.Corrupt, "the export is cut off: %w", err)
	}
	kind = head[0]
	size := binary.BigEndian.Uint32(head[1:])
	if kind > Content || size > maxFrame || kind == End && size > 0 {
		return 0, nil, fault.New(fault.Corrupt, "the export has a part of kind %d with %d bytes", kind, size)
	}
	f.buf.Reset() // grows with what is there, not with what is claimed
	if n, err := io.CopyN(&f.buf, f.r, int64(size)); err != nil {
		return 0, nil, fault.New(fault.Corrupt, "the export is cut off after %d of %d bytes of a part: %w", n, size, err)
	}
	if kind != End {
		return kind, f.buf.Bytes(), nil
	}
	want := f.sum.Sum(nil)
	var got [sha256.Size + 1]byte
	if n, _ := io.ReadFull(f.raw, got[:]); n != sha256.Size || !bytes.Equal(got[:n], want) {
		return 0, nil, fault.New(fault.Corrupt, "the checksum at the end of the export is not that of its bytes, or something follows it")
	}
	return End, nil, nil
}

// Want returns the next frame, which must be of this kind.
func (f *Reader) Want(kind byte) ([]byte, error) {
	got, data, err := f.Next()
	if err == nil && got != kind {
		err = fault.New(fault.Corrupt, "the export has a part of kind %d where one of kind %d is due", got, kind)
	}
	return bytes.Clone(data), err
}
