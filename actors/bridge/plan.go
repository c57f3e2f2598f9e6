package bridge

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// planPayments fills in the payments of a block on parent: what is pending is paid, and if
// a header is to be carried, the payments of its range are finalised. (peg.md A8, A13)
func (x *turn) planPayments(planned *message.PegPlanned, m *message.PlanPeg, parent *Block) {
	tx, refused := x.proposePayment(parent)
	if refused != "" {
		planned.Refused = refused
		return
	}
	if tx != nil {
		planned.Proposal = unsignedBytes(tx)
	}
	if m.RangeEnd == (common.Hash{}) {
		return
	}
	planned.Payouts, planned.Unsigned = x.payouts(m.RangeStart, m.RangeEnd)
	if still := x.standsStill(); still != "" && len(planned.Payouts) > 0 {
		planned.Payouts, planned.Unsigned = nil, still
	}
}

// proposePayment returns the payment for what is pending after a block, nil for none, or why no
// block can be built. Payments that this member signed off the branch are excluded by it.
// From the activation of strict peg-outs on, what cannot be paid waits; before it, a block
// that leaves it out would be refused. (peg.md A8)
func (x *turn) proposePayment(parent *Block) (tx *wire.MsgTx, refused string) {
	pending, number := parent.Wallet.Pending, parent.Number+1
	if len(pending) == 0 {
		return nil, ""
	}
	strict := x.strictPegOuts(number)
	no := func(reason string) (*wire.MsgTx, string) {
		if strict {
			return nil, ""
		}
		return nil, reason
	}
	if still := x.standsStill(); still != "" {
		return no(still)
	}
	if v := x.checkEmitters(parent); !v.Valid() {
		return nil, v.Reason
	}
	forced, stuck := x.forcedInputs(parent)
	if stuck != nil {
		reason := fmt.Sprintf("payment %s of block %d was signed by this member, is off the branch, and the branch holds no coin whose spending excludes it", stuck.Txid, stuck.Number)
		x.alarmPayment(RuleSignedOffBranch, reason, parent.Root, stuck.Txid)
		return no(reason)
	}
	coins, _ := x.coins(parent.Wallet)
	tx, _, err := x.rules.federation.Propose(coins, forced, outputsOf(pending), x.feeRate(), strict)
	if err != nil {
		return no(err.Error())
	}
	if v := x.checkProposal(number, tx, parent); !v.Valid() {
		return nil, fmt.Sprintf("the payment for %d requests would not be signed: %s: %s", len(pending), v.Rule, v.Reason)
	}
	return tx, ""
}

// standsStill is why nothing is proposed, finalised or signed now, or "".
func (s *State) standsStill() string {
	if s.Halted != "" {
		return "the peg is halted: " + s.Halted
	}
	return s.Incomplete
}

// feeRate is at what a payment is proposed, in satoshi per 1000 vbytes: Bitcoin's estimate
// or else the configured rate, within what this member signs.
func (s *State) feeRate() uint64 {
	rate := s.Config.FallbackFeeRate
	if s.Config.Bitcoin && s.Current() && s.Following.FeeRate > 0 {
		rate = s.Following.FeeRate
	}
	if s.Config.MaxFeeRate > 0 {
		rate = min(rate, s.Config.MaxFeeRate)
	}
	return max(rate, s.Config.MinFeeRate)
}

// coins returns what a payment may spend of a wallet, and whether Bitcoin has spent any of
// it elsewhere.
func (s *State) coins(w *Wallet) (list []peg.Coin, reduced bool) {
	list = make([]peg.Coin, 0, w.Totals.CoinCount)
	w.Coins(func(c Coin) bool {
		switch {
		case !c.Spendable():
		case s.takenInBitcoin(c.OutPoint):
			reduced = true
		default:
			list = append(list, peg.Coin{OutPoint: c.OutPoint, Amount: c.Amount, Confirmed: s.coinConfirmed(c)})
		}
		return true
	})
	return list, reduced
}

// spendable reports whether a payment of a branch may spend an output.
func (s *State) spendable(w *Wallet, out wire.OutPoint) bool {
	c, held := w.Coin(out)
	return held && c.Spendable() && !s.takenInBitcoin(out)
}

// takenInBitcoin reports whether Bitcoin has spent an output, or can never have it, since
// the payment it comes from is replaced there.
func (s *State) takenInBitcoin(out wire.OutPoint) bool {
	if _, found := s.spenderOf(out); found {
		return true
	}
	p := s.Payment(out.Hash)
	return p != nil && p.Replaced != (chainhash.Hash{})
}

// coinConfirmed reports whether a coin is in a Bitcoin block: a minted deposit is, and change
// once its payment is mined.
func (s *State) coinConfirmed(c Coin) bool {
	if c.From != FromPayment {
		return true
	}
	p := s.Payment(c.OutPoint.Hash)
	return p == nil || p.Mined.Height != 0
}
