package node

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
// kind frameEnd. docs/formats/snapshot.md draws it.
const (
	exportMagic   = "ALYSEXPT"
	exportVersion = 1
	maxFrame      = 1 << 30
)

// The kinds of frames, in the order in which they come.
const (
	frameEnd      byte = 0
	frameManifest byte = 1 // one: the snapshot's manifest file
	frameChunk    byte = 2 // the chunk files that the manifest names, each once, in its order
	frameGenesis  byte = 3 // one: the execution layer's genesis as JSON
	frameSpec     byte = 4 // one: the chain spec as the journal has it
	framePayload  byte = 5 // one: the execution payload of block 0, MessagePack
	frameFact     byte = 6 // a block_connected record; genesis first, each the parent of the next
	frameBlock    byte = 7 // the signed block of the fact before it; none for genesis
)

// frameWriter writes an export file.
type frameWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	out io.Writer // w and sum
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	f := &frameWriter{w: bufio.NewWriterSize(w, 1<<20), sum: sha256.New()}
	f.out = io.MultiWriter(f.w, f.sum)
	_, err := f.out.Write(binary.BigEndian.AppendUint32([]byte(exportMagic), exportVersion))
	return f, err
}

func (f *frameWriter) frame(kind byte, data []byte) error {
	if len(data) > maxFrame {
		return fault.New(fault.Invalid, "a part of kind %d has %d bytes, an export holds at most %d", kind, len(data), maxFrame)
	}
	if _, err := f.out.Write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(data)))); err != nil {
		return err
	}
	_, err := f.out.Write(data)
	return err
}

func (f *frameWriter) end() error {
	if err := f.frame(frameEnd, nil); err != nil {
		return err
	}
	_, err := f.w.Write(f.sum.Sum(nil))
	return errors.Join(err, f.w.Flush())
}

// frameReader reads an export file. Its errors are Corrupt, or Invalid for a
// file of another kind or a newer version.
type frameReader struct {
	r   io.Reader // adds to sum
	raw io.Reader
	sum hash.Hash
	buf bytes.Buffer
}

func newFrameReader(r io.Reader) (*frameReader, error) {
	f := &frameReader{raw: bufio.NewReaderSize(r, 1<<20), sum: sha256.New()}
	f.r = io.TeeReader(f.raw, f.sum)
	var head [12]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil || string(head[:8]) != exportMagic {
		return nil, fault.New(fault.Invalid, "this is no export of a snapshot")
	}
	if v := binary.BigEndian.Uint32(head[8:]); v != exportVersion {
		return nil, fault.New(fault.Invalid, "the export has version %d, this program reads version %d: use the program that wrote it", v, exportVersion)
	}
	return f, nil
}

// next returns the next frame; its bytes are valid until the call after it. At
// the end it checks the sum and that nothing follows.
func (f *frameReader) next() (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, fault.New(fault.Corrupt, "the export is cut off: %w", err)
	}
	kind = head[0]
	size := binary.BigEndian.Uint32(head[1:])
	if kind > frameBlock || size > maxFrame || kind == frameEnd && size > 0 {
		return 0, nil, fault.New(fault.Corrupt, "the export has a part of kind %d with %d bytes", kind, size)
	}
	f.buf.Reset() // grows with what is there, not with what is claimed
	if n, err := io.CopyN(&f.buf, f.r, int64(size)); err != nil {
		return 0, nil, fault.New(fault.Corrupt, "the export is cut off after %d of %d bytes of a part: %w", n, size, err)
	}
	if kind != frameEnd {
		return kind, f.buf.Bytes(), nil
	}
	want := f.sum.Sum(nil)
	var got [sha256.Size + 1]byte
	if n, _ := io.ReadFull(f.raw, got[:]); n != sha256.Size || !bytes.Equal(got[:n], want) {
		return 0, nil, fault.New(fault.Corrupt, "the checksum at the end of the export is not that of its bytes, or something follows it")
	}
	return frameEnd, nil, nil
}

// want returns the next frame, which must be of this kind.
func (f *frameReader) want(kind byte) ([]byte, error) {
	got, data, err := f.next()
	if err == nil && got != kind {
		err = fault.New(fault.Corrupt, "the export has a part of kind %d where one of kind %d is due", got, kind)
	}
	return bytes.Clone(data), err
}
