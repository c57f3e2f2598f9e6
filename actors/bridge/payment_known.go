package bridge

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// registerPayment notes the payment of a block that was executed. Signatures that came
// before it are verified now.
func (x *turn) registerPayment(b *Block) {
	if b.Payment == nil {
		return
	}
	txid := b.Payment.TxHash()
	p := x.Payment(txid)
	if p == nil {
		p = &Payment{Txid: txid, Raw: unsignedBytes(b.Payment), Root: b.Root, Number: b.Number}
		p.tx, _ = readProposal(p.Raw) // these bytes were just written
	}
	p = p.copy()
	p.Blocks++
	x.putPayment(p)
	x.placeInBitcoin(txid)
	x.learnPrevouts(b)
}

// learnPrevouts finds what the inputs of a block's payment spend, as soon as all of it is
// here. It follows from the outpoints alone, whatever the branch.
func (x *turn) learnPrevouts(b *Block) {
	p := x.Payment(b.Payment.TxHash())
	if p == nil || len(p.Prevouts) > 0 {
		return
	}
	prevouts := make([]Prevout, 0, len(p.tx.TxIn))
	for _, in := range p.tx.TxIn {
		out, ok := x.prevout(b, in.PreviousOutPoint)
		if !ok {
			return
		}
		prevouts = append(prevouts, out)
	}
	p = p.copy()
	p.Prevouts = prevouts
	x.putPayment(p)
	x.takeEarly(p.Txid)
}

// prevout looks an output up in the wallet before a block, and among what is known beside.
func (x *turn) prevout(b *Block, out wire.OutPoint) (Prevout, bool) {
	if parent := x.Block(b.Parent); parent != nil {
		if c, ok := parent.Wallet.Coin(out); ok {
			return Prevout{c.Amount, x.Script(c)}, true
		}
	}
	var tx *wire.MsgTx
	if p := x.Payment(out.Hash); p != nil {
		tx = p.tx
	} else if d := x.Deposit(out.Hash); d != nil {
		tx = d.tx
	}
	if tx == nil || int(out.Index) >= len(tx.TxOut) {
		return Prevout{}, false
	}
	o := tx.TxOut[out.Index]
	return Prevout{uint64(max(o.Value, 0)), o.PkScript}, true
}

// learnAllPrevouts looks again at the payments that wait for what they spend.
func (x *turn) learnAllPrevouts() {
	var waiting []*Block
	x.byTxid.Scan(func(p *Payment) bool {
		if len(p.Prevouts) == 0 && len(p.tx.TxIn) > 0 {
			if b := x.Block(p.Root); b != nil && b.Payment != nil {
				waiting = append(waiting, b)
			}
		}
		return true
	})
	for _, b := range waiting {
		x.learnPrevouts(b)
	}
}

// releasePayments is told the blocks that are no longer kept.
func (x *turn) releasePayments(gone []*Block) {
	for _, b := range gone {
		if b.Payment == nil {
			continue
		}
		if p := x.Payment(b.Payment.TxHash()); p != nil && p.Blocks > 0 {
			p = p.copy()
			p.Blocks--
			x.putPayment(p)
			x.forgetSettled(p)
		}
	}
}

// forgetSettled forgets a payment that nothing can change any more, which no kept block
// proposes:
//
//   - one of the finalised chain, once it is deeper in Bitcoin than what is followed, or
//     at once if there is no Bitcoin to ask;
//   - another one if this member has not signed it and no signed one depends on it, or if
//     what is in its place in Bitcoin is as deep.
func (x *turn) forgetSettled(p *Payment) {
	if p.Blocks > 0 || p.Sending || p.Asked {
		return
	}
	final := x.finalWallet()
	switch deep := x.deep(); {
	case isOn(final, p):
		if p.Mined.Height != 0 && x.depth(p.Mined.Height) >= deep || !x.Config.Bitcoin {
			x.dropPayment(p)
		}
	case !p.Signing:
		if !x.neededBySigned(p) {
			x.dropPayment(p)
		}
	case p.Replaced != chainhash.Hash{}:
		if x.replacedForGood(p) {
			x.dropPayment(p)
		}
	}
}

// deep is how deep in Bitcoin nothing is left that is followed.
func (s *State) deep() uint64 { return max(s.payoutDepth(), s.required()) }

// replacedForGood reports whether what is in a payment's place in Bitcoin stays there.
func (s *State) replacedForGood(p *Payment) bool {
	d := s.spendOf(p.Replaced)
	return d != nil && s.depth(d.Block.Height) >= s.deep()
}

func (x *turn) finalWallet() *Wallet { return x.Block(x.Finalized.Root).Wallet }

// neededBySigned reports whether a payment that this member signed spends an output of
// another: whether it can still confirm depends on that one.
func (x *turn) neededBySigned(p *Payment) (needed bool) {
	x.spending.Ascend(spending{out: wire.OutPoint{Hash: p.Txid}}, func(e spending) bool {
		child := x.Payment(e.txid)
		needed = e.out.Hash == p.Txid && child != nil && (child.Signing || x.neededBySigned(child))
		return e.out.Hash == p.Txid && !needed
	})
	return needed
}

func (x *turn) dropPayment(p *Payment) {
	x.forget(p)
	if d := x.spendOf(p.Txid); d != nil {
		x.dropSpend(d)
	}
}

// isOn reports whether a branch proposes a payment.
func isOn(w *Wallet, p *Payment) bool {
	if len(p.tx.TxIn) == 0 {
		return false
	}
	spent, found := w.SpentBy(p.tx.TxIn[0].PreviousOutPoint)
	return found && spent.By == p.Txid
}

// settleDeep looks whether payments are settled at a new Bitcoin block, and tells of what
// depth changes.
func (x *turn) settleDeep() {
	var mined []chainhash.Hash
	x.byTxid.Scan(func(p *Payment) bool {
		if p.Mined.Height != 0 || p.Replaced != (chainhash.Hash{}) || p.Blocks == 0 && p.Carrier == (message.BlockID{}) {
			mined = append(mined, p.Txid)
		}
		return true
	})
	for _, txid := range mined {
		x.tellPayment(txid)
		x.forgetSettled(x.Payment(txid))
	}
}
