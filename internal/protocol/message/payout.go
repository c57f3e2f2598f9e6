package message

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// SignPayout is an until-done effect: BIP 340 signatures with the member's federation key
// of every input of a payment, in order. The turn that asks for it is the intent, durable
// before any signature exists. A signer signs nothing blindly: it computes what is signed
// from the transaction and the outputs spent, by itself. (peg.md A11; BIP 341, 342)
type SignPayout struct {
	Txid   chainhash.Hash
	Root   common.Hash    // the block that proposes the payment
	Number uint64         // its height
	Raw    record.Content // the unsigned payment, as in the block
	Spent  []SpentOutput  // in the order of the inputs
	// Replaces names the payments that this member decided to sign before, that are off
	// the branch of Root, and an input of which this payment spends. A signer with a
	// memory of its own refuses any other second spend of an output.
	Replaces []PaymentID
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
	f.Content(4, &m.Raw)
	record.List(f, 5, &m.Spent)
	record.List(f, 6, &m.Replaces)
}

// SpentOutput is the output that an input spends.
type SpentOutput struct {
	Amount uint64 // satoshi
	Script []byte
}

// Fields implements record.Record.
func (m *SpentOutput) Fields(f *record.Fields) {
	f.Uint64(1, &m.Amount)
	f.Bytes(2, &m.Script)
}

// PaymentID names a payment.
type PaymentID struct {
	Txid chainhash.Hash
}

// Fields implements record.Record.
func (m *PaymentID) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
}

// SigHash is one hash of a list of Bitcoin's hashes.
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
