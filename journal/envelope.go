package journal

import (
	"encoding/binary"
	"math"
	"slices"
)

// EnvelopeVersion is the version of the event encoding this package writes and
// the newest it reads. It is the first byte of every envelope.
const EnvelopeVersion = 2

// inlineVersion is the version of envelopes that keep everything in themselves.
const inlineVersion = 1

// Flags of an envelope. A flag is set exactly when its part is present, so an
// event has one encoding. The last two are of version 2.
const (
	flagStored = 1 << iota
	flagFailed
	flagCause
	flagNote
	flagContents
	flagMessageSpilled
	flagOutputsSpilled

	flagsInline = flagStored | flagFailed | flagCause | flagNote | flagContents
	flagsKnown  = flagsInline | flagMessageSpilled | flagOutputsSpilled
)

// minOutput is the size of an output whose strings and payload are empty.
const minOutput = 7

// AppendTo appends the canonical encoding of a valid event (see
// [Event.Validate]) to dst and returns the extended slice. Equal events have
// equal bytes. A message, or outputs together, that take more than [InlineMax]
// bytes are there as the hash of the content that holds them, which is named
// among the contents as well. The format is drawn in docs/formats/journal.md.
func (e *Event) AppendTo(dst []byte) []byte { return e.encode(dst, EnvelopeVersion, nil) }

// AppendVersionTo is [Event.AppendTo] in the encoding of an older version, to
// compare an event with one as it is stored: the version is the first byte
// there. A version this package does not write is taken as [EnvelopeVersion].
func (e *Event) AppendVersionTo(dst []byte, version byte) []byte {
	if version != inlineVersion {
		version = EnvelopeVersion
	}
	return e.encode(dst, version, nil)
}

// encode appends the envelope, and to contents, unless that is nil, what the
// envelope has by hash only. The data of a spilled message is the event's own.
func (e *Event) encode(dst []byte, version byte, contents *[]Content) []byte {
	at := len(dst) + 1 // of the flags
	dst = append(dst, version, 0)
	spill := spiller{event: e, max: InlineMax, contents: contents}
	if version == inlineVersion {
		spill.max = math.MaxInt
	}
	dst = binary.AppendUvarint(dst, e.Sequence)
	dst = binary.AppendVarint(dst, e.Time)
	dst = appendString(dst, e.Actor)
	dst = appendString(dst, e.Type)
	dst = binary.AppendUvarint(dst, uint64(e.Schema))
	flags := e.flags()
	if flags&flagCause != 0 {
		dst = binary.AppendUvarint(dst, e.Cause.Sequence)
		dst = binary.AppendUvarint(dst, uint64(e.Cause.Index))
	}
	if flags&flagStored != 0 {
		if len(e.Message) > spill.max {
			flags |= flagMessageSpilled
			dst = spill.append(dst, e.Message)
		} else {
			dst = appendString(dst, e.Message)
		}
	}
	if flags&flagNote != 0 {
		dst = appendString(dst, e.Note)
	}
	start := len(dst)
	dst = e.appendOutputs(dst)
	if len(dst)-start > spill.max {
		flags |= flagOutputsSpilled
		outputs := dst[start:]
		if contents != nil {
			outputs = slices.Clone(outputs) // the hash takes their place
		}
		dst = spill.append(dst[:start], outputs)
	}
	if n := len(e.Contents) + spill.n; n != 0 {
		flags |= flagContents
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Contents {
			dst = append(dst, e.Contents[i][:]...)
		}
		for i := range spill.n {
			dst = append(dst, spill.unnamed[i][:]...)
		}
	}
	dst[at] = flags
	return dst
}

// flags returns those that follow from the event alone.
func (e *Event) flags() byte {
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
	return flags
}

// spiller takes what is too long for the envelope.
type spiller struct {
	event    *Event
	max      int // bytes that stay in the envelope
	contents *[]Content
	unnamed  [2]Hash // of what was spilled, where the event does not name it
	n        int
}

// append appends length and hash in the place of data, which may overlap with
// what is behind dst only if the contents are not collected.
func (s *spiller) append(dst, data []byte) []byte {
	h := SumContent(data)
	dst = binary.AppendUvarint(dst, uint64(len(data)))
	dst = append(dst, h[:]...)
	if !contains(s.event.Contents, h) && !contains(s.unnamed[:s.n], h) {
		s.unnamed[s.n] = h
		s.n++
	}
	if s.contents != nil {
		*s.contents = append(*s.contents, Content{Hash: h, Data: data})
	}
	return dst
}

// appendOutputs appends the outputs section: their number and each of them.
func (e *Event) appendOutputs(dst []byte) []byte {
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
	return dst
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}
