package bridge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// retryAfter is when what could not be done is tried again, in milliseconds.
const retryAfter = 30_000

// signPayments takes an order of the chain actor, which has locked this member on the end
// of the range. What cannot be signed yet is kept and tried again when something changes.
// (peg.md A11; architecture.md 4, "Approving")
func (x *turn) signPayments(m *message.SignPayments) {
	if !x.Config.HasPegKey {
		return
	}
	x.Orders = slices.DeleteFunc(x.Orders, func(o Order) bool { return o.Start == m.RangeStart && o.End == m.RangeEnd })
	x.Orders = append(x.Orders, Order{Start: m.RangeStart, End: m.RangeEnd})
	if len(x.Orders) > maxOrders {
		x.Orders = slices.Clone(x.Orders[len(x.Orders)-maxOrders:])
	}
	x.publish(x.ownSignatures(m))
	x.signOrders()
	x.askForSignatures(m)
}

// maxAskedPayments bounds the payments that one request asks signatures of.
const maxAskedPayments = 64

// askForSignatures asks peers for the signatures that payments of a range still lack. The
// chain actor orders the range again at each new head, so a signature whose gossip was
// lost, or that was made while this member was away, holds a carrier up for one block.
func (x *turn) askForSignatures(m *message.SignPayments) {
	if !x.Config.Peers {
		return
	}
	blocks, err := x.proposing(m.RangeStart, m.RangeEnd)
	if err != nil {
		return
	}
	ask := &message.FetchSignatures{}
	for _, b := range blocks {
		p := x.Payment(b.Payment.TxHash())
		if len(p.Signatures) < x.rules.federation.Threshold && len(ask.Payments) < maxAskedPayments {
			ask.Payments = append(ask.Payments, message.PaymentID{Txid: p.Txid})
		}
	}
	if len(ask.Payments) > 0 {
		x.out.Effect(PeersEdge, core.FireAndForget, ask)
	}
}

// signOrders tries the orders, oldest first, and keeps those that are not done.
func (x *turn) signOrders() {
	if len(x.Orders) == 0 || x.standsStill() != "" || !x.Config.HasPegKey {
		return
	}
	var open []Order
	for _, o := range x.Orders {
		if !x.signRange(&o) {
			open = append(open, o)
		}
	}
	x.Orders = open
	if len(open) > 0 {
		x.armRetry()
	}
}

// signRange signs what a range proposes, oldest first, and reports whether nothing is left
// to be done about it.
func (x *turn) signRange(o *Order) bool {
	blocks, err := x.proposing(o.Start, o.End)
	if err != nil {
		return x.Block(o.End) == nil && x.finalPast(o.End)
	}
	end := x.Block(o.End)
	if !x.isUnder(end, x.Block(x.Head.Root)) {
		return false
	}
	var open []*Block
	for _, b := range blocks {
		if p := x.Payment(b.Payment.TxHash()); p.signedBy(x.Config.PegMember) == nil && p.Declined == "" {
			open = append(open, b)
		}
	}
	if len(open) == 0 {
		return true
	}
	if v := x.checkConflicts(end.Wallet, nil); !v.Valid() {
		return x.note(o, v, o.End, chainhash.Hash{})
	}
	done := true
	for _, b := range open {
		done = x.signPayment(o, b) && done
	}
	return done
}

// signPayment reports whether nothing is left to be done about the payment of a block.
func (x *turn) signPayment(o *Order, b *Block) bool {
	p := x.Payment(b.Payment.TxHash())
	switch {
	case p.Asked:
		return false
	case p.outputs() == nil:
		return x.note(o, Verdict{fault.CannotJudge, "payment-inputs", fmt.Sprintf("what payment %s of block %d spends is not here yet", p.Txid, b.Number)}, b.Root, p.Txid)
	}
	parent := x.Block(b.Parent)
	if v := x.checkPaidTwice(b.Payment, parent); !v.Valid() {
		return x.note(o, v, b.Root, p.Txid)
	}
	if v := x.checkProposal(b.Number, b.Payment, parent); !v.Valid() {
		if v.Grade == fault.CannotJudge {
			return x.note(o, v, b.Root, p.Txid)
		}
		x.decline(p, v)
		return true
	}
	x.askSigner(p, b)
	return false
}

// askSigner puts the intent down in the turn that asks for the signatures: it is durable
// before any of them exists.
func (x *turn) askSigner(p *Payment, b *Block) {
	p = p.copy()
	p.Signing, p.Asked = true, true
	x.putPayment(p)
	request := &message.SignPayout{Txid: p.Txid, Root: b.Root, Number: b.Number, Raw: record.NewContent(p.Raw)}
	for i := range p.Prevouts {
		request.Spent = append(request.Spent, message.SpentOutput{Amount: p.Prevouts[i].Amount, Script: p.Prevouts[i].Script})
	}
	for _, other := range x.signedRivals(p) {
		request.Replaces = append(request.Replaces, message.PaymentID{Txid: other})
	}
	x.out.Effect(SignerEdge, core.UntilDone, request)
	x.tellPayment(p.Txid)
}

// signedRivals are the payments that this member decided to sign before and an input of
// which a payment spends, in the order of their txids.
func (x *turn) signedRivals(p *Payment) []chainhash.Hash {
	var rivals []chainhash.Hash
	for _, in := range p.tx.TxIn {
		for _, other := range x.spendingOf(in.PreviousOutPoint) {
			if other.Txid != p.Txid && other.Signing {
				rivals = append(rivals, other.Txid)
			}
		}
	}
	slices.SortFunc(rivals, func(a, b chainhash.Hash) int { return compareHash(&a, &b) })
	return slices.Compact(rivals)
}

// decline gives a payment up: this member never signs it.
func (x *turn) decline(p *Payment, v Verdict) {
	p = p.copy()
	p.Declined = v.Rule + ": " + v.Reason
	x.putPayment(p)
	x.alarmPayment(v.Rule, "payment is not signed: "+v.Reason, p.Root, p.Txid)
}

// reconsider takes refusals back that another configuration may not repeat. The orders come
// again when the chain actor gives them.
func (x *turn) reconsider() {
	var declined []*Payment
	x.byTxid.Scan(func(p *Payment) bool {
		if p.Declined != "" {
			declined = append(declined, p)
		}
		return true
	})
	for _, p := range declined {
		p = p.copy()
		p.Declined = ""
		x.putPayment(p)
	}
}

// maxReasons bounds the reasons that an order remembers, in bytes.
const maxReasons = 4096

// note raises the alarm once for each reason that keeps a range from being signed: the
// payments of a range may have different ones, and all are tried again at every change.
func (x *turn) note(o *Order, v Verdict, root common.Hash, txid chainhash.Hash) bool {
	if !strings.Contains(o.Reason, v.Reason) {
		if len(o.Reason)+len(v.Reason) > maxReasons {
			o.Reason = ""
		}
		o.Reason += v.Reason + "\n"
		x.alarmPayment(v.Rule, "payments are not signed yet: "+v.Reason, root, txid)
	}
	return false
}

// answered ends the request that the signer answers; nil when it was not asked.
func (x *turn) answered(txid chainhash.Hash) *Payment {
	p := x.Payment(txid)
	if p == nil || !p.Asked {
		return nil
	}
	p = p.copy()
	p.Asked = false
	x.putPayment(p)
	return p
}

// payoutSigned trusts no signer: what does not verify under our own key is neither kept
// nor published.
func (x *turn) payoutSigned(m *message.PayoutSigned) {
	p := x.answered(m.Txid)
	if p == nil {
		return
	}
	own := MemberSignatures{Member: x.Config.PegMember, Signatures: m.Signatures}
	if p.signedBy(own.Member) == nil && !x.collect(p, own) {
		x.alarmPayment("own-signature", fmt.Sprintf("the signer's %d signatures of payment %s are not those of federation key %d; check which key it holds", len(m.Signatures), p.Txid, own.Member), p.Root, p.Txid)
		x.armRetry()
		return
	}
	x.publish([]message.PaymentSignatures{x.own(x.Payment(p.Txid))})
	x.signOrders()
}

// payoutRefused: temporary is asked again by the timer, else the payment is given up.
func (x *turn) payoutRefused(m *message.PayoutRefused) {
	p := x.answered(m.Txid)
	if p == nil {
		return
	}
	if g := fault.Grade(m.Grade); g == fault.Temporary || g == fault.CannotJudge {
		x.armRetry()
		return
	}
	x.decline(p, Verdict{fault.Grade(m.Grade), "signer", m.Reason})
	x.signOrders()
}

// own returns this member's signatures of a payment as they are published.
func (x *turn) own(p *Payment) message.PaymentSignatures {
	member := x.Config.PegMember
	return message.PaymentSignatures{Txid: p.Txid, Key: x.rules.federation.Keys[member], Signatures: p.signedBy(member)}
}

func (x *turn) publish(own []message.PaymentSignatures) {
	if len(own) > 0 {
		x.out.Effect(PeersEdge, core.FireAndForget, &message.PublishSignatures{Payments: own})
	}
}

// ownSignatures are those of the payments of a range.
func (x *turn) ownSignatures(m *message.SignPayments) []message.PaymentSignatures {
	blocks, err := x.proposing(m.RangeStart, m.RangeEnd)
	if err != nil {
		return nil
	}
	var own []message.PaymentSignatures
	for _, b := range blocks {
		if p := x.Payment(b.Payment.TxHash()); p.signedBy(x.Config.PegMember) != nil {
			own = append(own, x.own(p))
		}
	}
	return own
}

// publishAgain gossips the signatures of this member that no carrier has yet. Gossip is
// lost sometimes, and peers forget what came before they knew the payment.
func (x *turn) publishAgain() (any bool) {
	if !x.Config.HasPegKey {
		return false
	}
	var own []message.PaymentSignatures
	x.byTxid.Scan(func(p *Payment) bool {
		if p.Signing && p.OnHead && p.Carrier == (message.BlockID{}) && p.signedBy(x.Config.PegMember) != nil {
			own = append(own, x.own(p))
		}
		return true
	})
	x.publish(own)
	return len(own) > 0
}

// armRetry starts the timer unless it runs.
func (x *turn) armRetry() {
	if x.Retry.None() {
		x.Retry = x.next()
		x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: retryAfter})
	}
}

// retry is the timer's: orders, signatures that are to be heard, payments that Bitcoin has
// not taken.
func (x *turn) retry() {
	x.Retry = core.Ref{}
	x.signOrders()
	if x.publishAgain() {
		x.armRetry()
	}
	x.sendRefused()
}

// finalPast reports whether a block is below those that are kept: its range was carried
// long ago, with the signatures.
func (x *turn) finalPast(root common.Hash) bool { return x.Block(root) == nil }
