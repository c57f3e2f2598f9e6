package journal

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync/atomic"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Resolver returns the content of a hash, checked against it. It is what
// decoding asks for the parts of an event that are not in its envelope.
type Resolver func(Hash) ([]byte, error)

// DecodeEvent decodes an envelope. It accepts exactly the bytes that
// [Event.AppendTo] makes of a valid event, or [Event.AppendVersionTo] in an
// older version: what decodes encodes to itself. The event does not share
// memory with data.
//
// The event is whole or it is not returned: what the envelope has by hash only
// comes from resolve, whose error is returned as it is; where that is nil, the
// error is [ErrSpilled]. Other errors have grade Invalid; for an envelope of a
// newer version the error is [ErrNewerFormat].
func DecodeEvent(data []byte, resolve Resolver) (*Event, error) {
	e := new(Event)
	if err := DecodeEventInto(e, append([]byte(nil), data...), resolve); err != nil {
		return nil, err
	}
	return e, nil
}

// DecodeEventInto is [DecodeEvent] for callers that read many events: it reuses
// the slices of e, and Message and the payloads alias data or what resolve
// returned. They are valid for as long as that is unchanged; strings are always
// safe to keep. On an error e is left in an unspecified state.
func DecodeEventInto(e *Event, data []byte, resolve Resolver) error {
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
	var message, outputs spilled
	if flags&flagMessageSpilled != 0 {
		message = d.spilled("message")
	} else if e.Stored {
		e.Message = d.bytes("message")
		d.inline(len(e.Message), "message")
	}
	if flags&flagNote != 0 {
		if e.Note = string(d.bytes("note")); e.Note == "" {
			d.fail("note is flagged but empty")
		}
	}
	if flags&flagOutputsSpilled != 0 {
		e.Outputs = e.Outputs[:0]
		outputs = d.spilled("outputs")
	} else {
		start := d.at
		d.outputs(e)
		d.inline(d.at-start, "outputs")
	}
	d.contents(e, flags)
	d.end()
	if flags&(flagMessageSpilled|flagOutputsSpilled) == 0 {
		if d.what != "" {
			return d.err()
		}
		return e.Validate()
	}
	d.named(e, message)
	d.named(e, outputs)
	if d.what != "" {
		return d.err()
	}
	if err := e.restore(message, outputs, resolve); err != nil {
		return err
	}
	return e.Validate()
}

// spilled is what an envelope has of a part that is kept as content.
type spilled struct {
	part string // "" for none
	size uint64
	hash Hash
}

// restore fills in the parts that the envelope does not hold.
func (e *Event) restore(message, outputs spilled, resolve Resolver) error {
	if message.part != "" {
		data, err := message.resolve(e.Sequence, resolve)
		if err != nil {
			return err
		}
		e.Message = data
	}
	if outputs.part == "" {
		return nil
	}
	data, err := outputs.resolve(e.Sequence, resolve)
	if err != nil {
		return err
	}
	d := decoder{data: data}
	d.outputs(e)
	d.end()
	if d.what != "" {
		return fault.New(fault.Invalid, "journal: event %d: content %s of %d bytes, which should be its outputs: %s", e.Sequence, outputs.hash, len(data), d.what)
	}
	return nil
}

func (s *spilled) resolve(sequence uint64, resolve Resolver) ([]byte, error) {
	if resolve == nil {
		return nil, fault.New(fault.Invalid, "journal: event %d: its %s: content %s of %d bytes: %w", sequence, s.part, s.hash, s.size, ErrSpilled)
	}
	data, err := resolve(s.hash)
	if err != nil {
		return nil, err
	}
	if uint64(len(data)) != s.size {
		return nil, fault.New(fault.Invalid, "journal: event %d: its %s have %d bytes, content %s has %d", sequence, s.part, s.size, s.hash, len(data))
	}
	return data, nil
}

// decoder reads an envelope front to back. The first failure sticks, and every
// later read returns zero without looking at the data.
type decoder struct {
	data  []byte
	at    int
	what  string // what failed, "" while nothing has
	newer byte   // the version, when it is one this package does not know
	max   int    // bytes a part may have in the envelope; 0 for any number
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
	known := byte(flagsKnown)
	if version == inlineVersion {
		known = flagsInline
	} else {
		d.max = InlineMax
	}
	switch {
	case version > EnvelopeVersion:
		d.newer = version
		d.fail("newer version")
	case version == 0:
		d.fail("version 0")
	case flags&^known != 0:
		d.fail("unknown flags")
	case flags&flagMessageSpilled != 0 && flags&flagStored == 0:
		d.fail("message is kept as content but not stored")
	default:
		return flags
	}
	return 0
}

// end fails when something follows what was read.
func (d *decoder) end() {
	if d.what == "" && len(d.data) != d.at {
		d.fail("bytes after the end")
	}
}

// inline fails when a part that is in the envelope should not be.
func (d *decoder) inline(size int, field string) {
	if d.max != 0 && size > d.max {
		d.fail(field + " should be kept as content")
	}
}

// spilled reads what stands for a part that is kept as content.
func (d *decoder) spilled(field string) spilled {
	s := spilled{part: field, size: d.uvarint(field)}
	switch {
	case d.what != "":
	case s.size <= InlineMax || s.size > MaxContent:
		d.fail(field + " kept as content, but not of a size for it")
	case len(d.data)-d.at < len(s.hash):
		d.fail(field + " is cut short")
	default:
		s.hash = Hash(d.data[d.at:])
		d.at += len(s.hash)
	}
	return s
}

// named fails when the event does not name the content of a part.
func (d *decoder) named(e *Event, s spilled) {
	if s.part != "" && !contains(e.Contents, s.hash) {
		d.fail(s.part + " kept as content that is not named")
	}
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
