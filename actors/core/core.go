package core

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// ID names an actor ("chain", "engine", "miner").
type ID string

// Edge names an effect executor ("engine", "signer", "timer").
type Edge string

// Ref names one output of one turn; the zero Ref means "none". Sequences start at 1.
type Ref struct {
	Sequence uint64
	Index    uint32
}

// None reports whether r names no output.
func (r Ref) None() bool { return r.Sequence == 0 }

// Before orders refs by sequence, then index.
func (r Ref) Before(o Ref) bool {
	return r.Sequence < o.Sequence || r.Sequence == o.Sequence && r.Index < o.Index
}

// Message is what an actor handles, a fact that it publishes or a request that
// an effect carries. Type is unique over the whole program and stable for ever,
// for it stands in the journal; Schema counts up with each change of fields.
type Message interface {
	record.Record
	Type() string
	Schema() uint32
}

// Turn is all that a core learns beside its state and the message.
type Turn struct {
	Journal  [16]byte // identity of the journal
	Sequence uint64   // of the event this turn becomes
	Time     int64    // Unix milliseconds, never decreasing
	Cause    Ref      // the effect or send that led to this message; none for input from outside
}

// Seed is SHA-256 over the journal's identity and the turn's sequence (big
// endian): the only source of arbitrary choice a core has.
func (t Turn) Seed() [32]byte {
	var in [24]byte
	copy(in[:16], t.Journal[:])
	binary.BigEndian.PutUint64(in[16:], t.Sequence)
	return sha256.Sum256(in[:])
}

// State is the state of one actor. The runtime clones it before each turn, so
// Clone must be cheap: plain data plus copy-on-write maps.
type State interface {
	// Clone returns a state that can change without touching the receiver.
	Clone() State
	// Walk calls yield for every entry in strictly ascending key order. The
	// entries are the canonical form of the state: digests are computed over
	// them, and Load of each into an empty state gives an equal one. Content
	// that an entry refers to must be in the journal already.
	Walk(yield func(key, value []byte) error) error
	// Load takes one entry of Walk. resolve returns journaled content.
	Load(key, value []byte, resolve record.Resolver) error
}

// Core is a deterministic actor.
type Core interface {
	ID() ID
	// NewState returns the state before the first message.
	NewState() State
	// Messages returns one value of each message type Handle takes.
	Messages() []Message
	// Handle computes one turn. See the package comment.
	Handle(s State, m Message, t Turn, out *Out)
}
