package record

import (
	"crypto/sha256"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Record is a value with a field list. Fields must visit the fields in
// ascending number and do nothing else.
type Record interface {
	Fields(f *Fields)
}

// Content is a byte string that is stored once under its SHA-256 and referred
// to by it. The zero Content means "none".
type Content struct {
	Hash [32]byte
	Data []byte
}

// NewContent returns data as content. Empty data gives the zero Content.
func NewContent(data []byte) Content {
	if len(data) == 0 {
		return Content{}
	}
	return Content{Hash: sha256.Sum256(data), Data: data}
}

// None reports whether c refers to nothing.
func (c Content) None() bool { return c.Hash == [32]byte{} }

// Resolver returns the bytes stored under a content hash.
type Resolver func(hash [32]byte) ([]byte, error)

// Fields walks the field list of one record, to encode or to decode it.
type Fields struct {
	decoding bool
	buf      []byte // encoding: output; decoding: what is left of the input
	next     protowire.Number
	wire     protowire.Type // type of field next; meaningful while next > 0
	last     protowire.Number
	err      error
	contents []Content
	resolve  Resolver
	// describing receives the list when it is described; nothing is encoded then.
	describing *[]Described
}

// Encode returns the canonical bytes of r and the contents it refers to, in
// field order, as often as they are referred to.
func Encode(r Record) ([]byte, []Content) { return Append(nil, r) }

// Append is [Encode] that appends the bytes to dst.
func Append(dst []byte, r Record) ([]byte, []Content) {
	f := Fields{buf: dst}
	r.Fields(&f)
	return f.buf, f.contents
}

// Decode reads data, which must be the canonical encoding of a record of r's
// kind, into r. Absent fields become zero. With a nil resolve, contents keep
// their hash and have nil Data. Byte fields of r alias data.
// Errors are graded Invalid; errors of resolve keep their grade.
func Decode(data []byte, r Record, resolve Resolver) error {
	f := Fields{decoding: true, buf: data, resolve: resolve}
	f.advance()
	r.Fields(&f)
	if f.err == nil && f.next != 0 {
		f.fail("field %d is not known to this version or out of order", f.next)
	}
	return f.err
}

// Decoding reports whether the list is being decoded into the record. A field
// list that builds derived values does so only then.
func (f *Fields) Decoding() bool { return f.decoding }

// Fail marks the input as not acceptable, for a field list that knows bounds
// the wire form does not. The first failure stays.
func (f *Fields) Fail(format string, args ...any) { f.fail(format, args...) }

// Err returns the first failure of a decoding, or nil.
func (f *Fields) Err() error { return f.err }

func (f *Fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fault.New(fault.Invalid, "record: "+format, args...)
	}
	f.buf, f.next = nil, 0
}

// advance reads the tag of the next field of the input.
func (f *Fields) advance() {
	if f.err != nil || len(f.buf) == 0 {
		f.next = 0
		return
	}
	number, kind, n := protowire.ConsumeTag(f.buf)
	if n < 0 {
		f.fail("broken field tag")
		return
	}
	if n != protowire.SizeTag(number) {
		f.fail("tag of field %d is not minimal", number)
		return
	}
	if number < f.last {
		f.fail("field %d after field %d", number, f.last)
		return
	}
	f.last = number
	f.buf, f.next, f.wire = f.buf[n:], number, kind
}

// at reports whether the next field of the input is number, and checks its type.
func (f *Fields) at(number protowire.Number, kind protowire.Type) bool {
	if f.next != number {
		return false
	}
	if f.wire != kind {
		f.fail("field %d has wire type %d, want %d", number, f.wire, kind)
		return false
	}
	return true
}

func (f *Fields) varint(number protowire.Number) uint64 {
	v, n := protowire.ConsumeVarint(f.buf)
	if n < 0 || n != protowire.SizeVarint(v) {
		f.fail("field %d: broken or long integer", number)
		return 0
	}
	if v == 0 {
		f.fail("field %d: zero must be absent", number)
		return 0
	}
	f.buf = f.buf[n:]
	f.single(number)
	return v
}

func (f *Fields) bytes(number protowire.Number) []byte {
	v, n := protowire.ConsumeBytes(f.buf)
	if n < 0 || n != protowire.SizeBytes(len(v)) {
		f.fail("field %d: length past the end", number)
		return nil
	}
	f.buf = f.buf[n:]
	return v[:len(v):len(v)]
}

// single moves on and refuses the same field a second time.
func (f *Fields) single(number protowire.Number) {
	f.advance()
	if f.next == number {
		f.fail("field %d occurs twice", number)
	}
}
