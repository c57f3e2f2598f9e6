package bridge

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// sendPayments gives finalised payments that are in no block to Bitcoin, parents before
// children: those that were not sent yet, or again all of them. Until Bitcoin is followed
// to its tip they wait: an import would send all of history.
func (x *turn) sendPayments(again bool) {
	if !x.Config.Bitcoin || !x.Current() || x.Halted != "" {
		return
	}
	x.send(func(p *Payment) bool { return again || p.Outcome == 0 })
}

func (x *turn) send(due func(*Payment) bool) {
	var list []*Payment
	x.outgoing.Scan(func(p *Payment) bool {
		if !p.Sending && due(p) && x.parentsSent(p) {
			list = append(list, p)
		}
		return true
	})
	for _, p := range list {
		p = p.copy()
		p.Sending = true
		x.putPayment(p)
		x.out.Effect(BitcoinEdge, core.UntilDone, &message.BroadcastTransaction{Txid: p.Txid, Raw: record.NewContent(p.Signed)})
	}
}

// sendRefused sends again what Bitcoin did not take.
func (x *turn) sendRefused() {
	if x.Config.Bitcoin && x.Current() && x.Halted == "" {
		x.send(func(p *Payment) bool { return !p.inMempool() })
	}
}

// parentsSent reports whether Bitcoin has every payment whose change p spends.
func (x *turn) parentsSent(p *Payment) bool {
	return !slices.ContainsFunc(p.tx.TxIn, func(in *wire.TxIn) bool {
		parent := x.Payment(in.PreviousOutPoint.Hash)
		return parent != nil && parent.Mined.Height == 0 && !parent.inMempool()
	})
}

// transactionBroadcast: what cannot be sent now is sent again, at the next tip or by the
// timer; nothing gives a finalised payment up. A conflict that is in a block is told when
// the block is followed.
func (x *turn) transactionBroadcast(m *message.TransactionBroadcast) {
	p := x.Payment(m.Txid)
	if p == nil || !p.Sending {
		return
	}
	p = p.copy()
	before := p.Outcome
	p.Sending, p.Outcome = false, m.Outcome
	x.putPayment(p)
	x.tellPayment(p.Txid)
	switch m.Outcome {
	case message.BroadcastAccepted, message.BroadcastConfirmed:
		x.sendPayments(false) // its children
	case message.BroadcastConflict, message.BroadcastRefused:
		if before != m.Outcome {
			x.alarmPayment("payment-broadcast", fmt.Sprintf("Bitcoin does not take payment %s: %s; it is sent again at each new tip", p.Txid, m.Reason), p.Root, p.Txid)
		}
		x.armRetry()
	default:
		x.armRetry()
	}
}

// bitcoinSpends notes a transaction of a Bitcoin block that came to the best chain: a
// payment is mined, or replaced by it.
func (x *turn) bitcoinSpends(id message.BitcoinID, tx *wire.MsgTx, txid chainhash.Hash) {
	ours := slices.ContainsFunc(tx.TxIn, func(in *wire.TxIn) bool {
		return x.spends(in.Witness) || len(x.spendingOf(in.PreviousOutPoint)) > 0
	})
	if !ours {
		return
	}
	d := &Spend{Txid: txid, Block: id}
	for _, in := range tx.TxIn {
		d.Inputs = append(d.Inputs, OutPoint(in.PreviousOutPoint))
	}
	x.putSpend(d)
	for _, in := range tx.TxIn {
		for _, p := range x.spendingOf(in.PreviousOutPoint) {
			x.placeInBitcoin(p.Txid)
		}
	}
}

// placeInBitcoin looks up where a payment is in Bitcoin, or what is there in its place.
func (x *turn) placeInBitcoin(txid chainhash.Hash) {
	p := x.Payment(txid)
	var mined message.BitcoinID
	var replaced chainhash.Hash
	if spend := x.spendOf(txid); spend != nil {
		mined = spend.Block
	} else {
		replaced, _ = x.replacement(p)
	}
	if p.Mined == mined && p.Replaced == replaced {
		return
	}
	p = p.copy()
	if p.Mined.Height != 0 && mined.Height == 0 {
		p.Outcome = 0 // it is to be sent again
	}
	p.Mined, p.Replaced = mined, replaced
	x.putPayment(p)
	if p.Told.State == 0 {
		return // its block is not connected yet
	}
	x.tellPayment(txid)
	x.alarmPlace(p)
}

// replacement returns a transaction in Bitcoin that spends an input of a payment.
func (x *turn) replacement(p *Payment) (txid chainhash.Hash, found bool) {
	for _, in := range p.tx.TxIn {
		if txid, found = x.spenderOf(in.PreviousOutPoint); found {
			return txid, true
		}
	}
	return chainhash.Hash{}, false
}

// alarmPlace raises the alarm when Bitcoin has something else than the head's branch pays.
func (x *turn) alarmPlace(p *Payment) {
	switch {
	case p.OnHead && p.Replaced != chainhash.Hash{}:
		x.alarmPayment("payment-replaced", fmt.Sprintf("transaction %s in Bitcoin spends an input of payment %s, which cannot be confirmed beside it", p.Replaced, p.Txid), p.Root, p.Txid)
	case !p.OnHead && p.Mined.Height != 0:
		x.alarmPayment("payment-off-branch", fmt.Sprintf("payment %s is in Bitcoin block %d, and no block of the head's branch proposes it", p.Txid, p.Mined.Height), p.Root, p.Txid)
	}
}

// bitcoinLeft takes back what Bitcoin blocks did that left the best chain, from a height on.
func (x *turn) bitcoinLeft(from uint64) {
	var gone []*Spend
	x.inBitcoin.Scan(func(d *Spend) bool {
		if d.Block.Height >= from {
			gone = append(gone, d)
		}
		return true
	})
	for _, d := range gone {
		x.dropSpend(d)
	}
	for _, d := range gone {
		for _, in := range d.Inputs {
			for _, p := range x.spendingOf(wire.OutPoint(in)) {
				x.placeInBitcoin(p.Txid)
			}
		}
	}
}

// bitcoinMoved follows the depth of payments, and sends again what no block has.
func (x *turn) bitcoinMoved() {
	x.learnAllPrevouts()
	x.settleDeep()
	x.signOrders()
	x.sendPayments(true)
}
