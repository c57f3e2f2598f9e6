package bridge

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// RuleSignedOffBranch is the rule that at most one of two payments of the same requests
// can confirm.
const RuleSignedOffBranch = "signed-off-branch"

// checkConflicts applies the rule of a reorganisation to a branch, and to a payment that
// would come onto it: each payment that this member signed and that is off the branch must
// have an input spent by one of the branch's, so that at most one of them can confirm.
// Until then nothing on the branch is approved that proposes, and nothing signed. Only
// Bitcoin or further blocks can change that, so the answer is never "invalid".
// (architecture.md 4, "Bridge")
func (s *State) checkConflicts(w *Wallet, extra *wire.MsgTx) Verdict {
	if open := s.openPayments(w, extra); len(open) > 0 {
		p := open[0]
		return undecided(RuleSignedOffBranch,
			"payment %s of block %d was signed by this member, is off the branch, and no payment of the branch spends an input of it (%d such payments)",
			p.Txid, p.Number, len(open))
	}
	return Verdict{}
}

// openPayments are the signed payments off a branch that could still be confirmed beside
// its payments, in the order of their txids.
func (s *State) openPayments(w *Wallet, extra *wire.MsgTx) []*Payment {
	c := conflicts{State: s, wallet: w, known: make(map[chainhash.Hash]bool)}
	if extra != nil {
		c.extra, c.extraID = extra, extra.TxHash()
	}
	var open []*Payment
	s.signing.Scan(func(p *Payment) bool {
		if !c.on(p) && !c.excluded(p) {
			open = append(open, p)
		}
		return true
	})
	return open
}

// conflicts asks about one branch.
type conflicts struct {
	*State
	wallet  *Wallet
	extra   *wire.MsgTx
	extraID chainhash.Hash
	known   map[chainhash.Hash]bool // answers of excluded; looked up only
}

// on reports whether the branch proposes a payment.
func (c *conflicts) on(p *Payment) bool {
	return c.extra != nil && p.Txid == c.extraID || isOn(c.wallet, p)
}

// excluded reports whether a payment off the branch cannot be confirmed once those of the
// branch are: an input is spent by one of them, or comes from a payment that is excluded.
func (c *conflicts) excluded(p *Payment) bool {
	if answer, known := c.known[p.Txid]; known {
		return answer
	}
	c.known[p.Txid] = false
	answer := false
	for _, in := range p.tx.TxIn {
		out := in.PreviousOutPoint
		if c.spentByOther(out, p.Txid) {
			answer = true
			break
		}
		if parent := c.Payment(out.Hash); parent != nil && !c.on(parent) && c.excluded(parent) {
			answer = true
			break
		}
	}
	c.known[p.Txid] = answer
	return answer
}

func (c *conflicts) spentByOther(out wire.OutPoint, txid chainhash.Hash) bool {
	if c.extra != nil && c.extraID != txid {
		for _, in := range c.extra.TxIn {
			if in.PreviousOutPoint == out {
				return true
			}
		}
	}
	spent, found := c.wallet.SpentBy(out)
	return found && spent.By != txid
}

// forcedInputs are coins of a branch that a payment on it must spend so that every open
// payment is excluded. It is false when a payment has none.
func (s *State) forcedInputs(w *Wallet) ([]wire.OutPoint, *Payment) {
	extra := wire.NewMsgTx(2)
	for {
		open := s.openPayments(w, extra)
		if len(open) == 0 {
			break
		}
		out, found := s.excludingInput(w, open[0])
		if !found {
			return nil, open[0]
		}
		extra.AddTxIn(&wire.TxIn{PreviousOutPoint: out})
	}
	var forced []wire.OutPoint
	for _, in := range extra.TxIn {
		forced = append(forced, in.PreviousOutPoint)
	}
	return forced, nil
}

// excludingInput finds an input that the branch still holds, of a payment or of one that it
// depends on.
func (s *State) excludingInput(w *Wallet, p *Payment) (wire.OutPoint, bool) {
	for _, in := range p.tx.TxIn {
		if s.spendable(w, in.PreviousOutPoint) {
			return in.PreviousOutPoint, true
		}
	}
	for _, in := range p.tx.TxIn {
		if parent := s.Payment(in.PreviousOutPoint.Hash); parent != nil && !isOn(w, parent) {
			if out, found := s.excludingInput(w, parent); found {
				return out, true
			}
		}
	}
	return wire.OutPoint{}, false
}
