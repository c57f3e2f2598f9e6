package bridge

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Payment is a Bitcoin transaction that an executed block proposes, with what became of it
// on either chain. It is one for all branches: what it spends and pays follows from its
// txid. It stays until its blocks are no longer kept and nothing in Bitcoin can change its
// fate. It is replaced, never changed.
type Payment struct {
	Txid     chainhash.Hash
	Raw      []byte      // without witnesses, in Bitcoin's serialization
	Root     common.Hash // the block that proposes it, on the head's branch if one there does
	Number   uint64      // its height
	Blocks   uint32      // how many kept blocks propose it
	OnHead   bool        // Root is on the head's branch
	Prevouts []Prevout   // what its inputs spend, in their order; empty until all are known
	Pays     []Paid      // the requests it pays on the head's branch, in the order of its outputs

	// Signing is the intent: this member has decided to sign. It is never taken back.
	// (peg.md A11)
	Signing    bool
	Asked      bool   // the signer has not answered yet
	Declined   string // why this member never signs it, or ""
	Signatures []MemberSignatures

	Carrier message.BlockID // on the head's branch, or nothing
	Signed  []byte          // with witnesses, as the last carrier has it or, if those are false, of ours

	Sending  bool              // the Bitcoin edge has not answered yet
	Outcome  uint8             // of the last broadcast, one of the Broadcast constants
	Mined    message.BitcoinID // where it is in Bitcoin, or nothing
	Replaced chainhash.Hash    // a transaction in Bitcoin that spends one of its inputs, or nothing

	Told Told

	tx *wire.MsgTx // of Raw; read-only; derived
}

// Fields implements record.Record.
func (p *Payment) Fields(f *record.Fields) {
	f.Fixed(1, p.Txid[:])
	f.Bytes(2, &p.Raw)
	f.Fixed(3, p.Root[:])
	f.Uint64(4, &p.Number)
	f.Uint32(5, &p.Blocks)
	f.Bool(6, &p.OnHead)
	record.List(f, 7, &p.Prevouts)
	f.Bool(8, &p.Signing)
	f.Bool(9, &p.Asked)
	f.String(10, &p.Declined)
	record.List(f, 11, &p.Signatures)
	f.Fixed(12, p.Carrier.Root[:])
	f.Uint64(13, &p.Carrier.Number)
	f.Bytes(14, &p.Signed)
	f.Bool(15, &p.Sending)
	f.Uint8(16, &p.Outcome)
	f.Uint64(17, &p.Mined.Height)
	f.Fixed(18, p.Mined.Hash[:])
	f.Fixed(19, p.Replaced[:])
	f.Uint8(20, &p.Told.State)
	f.Fixed(21, p.Told.Root[:])
	f.Uint32(22, &p.Told.Signers)
	f.Fixed(23, p.Told.Bitcoin[:])
	f.Uint8(24, &p.Told.Paid)
	record.List(f, 25, &p.Pays)
}

// Paid is a request with the output that pays it.
type Paid struct {
	Request
	Output uint32
}

// Fields implements record.Record.
func (p *Paid) Fields(f *record.Fields) {
	p.Request.Fields(f)
	f.Uint32(11, &p.Output)
}

// Told is what the last fact said of a payment: facts are emitted on change.
type Told struct {
	State   uint8
	Root    common.Hash
	Signers uint32
	Bitcoin chainhash.Hash
	Paid    uint8 // state of the requests it pays, one of the PegOut constants
}

// Prevout is an output that an input spends.
type Prevout struct {
	Amount uint64 // satoshi
	Script []byte
}

// Fields implements record.Record.
func (p *Prevout) Fields(f *record.Fields) {
	f.Uint64(1, &p.Amount)
	f.Bytes(2, &p.Script)
}

// MemberSignatures are a member's signatures of a payment, verified, one an input.
type MemberSignatures struct {
	Member     uint32 // index into the federation's keys
	Signatures []message.PayoutSignature
}

// Fields implements record.Record.
func (s *MemberSignatures) Fields(f *record.Fields) {
	f.Uint32(1, &s.Member)
	record.List(f, 2, &s.Signatures)
}

// copy returns a payment that may be changed.
func (p *Payment) copy() *Payment {
	c := *p
	c.Signatures = slices.Clone(p.Signatures)
	return &c
}

func compareMember(s MemberSignatures, member uint32) int { return cmp.Compare(s.Member, member) }

// signedBy returns the signatures of a member, nil when there are none.
func (p *Payment) signedBy(member uint32) []message.PayoutSignature {
	i, found := slices.BinarySearchFunc(p.Signatures, member, compareMember)
	if !found {
		return nil
	}
	return p.Signatures[i].Signatures
}

// addSignatures keeps the first that a member gave.
func (p *Payment) addSignatures(s MemberSignatures) {
	i, found := slices.BinarySearchFunc(p.Signatures, s.Member, compareMember)
	if !found {
		p.Signatures = slices.Insert(p.Signatures, i, s)
	}
}

// outputs returns what the inputs spend as Bitcoin's outputs, nil until all are known.
func (p *Payment) outputs() []*wire.TxOut {
	if len(p.Prevouts) != len(p.tx.TxIn) || len(p.Prevouts) == 0 {
		return nil
	}
	outs := make([]*wire.TxOut, len(p.Prevouts))
	for i := range p.Prevouts {
		outs[i] = wire.NewTxOut(int64(p.Prevouts[i].Amount), p.Prevouts[i].Script)
	}
	return outs
}

// fee returns the inputs less the outputs; zero until the inputs are known.
func (p *Payment) fee() uint64 {
	var in, out uint64
	for i := range p.Prevouts {
		in = plus(in, p.Prevouts[i].Amount)
	}
	for _, o := range p.tx.TxOut {
		out = plus(out, uint64(max(o.Value, 0)))
	}
	return minus(in, out)
}

// outgoing reports whether Bitcoin is to have the payment: a carrier of the head's branch
// has it with its signatures, and Bitcoin has neither it nor another in its place in a block.
func (p *Payment) outgoing() bool {
	return p.Carrier != (message.BlockID{}) && len(p.Signed) > 0 && p.Mined.Height == 0 && p.Replaced == (chainhash.Hash{})
}

// inMempool reports whether Bitcoin's mempool took the payment, or had it.
func (p *Payment) inMempool() bool {
	return p.Outcome == message.BroadcastAccepted || p.Outcome == message.BroadcastConfirmed
}

func compareHash(a, b *chainhash.Hash) int { return bytes.Compare(a[:], b[:]) }
