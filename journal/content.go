package journal

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Codecs of a stored content.
const (
	codecRaw  = 0
	codecZstd = 1
)

const (
	// leastCompressed is the size from which compression is tried.
	leastCompressed = 128
	// mostExpansion bounds what a zstd frame can expand to: a block of four
	// bytes gives at most 128 KiB. It keeps a damaged length from being believed.
	mostExpansion = 1 << 15
)

var contentCodec = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	// The options are constants that the library accepts, so the errors cannot occur.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderMaxMemory(MaxContent+1024), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err)
	}
	return enc, dec
})

// AppendContent appends the stored form of a content: a codec, the length, and
// the bytes, compressed where that saves a sixteenth.
func AppendContent(dst, data []byte) []byte {
	start := len(dst)
	if len(data) >= leastCompressed {
		enc, _ := contentCodec()
		dst = binary.AppendUvarint(append(dst, codecZstd), uint64(len(data)))
		body := len(dst)
		if dst = enc.EncodeAll(data, dst); len(dst)-body <= len(data)-len(data)/16 {
			return dst
		}
	}
	dst = binary.AppendUvarint(append(dst[:start], codecRaw), uint64(len(data)))
	return append(dst, data...)
}

// DecodeContent returns the content that a stored value holds. It may alias
// value. Journals of format 1 hold the bytes as they are; nothing in a value
// tells which it is, so the hash decides, and a value of neither form with that
// hash is an error of grade Corrupt.
func DecodeContent(h Hash, value []byte) ([]byte, error) {
	data, err := decodeCoded(value)
	if err == nil && SumContent(data) == h {
		return data, nil
	}
	got := SumContent(value)
	if got == h {
		return value, nil
	}
	if err == nil {
		got = SumContent(data)
	}
	return nil, &CorruptError{Key: contentKeyText(h), What: "its bytes hash to " + got.String(), Cause: err}
}

// decodeCoded undoes AppendContent. Its error has grade Corrupt.
func decodeCoded(value []byte) ([]byte, error) {
	bad := func(what string) ([]byte, error) {
		return nil, fault.New(fault.Corrupt, "content value of %d bytes: %s", len(value), what)
	}
	if len(value) == 0 {
		return bad("no codec")
	}
	size, n := binary.Uvarint(value[1:])
	if n <= 0 || n > 1 && value[n] == 0 {
		return bad("length is not a minimal varint")
	}
	body := value[1+n:]
	switch {
	case size > MaxContent:
		return bad("longer than a content can be")
	case value[0] == codecRaw && size == uint64(len(body)):
		return body[:size:size], nil
	case value[0] == codecRaw:
		return bad("its length is another")
	case value[0] != codecZstd:
		return bad("unknown codec")
	case size > uint64(len(body))*mostExpansion:
		return bad("no frame of that size holds so much")
	}
	var frame zstd.Header
	if err := frame.Decode(body); err != nil || frame.HasFCS && frame.FrameContentSize != size {
		return bad("its frame announces another length")
	}
	_, dec := contentCodec()
	data, err := dec.DecodeAll(body, make([]byte, 0, size))
	if err != nil {
		return bad(err.Error())
	}
	if uint64(len(data)) != size {
		return bad("its frame holds another length")
	}
	return data, nil
}

// Content returns a content object after checking that it hashes to its name.
// One that no durable event brought is [ErrNotFound]; any other error is a
// *[CorruptError].
func (j *Journal) Content(h Hash) ([]byte, error) {
	if err := j.enter(); err != nil {
		return nil, err
	}
	defer j.leave()
	return j.content(h)
}

func (j *Journal) content(h Hash) ([]byte, error) {
	return attempt(j.dblog, func() ([]byte, error) { return readContent(j.db, j.history, h) })
}

// readContent returns a content from r, or from the archive when r says that it
// is there.
func readContent(r pebble.Reader, archived *history, h Hash) ([]byte, error) {
	value, err := readKey(r, appendContentKey(nil, h))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fault.New(fault.Invalid, "journal: content %s: %w", h, ErrNotFound)
	}
	if err != nil {
		return nil, &CorruptError{Key: contentKeyText(h), What: "it cannot be read", Cause: err}
	}
	if segment, ok := ArchivedContent(h, value); ok {
		return archived.content(segment, h)
	}
	return DecodeContent(h, value)
}

// resolver returns the contents that r or the archive holds.
func resolver(r pebble.Reader, archived *history) Resolver {
	return func(h Hash) ([]byte, error) { return readContent(r, archived, h) }
}
