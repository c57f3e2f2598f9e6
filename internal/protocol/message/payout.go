package message

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// SignPayout is an until-done effect: BIP 340 signatures with the member's federation key
// over the hashes, one an input. The turn that asks for it is the intent, durable before
// any signature exists. (peg.md A11)
type SignPayout struct {
	Txid   chainhash.Hash
	Root   common.Hash // the block that proposes the payment
	Number uint64      // its height
	Hashes []SigHash
}

// Type implements core.Message.
func (*SignPayout) Type() string { return "sign_payout" }

// Schema implements core.Message.
func (*SignPayout) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignPayout) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Root[:])
	f.Uint64(3, &m.Number)
	record.List(f, 4, &m.Hashes)
}

// SigHash is what one input's signature is over. (BIP 341, BIP 342)
type SigHash struct {
	Value chainhash.Hash
}

// Fields implements record.Record.
func (m *SigHash) Fields(f *record.Fields) {
	f.Fixed(1, m.Value[:])
}

// PayoutSigned answers SignPayout.
type PayoutSigned struct {
	Txid       chainhash.Hash
	Signatures []PayoutSignature
}

// Type implements core.Message.
func (*PayoutSigned) Type() string { return "payout_signed" }

// Schema implements core.Message.
func (*PayoutSigned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PayoutSigned) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	record.List(f, 2, &m.Signatures)
}

// PayoutSignature is one BIP 340 signature.
type PayoutSignature struct {
	Value [64]byte
}

// Fields implements record.Record.
func (m *PayoutSignature) Fields(f *record.Fields) {
	f.Fixed(1, m.Value[:])
}

// PayoutRefused answers SignPayout when the signer does not sign. Temporary is asked again.
type PayoutRefused struct {
	Txid   chainhash.Hash
	Grade  uint8 // a fault.Grade
	Reason string
}

// Type implements core.Message.
func (*PayoutRefused) Type() string { return "payout_refused" }

// Schema implements core.Message.
func (*PayoutRefused) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PayoutRefused) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Uint8(2, &m.Grade)
	f.String(3, &m.Reason)
}

// PublishSignatures is a fire-and-forget effect: gossip this member's signatures.
// (wire.md 9.4; peg.md A11)
type PublishSignatures struct {
	Payments []PaymentSignatures
}

// Type implements core.Message.
func (*PublishSignatures) Type() string { return "publish_signatures" }

// Schema implements core.Message.
func (*PublishSignatures) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PublishSignatures) Fields(f *record.Fields) {
	record.List(f, 1, &m.Payments)
}

// PaymentSignatures are one member's signatures of one payment.
type PaymentSignatures struct {
	Txid       chainhash.Hash
	Key        [33]byte          // compressed
	Signatures []PayoutSignature // one an input, in order
}

// Fields implements record.Record.
func (m *PaymentSignatures) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Key[:])
	record.List(f, 3, &m.Signatures)
}

// SignaturesReceived carries signatures of payments from peers. (peg.md A12)
type SignaturesReceived struct {
	Payments []PaymentSignatures
}

// Type implements core.Message.
func (*SignaturesReceived) Type() string { return "signatures_received" }

// Schema implements core.Message.
func (*SignaturesReceived) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignaturesReceived) Fields(f *record.Fields) {
	record.List(f, 1, &m.Payments)
}
