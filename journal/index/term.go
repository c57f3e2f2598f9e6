package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// Kind says what a term is about.
type Kind uint8

// The kinds that every journal has. Kinds from KindOwn on are the caller's.
const (
	// KindActor is the actor that handled the message.
	KindActor Kind = 1
	// KindMessage is the type of the message.
	KindMessage Kind = 2
	// KindFact is the type of a fact among the outputs.
	KindFact Kind = 3
	// KindRequest is the type of a send or an effect among the outputs.
	KindRequest Kind = 4
	// KindOwn is the first kind whose terms Options.Extract gives.
	KindOwn Kind = 16
)

// Term is one thing that events can be found by.
type Term struct {
	Kind  Kind
	Value string
}

// Any is a condition: an event meets it when it has one of the terms.
type Any []Term

// Actor is the term of events that an actor handled.
func Actor(name string) Term { return Term{KindActor, name} }

// Message is the term of events whose message has a type.
func Message(typ string) Term { return Term{KindMessage, typ} }

// Fact is the term of events that state a fact of a type.
func Fact(typ string) Term { return Term{KindFact, typ} }

// Type is the condition that the message, or one of the outputs, has a type.
func Type(typ string) Any {
	return Any{{KindMessage, typ}, {KindFact, typ}, {KindRequest, typ}}
}

// Extract gives an event terms of the caller's own kinds.
type Extract struct {
	// Version is raised when Terms gives other terms than before; an index
	// of another version is built anew.
	Version uint32
	// Terms calls yield with the terms of an event; the value may be reused
	// after yield returns. It must depend on the event and the contents it
	// names alone. An error ends indexing: what cannot be decoded has no
	// terms, and is no error. Nil means that there are none.
	Terms func(e *journal.Event, content func(journal.Hash) ([]byte, error), yield func(Kind, []byte)) error
}

// each calls yield with all terms of an event. A term may come twice.
func (x Extract) each(e *journal.Event, content func(journal.Hash) ([]byte, error), own bool, yield func(Kind, []byte)) error {
	scratch := make([]byte, 0, 64)
	text := func(k Kind, s string) {
		scratch = append(scratch[:0], s...)
		yield(k, scratch)
	}
	text(KindActor, e.Actor)
	text(KindMessage, e.Type)
	for i := range e.Outputs {
		if e.Outputs[i].Kind == journal.KindFact {
			text(KindFact, e.Outputs[i].Type)
		} else {
			text(KindRequest, e.Outputs[i].Type)
		}
	}
	if !own || x.Terms == nil {
		return nil
	}
	return x.Terms(e, content, yield)
}

// Block is how many events share one key of a term.
const blockEvents = 1 << blockBits

const (
	blockBits = 12
	// longestValue is the longest value that a key holds as it is. Of a longer
	// one it holds the start of its hash: events are compared with the query
	// before they are given, so two values with one key cost time only.
	longestValue = 16
	hashedValue  = 12
)

const (
	prefixMeta    = 'm'
	prefixPosting = 'p'
	prefixNode    = 't'
)

// appendTerm appends the part of a posting's key that names the term.
func appendTerm(dst []byte, k Kind, value []byte) []byte {
	dst = append(dst, prefixPosting, byte(k))
	if len(value) > longestValue {
		sum := sha256.Sum256(value)
		return append(append(dst, 0xff), sum[:hashedValue]...)
	}
	return append(append(dst, byte(len(value))), value...)
}

// blockLen is the length of the block number that ends a posting's key.
const blockLen = 7

func appendBlock(dst []byte, block uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], block)
	return append(dst, b[8-blockLen:]...)
}

func blockOf(key []byte) uint64 {
	var b [8]byte
	copy(b[8-blockLen:], key[len(key)-blockLen:])
	return binary.BigEndian.Uint64(b[:])
}

func appendNode(dst []byte, level uint, index uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefixNode, byte(level)), index)
}

// matches reports whether an event meets all conditions.
func (x *Index) matches(e *journal.Event, all []Any) (bool, error) {
	own := false
	var few [8]bool
	met := few[:0]
	if len(all) > len(few) {
		met = make([]bool, 0, len(all))
	}
	for _, any := range all {
		met = append(met, false)
		for _, t := range any {
			own = own || t.Kind >= KindOwn
		}
	}
	err := x.opt.Extract.each(e, x.journal.Content, own, func(k Kind, value []byte) {
		for i, any := range all {
			for _, t := range any {
				if t.Kind == k && t.Value == string(value) {
					met[i] = true
				}
			}
		}
	})
	for _, ok := range met {
		if !ok {
			return false, err
		}
	}
	return true, err
}

// offsets decodes the postings of one block, and checks that they ascend.
func offsets(key, value []byte) ([]uint16, error) {
	if len(value) == 0 || len(value)%2 != 0 {
		return nil, fault.New(fault.Corrupt, "postings %x have %d bytes", key, len(value))
	}
	out := make([]uint16, 0, len(value)/2)
	for at := 0; at < len(value); at += 2 {
		o := binary.BigEndian.Uint16(value[at:])
		if o >= blockEvents || len(out) > 0 && o <= out[len(out)-1] {
			return nil, fault.New(fault.Corrupt, "postings %x do not ascend", key)
		}
		out = append(out, o)
	}
	return out, nil
}

// sameTerm reports whether a key is one of the term's.
func sameTerm(key, term []byte) bool {
	return len(key) == len(term)+blockLen && bytes.HasPrefix(key, term)
}
