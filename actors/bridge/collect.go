package bridge

import (
	"cmp"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// maxHeard bounds what is read of one message of signatures.
const maxHeard = 1024

// signaturesReceived keeps what members signed, each member's once and only if every
// signature is that member's. Legacy keeps the first of anybody, so that a stranger can
// fill its places. (peg.md A12)
func (x *turn) signaturesReceived(m *message.SignaturesReceived) {
	for i := range m.Payments[:min(len(m.Payments), maxHeard)] {
		s := &m.Payments[i]
		member, ok := x.rules.federation.Member(s.Key)
		if !ok {
			continue
		}
		p := x.Payment(s.Txid)
		if p == nil || p.outputs() == nil {
			x.keepEarly(s, uint32(member))
			continue
		}
		if p.signedBy(uint32(member)) == nil && !x.collect(p, MemberSignatures{Member: uint32(member), Signatures: s.Signatures}) {
			return // no member sends a false one: the rest is not worth what it costs to verify
		}
	}
}

// collect adds signatures to a payment whose inputs are known, and reports whether they
// are new and good.
func (x *turn) collect(p *Payment, s MemberSignatures) bool {
	if p.signedBy(s.Member) != nil || !x.verified(p, s) {
		return false
	}
	p = p.copy()
	p.addSignatures(s)
	x.putPayment(p)
	x.signCarried(p.Txid)
	x.tellPayment(p.Txid)
	return true
}

// verified reports whether there is one signature an input, each of them the member's.
func (x *turn) verified(p *Payment, s MemberSignatures) bool {
	outputs := p.outputs()
	if outputs == nil || len(s.Signatures) != len(outputs) {
		return false
	}
	f := x.rules.federation
	hashes, err := f.SigHashes(p.tx, outputs)
	return err == nil && f.VerifySignatures(hashes, int(s.Member), values(s.Signatures)) == nil
}

// keepEarly remembers signatures until their payment is known. Nothing says that they are
// the member's: of each member the newest are kept, so that what is false goes by itself
// and what is true comes again. ([turn.publishAgain])
func (x *turn) keepEarly(s *message.PaymentSignatures, member uint32) {
	if len(s.Signatures) == 0 || len(s.Signatures) > maxEarlySignatures {
		return
	}
	x.Heard++
	x.early.Set(&EarlySignatures{Txid: s.Txid, Member: member, Order: x.Heard, Signatures: s.Signatures})
	var list []*EarlySignatures
	total := 0
	x.early.Scan(func(e *EarlySignatures) bool {
		if e.Member == member {
			list, total = append(list, e), total+len(e.Signatures)
		}
		return true
	})
	slices.SortFunc(list, func(a, b *EarlySignatures) int { return cmp.Compare(a.Order, b.Order) })
	for len(list) > maxEarly || total > maxEarlySignatures {
		x.early.Delete(list[0])
		list, total = list[1:], total-len(list[0].Signatures)
	}
}

// takeEarly verifies what came before a payment was known.
func (x *turn) takeEarly(txid chainhash.Hash) {
	var kept []*EarlySignatures
	x.early.Ascend(&EarlySignatures{Txid: txid}, func(e *EarlySignatures) bool {
		if e.Txid == txid {
			kept = append(kept, e)
		}
		return e.Txid == txid
	})
	for _, e := range kept {
		x.early.Delete(e)
		x.collect(x.Payment(txid), MemberSignatures{Member: e.Member, Signatures: e.Signatures})
	}
}

// takeWitnesses collects the signatures that a carrier has of a payment, so that another
// carrier can be made of them should this one be left.
func (x *turn) takeWitnesses(p *Payment, signed *wire.MsgTx) {
	n := len(x.rules.federation.Keys)
	for member := range n {
		if p.signedBy(uint32(member)) != nil {
			continue
		}
		s := MemberSignatures{Member: uint32(member)}
		for _, in := range signed.TxIn {
			if len(in.Witness) != n+2 || len(in.Witness[n-1-member]) != len(message.PayoutSignature{}.Value) {
				break
			}
			s.Signatures = append(s.Signatures, message.PayoutSignature{Value: [64]byte(in.Witness[n-1-member])})
		}
		x.collect(p, s)
		p = x.Payment(p.Txid)
	}
}
