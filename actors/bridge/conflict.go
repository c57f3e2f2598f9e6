package bridge

import (
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
)

// The rules of what this member signed on a branch that was left. Only Bitcoin or further
// blocks can change their verdicts, so these are never "invalid".
const (
	// RuleSignedOffBranch: the branch's payments must exclude every payment that was
	// signed off it.
	RuleSignedOffBranch = "signed-off-branch"
	// RulePaidOffBranch: what pays a request that such a payment pays as well must itself
	// exclude it, or spend the change of what does.
	RulePaidOffBranch = "paid-off-branch"
)

// conflicts asks what a branch, with a payment that would come onto it, excludes of what
// this member signed elsewhere.
type conflicts struct {
	*State
	wallet  *Wallet
	extra   *wire.MsgTx // nil for none
	extraID chainhash.Hash
	known   map[chainhash.Hash]bool // answers of excluded; looked up only
}

func (s *State) conflictsOn(w *Wallet, extra *wire.MsgTx) *conflicts {
	c := &conflicts{State: s, wallet: w, extra: extra, known: make(map[chainhash.Hash]bool)}
	if extra != nil {
		c.extraID = extra.TxHash()
	}
	return c
}

// checkConflicts applies the rule of a reorganisation to a branch, and to a payment that
// would come onto it: each payment that this member signed and that is off the branch must
// have an input spent by one of the branch's, so that at most one of the two can confirm.
// Until then nothing on the branch is approved that proposes, and nothing signed.
// (architecture.md 4, "Bridge")
func (s *State) checkConflicts(w *Wallet, extra *wire.MsgTx) Verdict {
	if open := s.conflictsOn(w, extra).open(); len(open) > 0 {
		p := open[0]
		return undecided(RuleSignedOffBranch, "payment %s of block %d was signed by this member, is off the branch, and no payment of the branch spends an input of it (%d such payments)",
			p.Txid, p.Number, len(open))
	}
	return Verdict{}
}

// checkPaidTwice asks more of a payment that pays what a payment signed off the branch pays
// too: that another payment of the branch excludes that one is not enough, for the other
// may never confirm.
func (s *State) checkPaidTwice(tx *wire.MsgTx, parent *Block) Verdict {
	w, txid := parent.Wallet, tx.TxHash()
	for _, p := range s.rivals(tx, parent) {
		if !s.bars(tx, p, w, map[chainhash.Hash]bool{}) {
			return undecided(RulePaidOffBranch, "payment %s of block %d was signed by this member, is off the branch, and pays what payment %s would pay again without excluding it", p.Txid, p.Number, txid)
		}
	}
	return Verdict{}
}

// rivals are the payments signed off a branch that pay a request which tx pays, and that
// Bitcoin may still take.
func (s *State) rivals(tx *wire.MsgTx, parent *Block) []*Payment {
	w, pending, number := parent.Wallet, parent.Wallet.Pending, parent.Number+1
	paid := map[common.Hash]bool{} // looked up only
	in, known := s.inputs(tx, w, number)
	for _, k := range s.assign(tx, pending, number, in, known) {
		if k >= 0 {
			paid[pending[k].Transaction] = true
		}
	}
	txid := tx.TxHash()
	var list []*Payment
	s.signing.Scan(func(p *Payment) bool {
		again := slices.ContainsFunc(p.Pays, func(r Paid) bool { return paid[r.Transaction] })
		if again && p.Txid != txid && !isOn(w, p) && !s.replacedForGood(p) {
			list = append(list, p)
		}
		return true
	})
	return list
}

// bars reports whether tx and p can never both be confirmed: tx, or a payment of the branch
// whose change it spends, spends an input of p or of a payment off the branch that p
// depends on.
func (s *State) bars(tx *wire.MsgTx, p *Payment, w *Wallet, seen map[chainhash.Hash]bool) bool {
	txid := tx.TxHash()
	if seen[txid] {
		return false
	}
	seen[txid] = true
	for _, in := range tx.TxIn {
		if s.dependsOn(p, in.PreviousOutPoint, w, map[chainhash.Hash]bool{}) {
			return true
		}
		if q := s.Payment(in.PreviousOutPoint.Hash); q != nil && isOn(w, q) && s.bars(q.tx, p, w, seen) {
			return true
		}
	}
	return false
}

// dependsOn reports whether a payment, or one off the branch that it depends on, spends an
// output.
func (s *State) dependsOn(p *Payment, out wire.OutPoint, w *Wallet, seen map[chainhash.Hash]bool) bool {
	if seen[p.Txid] {
		return false // a payment may spend several outputs of another
	}
	seen[p.Txid] = true
	for _, in := range p.tx.TxIn {
		if in.PreviousOutPoint == out {
			return true
		}
		if q := s.Payment(in.PreviousOutPoint.Hash); q != nil && !isOn(w, q) && s.dependsOn(q, out, w, seen) {
			return true
		}
	}
	return false
}

// open are the signed payments off the branch that could still be confirmed beside its
// payments, in the order of their txids.
func (c *conflicts) open() []*Payment {
	var open []*Payment
	c.signing.Scan(func(p *Payment) bool {
		if !c.on(p) && !c.excluded(p) {
			open = append(open, p)
		}
		return true
	})
	return open
}

// on reports whether the branch proposes a payment.
func (c *conflicts) on(p *Payment) bool {
	return c.extra != nil && p.Txid == c.extraID || isOn(c.wallet, p)
}

// excluded reports whether a payment off the branch cannot be confirmed once those of the
// branch are: an input is spent by one of them, or comes from a payment that is excluded;
// or Bitcoin has something else in its place for good.
func (c *conflicts) excluded(p *Payment) bool {
	if answer, known := c.known[p.Txid]; known {
		return answer
	}
	c.known[p.Txid] = false
	answer := c.replacedForGood(p) || slices.ContainsFunc(p.tx.TxIn, func(in *wire.TxIn) bool {
		out := in.PreviousOutPoint
		if c.spentByOther(out, p.Txid) {
			return true
		}
		parent := c.Payment(out.Hash)
		return parent != nil && !c.on(parent) && c.excluded(parent)
	})
	c.known[p.Txid] = answer
	return answer
}

func (c *conflicts) spentByOther(out wire.OutPoint, txid chainhash.Hash) bool {
	if c.extra != nil && c.extraID != txid && slices.ContainsFunc(c.extra.TxIn, func(in *wire.TxIn) bool { return in.PreviousOutPoint == out }) {
		return true
	}
	spent, found := c.wallet.SpentBy(out)
	return found && spent.By != txid
}

// forcedInputs are coins of a branch that a payment of what is pending must spend, so that
// the rules of this file hold; or the payment for which the branch has none.
func (s *State) forcedInputs(parent *Block) ([]wire.OutPoint, *Payment) {
	w, pending := parent.Wallet, parent.Wallet.Pending
	draft := wire.NewMsgTx(2)
	for i := range pending {
		draft.AddTxOut(wire.NewTxOut(0, pending[i].Script))
	}
	add := func(p *Payment) bool {
		out, found := s.barringCoin(w, p)
		if found {
			draft.AddTxIn(&wire.TxIn{PreviousOutPoint: out})
		}
		return found
	}
	for open := s.conflictsOn(w, draft).open(); len(open) > 0; open = s.conflictsOn(w, draft).open() {
		if !add(open[0]) {
			return nil, open[0]
		}
	}
	for _, p := range s.rivals(draft, parent) {
		if !s.bars(draft, p, w, map[chainhash.Hash]bool{}) && !add(p) {
			return nil, p
		}
	}
	var forced []wire.OutPoint
	for _, in := range draft.TxIn {
		forced = append(forced, in.PreviousOutPoint)
	}
	return forced, nil
}

// barringCoin finds a coin of a branch whose spending excludes a payment: an input of it or
// of one that it depends on, else change of a payment of the branch that excludes it.
func (s *State) barringCoin(w *Wallet, p *Payment) (out wire.OutPoint, found bool) {
	if out, found = s.excludingInput(w, p, map[chainhash.Hash]bool{}); found {
		return out, true
	}
	w.Coins(func(c Coin) bool {
		if c.From != FromPayment || !s.spendable(w, c.OutPoint) {
			return true
		}
		q := s.Payment(c.OutPoint.Hash)
		if found = q != nil && s.bars(q.tx, p, w, map[chainhash.Hash]bool{}); found {
			out = c.OutPoint
		}
		return !found
	})
	return out, found
}

// excludingInput finds an input that the branch still holds, of a payment or of one off the
// branch that it depends on.
func (s *State) excludingInput(w *Wallet, p *Payment, seen map[chainhash.Hash]bool) (wire.OutPoint, bool) {
	if seen[p.Txid] {
		return wire.OutPoint{}, false
	}
	seen[p.Txid] = true
	for _, in := range p.tx.TxIn {
		if s.spendable(w, in.PreviousOutPoint) {
			return in.PreviousOutPoint, true
		}
	}
	for _, in := range p.tx.TxIn {
		if parent := s.Payment(in.PreviousOutPoint.Hash); parent != nil && !isOn(w, parent) {
			if out, found := s.excludingInput(w, parent, seen); found {
				return out, true
			}
		}
	}
	return wire.OutPoint{}, false
}
