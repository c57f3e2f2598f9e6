package salvage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Layout of a write-ahead log, as the package record of Pebble documents it:
// blocks of 32 KiB, chunks that never cross a block, a record in one chunk or
// in a first, middle and last one. A chunk starts with
//
//	CRC (4) | size (2) | type (1) | log number (4, types 5 to 12) | sync offset (8, types 9 to 12)
//
// in little-endian order; the CRC covers everything from the type on.
const (
	logBlock       = 32 << 10
	legacyHeader   = 7
	recycledHeader = 11
	syncedHeader   = 19
)

// chunkPart says which part of its record a chunk is.
type chunkPart uint8

const (
	partFull chunkPart = iota
	partFirst
	partMiddle
	partLast
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of logs and tables.
func maskedCRC(data []byte) uint32 { return mask(crc32.Checksum(data, castagnoli)) }

func mask(c uint32) uint32   { return (c>>15 | c<<17) + 0xa282ead8 }
func unmask(v uint32) uint32 { v -= 0xa282ead8; return v<<15 | v>>17 }

// chunk is one intact chunk of a log.
type chunk struct {
	part    chunkPart
	log     uint32 // log number, 0 in the oldest format
	payload []byte // valid until the next block is read
	size    int    // with its header
}

// parseChunk reads the chunk at the start of data; ok is false when there is
// none that its checksum proves.
func parseChunk(data []byte) (c chunk, ok bool) {
	if len(data) < legacyHeader {
		return c, false
	}
	kind := data[6]
	if kind == 0 || kind > 12 {
		return c, false
	}
	if kind == 5 && len(data) >= recycledHeader && zero(data[:6]) {
		// The end of a log that was closed; it has no checksum.
		return chunk{log: le32(data[legacyHeader:]), size: recycledHeader}, true
	}
	header := legacyHeader
	switch {
	case kind > 8:
		header = syncedHeader
	case kind > 4:
		header = recycledHeader
	}
	c.part = chunkPart((kind - 1) % 4)
	c.size = header + int(binary.LittleEndian.Uint16(data[4:]))
	if c.size > len(data) || maskedCRC(data[6:c.size]) != le32(data) {
		return c, false
	}
	if header > legacyHeader {
		c.log = le32(data[legacyHeader:])
	}
	c.payload = data[header:c.size]
	return c, true
}

// logReader finds every intact chunk of a log. It never gives up: behind
// damage it looks at each following offset of the block, then goes on with the
// next block.
type logReader struct {
	name  string
	r     io.Reader
	note  func(Damage)
	entry func(kind byte, key, value []byte, place string)

	record  record
	pending *Damage // bytes that are no chunk; damage only when a chunk follows
	zeros   bool    // pending is nothing but zeros
	number  uint32  // log number of the first chunk
	chunks  int
}

// record gathers the parts of one record. A part that is missing leaves a
// hole: what comes before and behind it is still read.
type record struct {
	log    uint32
	open   bool
	buf    []byte
	skip   int   // bytes of the buffer before its first entry
	synced bool  // an entry starts behind them
	at     int64 // file offset of the first chunk in the buffer
}

// maxRecord bounds how much of one record is held before its entries are read:
// entries complete by then are handed on, the rest stays. The largest single
// entry decides, and a record has no limit of its own below 4 GiB.
const maxRecord = 4 << 20

// read goes through the file. Its error is a failure to read, not damage.
func (l *logReader) read() error {
	br := bufio.NewReaderSize(l.r, 4*logBlock)
	block := make([]byte, logBlock)
	for base := int64(0); ; {
		n, err := io.ReadFull(br, block)
		if n > 0 {
			l.block(block[:n], base)
			base += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			l.end()
			return nil
		case err != nil:
			return err
		}
	}
}

// block reads the chunks of one block.
func (l *logReader) block(data []byte, base int64) {
	for at := 0; at < len(data); {
		c, ok := parseChunk(data[at:])
		if !ok {
			skip := len(data) - at
			if !zero(data[at:]) {
				skip = nextChunk(data[at:])
			}
			l.bad(base+int64(at), data[at:at+skip])
			at += skip
			continue
		}
		l.chunk(c, base+int64(at))
		at += c.size
	}
}

// nextChunk returns how far behind the start of data the next intact chunk of
// the same block begins; the length of data when there is none.
func nextChunk(data []byte) int {
	for at := 1; at+legacyHeader <= len(data); at++ {
		// An empty chunk is too easily found in arbitrary bytes to be trusted
		// here, and carries nothing.
		if c, ok := parseChunk(data[at:]); ok && len(c.payload) > 0 {
			return at
		}
	}
	return len(data)
}

// bad remembers bytes that are no chunk. Zeros are what a block is padded with
// where no further header fits, and what follows the end of a log.
func (l *logReader) bad(at int64, data []byte) {
	zeros := zero(data)
	if zeros && len(data) < syncedHeader && (at+int64(len(data)))%logBlock == 0 {
		return
	}
	if l.pending == nil {
		l.pending, l.zeros = &Damage{File: l.name, Offset: at, What: "no intact chunk of the log"}, true
	}
	l.zeros = l.zeros && zeros
	l.pending.Bytes = at + int64(len(data)) - l.pending.Offset
}

// begin starts to gather a record at a chunk of a file offset. An unknown
// record is one whose start is lost.
func (l *logReader) begin(log uint32, at int64, known bool) {
	l.drain(true)
	l.record = record{log: log, open: true, buf: l.record.buf[:0], at: at, synced: known}
	if known {
		l.record.skip = batchHeader
	}
}

func (l *logReader) chunk(c chunk, at int64) {
	if l.chunks == 0 {
		l.number = c.log
	}
	l.chunks++
	damaged := l.pending != nil && c.log == l.number
	if damaged {
		l.note(*l.pending)
		l.pending = nil
	}
	switch {
	case c.part == partFull || c.part == partFirst:
		l.begin(c.log, at, true)
	case damaged || !l.record.open || l.record.log != c.log:
		// The start is lost, or belongs to an older use of the same file.
		l.begin(c.log, at, false)
	}
	l.record.buf = append(l.record.buf, c.payload...)
	switch {
	case c.part == partFull || c.part == partLast:
		l.drain(true)
		l.record = record{buf: l.record.buf[:0]}
	case len(l.record.buf) > maxRecord:
		l.drain(false)
	}
}

// drain hands on the entries in the buffer. If last is not set, an entry that
// is cut short stays for the next chunk.
func (l *logReader) drain(last bool) {
	r := &l.record
	if len(r.buf) <= r.skip {
		return
	}
	place := fmt.Sprintf("%s, record at offset %d", l.name, r.at)
	rest, synced := readEntries(r.buf[r.skip:], r.synced, last, func(kind byte, key, value []byte) {
		l.entry(kind, key, value, place)
	})
	n := copy(r.buf, r.buf[len(r.buf)-rest:])
	r.buf, r.skip, r.synced = r.buf[:n], 0, synced
}

// end reports what follows the last chunk, unless it is padding.
func (l *logReader) end() {
	l.drain(true)
	l.record = record{}
	if l.pending != nil && !l.zeros {
		l.pending.What = "the log ends here; what follows is no chunk (a torn end, or damage)"
		l.pending.Tail = true
		l.note(*l.pending)
	}
	l.pending = nil
}

func zero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
