package peg

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// checkRivals: of two payments that have signatures enough and are on no common branch,
// one's branch excludes the other, so that Bitcoin can confirm at most one of the two
// branches' payments.
func (w *world) checkRivals() {
	final := w.signed()
	for i, p := range final {
		for _, q := range final[i+1:] {
			if !w.together(p, q) && !w.barred(p, q) && !w.barred(q, p) {
				w.fail("signed payments exclude each other", nil, "%s and %s can both be confirmed", p.TxHash(), q.TxHash())
			}
		}
	}
}

// signed returns the payments that have signatures enough, in the order of their txids.
func (w *world) signed() (list []*wire.MsgTx) {
	for _, s := range w.known() {
		if _, err := w.federation.Finalize(s.tx, s.signatures); err == nil {
			list = append(list, s.tx)
		}
	}
	return list
}

// proposing returns the executed blocks that propose a payment.
func (w *world) proposing(tx *wire.MsgTx) (list []*block) {
	for _, b := range w.blocks {
		if b.executed && len(b.Proposal) > 0 && readTx(b.Proposal).TxHash() == tx.TxHash() {
			list = append(list, b)
		}
	}
	return list
}

// together reports whether two payments are on a common branch.
func (w *world) together(p, q *wire.MsgTx) bool {
	for _, a := range w.proposing(p) {
		for _, b := range w.proposing(q) {
			if a.under(b) || b.under(a) {
				return true
			}
		}
	}
	return false
}

// barred reports whether a branch that proposes q excludes p.
func (w *world) barred(p, q *wire.MsgTx) bool {
	for _, b := range w.proposing(q) {
		for _, tip := range w.blocks {
			if tip.executed && b.under(tip) && w.excludes(tip, p) {
				return true
			}
		}
	}
	return false
}

// excludes reports whether a payment cannot be confirmed beside those of a branch: one of
// them spends its input, or an input of what it depends on.
func (w *world) excludes(tip *block, p *wire.MsgTx) bool {
	spent, on := map[wire.OutPoint]chainhash.Hash{}, map[chainhash.Hash]bool{}
	for b := tip; b != nil; b = b.parent {
		if len(b.Proposal) > 0 {
			tx := readTx(b.Proposal)
			on[tx.TxHash()] = true
			for _, in := range tx.TxIn {
				spent[in.PreviousOutPoint] = tx.TxHash()
			}
		}
	}
	return w.excluded(p, spent, on)
}

func (w *world) excluded(p *wire.MsgTx, spent map[wire.OutPoint]chainhash.Hash, on map[chainhash.Hash]bool) bool {
	txid := p.TxHash()
	if on[txid] {
		return false
	}
	for _, in := range p.TxIn {
		if by, taken := spent[in.PreviousOutPoint]; taken && by != txid {
			return true
		}
		for _, b := range w.blocks {
			if b.executed && len(b.Proposal) > 0 {
				if tx := readTx(b.Proposal); tx.TxHash() == in.PreviousOutPoint.Hash && w.excluded(tx, spent, on) {
					return true
				}
			}
		}
	}
	return false
}
