package blockrange

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/golang/snappy"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MaxBody is the largest body of a chunk, uncompressed, in bytes. (wire.md 9.5)
const MaxBody = 1 << 20

// ErrShort is in the chain of errors about input that ends too early: it may be the
// beginning of a whole.
var ErrShort = fault.New(fault.Invalid, "the input ends too early")

// The frames of the snappy framing format, section 4.
const (
	frameCompressed   = 0x00
	frameUncompressed = 0x01
	frameSkippable    = 0x80 // and all above it but the last
	frameIdentifier   = 0xff

	frameHeader   = 4 // type and length
	frameChecksum = 4
	maxFrame      = 65536 // uncompressed data of one frame
)

// identifier begins every stream of frames.
var identifier = []byte("\xff\x06\x00\x00sNaPpY")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the masked CRC-32C of a frame's uncompressed data.
func checksum(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// appendBody appends the length of a body and its frames. An empty body has none.
func appendBody(dst, body []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	if len(body) > 0 {
		dst = append(dst, identifier...)
	}
	for len(body) > 0 {
		part := body[:min(len(body), maxFrame)]
		body = body[len(part):]
		kind, data := byte(frameCompressed), snappy.Encode(nil, part)
		if len(data) >= len(part)-len(part)/8 {
			kind, data = frameUncompressed, part
		}
		size := uint32(len(data) + frameChecksum)
		dst = append(dst, kind, byte(size), byte(size>>8), byte(size>>16))
		dst = binary.LittleEndian.AppendUint32(dst, checksum(part))
		dst = append(dst, data...)
	}
	return dst
}

// readBody reads a body of at most limit bytes and returns what follows it.
func readBody(data []byte, limit uint64) (body, rest []byte, err error) {
	size, width := binary.Uvarint(data)
	switch {
	case width == 0:
		return nil, nil, fault.New(fault.Invalid, "length of a body: %w", ErrShort)
	case width < 0 || width > 1 && data[width-1] == 0:
		return nil, nil, fault.New(fault.Invalid, "length of a body is no shortest varint; refuse the peer's message")
	case size > limit:
		return nil, nil, fault.New(fault.Invalid, "body of %d bytes, at most %d are read; refuse the peer's message", size, limit)
	}
	rest = data[width:]
	budget := 32 + int(size) + int(size)/6 // compressed, as legacy reads (wire.md 9.5)
	started := false
	for uint64(len(body)) < size {
		kind, content, after, err := readFrame(rest)
		if err != nil {
			return nil, nil, err
		}
		if budget -= len(rest) - len(after); budget < 0 {
			return nil, nil, fault.New(fault.Invalid, "more than %d compressed bytes for a body of %d; refuse the peer's message", 32+size+size/6, size)
		}
		if !started && kind != frameIdentifier {
			return nil, nil, fault.New(fault.Invalid, "snappy frame of type %#x before the stream identifier; refuse the peer's message", kind)
		}
		started, rest = true, after
		if body, err = appendFrame(body, kind, content, int(size)); err != nil {
			return nil, nil, err
		}
	}
	return body, rest, nil
}

// readFrame splits the first frame off.
func readFrame(data []byte) (kind byte, content, rest []byte, err error) {
	if len(data) < frameHeader {
		return 0, nil, nil, fault.New(fault.Invalid, "header of a snappy frame: %w", ErrShort)
	}
	size := int(data[1]) | int(data[2])<<8 | int(data[3])<<16
	if size > len(data)-frameHeader {
		return 0, nil, nil, fault.New(fault.Invalid, "snappy frame of %d bytes: %w", size, ErrShort)
	}
	content = data[frameHeader : frameHeader+size]
	return data[0], content, data[frameHeader+size:], nil
}

// appendFrame appends a frame's data to a body that may grow to size bytes.
func appendFrame(body []byte, kind byte, content []byte, size int) ([]byte, error) {
	switch {
	case kind == frameIdentifier:
		if !bytes.Equal(content, identifier[frameHeader:]) {
			return nil, fault.New(fault.Invalid, "snappy stream identifier %.16x; refuse the peer's message", content)
		}
		return body, nil
	case kind >= frameSkippable:
		return body, nil
	case kind > frameUncompressed:
		return nil, fault.New(fault.Invalid, "snappy frame of unknown type %#x; refuse the peer's message", kind)
	case len(content) < frameChecksum:
		return nil, fault.New(fault.Invalid, "snappy frame of %d bytes has no checksum; refuse the peer's message", len(content))
	}
	want, part := binary.LittleEndian.Uint32(content), content[frameChecksum:]
	n := len(part)
	if kind == frameCompressed {
		var err error
		if n, err = snappy.DecodedLen(part); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "snappy frame")
		}
	}
	if n > maxFrame || n > size-len(body) {
		return nil, fault.New(fault.Invalid, "snappy frame of %d bytes in a body of %d; refuse the peer's message", n, size)
	}
	if kind == frameCompressed {
		var err error
		if part, err = snappy.Decode(nil, part); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "snappy frame")
		}
	}
	if got := checksum(part); got != want {
		return nil, fault.New(fault.Invalid, "snappy frame has checksum %08x, its data %08x; refuse the peer's message", want, got)
	}
	return append(body, part...), nil
}
