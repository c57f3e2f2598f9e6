package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Writer writes one segment. First all events, then the contents.
type Writer struct {
	w      io.Writer
	sum    hash.Hash
	info   Info
	index  index
	offset uint64

	raw   []byte // open block
	block blockEntry
	kind  byte
	out   []byte
}

var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2), zstd.WithSingleSegment(true))
})

// NewWriter writes the header. What it gets from w's errors it returns as is.
func NewWriter(w io.Writer, s Start) (*Writer, error) {
	if s.First == 0 {
		return nil, fault.New(fault.Invalid, "a segment cannot begin with event 0")
	}
	x := &Writer{w: w, sum: sha256.New(), kind: blockEvents}
	x.info.Start = s
	x.info.Last, x.info.LastHash, x.info.LastTime = s.First-1, s.Before, s.TimeBefore
	x.block.first = s.First
	return x, x.write(s.encode())
}

func (x *Writer) write(b []byte) error {
	n, err := x.w.Write(b)
	x.sum.Write(b[:n])
	x.offset += uint64(n)
	return err
}

// Event adds the next event: the value that the journal stores for it, envelope
// and hash.
func (x *Writer) Event(time int64, value []byte) error {
	if x.kind != blockEvents {
		return fault.New(fault.Invalid, "segment: event after a content")
	}
	if len(value) < 32 || len(value) > maxBlock-16 {
		return fault.New(fault.Invalid, "segment: event %d has %d bytes", x.info.Last+1, len(value))
	}
	if err := x.room(len(value)); err != nil {
		return err
	}
	x.raw = binary.AppendUvarint(x.raw, uint64(len(value)))
	x.raw = append(x.raw, value...)
	x.info.Last++
	x.info.LastTime = time
	x.info.LastHash = [32]byte(value[len(value)-32:])
	return x.added(len(value))
}

// Content adds a content. Its hash is the caller's promise; no two are equal.
func (x *Writer) Content(h [32]byte, data []byte) error {
	if x.kind == blockEvents {
		if err := x.close(); err != nil {
			return err
		}
		x.kind = blockContents
	}
	if len(data) > maxBlock-64 {
		return fault.New(fault.Invalid, "segment: content %x has %d bytes", h, len(data))
	}
	if err := x.room(len(data)); err != nil {
		return err
	}
	x.raw = append(x.raw, h[:]...)
	x.raw = binary.AppendUvarint(x.raw, uint64(len(data)))
	x.index.table = append(x.index.table, contentEntry{
		hash: h, block: uint32(len(x.index.contents)), offset: uint32(len(x.raw)), size: uint32(len(data)),
	})
	x.raw = append(x.raw, data...)
	x.info.Contents++
	return x.added(len(data))
}

// room closes the open block if a value would make it too large.
func (x *Writer) room(size int) error {
	if len(x.raw)+size <= blockTarget {
		return nil
	}
	return x.close()
}

func (x *Writer) added(size int) error {
	x.info.RawBytes += uint64(size)
	x.block.count++
	if len(x.raw) < blockTarget {
		return nil
	}
	return x.close()
}

// close compresses and writes the open block.
func (x *Writer) close() error {
	if x.block.count == 0 {
		return nil
	}
	enc, err := encoder()
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "zstd encoder")
	}
	b := append(x.out[:0], make([]byte, blockHeaderSize)...)
	b = enc.EncodeAll(x.raw, b)
	b[0] = x.kind
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-blockHeaderSize))
	binary.BigEndian.PutUint32(b[5:], uint32(len(x.raw)))
	binary.BigEndian.PutUint32(b[9:], blockChecksum(b))
	x.out = b
	x.block.offset, x.block.size, x.block.raw = x.offset, uint32(len(b)-blockHeaderSize), uint32(len(x.raw))
	if x.kind == blockEvents {
		x.index.events = append(x.index.events, x.block)
	} else {
		x.block.first = 0
		x.index.contents = append(x.index.contents, x.block)
	}
	x.block = blockEntry{first: x.info.Last + 1}
	x.raw = x.raw[:0]
	if cap(x.raw) > 8*blockTarget { // one large content must not stay in memory
		x.raw = nil
	}
	err = x.write(b)
	if cap(x.out) > 8*blockTarget {
		x.out = nil
	}
	return err
}

// blockChecksum covers kind, sizes and compressed bytes.
func blockChecksum(b []byte) uint32 {
	return crc32.Update(crc(b[:9]), castagnoli, b[blockHeaderSize:])
}

// Finish writes index and footer and describes the segment.
func (x *Writer) Finish() (Info, error) {
	if err := x.close(); err != nil {
		return Info{}, err
	}
	if len(x.index.events) == 0 {
		return Info{}, fault.New(fault.Invalid, "segment from event %d without an event", x.info.First)
	}
	slices.SortFunc(x.index.table, func(a, b contentEntry) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	for i := 1; i < len(x.index.table); i++ {
		if x.index.table[i].hash == x.index.table[i-1].hash {
			return Info{}, fault.New(fault.Invalid, "segment: content %x was added twice", x.index.table[i].hash)
		}
	}
	encoded := x.index.encode()
	f := footer{
		indexOffset: x.offset, indexSize: uint64(len(encoded)), last: x.info.Last, lastHash: x.info.LastHash, lastTime: x.info.LastTime,
		events: x.info.Last + 1 - x.info.First, contents: x.info.Contents, rawBytes: x.info.RawBytes,
		eventBlocks: uint32(len(x.index.events)), allBlocks: uint32(len(x.index.events) + len(x.index.contents)),
		indexChecksum: crc(encoded),
	}
	if err := x.write(encoded); err != nil {
		return Info{}, err
	}
	b := f.encode()
	b = binary.BigEndian.AppendUint32(b, crc(b))
	if err := x.write(b); err != nil {
		return Info{}, err
	}
	if err := x.write(append(x.sum.Sum(nil), footerMagic...)); err != nil {
		return Info{}, err
	}
	x.info.Size = int64(x.offset)
	x.info.Sum = [32]byte(x.sum.Sum(nil))
	return x.info, nil
}
