package salvage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// A data block of a table, in the columnar layout of Pebble's tables (package
// sstable/colblk), with its default key schema. The library's own decoder
// trusts its input and reads by pointer; this one checks every offset, because
// its input is what a checksum of 32 bits let pass.
//
//	u32 longest key | u8 version (1) | u16 columns | u32 rows | columns: u8 type, u32 offset | data of the columns | one byte
//
// in little-endian order. The columns of this schema:
const (
	columnKeys = iota // prefix-compressed bytes
	columnSuffixes
	columnTrailers // unsigned integers: database sequence << 8 | kind
	columnPrefixChanged
	columnValues // bytes
	columnExternal
	columnObsolete
	columnCount
)

var columnTypes = [columnCount]byte{4, 3, 2, 1, 3, 1, 1}

const (
	blockHeader  = 4 + 1 + 2 + 4
	columnHeader = 1 + 4
	blockTrailer = 5 // compression (1) and checksum (4)
)

// maxBlock bounds what a block may claim to decompress to: the largest value
// with its key and offsets.
const maxBlock = 1<<30 + 1<<20

var errNoDataBlock = errors.New("it is no data block")

// row is one entry of a data block.
type row struct {
	key, value []byte
	sequence   uint64 // of the database
	kind       byte
	external   bool // the value is a reference to where it is
}

// dataBlock is a decompressed block whose header was checked.
type dataBlock struct {
	data    []byte
	rows    int
	offsets [columnCount]int
}

// parseDataBlock checks the header of a decompressed block.
func parseDataBlock(data []byte) (dataBlock, error) {
	b := dataBlock{data: data}
	if len(data) < blockHeader+columnCount*columnHeader || data[4] != 1 || binary.LittleEndian.Uint16(data[5:]) != columnCount {
		return b, errNoDataBlock
	}
	rows := binary.LittleEndian.Uint32(data[7:])
	if rows == 0 || uint64(rows) > uint64(len(data)) {
		return b, errNoDataBlock
	}
	b.rows = int(rows)
	for i := range columnCount {
		at := blockHeader + i*columnHeader
		offset := binary.LittleEndian.Uint32(data[at+1:])
		if data[at] != columnTypes[i] || uint64(offset) >= uint64(len(data)) {
			return b, errNoDataBlock
		}
		b.offsets[i] = int(offset)
	}
	return b, nil
}

// each calls f for every row. The row is valid during the call.
func (b dataBlock) each(f func(row)) error {
	keys, err := b.keys()
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	trailers, _, err := parseUints(b.data, b.offsets[columnTrailers], b.rows)
	if err != nil {
		return fmt.Errorf("trailers: %w", err)
	}
	values, err := parseSlices(b.data, b.offsets[columnValues], b.rows)
	if err != nil {
		return fmt.Errorf("values: %w", err)
	}
	external, err := parseBits(b.data, b.offsets[columnExternal], b.rows)
	if err != nil {
		return fmt.Errorf("external values: %w", err)
	}
	var key []byte
	for i := range b.rows {
		if key, err = keys.at(key, i); err != nil {
			return err
		}
		value, err := values.at(i)
		if err != nil {
			return err
		}
		t := trailers.at(i)
		f(row{key: key, value: value, sequence: t >> 8, kind: byte(t) & 0xbf, external: external.at(i)})
	}
	return nil
}

// uints is a column of unsigned integers.
type uints struct {
	data  []byte
	width int
	base  uint64
}

func parseUints(data []byte, at, n int) (u uints, end int, err error) {
	if at >= len(data) {
		return u, 0, errNoDataBlock
	}
	encoding := data[at]
	at++
	if encoding&0x80 != 0 {
		if at+8 > len(data) {
			return u, 0, errNoDataBlock
		}
		u.base = binary.LittleEndian.Uint64(data[at:])
		at += 8
	}
	u.width = int(encoding &^ 0x80)
	switch u.width {
	case 0:
		return u, at, nil
	case 1, 2, 4, 8:
	default:
		return u, 0, errNoDataBlock
	}
	at = (at + u.width - 1) / u.width * u.width
	if at > len(data) || n > (len(data)-at)/u.width {
		return u, 0, errNoDataBlock
	}
	u.data = data[at : at+n*u.width]
	return u, at + n*u.width, nil
}

func (u uints) at(i int) uint64 {
	switch u.width {
	case 1:
		return u.base + uint64(u.data[i])
	case 2:
		return u.base + uint64(binary.LittleEndian.Uint16(u.data[2*i:]))
	case 4:
		return u.base + uint64(binary.LittleEndian.Uint32(u.data[4*i:]))
	case 8:
		return u.base + binary.LittleEndian.Uint64(u.data[8*i:])
	}
	return u.base
}

// byteSlices is a column of byte strings: their ends, then the bytes.
type byteSlices struct {
	offsets uints
	n       int
	data    []byte
}

func parseSlices(data []byte, at, n int) (byteSlices, error) {
	offsets, end, err := parseUints(data, at, n+1)
	if err != nil {
		return byteSlices{}, err
	}
	return byteSlices{offsets: offsets, n: n, data: data[end:]}, nil
}

func (s byteSlices) at(i int) ([]byte, error) {
	if i < 0 || i >= s.n {
		return nil, errNoDataBlock
	}
	from, to := s.offsets.at(i), s.offsets.at(i+1)
	if from > to || to > uint64(len(s.data)) {
		return nil, errNoDataBlock
	}
	return s.data[from:to:to], nil
}

// prefixedKeys is the column of keys: a prefix of all, one of each bundle of
// rows, and what is left of each row. An empty rest means the key before.
type prefixedKeys struct {
	slices byteSlices
	shared []byte
	shift  uint
}

func (b dataBlock) keys() (prefixedKeys, error) {
	at := b.offsets[columnKeys]
	p := prefixedKeys{shift: uint(b.data[at])}
	if p.shift > 16 {
		return p, errNoDataBlock
	}
	bundles := 1 + (b.rows-1)>>p.shift
	var err error
	if p.slices, err = parseSlices(b.data, at+1, b.rows+bundles); err != nil {
		return p, err
	}
	shared := p.slices.offsets.at(0)
	if shared > uint64(len(p.slices.data)) {
		return p, errNoDataBlock
	}
	p.shared = p.slices.data[:shared]
	return p, nil
}

// at returns the key of a row in dst, which holds the key of the row before.
func (p prefixedKeys) at(dst []byte, i int) ([]byte, error) {
	bundle := i >> p.shift
	first := bundle<<p.shift + bundle // slice of the bundle's prefix
	rest, err := p.slices.at(1 + bundle + i)
	if err != nil {
		return dst, err
	}
	if len(rest) == 0 && i&(1<<p.shift-1) != 0 {
		return dst, nil
	}
	prefix, err := p.slices.at(first)
	if err != nil {
		return dst, err
	}
	return append(append(append(dst[:0], p.shared...), prefix...), rest...), nil
}

// bits is a column of booleans; nil data means all false.
type bits []byte

func parseBits(data []byte, at, n int) (bits, error) {
	if data[at] != 0 {
		return nil, nil
	}
	at = (at + 1 + 7) &^ 7
	if at > len(data) || (n+63)/64*8 > len(data)-at {
		return nil, errNoDataBlock
	}
	return bits(data[at:]), nil
}

func (b bits) at(i int) bool { return b != nil && b[i/8]&(1<<(i%8)) != 0 }

// Compression of a block, the first byte of its trailer.
const (
	compressionNone   = 0
	compressionSnappy = 1
	compressionZstd   = 7
)

// decompressor inflates blocks into one buffer.
type decompressor struct {
	buf  []byte
	zstd *zstd.Decoder
}

// block returns the contents of a block; valid until the next call.
func (d *decompressor) block(kind byte, data []byte) ([]byte, error) {
	switch kind {
	case compressionNone:
		return data, nil
	case compressionSnappy:
		n, err := snappy.DecodedLen(data)
		// No snappy stream grows more than this.
		if err != nil || n > maxBlock || n > 32*len(data)+64 {
			return nil, fmt.Errorf("snappy block of %d bytes: %w", n, errNoDataBlock)
		}
		if cap(d.buf) < n {
			d.buf = make([]byte, n)
		}
		return snappy.Decode(d.buf[:n], data)
	case compressionZstd:
		size, n := binary.Uvarint(data)
		if n <= 0 || size > maxBlock {
			return nil, errNoDataBlock
		}
		if d.zstd == nil {
			var err error
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
				return nil, err
			}
		}
		out, err := d.zstd.DecodeAll(data[n:], d.buf[:0])
		if err == nil {
			d.buf = out
		}
		return out, err
	}
	return nil, fmt.Errorf("compression %d is not known", kind)
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}
