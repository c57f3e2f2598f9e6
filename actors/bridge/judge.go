package bridge

import (
	"errors"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// byDefect is the verdict of a rule of package peg, by the name of what it found.
func byDefect(err error) Verdict {
	var defect peg.Defect
	if !errors.As(err, &defect) {
		defect = "payment"
	}
	return Verdict{fault.Of(err), string(defect), err.Error()}
}

// judgePayments says whether this member may approve a block's payments: its proposal
// against the wallet of its parent and what is pending there, its payouts against what its
// range proposes, and the rule of payments signed off its branch. (peg.md A9, A13)
func (s *State) judgePayments(m *message.PegBlock, parent *Block) Verdict {
	var tx *wire.MsgTx
	if len(m.Proposal) > 0 {
		var err error
		if tx, err = readProposal(m.Proposal); err != nil {
			return refused("payment-raw", "the proposal of %d bytes is no Bitcoin transaction: %v", len(m.Proposal), err)
		}
	}
	proposal := s.checkProposal(m.Number, tx, parent)
	if proposal.Grade == fault.Invalid {
		return proposal
	}
	payouts := s.checkPayouts(m, parent)
	if payouts.Grade == fault.Invalid || proposal.Valid() && !payouts.Valid() {
		return payouts
	}
	if tx == nil || !proposal.Valid() {
		return proposal
	}
	if v := s.checkConflicts(parent.Wallet, tx); !v.Valid() {
		return v
	}
	return s.checkPaidTwice(tx, parent)
}

// paysNothing reports whether a block neither pays what is pending nor finalises payments,
// and need not, so that no wallet is needed to judge it.
func (s *State) paysNothing(m *message.PegBlock, parent *Block) bool {
	if len(m.Proposal) > 0 || len(m.Payouts) > 0 || len(parent.Wallet.Pending) > 0 {
		return false
	}
	if !m.Carrier {
		return true
	}
	blocks, err := s.proposing(m.RangeStart, m.RangeEnd)
	return err == nil && len(blocks) == 0
}

// checkProposal judges the proposal of a block at a height, nil for none, by legacy's rules
// and then by what a signer adds. (peg.md A9)
func (s *State) checkProposal(number uint64, tx *wire.MsgTx, parent *Block) Verdict {
	f, strict := s.rules.federation, s.strictPegOuts(number)
	required := outputsOf(parent.Wallet.Pending)
	if v := s.checkEmitters(parent); !v.Valid() {
		return v
	}
	if tx == nil && strict && !s.checkConflicts(parent.Wallet, nil).Valid() {
		return Verdict{} // nothing on the branch may be paid before the conflict is
	}
	if !strict {
		any := func(wire.OutPoint) bool { return true }
		if err := f.CheckProposal(required, tx, any); err != nil {
			return byDefect(err)
		}
	}
	var spent []*wire.TxOut
	if tx != nil {
		var v Verdict
		if spent, v = s.resolve(tx, parent.Wallet); !v.Valid() {
			return v
		}
	}
	reduced := false
	coins := func() (list []peg.Coin) {
		list, reduced = s.coins(parent.Wallet)
		return list
	}
	policy := peg.Policy{MinRate: s.Config.MinFeeRate, MaxRate: s.Config.MaxFeeRate, Strict: strict}
	if err := f.CheckSigner(policy, required, tx, spent, coins); err != nil {
		v := byDefect(err)
		if reduced { // by what our Bitcoin node shows, which others may not see yet
			v.Grade = fault.CannotJudge
		}
		return v
	}
	return Verdict{}
}

func outputsOf(requests []Request) []peg.Output {
	outs := make([]peg.Output, len(requests))
	for i := range requests {
		outs[i] = peg.Output{Amount: requests[i].Amount, Script: requests[i].Script}
	}
	return outs
}

// checkEmitters refuses to pay what no log of the bridge contract asks for: legacy takes
// the log of a contract's creation for one, whoever emits it. From the activation of strict
// peg-outs on no such log is a request. (peg.md A7)
func (s *State) checkEmitters(parent *Block) Verdict {
	if len(parent.Wallet.Pending) == 0 || parent.Receipts.None() || s.strictPegOuts(parent.Number+1) {
		return Verdict{}
	}
	var receipts message.PegReceipts
	if err := record.Decode(parent.Receipts.Data, &receipts, nil); err != nil {
		return undecided("request-emitter", "the receipts of block %d cannot be read: %v", parent.Number, err)
	}
	for i := range parent.Wallet.Pending {
		r := &parent.Wallet.Pending[i]
		for k := range receipts.Logs {
			l := &receipts.Logs[k]
			if l.Transaction == r.Transaction && l.Index == r.Log && l.Emitter != peg.BridgeAddress {
				return refused("request-emitter", "log %d of transaction %s asks for %d satoshi, and contract %s emitted it, not the bridge: nothing was burned for it", l.Index, l.Transaction, r.Amount, l.Emitter)
			}
		}
	}
	return Verdict{}
}

// resolve returns what the inputs of a proposal spend. What a payment of the branch spends
// is spent for ever, whatever Bitcoin shows: legacy takes it for unknown, finds it unspent
// there while the payment is on its way, and has it spent again. (peg.md A9.4)
func (s *State) resolve(tx *wire.MsgTx, w *Wallet) ([]*wire.TxOut, Verdict) {
	spent := make([]*wire.TxOut, len(tx.TxIn))
	txid := tx.TxHash()
	open := Verdict{}
	for i, in := range tx.TxIn {
		out := in.PreviousOutPoint
		if by, was := w.SpentBy(out); was {
			return nil, refused("SpentInput", "input %d, %s, is spent by payment %s of the branch", i, out, by.By)
		}
		if other, found := s.spenderOf(out); found && other != txid {
			open = undecided("spent-in-bitcoin", "input %d, %s, is spent by transaction %s in Bitcoin", i, out, other)
		}
		coin, held := w.Coin(out)
		if held {
			spent[i] = wire.NewTxOut(int64(coin.Amount), s.Script(coin))
			continue
		}
		var v Verdict
		if spent[i], v = s.outsideInput(i, out); !v.Valid() {
			open = v
		}
	}
	return spent, open
}

// outsideInput judges an input that is no coin of the wallet: it must be an output that pays the
// federation, as deep in Bitcoin as a deposit has to be. (peg.md A9.4)
func (s *State) outsideInput(i int, out wire.OutPoint) (*wire.TxOut, Verdict) {
	d := s.Deposit(out.Hash)
	switch {
	case d == nil || d.tx == nil || !d.Followed:
		return nil, undecided("UnspendableInput", "input %d, %s, is no coin of the wallet, and Bitcoin does not show it so far as it is followed", i, out)
	case int(out.Index) >= len(d.tx.TxOut) || !s.rules.federation.Pays(d.tx.TxOut[out.Index].PkScript):
		return nil, refused("UnspendableInput", "input %d, %s, does not pay the federation", i, out)
	case s.depth(d.Height) < s.requiredOf(d):
		return nil, undecided("UnspendableInput", "input %d, %s, is no coin of the wallet and has %d confirmations of %d", i, out, s.depth(d.Height), s.requiredOf(d))
	}
	return d.tx.TxOut[out.Index], Verdict{}
}

// checkPayouts judges the finalised payments of a carrier: one for each that its range
// proposes, in their order, with exactly as many signatures as needed. A signer checks
// them at every height. (peg.md A13)
func (s *State) checkPayouts(m *message.PegBlock, parent *Block) Verdict {
	if !m.Carrier {
		if len(m.Payouts) > 0 {
			return refused("IllegalFinalization", "%d finalised payments in a block without a proof", len(m.Payouts))
		}
		return Verdict{}
	}
	blocks, err := s.proposing(m.RangeStart, m.RangeEnd)
	if err != nil {
		return Verdict{fault.Of(err), "payouts", err.Error()}
	}
	if end := s.Block(m.RangeEnd); !s.isUnder(end, parent) {
		return refused("range-on-branch", "the range ends at block %s, which is off the carrier's branch: its payments are not finalised", m.RangeEnd)
	}
	if len(blocks) != len(m.Payouts) {
		return refused("IllegalFinalization", "%d finalised payments for the %d that the range proposes", len(m.Payouts), len(blocks))
	}
	var open Verdict
	for i, b := range blocks {
		switch v := s.checkPayout(b, m.Payouts[i].Raw); v.Grade {
		case 0:
		case fault.Invalid:
			return v
		default:
			open = v
		}
	}
	return open
}

func (s *State) checkPayout(b *Block, raw []byte) Verdict {
	tx, err := readTransaction(raw)
	if err != nil {
		return refused("payout-raw", "the finalised payment of block %d, %d bytes, is no Bitcoin transaction: %v", b.Number, len(raw), err)
	}
	p := s.Payment(b.Payment.TxHash())
	if got := tx.TxHash(); got != p.Txid {
		return refused("IllegalFinalization", "block %d proposes payment %s, finalised is %s", b.Number, p.Txid, got)
	}
	outputs := p.outputs()
	if outputs == nil {
		return undecided("payouts", "what payment %s of block %d spends is not here yet", p.Txid, b.Number)
	}
	if err := s.rules.federation.CheckWitnesses(tx, outputs); err != nil {
		return byDefect(err)
	}
	return Verdict{}
}
