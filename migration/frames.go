package migration

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Framing of LevelDB's write-ahead logs and manifests: blocks of 32 KiB that
// hold fragments of records. A fragment is checksum u32, length u16, kind u8,
// all little-endian, and the data; up to six bytes at the end of a block that
// cannot hold a header are padding.
const (
	frameBlock  = 32 << 10
	frameHeader = 7

	frameFull   = 1
	frameFirst  = 2
	frameMiddle = 3
	frameLast   = 4
)

// maxFramed bounds one record of a log or manifest in bytes. A record of the
// log is one atomic write of legacy: a block and its few index entries.
const maxFramed = 256 << 20

// frames reads the records of one log or manifest. LevelDB's own readers treat
// a file that ends within a record as its end; here that is an error, since the
// import must not lose what was written behind a defect.
type frames struct {
	name   string // of the file, for errors
	r      *bufio.Reader
	offset int64 // of the next byte
}

func newFrames(name string, r io.Reader) *frames {
	return &frames{name: name, r: bufio.NewReaderSize(r, frameBlock)}
}

func (f *frames) corrupt(offset int64, format string, args ...any) error {
	args = append([]any{f.name, offset}, args...)
	return fault.New(fault.Corrupt,
		"legacy store: %s: offset %d: "+format+"; restore the file, or start and stop the legacy node once if it was not stopped cleanly", args...)
}

// read fills b; io.EOF if the file ends right here.
func (f *frames) read(b []byte, what string) error {
	n, err := io.ReadFull(f.r, b)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return f.corrupt(f.offset, "%s is cut off after %d of %d bytes", what, n, len(b))
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fault.Wrap(fault.Temporary, err, "legacy store: "+f.name)
	}
	f.offset += int64(n)
	return nil
}

// fragment returns the next fragment, io.EOF at the end of the file.
func (f *frames) fragment() (kind byte, data []byte, err error) {
	if left := frameBlock - f.offset%frameBlock; left < frameHeader {
		// A file may end right in front of the padding, which is written only
		// with the fragment that follows it.
		if err := f.read(make([]byte, left), "padding"); err != nil {
			return 0, nil, err
		}
	}
	at := f.offset
	var header [frameHeader]byte
	if err := f.read(header[:], "fragment header"); err != nil {
		return 0, nil, err
	}
	length := int64(binary.LittleEndian.Uint16(header[4:]))
	kind = header[6]
	if kind < frameFull || kind > frameLast {
		return 0, nil, f.corrupt(at, "fragment of unknown kind %d", kind)
	}
	if length > frameBlock-at%frameBlock-frameHeader {
		return 0, nil, f.corrupt(at, "fragment of %d bytes reaches into the next block", length)
	}
	data = make([]byte, 1+length)
	data[0] = kind
	if err := f.read(data[1:], "fragment"); errors.Is(err, io.EOF) && length > 0 {
		return 0, nil, f.corrupt(at, "fragment is cut off after its header")
	} else if err != nil && length > 0 {
		return 0, nil, err
	}
	if got, want := util.NewCRC(data).Value(), binary.LittleEndian.Uint32(header[:]); got != want {
		return 0, nil, f.corrupt(at, "checksum is %08x, the fragment has %08x", want, got)
	}
	return kind, data[1:], nil
}

// next returns the next record and its offset, io.EOF behind the last one.
func (f *frames) next() (record []byte, at int64, err error) {
	kind, data, err := f.fragment()
	at = f.offset - int64(len(data)) - frameHeader
	if err != nil {
		return nil, at, err
	}
	switch kind {
	case frameFull:
		return data, at, nil
	case frameMiddle, frameLast:
		return nil, at, f.corrupt(at, "fragment of kind %d without the record's beginning", kind)
	}
	record = data
	for kind != frameLast {
		here := f.offset
		kind, data, err = f.fragment()
		if errors.Is(err, io.EOF) {
			return nil, at, f.corrupt(at, "record is cut off after %d bytes", len(record))
		}
		if err != nil {
			return nil, at, err
		}
		if kind == frameFull || kind == frameFirst {
			return nil, at, f.corrupt(here, "fragment of kind %d within a record", kind)
		}
		if len(record)+len(data) > maxFramed {
			return nil, at, f.corrupt(at, "record of more than %d bytes", maxFramed)
		}
		record = append(record, data...)
	}
	return record, at, nil
}
