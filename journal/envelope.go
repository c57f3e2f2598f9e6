package journal

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync/atomic"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// EnvelopeVersion is the version of the event encoding this package writes and
// the newest it reads. It is the first byte of every envelope.
const EnvelopeVersion = 1

// Flags of an envelope. A flag is set exactly when its part is present, so an
// event has one encoding.
const (
	flagStored = 1 << iota
	flagFailed
	flagCause
	flagNote
	flagContents
	flagsKnown = flagStored | flagFailed | flagCause | flagNote | flagContents
)

// minOutput is the size of an output whose strings and payload are empty.
const minOutput = 7

// AppendTo appends the canonical encoding of a valid event (see
// [Event.Validate]) to dst and returns the extended slice. Equal events have
// equal bytes. The format is drawn in docs/formats/journal.md.
func (e *Event) AppendTo(dst []byte) []byte {
	flags := byte(0)
	if e.Stored {
		flags |= flagStored
	}
	if e.Outcome != OutcomeOK {
		flags |= flagFailed
	}
	if !e.Cause.None() {
		flags |= flagCause
	}
	if e.Note != "" {
		flags |= flagNote
	}
	if len(e.Contents) != 0 {
		flags |= flagContents
	}
	dst = append(dst, EnvelopeVersion, flags)
	dst = binary.AppendUvarint(dst, e.Sequence)
	dst = binary.AppendVarint(dst, e.Time)
	dst = appendString(dst, e.Actor)
	dst = appendString(dst, e.Type)
	dst = binary.AppendUvarint(dst, uint64(e.Schema))
	if flags&flagCause != 0 {
		dst = binary.AppendUvarint(dst, e.Cause.Sequence)
		dst = binary.AppendUvarint(dst, uint64(e.Cause.Index))
	}
	if flags&flagStored != 0 {
		dst = appendString(dst, e.Message)
	}
	if flags&flagNote != 0 {
		dst = appendString(dst, e.Note)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Outputs)))
	for i := range e.Outputs {
		o := &e.Outputs[i]
		dst = append(dst, byte(o.Kind))
		dst = appendString(dst, o.Target)
		dst = appendString(dst, o.Type)
		dst = binary.AppendUvarint(dst, uint64(o.Schema))
		dst = append(dst, o.Class, o.Priority)
		dst = appendString(dst, o.Payload)
	}
	if flags&flagContents != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(e.Contents)))
		for i := range e.Contents {
			dst = append(dst, e.Contents[i][:]...)
		}
	}
	return dst
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// DecodeEvent decodes an envelope. It accepts exactly the bytes that
// [Event.AppendTo] makes of a valid event: what decodes encodes to itself. The
// event does not share memory with data. Errors have grade Invalid; for an
// envelope of a newer version the error is [ErrNewerFormat].
func DecodeEvent(data []byte) (*Event, error) {
	e := new(Event)
	if err := DecodeEventInto(e, append([]byte(nil), data...)); err != nil {
		return nil, err
	}
	return e, nil
}

// DecodeEventInto is [DecodeEvent] for callers that read many events: it reuses
// the slices of e, and Message and the payloads alias data. They are valid for
// as long as data is unchanged; strings are always safe to keep. On an error e
// is left in an unspecified state.
func DecodeEventInto(e *Event, data []byte) error {
	d := decoder{data: data}
	flags := d.header()
	e.Sequence = d.uvarint("sequence")
	e.Time = d.varint("time")
	e.Actor = d.string("actor")
	e.Type = d.string("type")
	e.Schema = d.uint32("schema")
	e.Stored = flags&flagStored != 0
	e.Outcome = OutcomeOK
	if flags&flagFailed != 0 {
		e.Outcome = OutcomeFailed
	}
	e.Cause = Ref{}
	if flags&flagCause != 0 {
		e.Cause = Ref{Sequence: d.uvarint("cause"), Index: d.uint32("cause")}
		if e.Cause.None() {
			d.fail("cause is flagged but empty")
		}
	}
	e.Message, e.Note = nil, ""
	if e.Stored {
		e.Message = d.bytes("message")
	}
	if flags&flagNote != 0 {
		if e.Note = string(d.bytes("note")); e.Note == "" {
			d.fail("note is flagged but empty")
		}
	}
	d.outputs(e)
	d.contents(e, flags)
	if d.what == "" && len(d.data) != d.at {
		d.fail("bytes after the end")
	}
	if d.what != "" {
		return d.err()
	}
	return e.Validate()
}

// decoder reads an envelope front to back. The first failure sticks, and every
// later read returns zero without looking at the data.
type decoder struct {
	data  []byte
	at    int
	what  string // what failed, "" while nothing has
	newer byte   // the version, when it is one this package does not know
}

func (d *decoder) fail(what string) {
	if d.what == "" {
		d.what = what
	}
	d.at = len(d.data)
}

func (d *decoder) err() error {
	if d.newer != 0 {
		return fault.New(fault.Invalid, "journal: event envelope of version %d, this program reads up to %d: %w", d.newer, EnvelopeVersion, ErrNewerFormat)
	}
	return fault.New(fault.Invalid, "journal: event envelope of %d bytes: %s", len(d.data), d.what)
}

func (d *decoder) header() byte {
	if len(d.data) < 2 {
		d.fail("shorter than its header")
		return 0
	}
	version, flags := d.data[0], d.data[1]
	d.at = 2
	switch {
	case version > EnvelopeVersion:
		d.newer = version
		d.fail("newer version")
	case version != EnvelopeVersion:
		d.fail("version 0")
	case flags&^flagsKnown != 0:
		d.fail("unknown flags")
	default:
		return flags
	}
	return 0
}

func (d *decoder) uvarint(field string) uint64 {
	if d.at < len(d.data) && d.data[d.at] < 0x80 {
		v := d.data[d.at]
		d.at++
		return uint64(v)
	}
	v, n := binary.Uvarint(d.data[d.at:])
	switch {
	case n == 0:
		d.fail(field + " is cut short")
		return 0
	case n < 0:
		d.fail(field + " does not fit 64 bits")
		return 0
	case n > 1 && d.data[d.at+n-1] == 0:
		d.fail(field + " is not in its shortest form")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) varint(field string) int64 {
	u := d.uvarint(field)
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) uint32(field string) uint32 {
	v := d.uvarint(field)
	if v > math.MaxUint32 {
		d.fail(field + " does not fit 32 bits")
		return 0
	}
	return uint32(v)
}

func (d *decoder) byte(field string) byte {
	if d.at >= len(d.data) {
		d.fail(field + " is cut short")
		return 0
	}
	d.at++
	return d.data[d.at-1]
}

// bytes returns a part of the data; nil when it is empty.
func (d *decoder) bytes(field string) []byte {
	n := d.uvarint(field)
	if n > uint64(len(d.data)-d.at) {
		d.fail(field + " is longer than what is left")
		return nil
	}
	if n == 0 {
		return nil
	}
	start := d.at
	d.at += int(n)
	return d.data[start:d.at:d.at]
}

func (d *decoder) string(field string) string { return intern(d.bytes(field)) }

func (d *decoder) outputs(e *Event) {
	n := d.uvarint("outputs")
	if n > uint64(len(d.data)-d.at)/minOutput {
		d.fail("more outputs than bytes left")
		n = 0
	}
	if uint64(cap(e.Outputs)) < n {
		e.Outputs = make([]Output, n)
	}
	e.Outputs = e.Outputs[:n]
	for i := range e.Outputs {
		o := &e.Outputs[i]
		o.Kind = Kind(d.byte("output kind"))
		o.Target = d.string("output target")
		o.Type = d.string("output type")
		o.Schema = d.uint32("output schema")
		o.Class = d.byte("output class")
		o.Priority = d.byte("output priority")
		o.Payload = d.bytes("output payload")
		if d.what != "" {
			break
		}
	}
}

func (d *decoder) contents(e *Event, flags byte) {
	e.Contents = e.Contents[:0]
	if flags&flagContents == 0 || d.what != "" {
		return
	}
	n := d.uvarint("contents")
	switch {
	case d.what != "":
		return
	case n == 0:
		d.fail("contents are flagged but empty")
		return
	case n > uint64(len(d.data)-d.at)/uint64(len(Hash{})):
		d.fail("more contents than bytes left")
		return
	}
	for range n {
		e.Contents = append(e.Contents, Hash(d.data[d.at:]))
		d.at += len(Hash{})
	}
}

// interned keeps one copy of the short strings that recur in every event
// (actors, edges, types), so that reading a journal does not allocate for
// them. It is a cache only: a slot lost to another string costs an allocation.
var (
	interned   [1024]atomic.Pointer[string]
	internSeed = maphash.MakeSeed()
)

func intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > 64 {
		return string(b)
	}
	slot := &interned[maphash.Bytes(internSeed, b)%uint64(len(interned))]
	if p := slot.Load(); p != nil && *p == string(b) {
		return *p
	}
	s := string(b)
	slot.Store(&s)
	return s
}
