package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Limits of what a snapshot can hold. They belong to the format: a larger
// entry is refused when written and when read.
const (
	MaxName  = 255      // bytes of a section's name
	MaxKey   = 64 << 10 // bytes of a key
	MaxValue = 16 << 20 // bytes of a value
)

const (
	chunkEntries = 1024    // at most so many entries in a chunk
	chunkBytes   = 1 << 20 // of encoded entries, unless one entry alone has more
	maxChunk     = MaxKey + MaxValue + 2*binary.MaxVarintLen64
	cutMask      = 63 // a chunk ends after one key in 64
)

// cutter decides where chunks end, from the entries alone.
type cutter struct {
	seen    uint64 // entries so far, over all chunks
	entries int    // in the current chunk
	bytes   int    // in the current chunk
	ended   bool   // the last key ends its chunk
}

// before takes the next entry and reports whether a chunk begins with it. A
// chunk ends after a key whose SHA-256 has six low zero bits in its first byte,
// which puts chunks back in step after an insertion or removal, and before an
// entry that would take it over chunkEntries or chunkBytes.
func (c *cutter) before(key, value []byte) bool {
	size := entrySize(key, value)
	begins := c.seen == 0 || c.ended || c.entries == chunkEntries || c.bytes+size > chunkBytes
	if begins {
		c.entries, c.bytes = 0, 0
	}
	c.seen++
	c.entries++
	c.bytes += size
	sum := sha256.Sum256(key)
	c.ended = sum[0]&cutMask == 0
	return begins
}

// chunk is a run of entries in canonical encoding.
type chunk struct {
	hash    Hash
	data    []byte
	entries uint32
}

func newChunk(data []byte, entries uint32) chunk {
	return chunk{hash: chunkHash(data), data: data, entries: entries}
}

// chunkHash is the leaf hash of RFC 6962 over the uncompressed bytes.
func chunkHash(data []byte) Hash {
	h := sha256.New()
	h.Write([]byte{chunkLeaf})
	h.Write(data)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

func entrySize(key, value []byte) int {
	return uvarintSize(len(key)) + len(key) + uvarintSize(len(value)) + len(value)
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

func appendEntry(dst, key, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// nextEntry splits the first entry off data. The slices share data's memory.
func nextEntry(data []byte) (key, value, rest []byte, err error) {
	if key, data, err = nextField(data, MaxKey, "key"); err != nil {
		return nil, nil, nil, err
	}
	value, rest, err = nextField(data, MaxValue, "value")
	return key, value, rest, err
}

func nextField(data []byte, most uint64, what string) (field, rest []byte, err error) {
	size, n := binary.Uvarint(data)
	if n <= 0 || n > 1 && data[n-1] == 0 {
		return nil, nil, fault.New(fault.Corrupt, "length of a %s is not a minimal varint", what)
	}
	data = data[n:]
	if size > most || size > uint64(len(data)) {
		return nil, nil, fault.New(fault.Corrupt, "%s of %d bytes, %d are left and %d allowed", what, size, len(data), most)
	}
	return data[:size:size], data[size:], nil
}

// Chunk file: magic, version, size of the uncompressed bytes, zstd frame,
// CRC-32C of all before it. See docs/formats/snapshot.md.
const (
	chunkMagic   = "ALYSCHNK"
	chunkVersion = 1
	chunkHeader  = 16
	chunkTrailer = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var codec = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	// The options are constants that the library accepts, so the errors cannot occur.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(4), zstd.WithSingleSegment(true))
	if err != nil {
		panic(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderMaxMemory(maxChunk+1024), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err)
	}
	return enc, dec
})

// encodeChunk returns the content of a chunk file.
func encodeChunk(data []byte) []byte {
	enc, _ := codec()
	file := make([]byte, 0, chunkHeader+len(data)/2+64)
	file = append(file, chunkMagic...)
	file = binary.BigEndian.AppendUint32(file, chunkVersion)
	file = binary.BigEndian.AppendUint32(file, uint32(len(data)))
	file = enc.EncodeAll(data, file)
	return binary.BigEndian.AppendUint32(file, crc32.Checksum(file, castagnoli))
}

// decodeChunk returns the uncompressed bytes of a chunk file that must hold
// size bytes with the hash want. It inflates no more than size bytes.
func decodeChunk(file []byte, size uint32, want Hash) ([]byte, error) {
	if len(file) < chunkHeader+chunkTrailer || string(file[:8]) != chunkMagic {
		return nil, fault.New(fault.Corrupt, "not a snapshot chunk (%d bytes)", len(file))
	}
	body := len(file) - chunkTrailer
	if sum := crc32.Checksum(file[:body], castagnoli); sum != binary.BigEndian.Uint32(file[body:]) {
		return nil, fault.New(fault.Corrupt, "checksum of the snapshot chunk is %08x, the file says %08x", sum, binary.BigEndian.Uint32(file[body:]))
	}
	if v := binary.BigEndian.Uint32(file[8:]); v != chunkVersion {
		return nil, newerFormat("chunk", v, chunkVersion)
	}
	claimed := binary.BigEndian.Uint32(file[12:])
	if claimed != size || size > maxChunk {
		return nil, fault.New(fault.Corrupt, "snapshot chunk of %d bytes, its manifest says %d and the format allows %d", claimed, size, maxChunk)
	}
	var frame zstd.Header
	if err := frame.Decode(file[chunkHeader:body]); err != nil || frame.HasFCS && frame.FrameContentSize != uint64(size) {
		return nil, fault.New(fault.Corrupt, "zstd frame of the snapshot chunk does not announce %d bytes", size)
	}
	_, dec := codec()
	data, err := dec.DecodeAll(file[chunkHeader:body], make([]byte, 0, size))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "inflating the snapshot chunk: %w", err)
	}
	if got := chunkHash(data); uint32(len(data)) != size || got != want {
		return nil, fault.New(fault.Corrupt, "snapshot chunk of %d bytes hashes to %s, expected %d bytes and %s", len(data), got, size, want)
	}
	return data, nil
}

// sectionReader checks that chunks are the canonical ones of one section: keys
// ascend over all of them and every cut is where the cutter puts it.
type sectionReader struct {
	cut  cutter
	last []byte
}

// check parses the whole chunk before any of it may be used.
func (r *sectionReader) check(data []byte, entries uint32) error {
	var count uint32
	for len(data) > 0 {
		key, value, rest, err := nextEntry(data)
		if err != nil {
			return err
		}
		if r.cut.before(key, value) != (count == 0) {
			return fault.New(fault.Corrupt, "snapshot chunks are not cut where the format cuts them, at key %s", abbreviate(key))
		}
		if r.cut.seen > 1 && bytes.Compare(key, r.last) <= 0 {
			return fault.New(fault.Corrupt, "key %s follows key %s in a snapshot chunk", abbreviate(key), abbreviate(r.last))
		}
		r.last = append(r.last[:0], key...)
		data = rest
		count++
	}
	if count != entries {
		return fault.New(fault.Corrupt, "snapshot chunk has %d entries, its manifest says %d", count, entries)
	}
	return nil
}
