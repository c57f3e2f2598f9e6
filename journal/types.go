package journal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Limits on what one event may hold. They keep every length inside what the
// database can store in one batch.
const (
	// InlineMax is how many bytes the message, and the outputs together, may
	// have in the envelope. Longer ones are kept as content.
	InlineMax = 64 << 10
	// MaxEnvelope is the largest encoded event in bytes. Message and outputs
	// cannot reach it; two million names of contents can.
	MaxEnvelope = 64 << 20
	// MaxContent is the largest content object in bytes, and with that the
	// largest message and the most that the outputs of one event can be.
	MaxContent = 1 << 30
)

// ID names a journal. It is drawn at random when the journal is created and
// never changes; a copy made by [Journal.Checkpoint] keeps it.
type ID [16]byte

// String returns the ID as 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

func newID() (ID, error) {
	var id ID
	if _, err := rand.Read(id[:]); err != nil {
		return ID{}, fault.Wrap(fault.Fatal, err, "draw a journal id")
	}
	return id, nil
}

// Hash is a SHA-256 digest in the byte order SHA-256 gives.
type Hash [32]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// SumContent returns the name of a content object: the SHA-256 of its bytes.
func SumContent(data []byte) Hash { return sha256.Sum256(data) }

// chainTag separates the first link of the chain from every other use of
// SHA-256 over sixteen bytes.
const chainTag = "alys journal chain v1\x00"

// Origin returns h_0, the hash that the first event of journal id is chained
// to: SHA-256(chainTag || id). Two journals never share a hash.
func Origin(id ID) Hash {
	return sha256.Sum256(append([]byte(chainTag), id[:]...))
}

// Link returns the hash of an event: SHA-256(previous || envelope).
func Link(previous Hash, envelope []byte) Hash {
	h := sha256.New()
	h.Write(previous[:])
	h.Write(envelope)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

// Ref names one output: output Index of event Sequence. Sequences start at 1,
// so the zero Ref names nothing.
type Ref struct {
	Sequence uint64
	Index    uint32
}

// None reports whether the reference names nothing.
func (r Ref) None() bool { return r.Sequence == 0 }

// String returns "sequence/index", or "none".
func (r Ref) String() string {
	if r.None() {
		return "none"
	}
	return fmt.Sprintf("%d/%d", r.Sequence, r.Index)
}

// Kind says what an output asks for.
type Kind uint8

// The kinds of outputs.
const (
	// KindSend is a message to another actor; Target is its name.
	KindSend Kind = iota + 1
	// KindFact is a published statement of what happened; Target is empty.
	KindFact
	// KindEffect is a request to the outside; Target is the edge.
	KindEffect
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case KindSend:
		return "send"
	case KindFact:
		return "fact"
	case KindEffect:
		return "effect"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// Outcome says how the turn of an event ended.
type Outcome uint8

// The outcomes of a turn.
const (
	// OutcomeOK is a turn whose outputs and state change count.
	OutcomeOK Outcome = 0
	// OutcomeFailed is a turn whose handler failed; Event.Note says why.
	OutcomeFailed Outcome = 1
)

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	switch o {
	case OutcomeOK:
		return "ok"
	case OutcomeFailed:
		return "failed"
	default:
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
}

// Output is one thing a turn asked for or stated.
type Output struct {
	Kind     Kind
	Target   string // actor of a send, edge of an effect, "" for a fact
	Type     string // message type of the payload
	Schema   uint32 // schema version of the payload
	Class    uint8  // effect class, meaning given by the writer
	Priority uint8  // inbox priority of a send, meaning given by the writer
	Payload  []byte
}

// Event is one turn: what was asked, by whom, and what came of it.
type Event struct {
	Sequence uint64 // position in the journal, from 1, without gaps
	Time     int64  // Unix milliseconds, never less than in the event before
	Actor    string // who handled the message
	Type     string // message type
	Schema   uint32 // schema version of the message
	Cause    Ref    // output that led to the message; zero for none
	Outcome  Outcome
	// Stored is false when the message came from a send: then Message is nil
	// and Cause names the output whose payload it is.
	Stored  bool
	Message []byte
	Note    string   // why the turn failed, else ""
	Outputs []Output // sends, facts and effects in the order they were made
	// Contents names the content objects that message and outputs refer to, in
	// the order of first reference, without duplicates. An event that was read
	// also names those that its own message or outputs were kept as; one to be
	// appended need not.
	Contents []Hash
}

// Head names the last event of a journal, or of a prefix of it. Sequence 0
// with [Origin] as hash is the empty journal.
type Head struct {
	Sequence uint64
	Hash     Hash
}

// String returns the sequence and the whole hash, for errors and logs.
func (h Head) String() string { return fmt.Sprintf("%d (%s)", h.Sequence, h.Hash) }

// Content is a byte string stored once, under the SHA-256 of its bytes.
type Content struct {
	Hash Hash
	Data []byte
}

// Validate checks what the format cannot express otherwise: a sequence, known
// kind and outcome, a cause that is earlier, a cause for every message that is
// not stored, contents without duplicates. Its error has grade Invalid.
func (e *Event) Validate() error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "journal: event %d: %s", e.Sequence, fmt.Sprintf(format, args...))
	}
	switch {
	case e.Sequence == 0:
		return bad("sequences start at 1")
	case e.Outcome > OutcomeFailed:
		return bad("%v is not known", e.Outcome)
	case e.Cause.None() && e.Cause.Index != 0:
		return bad("cause has index %d but no sequence", e.Cause.Index)
	case e.Cause.Sequence >= e.Sequence:
		return bad("cause %v is not an earlier event", e.Cause)
	case !e.Stored && e.Cause.None():
		return bad("neither a stored message nor a cause that carries it")
	case !e.Stored && len(e.Message) != 0:
		return bad("message is given but not stored")
	}
	for i := range e.Outputs {
		if k := e.Outputs[i].Kind; k < KindSend || k > KindEffect {
			return bad("output %d has unknown %v", i, k)
		}
	}
	if h, twice := duplicate(e.Contents); twice {
		return bad("content %s is listed twice", h)
	}
	return nil
}

// duplicate returns a hash that is listed twice. Most events list a handful,
// for which comparing pairs is cheaper than a set.
func duplicate(list []Hash) (Hash, bool) {
	if len(list) <= 16 {
		for i := 1; i < len(list); i++ {
			for k := 0; k < i; k++ {
				if list[i] == list[k] {
					return list[i], true
				}
			}
		}
		return Hash{}, false
	}
	seen := make(map[Hash]struct{}, len(list))
	for _, h := range list {
		if _, ok := seen[h]; ok {
			return h, true
		}
		seen[h] = struct{}{}
	}
	return Hash{}, false
}
