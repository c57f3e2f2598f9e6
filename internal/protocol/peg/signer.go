package peg

import (
	"math/bits"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Policy is what a member signs.
type Policy struct {
	MinRate uint64 // satoshi per 1000 vbytes with witnesses; at least MinRelayRate counts
	MaxRate uint64 // zero for MaxFeeRate
	Strict  bool   // strict peg-outs are active: CheckStrict, and nothing payable is carried
}

func (p Policy) bounds() (least, most uint64) {
	least, most = max(p.MinRate, MinRelayRate), p.MaxRate
	if most == 0 {
		most = MaxFeeRate
	}
	return least, most
}

// CheckSigner checks a proposed payment as a member that signs it, on top of what makes
// it valid. The outputs spent are given in the order of the inputs, nil for what is no
// unspent coin; the coins are those of the parent's wallet and are asked for by a strict
// policy only. The error is graded Invalid and wraps a [Defect].
//
// Before the activation of strict peg-outs payments are signed that are shaped as ours or
// as legacy's own, which takes the fee of the inputs and of the change from the pool and a
// fee from the users as well. The fee share that users bear tells legacy's rate between
// two bounds, and with it what the pool may have lost, to a few satoshi. (peg.md A8, A9)
func (f *Federation) CheckSigner(p Policy, required []Output, tx *wire.MsgTx, spent []*wire.TxOut, coins func() []Coin) error {
	if p.Strict {
		return f.checkStrictSigner(p, required, tx, spent, coins())
	}
	switch {
	case tx == nil && len(required) > 0:
		return fault.New(fault.Invalid, "%d peg-outs are required: %w; do not sign the block", len(required), MissingPegoutProposal)
	case tx == nil:
		return nil
	}
	if defect := f.signerDefect(p, required, tx, spent); defect != "" {
		return refuse(tx, defect)
	}
	return nil
}

func (f *Federation) signerDefect(p Policy, required []Output, tx *wire.MsgTx, spent []*wire.TxOut) Defect {
	if len(required) == 0 {
		return UnrequiredProposal
	}
	if tx.Version != 2 || tx.LockTime != 0 {
		return InvalidTransactionHeader
	}
	if defect := f.checkInputs(tx, spent); defect != "" {
		return defect
	}
	in, out, ok := balance(tx, spent)
	if !ok || in < out {
		return ImpossibleAmount
	}
	share, defect := f.equalShares(required, tx)
	if defect != "" {
		return defect
	}
	users := share * uint64(len(required))
	switch fees := in - out; {
	case fees < users || !f.poolLoss(tx, fees-users, users, len(required)):
		return WrongChange
	default:
		return f.checkRelay(p, tx, fees)
	}
}

// equalShares returns what each user bears of the fee.
func (f *Federation) equalShares(required []Output, tx *wire.MsgTx) (share uint64, defect Defect) {
	count := len(required)
	switch n := len(tx.TxOut); {
	case n < count || n > count+1:
		return 0, InvalidPegoutOutputCount
	case n == count+1 && !f.Pays(tx.TxOut[count].PkScript):
		return 0, InvalidChangeOutput
	}
	for i := range required {
		r, value := &required[i], uint64(tx.TxOut[i].Value)
		if string(r.Script) != string(tx.TxOut[i].PkScript) || value > r.Amount {
			return 0, InvalidPegoutOutput
		}
		if i == 0 {
			share = r.Amount - value
		} else if r.Amount-value != share {
			return 0, UnequalDeductions
		}
	}
	return share, ""
}

// poolLoss reports whether the pool may lose as much beside what users pay: nothing, or
// less than an output is worth where there is no change, as ours; or as legacy's wallet
// takes at the rates at which its users pay that. What users pay, count times the share,
// is the fee of the transaction without witnesses, divided among them and rounded up.
func (f *Federation) poolLoss(tx *wire.MsgTx, loss, users uint64, count int) bool {
	change := len(tx.TxOut) > count
	if loss == 0 || !change && loss < dust {
		return true
	}
	bare := uint64(tx.SerializeSizeStripped())
	input := uint64(inputWeight+f.SatisfactionWeight+3) / 4
	least := users - min(users, uint64(count))
	// Each fee is rounded up by itself, from a rate in single precision.
	low := func(size uint64) uint64 { return shared(least, size, bare) }
	high := func(size uint64) uint64 { return shared(users, size, bare) + 1 }
	from, to := uint64(len(tx.TxIn))*low(input), uint64(len(tx.TxIn))*high(input)
	if change {
		return loss >= from+low(changeSize) && loss <= to+high(changeSize)
	}
	return loss >= from && loss < to+high(changeSize)+dust
}

// shared returns amount × part ÷ whole, rounded down; no fee of a payment is beyond it.
func shared(amount, part, whole uint64) uint64 {
	hi, lo := bits.Mul64(amount, part)
	if whole == 0 || hi >= whole {
		return maxSatoshi
	}
	quotient, _ := bits.Div64(hi, lo, whole)
	return min(quotient, maxSatoshi)
}

// checkRelay checks what Bitcoin's nodes and the policy ask of a payment.
func (f *Federation) checkRelay(p Policy, tx *wire.MsgTx, fees uint64) Defect {
	weight := f.Weight(tx)
	if weight > MaxWeight {
		return TooHeavy
	}
	for _, out := range tx.TxOut {
		if uint64(out.Value) < DustLimit(out.PkScript) {
			return OutputBelowDust
		}
	}
	least, most := p.bounds()
	switch size := virtualSize(weight); {
	case fees*1000 < least*size:
		return FeeRateTooLow
	case fees > fee(most, size)+uint64(len(tx.TxOut)): // shares are rounded up
		return FeeRateTooHigh
	}
	return ""
}

// checkStrictSigner adds to [Federation.CheckStrict] what a member decides.
func (f *Federation) checkStrictSigner(p Policy, required []Output, tx *wire.MsgTx, spent []*wire.TxOut, coins []Coin) error {
	paid, err := f.CheckStrict(required, tx, spent)
	if err != nil {
		return err
	}
	inputs := 0
	if tx != nil {
		in, out, _ := balance(tx, spent)
		if defect := f.checkRelay(p, tx, in-out); defect != "" {
			return refuse(tx, defect)
		}
		inputs = len(tx.TxIn)
	}
	payable := f.Payable(coins, required)
	if extra := subtract(paid, payable); len(extra) > 0 {
		return fault.New(fault.Invalid, "peg-out %d is paid before its turn: %w; do not sign the block", extra[0], RequestPassedOver)
	}
	for _, i := range subtract(payable, paid) {
		if least := f.worthPaying(p, coins, required, payable, inputs); required[i].Amount >= least+DustLimit(required[i].Script) {
			return fault.New(fault.Invalid, "peg-out %d of %d satoshi can be paid, and is carried: %w; do not sign the block", i, required[i].Amount, RequestPassedOver)
		}
	}
	return nil
}

// worthPaying is what no share of a fee is above, at the policy's highest rate, in a
// payment of all that is payable: a request of less may be carried. The inputs that the
// proposer spends anyway count on top of those that pay the most.
func (f *Federation) worthPaying(p Policy, coins []Coin, required []Output, payable []int, inputs int) uint64 {
	var target uint64
	weight := uint64(frameWeight + changeWeight)
	for _, i := range payable {
		target += required[i].Amount
		weight += outputWeight(required[i].Script)
	}
	pool := newLargest(coins, func(*Coin) bool { return true })
	for sum := uint64(0); sum < target+dust; inputs++ {
		c, ok := pool.next()
		if !ok {
			break
		}
		sum += c.Amount
	}
	_, most := p.bounds()
	weight = min(weight+uint64(inputs*f.SatisfactionWeight), MaxWeight)
	return fee(most, virtualSize(weight)) + uint64(len(payable))
}
