package peer

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Approvals asks for single approvals of blocks by root. Each comes as Approval, and then End.
type Approvals struct {
	Roots []byte // 32 bytes each, 1 to 64
}

// Kind implements Message.
func (*Approvals) Kind() Kind { return KindApprovals }

// Fields implements record.Record.
func (m *Approvals) Fields(f *record.Fields) {
	f.Bytes(1, &m.Roots)
	hashes(f, m.Roots)
}

// Approval is one authority's approval of a block. (wire.md 9.4)
type Approval struct {
	Root      common.Hash
	Authority uint8
	Signature aura.Signature
}

// Kind implements Message.
func (*Approval) Kind() Kind { return KindApproval }

// Fields implements record.Record.
func (m *Approval) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint8(2, &m.Authority)
	f.Fixed(3, m.Signature[:])
	if f.Decoding() && m.Authority >= aura.MaxAuthorities {
		f.Fail("authority %d", m.Authority)
	}
}

// Payments asks for signatures of payments by txid, in internal byte order. They come as
// Signatures, one for each member that signed, and then End.
type Payments struct {
	Txids []byte // 32 bytes each, 1 to 64
}

// Kind implements Message.
func (*Payments) Kind() Kind { return KindPayments }

// Fields implements record.Record.
func (m *Payments) Fields(f *record.Fields) {
	f.Bytes(1, &m.Txids)
	hashes(f, m.Txids)
}

// MaxSignatures is how many inputs a payment has at most in this protocol: one of 100,000
// bytes, the most that is signed, has fewer. (docs/formats/signer.md)
const MaxSignatures = 2500

// Signatures are one member's signatures of one payment.
type Signatures struct {
	Txid chainhash.Hash // internal byte order
	Key  [33]byte       // compressed
	List []byte         // 64 bytes an input, in order
}

// Kind implements Message.
func (*Signatures) Kind() Kind { return KindSignatures }

// Fields implements record.Record.
func (m *Signatures) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Key[:])
	f.Bytes(3, &m.List)
	if f.Decoding() && (len(m.List) == 0 || len(m.List)%64 != 0 || len(m.List) > 64*MaxSignatures) {
		f.Fail("%d bytes where 1 to %d signatures of 64 are due", len(m.List), MaxSignatures)
	}
}

// SignaturesOf makes a frame's message of the journal's form. ok is false when it does not fit.
func SignaturesOf(p *message.PaymentSignatures) (m *Signatures, ok bool) {
	if len(p.Signatures) == 0 || len(p.Signatures) > MaxSignatures {
		return nil, false
	}
	m = &Signatures{Txid: p.Txid, Key: p.Key, List: make([]byte, 0, 64*len(p.Signatures))}
	for i := range p.Signatures {
		m.List = append(m.List, p.Signatures[i].Value[:]...)
	}
	return m, true
}

// Payment returns the journal's form.
func (m *Signatures) Payment() message.PaymentSignatures {
	p := message.PaymentSignatures{Txid: m.Txid, Key: m.Key}
	for rest := m.List; len(rest) >= 64; rest = rest[64:] {
		p.Signatures = append(p.Signatures, message.PayoutSignature{Value: [64]byte(rest)})
	}
	return p
}

// MaxOpaque bounds the message of another format in one frame, in bytes.
const MaxOpaque = 1 << 20

// Opaque carries a message of another format, which has a protocol id of its own: signed
// checkpoints of journals, and files in chunks.
type Opaque struct {
	Data []byte
}

// Kind implements Message.
func (*Opaque) Kind() Kind { return KindOpaque }

// Fields implements record.Record.
func (m *Opaque) Fields(f *record.Fields) { f.Bytes(1, &m.Data) }
