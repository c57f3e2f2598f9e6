package checkpoint

import (
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of one request or answer.
const (
	MaxMessage    = 1 << 20
	MaxPiece      = 512 << 10 // of a part, in one answer
	MaxStatements = 64
	MaxPath       = 64 // hashes of a consistency proof
	MaxNote       = 16 << 10
	maxText       = 200
)

// Message is a request or an answer.
type Message interface {
	record.Record
	kind() byte
}

// The kinds of messages: the first byte.
const (
	kindRefusal       byte = 0
	kindAskStatements byte = 1
	kindStatements    byte = 2
	kindAskPart       byte = 3
	kindPiece         byte = 4
	kindAskJournal    byte = 5
	kindJournal       byte = 6
	kindCosigned      byte = 7
	kindTaken         byte = 8
)

// Refusal answers a request that is not answered otherwise.
type Refusal struct{ Reason string }

func (*Refusal) kind() byte { return kindRefusal }

// Fields implements record.Record.
func (m *Refusal) Fields(f *record.Fields) {
	f.String(1, &m.Reason)
	if f.Decoding() && len(m.Reason) > maxText {
		f.Fail("a reason of %d bytes", len(m.Reason))
	}
}

// AskStatements asks for the statements that a node has.
type AskStatements struct{}

func (*AskStatements) kind() byte { return kindAskStatements }

// Fields implements record.Record.
func (*AskStatements) Fields(*record.Fields) {}

// Statements answers AskStatements, the highest first.
type Statements struct{ List []Statement }

func (*Statements) kind() byte { return kindStatements }

// Fields implements record.Record.
func (m *Statements) Fields(f *record.Fields) {
	record.List(f, 1, &m.List)
	if f.Decoding() && len(m.List) > MaxStatements {
		f.Fail("%d statements, at most %d are read", len(m.List), MaxStatements)
	}
}

// AskPart asks for bytes of an index or of one of its parts.
type AskPart struct {
	Hash   [32]byte
	Offset uint32
}

func (*AskPart) kind() byte { return kindAskPart }

// Fields implements record.Record.
func (m *AskPart) Fields(f *record.Fields) {
	f.Fixed(1, m.Hash[:])
	f.Uint32(2, &m.Offset)
}

// Piece answers AskPart: at most [MaxPiece] bytes from the offset on.
type Piece struct {
	Size uint32 // of the whole
	Data []byte
}

func (*Piece) kind() byte { return kindPiece }

// Fields implements record.Record.
func (m *Piece) Fields(f *record.Fields) {
	f.Uint32(1, &m.Size)
	f.Bytes(2, &m.Data)
	if f.Decoding() && (m.Size > MaxPart || len(m.Data) == 0 || len(m.Data) > MaxPiece || len(m.Data) > int(m.Size)) {
		f.Fail("a piece of %d bytes of %d", len(m.Data), m.Size)
	}
}

// AskJournal asks for the newest signed checkpoint of a node's journal, and for the proof
// that it continues the one that the asker has seen last.
type AskJournal struct {
	Origin string // of the one that was seen last; empty when there is none
	Size   uint64 // likewise
}

func (*AskJournal) kind() byte { return kindAskJournal }

// Fields implements record.Record.
func (m *AskJournal) Fields(f *record.Fields) {
	f.String(1, &m.Origin)
	f.Uint64(2, &m.Size)
	if f.Decoding() && len(m.Origin) > maxText {
		f.Fail("an origin of %d bytes", len(m.Origin))
	}
}

// Journal answers AskJournal.
type Journal struct {
	Key  *NoteKey // nil of a node that is no member
	Note []byte   // signed (docs/formats/proof.md)
	Path []byte   // consistency proof (RFC 6962, 2.1.2), 32 bytes each
}

func (*Journal) kind() byte { return kindJournal }

// Fields implements record.Record.
func (m *Journal) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Key)
	f.Bytes(2, &m.Note)
	f.Bytes(3, &m.Path)
	if f.Decoding() && (len(m.Note) == 0 || len(m.Note) > MaxNote || len(m.Path)%32 != 0 || len(m.Path) > 32*MaxPath) {
		f.Fail("a note of %d bytes with a path of %d", len(m.Note), len(m.Path))
	}
}

// Cosigned hands the owner of a journal its checkpoint with the signature of the sender, who
// saw that it continues the one before.
type Cosigned struct {
	Key  *NoteKey // of the sender
	Note []byte   // the owner's, with the sender's signature alone
}

func (*Cosigned) kind() byte { return kindCosigned }

// Fields implements record.Record.
func (m *Cosigned) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Key)
	f.Bytes(2, &m.Note)
	if f.Decoding() && (m.Key == nil || len(m.Note) == 0 || len(m.Note) > MaxNote) {
		f.Fail("a note of %d bytes", len(m.Note))
	}
}

// Taken answers Cosigned.
type Taken struct{}

func (*Taken) kind() byte { return kindTaken }

// Fields implements record.Record.
func (*Taken) Fields(*record.Fields) {}

// Pack returns the bytes of a message.
func Pack(m Message) []byte {
	data, _ := record.Append([]byte{m.kind()}, m)
	return data
}

// Unpack reads a message. Errors have grade Invalid.
func Unpack(data []byte) (Message, error) {
	if len(data) == 0 || len(data) > MaxMessage {
		return nil, fault.New(fault.Invalid, "checkpoint: a message of %d bytes", len(data))
	}
	var m Message
	switch data[0] {
	case kindRefusal:
		m = new(Refusal)
	case kindAskStatements:
		m = new(AskStatements)
	case kindStatements:
		m = new(Statements)
	case kindAskPart:
		m = new(AskPart)
	case kindPiece:
		m = new(Piece)
	case kindAskJournal:
		m = new(AskJournal)
	case kindJournal:
		m = new(Journal)
	case kindCosigned:
		m = new(Cosigned)
	case kindTaken:
		m = new(Taken)
	default:
		return nil, fault.New(fault.Invalid, "checkpoint: a message of kind %d", data[0])
	}
	return m, record.Decode(data[1:], m, nil)
}
