package bridge

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// stands returns the state of a payment, and why when it is at an end.
func (x *turn) stands(p *Payment) (state uint8, reason string) {
	switch {
	case p.Mined.Height != 0 && x.depth(p.Mined.Height) >= x.payoutDepth():
		return message.PaymentConfirmed, ""
	case p.Mined.Height != 0:
		return message.PaymentMined, ""
	case p.Replaced != chainhash.Hash{}:
		return message.PaymentReplaced, fmt.Sprintf("transaction %s in Bitcoin spends one of its inputs", p.Replaced)
	case !p.OnHead:
		return message.PaymentAbandoned, fmt.Sprintf("block %s at %d is off the head's branch", p.Root, p.Number)
	case p.Carrier != message.BlockID{} && p.inMempool():
		return message.PaymentBroadcast, ""
	case p.Carrier != message.BlockID{}:
		return message.PaymentFinalized, ""
	case len(p.Signatures) >= x.rules.federation.Threshold:
		return message.PaymentSigned, ""
	case p.Signing:
		return message.PaymentSigning, ""
	default:
		return message.PaymentProposed, ""
	}
}

// payoutDepth is how deep in Bitcoin a payment is done.
func (s *State) payoutDepth() uint64 { return max(1, uint64(s.Config.PayoutConfirmations)) }

// tellPayment emits the fact that a payment came into another state, or has more
// signatures, and the facts of the requests it pays.
func (x *turn) tellPayment(txid chainhash.Hash) {
	p := x.Payment(txid)
	state, reason := x.stands(p)
	told := Told{State: state, Root: p.Root, Signers: uint32(len(p.Signatures)), Bitcoin: p.Mined.Hash, Paid: p.Told.Paid}
	number := p.Number
	if p.Carrier != (message.BlockID{}) {
		told.Root, number = p.Carrier.Root, p.Carrier.Number
	}
	if p.Told != told {
		p = p.copy()
		p.Told = told
		x.putPayment(p)
		raw := p.Raw
		if len(p.Signed) > 0 {
			raw = p.Signed
		}
		x.out.Fact(&message.PaymentChanged{
			Txid: p.Txid, State: state, Reason: reason, Root: told.Root, Number: number, Signers: told.Signers, Fee: p.fee(),
			Raw: record.NewContent(raw), BitcoinBlock: p.Mined.Hash, BitcoinHeight: p.Mined.Height, BitcoinTip: x.Following.Top.Height,
			Members: p.members(),
		})
	}
	x.tellPaid(p, state == message.PaymentConfirmed)
}

// members names those whose signatures are known, one bit each.
func (p *Payment) members() (set uint64) {
	for i := range p.Signatures {
		set |= 1 << (p.Signatures[i].Member & 63)
	}
	return set
}

// tellPaid emits in which state the requests of a payment are by it: each step of a life
// that the chain or Bitcoin made, also when both made theirs at once.
func (x *turn) tellPaid(p *Payment, confirmed bool) {
	state := message.PegOutProposed
	switch {
	case !p.OnHead:
		state = 0 // the blocks that ask for them tell
	case p.Carrier == message.BlockID{}:
	case confirmed:
		state = message.PegOutConfirmed
	default:
		state = message.PegOutFinalized
	}
	before := p.Told.Paid
	if before == state {
		return
	}
	p = p.copy()
	p.Told.Paid = state
	x.putPayment(p)
	if state == message.PegOutConfirmed && before < message.PegOutFinalized {
		x.tellRequests(p, message.PegOutFinalized)
	}
	if state != 0 {
		x.tellRequests(p, state)
	}
}

// tellRequests emits a state of all requests that a payment pays.
func (x *turn) tellRequests(p *Payment, state uint8) {
	at := message.BlockID{Root: p.Root, Number: p.Number}
	if state >= message.PegOutFinalized && p.Carrier != (message.BlockID{}) {
		at = p.Carrier
	}
	for i := range p.Pays {
		paid := &p.Pays[i]
		out := p.tx.TxOut[paid.Output]
		m := paid.Request.changed(state, at)
		m.Paid, m.Payment, m.Output = uint64(out.Value), p.Txid, paid.Output
		if state == message.PegOutConfirmed {
			m.BitcoinHeight = p.Mined.Height
		}
		x.out.Fact(m)
	}
}

// changed is the fact that a request came into a state by a block.
func (r *Request) changed(state uint8, at message.BlockID) *message.PegOutChanged {
	return &message.PegOutChanged{
		Transaction: r.Transaction, Log: r.Log, State: state, Amount: r.Amount, Script: r.Script, Destination: r.Destination,
		Account: r.Account, Root: at.Root, Number: at.Number,
	}
}

// tellRequest emits a state of a request that nothing pays.
func (x *turn) tellRequest(r *Request, state uint8, reason string, at message.BlockID) {
	m := r.changed(state, at)
	m.Reason = reason
	x.out.Fact(m)
}

// connectPayments draws the conclusions from a block that came to the head's branch:
// first what it pays of what was asked for before it, then what its carrier finalises,
// then what it asks for.
func (x *turn) connectPayments(b, parent *Block) {
	if parent != nil {
		x.connectProposal(b, parent)
	}
	for i := range b.Payouts {
		x.connectPayout(b, b.Payouts[i].Raw)
	}
	for i := range b.Requests {
		r := &b.Requests[i]
		if r.Ignored != "" {
			x.tellRequest(r, message.PegOutIgnored, r.Ignored, b.id())
		} else {
			x.tellRequest(r, message.PegOutRequested, "", b.id())
		}
	}
}

func (x *turn) connectProposal(b, parent *Block) {
	pending := parent.Wallet.Pending
	paid := make([]bool, len(pending))
	if b.Payment != nil {
		p := x.Payment(b.Payment.TxHash()).copy()
		p.OnHead, p.Root, p.Number, p.Pays = true, b.Root, b.Number, nil
		in, known := x.inputs(b.Payment, parent.Wallet, b.Number)
		for output, k := range x.assign(b.Payment, pending, b.Number, in, known) {
			if k >= 0 {
				paid[k] = true
				p.Pays = append(p.Pays, Paid{pending[k], uint32(output)})
			}
		}
		x.putPayment(p)
		x.tellPayment(p.Txid)
	}
	for k := range pending {
		switch {
		case paid[k]:
		case x.strictPegOuts(b.Number):
			x.tellRequest(&pending[k], message.PegOutCarried, "", b.id())
		default:
			x.tellRequest(&pending[k], message.PegOutIgnored, ignoredPassedOver, b.id())
		}
	}
}

// ignoredPassedOver is why a request that legacy's rules required is never paid: its block
// had a quorum without us.
const ignoredPassedOver = "the next block did not pay it"

// connectPayout takes a finalised payment of a carrier. One that is not known, or whose
// signatures do not verify, was accepted without us: it is not broadcast.
func (x *turn) connectPayout(b *Block, raw []byte) {
	signed, err := readTransaction(raw)
	if err != nil {
		x.alarmPayment("payout-raw", fmt.Sprintf("carrier %s at %d has a payment of %d bytes that cannot be read: %v", b.Root, b.Number, len(raw), err), b.Root, chainhash.Hash{})
		return
	}
	p := x.Payment(signed.TxHash())
	if p == nil {
		x.alarmPayment("payout-unknown", fmt.Sprintf("carrier %s at %d finalises payment %s, which no kept block proposes", b.Root, b.Number, signed.TxHash()), b.Root, signed.TxHash())
		return
	}
	p = p.copy()
	p.Carrier, p.Signed, p.Outcome = b.id(), raw, 0
	if outputs := p.outputs(); outputs != nil && p.Mined.Height == 0 {
		if err := x.rules.federation.CheckWitnesses(signed, outputs); err != nil {
			x.alarmPayment("payout-witness", fmt.Sprintf("carrier %s at %d finalises payment %s with signatures that do not hold: %v", b.Root, b.Number, p.Txid, err), b.Root, p.Txid)
			p.Signed = nil
		}
	}
	x.putPayment(p)
	x.takeWitnesses(p, signed)
	x.signCarried(p.Txid)
	x.tellPayment(p.Txid)
}

// signCarried finalises a payment of ours whose carrier has it with false signatures, as
// soon as enough true ones are known.
func (x *turn) signCarried(txid chainhash.Hash) {
	p := x.Payment(txid)
	if p.Carrier == (message.BlockID{}) || len(p.Signed) > 0 {
		return
	}
	if tx, _ := x.finalized(p); tx != nil {
		p = p.copy()
		p.Signed = signedBytes(tx)
		x.putPayment(p)
	}
}

// revertPayments takes back what connectPayments concluded, in reverse.
func (x *turn) revertPayments(b, parent *Block) {
	for i := len(b.Requests) - 1; i >= 0; i-- {
		x.tellRequest(&b.Requests[i], message.PegOutReverted, "", b.id())
	}
	for i := len(b.Payouts) - 1; i >= 0; i-- {
		x.revertPayout(b, b.Payouts[i].Raw)
	}
	if parent == nil {
		return
	}
	if b.Payment != nil {
		p := x.Payment(b.Payment.TxHash()).copy()
		p.OnHead = false
		x.putPayment(p)
		x.tellPayment(p.Txid)
	}
	for k := range parent.Wallet.Pending {
		r := &parent.Wallet.Pending[k]
		state := message.PegOutRequested
		if r.Number != parent.Number {
			state = message.PegOutCarried
		}
		x.tellRequest(r, state, "", parent.id())
	}
}

func (x *turn) revertPayout(b *Block, raw []byte) {
	signed, err := readTransaction(raw)
	if err != nil {
		return
	}
	p := x.Payment(signed.TxHash())
	if p == nil || p.Carrier != b.id() {
		return
	}
	p = p.copy()
	p.Carrier = message.BlockID{}
	x.putPayment(p)
	x.tellPayment(p.Txid)
}

// alarmPayment tells of something about a payment that should not be.
func (x *turn) alarmPayment(rule, reason string, root common.Hash, txid chainhash.Hash) {
	x.out.Fact(&message.PegAlarm{Rule: rule, Reason: reason, Root: root, Txid: txid})
}
