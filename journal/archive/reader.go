package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Reader reads one segment. It may be used from any goroutine.
type Reader struct {
	storage Storage
	name    string
	info    Info
	index   index
	footer  footer

	mu     sync.Mutex
	recent []decoded // last used first
}

// decoded is an inflated block that is kept, because reads are near each other.
type decoded struct {
	offset uint64
	raw    []byte
	starts []uint32 // of the values in an event block
}

const (
	keptBlocks = 4
	keptSize   = 4 * blockTarget
)

var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderMaxMemory(maxBlock+1024), zstd.WithDecodeAllCapLimit(true))
})

// Open reads footer, index and header of a segment and checks them.
func Open(ctx context.Context, s Storage, name string) (*Reader, error) {
	r := &Reader{storage: s, name: name}
	size, err := s.Size(ctx, name)
	if err != nil {
		return nil, err
	}
	if size < headerSize+footerSize {
		return nil, r.damaged(fault.New(fault.Corrupt, "it has %d bytes, fewer than a segment", size), 0)
	}
	header := make([]byte, headerSize)
	if err := s.ReadAt(ctx, name, header, 0); err != nil {
		return nil, err
	}
	if r.info.Start, err = decodeHeader(header); err != nil {
		return nil, r.damaged(err, 0)
	}
	end := make([]byte, footerSize)
	if err := s.ReadAt(ctx, name, end, size-footerSize); err != nil {
		return nil, err
	}
	if r.footer, err = decodeFooter(end, size); err != nil {
		return nil, r.damaged(err, size-footerSize)
	}
	encoded := make([]byte, r.footer.indexSize)
	if err := s.ReadAt(ctx, name, encoded, int64(r.footer.indexOffset)); err != nil {
		return nil, err
	}
	if r.index, err = decodeIndex(encoded, r.info.Start, r.footer); err != nil {
		return nil, r.damaged(err, int64(r.footer.indexOffset))
	}
	f := &r.footer
	r.info.Last, r.info.LastHash, r.info.LastTime = f.last, f.lastHash, f.lastTime
	r.info.Contents, r.info.RawBytes, r.info.Size = f.contents, f.rawBytes, size
	return r, nil
}

// Info describes the segment; Sum is zero.
func (r *Reader) Info() Info { return r.info }

// damaged names the file and keeps the grade.
func (r *Reader) damaged(err error, offset int64) error {
	return fault.Wrap(fault.Of(err), err, fmt.Sprintf("archive file %s in %s, offset %d", r.name, r.storage, offset))
}

// Event returns the stored value of an event. It must not be changed.
func (r *Reader) Event(ctx context.Context, sequence uint64) ([]byte, error) {
	if sequence < r.info.First || sequence > r.info.Last {
		return nil, fault.New(fault.Invalid, "archive file %s holds events %d to %d, not %d", r.name, r.info.First, r.info.Last, sequence)
	}
	e := r.index.events[r.index.blockOf(sequence)]
	d, err := r.block(ctx, blockEvents, e)
	if err != nil {
		return nil, err
	}
	return d.value(int(sequence - e.first)), nil
}

// value returns value i of an event block whose shape was checked.
func (d *decoded) value(i int) []byte {
	b := d.raw[d.starts[i]:]
	n, width := binary.Uvarint(b)
	return b[width : width+int(n) : width+int(n)]
}

// Content returns a copy of a content, and whether the segment holds it. The
// caller checks the hash.
func (r *Reader) Content(ctx context.Context, h [32]byte) (data []byte, found bool, err error) {
	c, found := r.index.find(h)
	if !found {
		return nil, false, nil
	}
	d, err := r.block(ctx, blockContents, r.index.contents[c.block])
	if err != nil {
		return nil, true, err
	}
	return bytes.Clone(d.raw[c.offset : c.offset+c.size]), true, nil
}

// block returns an inflated block, from memory if it was used lately.
func (r *Reader) block(ctx context.Context, kind byte, e blockEntry) (*decoded, error) {
	r.mu.Lock()
	for i := range r.recent {
		if r.recent[i].offset == e.offset {
			d := r.recent[i]
			copy(r.recent[1:i+1], r.recent[:i])
			r.recent[0] = d
			r.mu.Unlock()
			return &d, nil
		}
	}
	r.mu.Unlock()
	stored := make([]byte, blockHeaderSize+int(e.size))
	if err := r.storage.ReadAt(ctx, r.name, stored, int64(e.offset)); err != nil {
		return nil, err
	}
	d, err := decodeBlock(stored, kind, e)
	if err != nil {
		return nil, r.damaged(err, int64(e.offset))
	}
	if len(d.raw) <= keptSize {
		r.mu.Lock()
		r.recent = append([]decoded{*d}, r.recent[:min(len(r.recent), keptBlocks-1)]...)
		r.mu.Unlock()
	}
	return d, nil
}

// decodeBlock checks and inflates a block that the index describes.
func decodeBlock(b []byte, kind byte, e blockEntry) (*decoded, error) {
	if b[0] != kind || binary.BigEndian.Uint32(b[1:]) != e.size || binary.BigEndian.Uint32(b[5:]) != e.raw {
		return nil, fault.New(fault.Corrupt, "the header of its block is not what the index says")
	}
	if blockChecksum(b) != binary.BigEndian.Uint32(b[9:]) {
		return nil, fault.New(fault.Corrupt, "the checksum of its block is wrong")
	}
	var frame zstd.Header
	if err := frame.Decode(b[blockHeaderSize:]); err != nil || !frame.HasFCS || frame.FrameContentSize != uint64(e.raw) {
		return nil, fault.New(fault.Corrupt, "its block does not announce %d bytes", e.raw)
	}
	dec, err := decoder()
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "zstd decoder")
	}
	raw, err := dec.DecodeAll(b[blockHeaderSize:], make([]byte, 0, e.raw))
	if err != nil || len(raw) != int(e.raw) {
		return nil, fault.New(fault.Corrupt, "its block does not inflate to %d bytes: %v", e.raw, err)
	}
	d := &decoded{offset: e.offset, raw: raw}
	return d, d.shape(kind, e)
}

// shape walks over the values of a block, so that reading one cannot fail.
func (d *decoded) shape(kind byte, e blockEntry) error {
	bad := fault.New(fault.Corrupt, "its block does not hold the %d values that the index says", e.count)
	if kind == blockEvents {
		d.starts = make([]uint32, 0, e.count)
	}
	at := 0
	for range e.count {
		if kind == blockContents {
			at += 32
		}
		if at > len(d.raw) {
			return bad
		}
		n, width := binary.Uvarint(d.raw[at:])
		if width <= 0 || n > uint64(len(d.raw)-at-width) || kind == blockEvents && n < 32 {
			return bad
		}
		if kind == blockEvents {
			d.starts = append(d.starts, uint32(at))
		}
		at += width + int(n)
	}
	if at != len(d.raw) {
		return bad
	}
	return nil
}

// Visitor receives what Check reads. A nil function is not called. The slices
// are valid during the call.
type Visitor struct {
	Event   func(sequence uint64, value []byte) error
	Content func(hash [32]byte, data []byte) error
	// Read is called for every read with its size, before it; it may wait.
	Read func(bytes int) error
}

// readPiece is how much Check reads at once where nothing is decoded.
const readPiece = 256 << 10

// Check reads every byte of the segment once, from the storage, in order,
// checks every checksum, the SHA-256 of the file and that each content hashes to
// its name, and hands out events and contents. It returns the description with
// the file's SHA-256.
func (r *Reader) Check(ctx context.Context, v Visitor) (Info, error) {
	c := &checker{ctx: ctx, r: r, v: v, sum: sha256.New()}
	if err := c.run(); err != nil {
		return Info{}, err
	}
	info := r.info
	info.Sum = [32]byte(c.sum.Sum(nil))
	return info, nil
}

type checker struct {
	ctx    context.Context
	r      *Reader
	v      Visitor
	sum    hash.Hash
	offset int64
}

func (c *checker) read(n int) ([]byte, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "checking archive file "+c.r.name)
	}
	if c.v.Read != nil {
		if err := c.v.Read(n); err != nil {
			return nil, err
		}
	}
	b := make([]byte, n)
	if err := c.r.storage.ReadAt(c.ctx, c.r.name, b, c.offset); err != nil {
		return nil, err
	}
	c.offset += int64(n)
	return b, nil
}

func (c *checker) run() error {
	header, err := c.read(headerSize)
	if err != nil {
		return err
	}
	c.sum.Write(header)
	if s, err := decodeHeader(header); err != nil || s != c.r.info.Start {
		return c.r.damaged(fault.New(fault.Corrupt, "its header is damaged: %v", err), 0)
	}
	for _, e := range c.r.index.events {
		if err := c.events(e); err != nil {
			return err
		}
	}
	for i, e := range c.r.index.contents {
		if err := c.contents(uint32(i), e); err != nil {
			return err
		}
	}
	return c.end()
}

func (c *checker) block(kind byte, e blockEntry) (*decoded, error) {
	stored, err := c.read(blockHeaderSize + int(e.size))
	if err != nil {
		return nil, err
	}
	c.sum.Write(stored)
	d, err := decodeBlock(stored, kind, e)
	if err != nil {
		return nil, c.r.damaged(err, int64(e.offset))
	}
	return d, nil
}

func (c *checker) events(e blockEntry) error {
	d, err := c.block(blockEvents, e)
	if err != nil {
		return err
	}
	for i := range d.starts {
		if c.v.Event == nil {
			break
		}
		if err := c.v.Event(e.first+uint64(i), d.value(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) contents(number uint32, e blockEntry) error {
	d, err := c.block(blockContents, e)
	if err != nil {
		return err
	}
	b := d.raw
	for len(b) > 0 {
		h := [32]byte(b)
		n, width := binary.Uvarint(b[32:])
		start := 32 + width
		data := b[start : start+int(n)]
		entry, found := c.r.index.find(h)
		if at := len(d.raw) - len(b) + start; !found || entry.block != number || int(entry.offset) != at || entry.size != uint32(n) {
			return c.r.damaged(fault.New(fault.Corrupt, "its index does not place content %x", h), int64(e.offset))
		}
		if sha256.Sum256(data) != h {
			return c.r.damaged(fault.New(fault.Corrupt, "the bytes of content %x do not hash to its name", h), int64(e.offset))
		}
		if c.v.Content != nil {
			if err := c.v.Content(h, data); err != nil {
				return err
			}
		}
		b = b[start+int(n):]
	}
	return nil
}

// end reads index and footer again and compares the sum.
func (c *checker) end() error {
	tail := c.r.info.Size - 32 - int64(len(footerMagic))
	for c.offset < tail {
		b, err := c.read(int(min(readPiece, tail-c.offset)))
		if err != nil {
			return err
		}
		c.sum.Write(b)
	}
	b, err := c.read(32 + len(footerMagic))
	if err != nil {
		return err
	}
	if !bytes.Equal(c.sum.Sum(nil), b[:32]) || string(b[32:]) != footerMagic {
		return c.r.damaged(fault.New(fault.Corrupt, "the SHA-256 of its bytes is not what its footer says"), tail)
	}
	c.sum.Write(b)
	return nil
}
