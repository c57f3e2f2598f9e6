package bridge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

const (
	// maxAccounts bounds the accounts that a block credits. (peg.md A5)
	maxAccounts = 16
	// maxPegIns bounds the deposits that a block of this member lists.
	maxPegIns = 512
	// maxOpen bounds the verdicts that may change; the oldest is forgotten first, and its
	// block is not approved by this member.
	maxOpen = 64
	// maxOpenBytes bounds their payments.
	maxOpenBytes = 8 << 20
)

// The signer rules on peg-ins, beside C7. (peg.md A3, A5; consensus.md C17)
const (
	RuleMinted          = "C7"
	RuleStrictPegIn     = "strict-pegins"
	RuleUniquePegIns    = "unique-pegins"
	RuleExactWithdrawal = "exact-withdrawals"
	RuleHalted          = "halted"
)

// Verdict is what the peg says of a block. The zero Verdict is "valid".
type Verdict struct {
	Grade  fault.Grade
	Rule   string
	Reason string
}

// Valid reports whether nothing speaks against the block.
func (v Verdict) Valid() bool { return v.Grade == 0 }

func refused(rule, format string, args ...any) Verdict {
	return Verdict{fault.Invalid, rule, fmt.Sprintf(format, args...)}
}

func undecided(rule, format string, args ...any) Verdict {
	return Verdict{fault.CannotJudge, rule, fmt.Sprintf(format, args...)}
}

// Judgement is a block whose verdict may change.
type Judgement struct {
	Block   message.PegBlock
	Verdict Verdict
}

// Fields implements record.Record.
func (j *Judgement) Fields(f *record.Fields) {
	j.Block.Fields(f)
	f.Uint8(30, (*uint8)(&j.Verdict.Grade))
	f.String(31, &j.Verdict.Rule)
	f.String(32, &j.Verdict.Reason)
}

// judgePeg answers whether this member may approve a block, and remembers the block when
// the answer may change.
func (x *turn) judgePeg(m *message.JudgePeg) {
	if m.Block == nil {
		return
	}
	v := x.judge(m.Block)
	x.answerJudgement(m.Block, v)
	open := slices.DeleteFunc(slices.Clone(x.Open), func(j Judgement) bool { return j.Block.Root == m.Block.Root })
	if v.Grade == fault.CannotJudge {
		open = append(open, Judgement{*m.Block, v})
		size := 0
		for i := len(open) - 1; i >= 0; i-- {
			if size += paymentBytes(&open[i].Block); len(open)-i > maxOpen || size > maxOpenBytes {
				open = open[i+1:]
				break
			}
		}
	}
	x.Open = open
}

// paymentBytes is the size of what a block has of any length.
func paymentBytes(b *message.PegBlock) int {
	size := len(b.Proposal)
	for i := range b.Payouts {
		size += len(b.Payouts[i].Raw)
	}
	return size
}

func (x *turn) answerJudgement(b *message.PegBlock, v Verdict) {
	if v.Valid() {
		x.propose(b)
	}
	if v.Rule == RuleSignedOffBranch || v.Rule == RulePaidOffBranch {
		x.alarm(v.Rule, v.Reason, b.Root)
	}
	x.out.Send(chain, &message.PegJudged{Root: b.Root, Grade: uint8(v.Grade), Rule: v.Rule, Reason: v.Reason})
}

// judgeAgain answers the open judgements anew whose verdict has changed.
func (x *turn) judgeAgain() {
	var open []Judgement
	for i := range x.Open {
		j := x.Open[i]
		if j.Block.Number <= x.Finalized.Number {
			continue
		}
		v := x.judge(&j.Block)
		if v.Grade != j.Verdict.Grade || v.Rule != j.Verdict.Rule {
			x.answerJudgement(&j.Block, v)
		}
		if v.Grade == fault.CannotJudge {
			open = append(open, Judgement{j.Block, v})
		}
	}
	x.Open = open
}

// judge is the verdict on the peg's part of a block: "invalid" before "cannot judge".
func (s *State) judge(b *message.PegBlock) Verdict {
	parent := s.Block(b.Parent)
	switch {
	case parent == nil:
		return undecided(RuleMinted, "block %s at %d stands on %s, whose wallet is not known", b.Root, b.Number, b.Parent)
	case len(b.PegIns) == 0 && s.paysNothing(b, parent):
		return s.judgeWithdrawals(b, nil)
	case s.Halted != "":
		return undecided(RuleHalted, "the peg is halted: %s", s.Halted)
	case s.Incomplete != "":
		return undecided(RuleMinted, "%s", s.Incomplete)
	}
	pegIns := s.judgePegIns(b, parent)
	if pegIns.Grade == fault.Invalid {
		return pegIns
	}
	if payments := s.judgePayments(b, parent); payments.Grade == fault.Invalid || pegIns.Valid() {
		return payments
	}
	return pegIns
}

// judgePegIns checks the deposits that a block lists and the withdrawals that follow.
// (peg.md A5)
func (s *State) judgePegIns(b *message.PegBlock, parent *Block) Verdict {
	var open Verdict
	var credits credits
	for i, id := range b.PegIns {
		switch {
		case listed(b.PegIns[:i], id.Txid):
			return refused(RuleUniquePegIns, "deposit %s is listed twice", id.Txid)
		case parent.Wallet.Minted(id.Txid):
			return refused(RuleMinted, "deposit %s is minted on this branch already", id.Txid)
		}
		d := s.Deposit(id.Txid)
		if d == nil {
			open = s.absent(id)
			continue
		}
		in, none := s.reading(d, b.Number)
		if none != "" {
			rule := RuleMinted
			if _, loose := s.rules.federation.PegIn(d.tx); loose {
				rule = RuleStrictPegIn
			}
			return refused(rule, "deposit %s: %s", id.Txid, none)
		}
		if v := s.confirmed(id, d); !v.Valid() {
			open = v
		}
		credits.add(in)
	}
	if !open.Valid() {
		return open
	}
	return s.judgeWithdrawals(b, credits)
}

// absent is the verdict on a deposit that is not here: that never is its fault.
func (s *State) absent(id message.DepositID) Verdict {
	switch {
	case !s.Config.Bitcoin:
		return undecided(RuleMinted, "deposit %s of Bitcoin block %s: no Bitcoin node is configured", id.Txid, id.Block)
	case s.Following.Lost != nil:
		return undecided(RuleMinted, "deposit %s of Bitcoin block %s is not known, and Bitcoin is away: %s", id.Txid, id.Block, s.Following.Lost.Reason)
	}
	return undecided(RuleMinted, "deposit %s of Bitcoin block %s is not known; Bitcoin is followed to %d of %d", id.Txid, id.Block, s.Following.Top.Height, s.Following.Tip.Height)
}

// confirmed is the verdict on the place of a deposit that is here.
func (s *State) confirmed(id message.DepositID, d *Deposit) Verdict {
	lost := s.Following.Lost
	switch depth, required := s.depth(d.Height), s.requiredOf(d); {
	case lost != nil && fault.Grade(lost.Grade) != fault.Temporary:
		return undecided(RuleMinted, "deposit %s: Bitcoin cannot be judged by: %s", id.Txid, lost.Reason)
	case !d.Followed:
		return undecided(RuleMinted, "deposit %s: its Bitcoin block %s at %d is not on the best chain", id.Txid, d.Block, d.Height)
	case d.Block != id.Block:
		return undecided(RuleMinted, "deposit %s is listed in Bitcoin block %s, and was followed in %s at %d", id.Txid, id.Block, d.Block, d.Height)
	case depth < required:
		return undecided(RuleMinted, "deposit %s has %d confirmations of %d", id.Txid, depth, required)
	}
	return Verdict{}
}

// judgeWithdrawals demands that the payload's withdrawals are the fee shares and one
// credit for each account, in any order. What an account gets as share and credit may
// come as one: that is what legacy's check asks for. (peg.md A5; consensus.md C6)
func (s *State) judgeWithdrawals(b *message.PegBlock, credits credits) Verdict {
	apart, joined := slices.Clone(b.FeeShares), slices.Clone([]message.Withdrawal(credits))
	for i := range b.FeeShares {
		if k, both := credits.find(b.FeeShares[i].Address); both {
			joined[k].Amount = plus(joined[k].Amount, b.FeeShares[i].Amount)
		} else {
			joined = append(joined, b.FeeShares[i])
		}
	}
	apart = append(apart, credits...)
	given := sorted(b.Withdrawals)
	if !slices.Equal(given, sorted(apart)) && !slices.Equal(given, sorted(joined)) {
		return refused(RuleExactWithdrawal, "the payload has %d withdrawals, which are not the %d fee shares and the credits of %d accounts", len(b.Withdrawals), len(b.FeeShares), len(credits))
	}
	return Verdict{}
}

// credits are what deposits credit, in gwei: one entry for each account, in their order.
type credits []message.Withdrawal

func (c credits) find(account common.Address) (int, bool) {
	return slices.BinarySearchFunc(c, account, func(w message.Withdrawal, a common.Address) int { return w.Address.Cmp(a) })
}

func (c *credits) add(in peg.PegIn) {
	i, had := c.find(in.Account)
	if !had {
		*c = slices.Insert(*c, i, message.Withdrawal{Address: in.Account})
	}
	(*c)[i].Amount = plus((*c)[i].Amount, in.Amount*gweiPerSatoshi)
}

// sorted returns withdrawals by account and amount.
func sorted(list []message.Withdrawal) []message.Withdrawal {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b message.Withdrawal) int {
		return cmp.Or(a.Address.Cmp(b.Address), cmp.Compare(a.Amount, b.Amount))
	})
	return list
}

// planPeg answers with the peg's part of a block on a parent.
func (x *turn) planPeg(m *message.PlanPeg) {
	p := &message.PegPlanned{Slot: m.Slot, Parent: m.Parent}
	if parent := x.Block(m.Parent); parent == nil {
		p.Refused = fmt.Sprintf("the wallet after block %s is not known", m.Parent)
	} else {
		x.planPegIns(p, m, parent)
		x.planPayments(p, m, parent)
	}
	x.out.Send(chain, p)
}

// planPegIns lists the deposits that wait, in the order of their txids, while their
// accounts are few enough. (peg.md A5)
func (s *State) planPegIns(p *message.PegPlanned, m *message.PlanPeg, parent *Block) {
	lost := s.Following.Lost
	if s.Halted != "" || s.Incomplete != "" || !s.Config.Bitcoin || lost != nil && fault.Grade(lost.Grade) != fault.Temporary {
		return
	}
	most := min(maxAccounts, int(min(m.Room, maxAccounts)))
	var credits credits
	s.deposits.Scan(func(d *Deposit) bool {
		if !d.Followed || d.State == message.PegInNone || d.State == message.PegInBelow || s.depth(d.Height) < s.requiredOf(d) || parent.Wallet.Minted(d.Txid) {
			return true // cheap: most deposits that stay here credit nobody
		}
		in, none := s.reading(d, parent.Number+1)
		if none != "" || in.Amount < minPegIn || sharesFees(in, m) {
			return true
		}
		if _, had := credits.find(in.Account); had || len(credits) < most {
			credits.add(in)
			p.PegIns = append(p.PegIns, message.DepositID{Txid: d.Txid, Block: d.Block})
		}
		return len(p.PegIns) < maxPegIns
	})
	p.Credits = credits
}

// sharesFees reports whether the account, a member's or the miner's, gets a share of the
// fees in the block. Legacy's check fails on two withdrawals to one account: the deposit
// waits for a block without. (peg.md A5)
func sharesFees(in peg.PegIn, m *message.PlanPeg) bool {
	return slices.ContainsFunc(m.FeeShares, func(w message.Withdrawal) bool { return w.Address == in.Account })
}
