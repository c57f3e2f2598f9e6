package archive

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Version is the version of the segment format that this program writes and the
// newest that it reads.
const Version = 1

// ErrNewerFormat is wrapped by errors about a segment of a newer program. Their
// grade is Invalid: nothing is damaged.
var ErrNewerFormat = fault.New(fault.Invalid, "written by a newer program; use that one")

const (
	headerMagic = "ALYSSEGM"
	footerMagic = "ALYSSEGE"

	headerSize      = 8 + 4 + 16 + 8 + 32 + 8 + 4
	blockHeaderSize = 1 + 4 + 4 + 4
	footerSize      = 3*8 + 32 + 8 + 3*8 + 4*4 + 32 + 8

	eventEntrySize   = 8 + 4 + 4 + 8 + 4
	contentEntrySize = 32 + 4 + 4 + 4

	// blockTarget is the uncompressed size at which a block is closed. An event
	// or content that is larger makes a block of its own.
	blockTarget = 256 << 10
	// maxBlock is the largest uncompressed block: one content of 1 GiB, or one
	// event of 256 MiB, with what stands before it.
	maxBlock = 1<<30 + 64
	// maxRatio is more than zstd can compress; a block that claims more lies.
	maxRatio = 1 << 17
)

// The kinds of blocks.
const (
	blockEvents   = 1
	blockContents = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Start is where a segment begins in its journal.
type Start struct {
	Journal    [16]byte
	First      uint64   // sequence of the first event
	Before     [32]byte // hash of the event before it
	TimeBefore int64    // its time, Unix milliseconds; 0 before event 1
}

// Info describes a whole segment.
type Info struct {
	Start
	Last     uint64   // sequence of the last event
	LastHash [32]byte // its hash
	LastTime int64    // its time
	Contents uint64   // content objects inside
	RawBytes uint64   // uncompressed size of events and contents
	Size     int64    // of the file
	Sum      [32]byte // SHA-256 of the file; zero where it was not read wholly
}

func (s *Start) encode() []byte {
	b := append(make([]byte, 0, headerSize), headerMagic...)
	b = binary.BigEndian.AppendUint32(b, Version)
	b = append(b, s.Journal[:]...)
	b = binary.BigEndian.AppendUint64(b, s.First)
	b = append(b, s.Before[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.TimeBefore))
	return binary.BigEndian.AppendUint32(b, crc(b))
}

// decodeHeader needs headerSize bytes. In every version the header is as long and
// its checksum stands at the same place, so that a damaged version number is
// told from a newer format.
func decodeHeader(b []byte) (s Start, err error) {
	if string(b[:8]) != headerMagic {
		return s, fault.New(fault.Corrupt, "it does not begin with %q", headerMagic)
	}
	at := headerSize - 4
	if crc(b[:at]) != binary.BigEndian.Uint32(b[at:]) {
		return s, fault.New(fault.Corrupt, "the checksum of its header is wrong")
	}
	if v := binary.BigEndian.Uint32(b[8:]); v > Version {
		return s, fault.New(fault.Invalid, "segment format %d, this program reads %d: %w", v, Version, ErrNewerFormat)
	}
	copy(s.Journal[:], b[12:])
	s.First = binary.BigEndian.Uint64(b[28:])
	copy(s.Before[:], b[36:])
	s.TimeBefore = int64(binary.BigEndian.Uint64(b[68:]))
	if s.First == 0 {
		return s, fault.New(fault.Corrupt, "it begins with event 0")
	}
	return s, nil
}

// footer is the end of a segment.
type footer struct {
	indexOffset, indexSize  uint64
	last                    uint64
	lastHash                [32]byte
	lastTime                int64
	events, contents        uint64
	rawBytes                uint64
	eventBlocks, allBlocks  uint32 // counts in the index
	indexChecksum, checksum uint32
}

func (f *footer) encode() []byte {
	b := make([]byte, 0, footerSize)
	for _, v := range []uint64{f.indexOffset, f.indexSize, f.last} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, f.lastHash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(f.lastTime))
	for _, v := range []uint64{f.events, f.contents, f.rawBytes} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, f.eventBlocks)
	b = binary.BigEndian.AppendUint32(b, f.allBlocks)
	b = binary.BigEndian.AppendUint32(b, f.indexChecksum)
	return b
}

// decodeFooter needs the last footerSize bytes of a file of that size.
func decodeFooter(b []byte, size int64) (f footer, err error) {
	bad := func(format string, args ...any) (footer, error) {
		return f, fault.New(fault.Corrupt, "its footer is damaged: "+format, args...)
	}
	if string(b[footerSize-8:]) != footerMagic {
		return bad("it does not end with %q; the file is cut or overwritten", footerMagic)
	}
	at := footerSize - 8 - 32 - 4
	u := func(off int) uint64 { return binary.BigEndian.Uint64(b[off:]) }
	f = footer{
		indexOffset: u(0), indexSize: u(8), last: u(16), lastTime: int64(u(56)),
		events: u(64), contents: u(72), rawBytes: u(80),
		eventBlocks: binary.BigEndian.Uint32(b[88:]), allBlocks: binary.BigEndian.Uint32(b[92:]),
		indexChecksum: binary.BigEndian.Uint32(b[96:]), checksum: binary.BigEndian.Uint32(b[100:]),
	}
	copy(f.lastHash[:], b[24:56])
	if crc(b[:at]) != binary.BigEndian.Uint32(b[at:]) {
		return bad("wrong checksum")
	}
	end := uint64(size) - footerSize
	blocks := uint64(f.allBlocks)
	switch {
	case f.indexOffset < headerSize || f.indexOffset > end || f.indexSize != end-f.indexOffset:
		return bad("an index at %d of %d bytes does not fit the file of %d", f.indexOffset, f.indexSize, size)
	case uint64(f.eventBlocks) > blocks || f.contents > end/contentEntrySize ||
		f.indexSize != blocks*eventEntrySize+f.contents*contentEntrySize:
		return bad("the index has %d bytes, not those of %d blocks and %d contents", f.indexSize, blocks, f.contents)
	}
	return f, nil
}

// blockEntry places one block.
type blockEntry struct {
	offset uint64 // of its header
	size   uint32 // of its compressed bytes
	raw    uint32 // uncompressed
	first  uint64 // of an event block: first sequence
	count  uint32 // events or contents inside
}

// contentEntry places one content.
type contentEntry struct {
	hash   [32]byte
	block  uint32 // among the content blocks
	offset uint32 // in the uncompressed block
	size   uint32
}

// index is the decoded index of a segment.
type index struct {
	events, contents []blockEntry
	table            []contentEntry // ascending by hash
}

func (x *index) encode() []byte {
	b := make([]byte, 0, (len(x.events)+len(x.contents))*eventEntrySize+len(x.table)*contentEntrySize)
	for _, list := range [][]blockEntry{x.events, x.contents} {
		for _, e := range list {
			b = binary.BigEndian.AppendUint64(b, e.offset)
			b = binary.BigEndian.AppendUint32(b, e.size)
			b = binary.BigEndian.AppendUint32(b, e.raw)
			b = binary.BigEndian.AppendUint64(b, e.first)
			b = binary.BigEndian.AppendUint32(b, e.count)
		}
	}
	for _, c := range x.table {
		b = append(b, c.hash[:]...)
		b = binary.BigEndian.AppendUint32(b, c.block)
		b = binary.BigEndian.AppendUint32(b, c.offset)
		b = binary.BigEndian.AppendUint32(b, c.size)
	}
	return b
}

// decodeIndex reads and cross-checks the index: blocks follow each other without
// gap from the header to the index, events likewise from first to last.
func decodeIndex(b []byte, s Start, f footer) (index, error) {
	var x index
	bad := func(format string, args ...any) (index, error) {
		return x, fault.New(fault.Corrupt, "its index is damaged: "+format, args...)
	}
	if crc(b) != f.indexChecksum {
		return bad("wrong checksum")
	}
	offset, next := uint64(headerSize), s.First
	var held uint64
	for i := range f.allBlocks {
		e := blockEntry{
			offset: binary.BigEndian.Uint64(b), size: binary.BigEndian.Uint32(b[8:]), raw: binary.BigEndian.Uint32(b[12:]),
			first: binary.BigEndian.Uint64(b[16:]), count: binary.BigEndian.Uint32(b[24:]),
		}
		b = b[eventEntrySize:]
		if e.offset != offset || e.raw > maxBlock || uint64(e.raw) > maxRatio*uint64(e.size) || e.count == 0 || e.count > e.raw {
			return bad("block %d does not follow the one before or is no block", i)
		}
		offset += blockHeaderSize + uint64(e.size)
		if i < f.eventBlocks {
			if e.first != next {
				return bad("block %d begins with event %d, not %d", i, e.first, next)
			}
			next += uint64(e.count)
			x.events = append(x.events, e)
			continue
		}
		held += uint64(e.count)
		x.contents = append(x.contents, e)
	}
	if offset != f.indexOffset || next != f.last+1 || f.events != next-s.First || held != f.contents || f.events == 0 {
		return bad("its blocks end at %d with event %d and %d contents, the footer says %d, %d and %d", offset, next-1, held, f.indexOffset, f.last, f.contents)
	}
	x.table = make([]contentEntry, f.contents)
	for i := range x.table {
		c := contentEntry{block: binary.BigEndian.Uint32(b[32:]), offset: binary.BigEndian.Uint32(b[36:]), size: binary.BigEndian.Uint32(b[40:])}
		copy(c.hash[:], b)
		b = b[contentEntrySize:]
		if int(c.block) >= len(x.contents) || uint64(c.offset)+uint64(c.size) > uint64(x.contents[c.block].raw) ||
			i > 0 && bytes.Compare(x.table[i-1].hash[:], c.hash[:]) >= 0 {
			return bad("content %x is outside its block or out of order", c.hash)
		}
		x.table[i] = c
	}
	return x, nil
}

// find returns the entry of a content.
func (x *index) find(h [32]byte) (contentEntry, bool) {
	i, ok := slices.BinarySearchFunc(x.table, h, func(c contentEntry, h [32]byte) int { return bytes.Compare(c.hash[:], h[:]) })
	if !ok {
		return contentEntry{}, false
	}
	return x.table[i], true
}

// blockOf returns the number of the event block that holds a sequence.
func (x *index) blockOf(sequence uint64) int {
	i, ok := slices.BinarySearchFunc(x.events, sequence, func(e blockEntry, s uint64) int {
		switch {
		case e.first < s:
			return -1
		case e.first > s:
			return 1
		}
		return 0
	})
	if ok {
		return i
	}
	return i - 1
}

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
