package blockrange

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/golang/snappy"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MaxRequest is the most bytes that a request takes: a length of one byte, and what a
// body may take compressed. (wire.md 9.5)
const MaxRequest = 1 + 32 + requestSize + requestSize/6

// Reader reads the chunks of an answer from a stream as they come. Create it with
// [NewReader].
type Reader struct {
	r   ByteReader
	buf []byte // the chunk under way
}

// ByteReader is a stream with a buffer, such as bufio.Reader: it is read in small pieces.
type ByteReader interface {
	io.Reader
	io.ByteReader
}

// NewReader returns a reader of an answer.
func NewReader(r ByteReader) *Reader { return &Reader{r: r} }

// Next reads one chunk, and how many bytes it took. It takes no byte that follows the
// chunk, and no more memory than a chunk may take compressed. The end of the stream
// between two chunks is [io.EOF]; in a chunk it is an error that wraps [ErrShort].
// Errors of the stream, such as a deadline, are passed on as they are.
func (r *Reader) Next() (Chunk, int, error) {
	r.buf = r.buf[:0]
	code, err := r.r.ReadByte()
	if err != nil {
		return Chunk{}, 0, err // io.EOF: the peer is done
	}
	r.buf = append(r.buf, code)
	if err := r.body(Code(code)); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fault.New(fault.Invalid, "chunk of an answer: %w", ErrShort)
		}
		return Chunk{}, len(r.buf), err
	}
	chunk, rest, err := DecodeChunk(r.buf)
	if err == nil && len(rest) > 0 {
		err = fault.New(fault.Invalid, "chunk of an answer: %d bytes follow its body; refuse the peer's message", len(rest))
	}
	return chunk, len(r.buf), err
}

// body appends the rest of a chunk: as many frames as the length it begins with asks for.
func (r *Reader) body(code Code) error {
	size, err := r.length()
	if err != nil {
		return err
	}
	limit := uint64(MaxBody)
	if code != OK {
		limit = maxText
	}
	if size > limit {
		return nil // decoding says so
	}
	budget := 32 + int(size) + int(size)/6
	for have := uint64(0); have < size; {
		n, took, err := r.frame(budget)
		if err != nil {
			return err
		}
		if budget -= took; budget < 0 {
			return nil // decoding says so
		}
		have += uint64(n)
	}
	return nil
}

// length reads a varint of at most ten bytes.
func (r *Reader) length() (uint64, error) {
	start := len(r.buf)
	for len(r.buf)-start < binary.MaxVarintLen64 {
		b, err := r.r.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		r.buf = append(r.buf, b)
		if b < 0x80 {
			break
		}
	}
	size, width := binary.Uvarint(r.buf[start:])
	if width <= 0 {
		return 0, fault.New(fault.Invalid, "length of a body is no varint; refuse the peer's message")
	}
	return size, nil
}

// frame appends one frame and returns the size of what is in it and of itself. One
// beyond the budget is not read, only its header.
func (r *Reader) frame(budget int) (content, took int, err error) {
	start := len(r.buf)
	r.buf = append(r.buf, make([]byte, frameHeader)...)
	if _, err := io.ReadFull(r.r, r.buf[start:]); err != nil {
		return 0, 0, unexpected(err)
	}
	header := r.buf[start:]
	size := int(header[1]) | int(header[2])<<8 | int(header[3])<<16
	if took = frameHeader + size; took > budget {
		return 0, 0, fault.New(fault.Invalid, "snappy frame of %d bytes, %d may follow; refuse the peer's message", size, budget)
	}
	r.buf = append(r.buf, make([]byte, size)...)
	data := r.buf[start+frameHeader:]
	if _, err := io.ReadFull(r.r, data); err != nil {
		return 0, 0, unexpected(err)
	}
	switch {
	case header[0] > frameUncompressed && header[0] < frameSkippable:
		return 0, 0, fault.New(fault.Invalid, "snappy frame of unknown type %#x; refuse the peer's message", header[0])
	case header[0] > frameUncompressed:
		return 0, took, nil
	case size < frameChecksum:
		return 0, 0, fault.New(fault.Invalid, "snappy frame of %d bytes has no checksum; refuse the peer's message", size)
	case header[0] == frameUncompressed:
		return size - frameChecksum, took, nil
	}
	n, err := snappy.DecodedLen(data[frameChecksum:])
	if err != nil || n > maxFrame {
		return 0, 0, fault.New(fault.Invalid, "snappy frame of %d bytes, at most %d; refuse the peer's message", n, maxFrame)
	}
	return n, took, nil
}

// unexpected makes of the end of a stream one that came too early.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
