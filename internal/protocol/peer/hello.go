package peer

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Version is the newest version of the protocol that this program speaks. What it adds to
// version 1 it says with new fields and kinds; what it changes has a protocol id of its own.
const Version = 1

// Bounds of texts, in bytes.
const (
	maxAgent  = 128
	maxReason = 200
)

// Hello is the first frame of each side of a session.
type Hello struct {
	Version      uint32 // of this protocol, the sender's newest
	ChainID      uint32
	Genesis      common.Hash // root of block 0
	Spec         [32]byte    // SHA-256 of the chain spec's canonical JSON
	Agent        string      // program and version, at most 128 bytes
	Head         message.BlockID
	Finalized    message.BlockID
	HasAuthority bool
	Authority    uint32         // index into the chain spec's authorities
	Proof        aura.Signature // by that authority over [ProofRoot]
	Listen       string         // multiaddr without the peer id at which it can be dialled, at most 200 bytes; may be empty
}

// Kind implements Message.
func (*Hello) Kind() Kind { return KindHello }

// Fields implements record.Record.
func (m *Hello) Fields(f *record.Fields) {
	f.Uint32(1, &m.Version)
	f.Uint32(2, &m.ChainID)
	f.Fixed(3, m.Genesis[:])
	f.Fixed(4, m.Spec[:])
	f.String(5, &m.Agent)
	blockID(f, 6, &m.Head)
	blockID(f, 8, &m.Finalized)
	f.Bool(10, &m.HasAuthority)
	f.Uint32(11, &m.Authority)
	f.Fixed(12, m.Proof[:])
	f.String(13, &m.Listen)
	bounded(f, m.Agent, maxAgent)
	bounded(f, m.Listen, maxReason)
	if f.Decoding() && !m.HasAuthority && (m.Authority != 0 || m.Proof != aura.Signature{}) {
		f.Fail("a proof without an authority")
	}
}

// proofDomain separates proofs of authority from everything else an authority signs: a block
// root is a hash of exactly 64 bytes, and the statements of package aura begin otherwise.
const proofDomain = "alys peer of authority 1"

// ProofRoot is what a member signs to prove to its peers that it holds the key of an
// authority: SHA-256 over a text, the genesis root, the authority's index as four bytes, big
// endian, and the bytes of its peer id, which is bound to the connection. (docs/formats/peer-protocol.md, Proof)
func ProofRoot(genesis common.Hash, authority uint32, id string) common.Hash {
	b := append([]byte(proofDomain), genesis[:]...)
	b = binary.BigEndian.AppendUint32(b, authority)
	return sha256.Sum256(append(b, id...))
}

// Proven reports whether the proof of a Hello holds for the peer that sent it, id being the
// bytes of its peer id. A Hello without an authority needs none.
func (m *Hello) Proven(c *aura.Committee, id string) error {
	switch {
	case !m.HasAuthority:
		return nil
	case int64(m.Authority) >= int64(c.Len()):
		return fault.New(fault.Invalid, "peer: authority %d of %d", m.Authority, c.Len())
	}
	a := aura.Approval{Signature: m.Proof, Authority: uint8(m.Authority)}
	return fault.Wrap(fault.Invalid, c.VerifyApproval(a, ProofRoot(m.Genesis, m.Authority, id)), "peer: proof of authority")
}

// Status tells where a node is: after Hello whenever it moved.
type Status struct {
	Head      message.BlockID
	Finalized message.BlockID
}

// Kind implements Message.
func (*Status) Kind() Kind { return KindStatus }

// Fields implements record.Record.
func (m *Status) Fields(f *record.Fields) {
	blockID(f, 1, &m.Head)
	blockID(f, 3, &m.Finalized)
}

// Ping asks for a Pong of the same number.
type Ping struct {
	Number uint64
}

// Kind implements Message.
func (*Ping) Kind() Kind { return KindPing }

// Fields implements record.Record.
func (m *Ping) Fields(f *record.Fields) { f.Uint64(1, &m.Number) }

// Pong answers Ping at once.
type Pong struct {
	Number uint64
}

// Kind implements Message.
func (*Pong) Kind() Kind { return KindPong }

// Fields implements record.Record.
func (m *Pong) Fields(f *record.Fields) { f.Uint64(1, &m.Number) }

// Why a session ends. The numbers are legacy's where it has one. (wire.md 9.5)
const (
	GoodbyeShutdown     uint32 = 1
	GoodbyeOtherNetwork uint32 = 2 // another genesis or chain id
	GoodbyeFault        uint32 = 3 // the other side broke a rule of the protocol
	GoodbyeTooMany      uint32 = 129
	GoodbyeScore        uint32 = 250
	GoodbyeBanned       uint32 = 251
)

// Goodbye is the last frame of a session.
type Goodbye struct {
	Code   uint32
	Reason string // for people, at most 200 bytes
}

// Kind implements Message.
func (*Goodbye) Kind() Kind { return KindGoodbye }

// Fields implements record.Record.
func (m *Goodbye) Fields(f *record.Fields) {
	f.Uint32(1, &m.Code)
	f.String(2, &m.Reason)
	bounded(f, m.Reason, maxReason)
}

// blockID lists a block's root and height under a number and the next.
func blockID(f *record.Fields, number int, b *message.BlockID) {
	f.Fixed(number, b.Root[:])
	f.Uint64(number+1, &b.Number)
}

// bounded refuses a text that is longer than it may be, or that would write control
// characters to a terminal.
func bounded(f *record.Fields, text string, most int) {
	if !f.Decoding() {
		return
	}
	if len(text) > most {
		f.Fail("a text of %d bytes, at most %d are due", len(text), most)
		return
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			f.Fail("a text with byte %#x", text[i])
			return
		}
	}
}

// Text returns s as a text of the protocol: printable ASCII, cut at 200 bytes.
func Text(s string) string { return printable(s, maxReason) }

// Agent returns s as the name of a program: printable ASCII, cut at 128 bytes.
func Agent(s string) string { return printable(s, maxAgent) }

func printable(s string, most int) string {
	b := []byte(s[:min(len(s), most)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
