package peg

import (
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Payable returns the indices of the requests that coins can pay, in order: each request
// is taken that still can be paid with those taken before it, in one payment that Bitcoin
// relays. From the activation of strict peg-outs on the others are carried. It depends on
// amounts alone, neither on fees, which users pay, nor on what is confirmed, so that
// proposer and signer agree. (peg.md A8, REC)
func (f *Federation) Payable(coins []Coin, required []Output) []int {
	sums := []uint64{0} // of the largest coins
	pool := newLargest(coins, func(*Coin) bool { return true })
	for len(sums) <= maxInputs {
		c, ok := pool.next()
		if !ok {
			break
		}
		sums = append(sums, sums[len(sums)-1]+c.Amount)
	}
	var paid []int
	total, weight := uint64(0), uint64(frameWeight+changeWeight)
	for i := range required {
		out := &required[i]
		heavier := weight + outputWeight(out.Script)
		if out.Amount > maxSatoshi || out.Amount < DustLimit(out.Script) || heavier > MaxWeight {
			continue
		}
		inputs := int(MaxWeight-heavier) / f.SatisfactionWeight
		if available := sums[min(inputs, len(sums)-1)]; settles(available, total+out.Amount) {
			paid, total, weight = append(paid, i), total+out.Amount, heavier
		}
	}
	return paid
}

func outputWeight(script []byte) uint64 {
	return 4 * uint64(8+wire.VarIntSerializeSize(uint64(len(script)))+len(script))
}

// Propose builds our unsigned payment of what is required, and names the requests it
// carries over. It spends the forced outpoints, which must be among the coins, and of the
// others as few as do, confirmed ones first. Users pay the whole fee, which is that of the
// payment with its witnesses, in equal shares rounded up; the pool pays nothing; change is
// last. The rate is in satoshi per 1000 vbytes and counts as [MinRelayRate] at least.
//
// With strict, from the activation of strict peg-outs on, what is not [Federation.Payable]
// and what is not worth its share of the fee is carried, and the transaction is nil when
// nothing can be paid. Before, legacy demands that all is paid: the error is graded
// CannotJudge for [InsufficientFunds], Invalid for [FeesExceedPegoutValue]. If all coins
// together leave change that is not worth an output, it then goes to the fee. (peg.md A8, A9)
func (f *Federation) Propose(coins []Coin, forced []wire.OutPoint, required []Output, rate uint64, strict bool) (tx *wire.MsgTx, carried []int, err error) {
	if rate > MaxFeeRate {
		return nil, nil, fault.New(fault.Invalid, "payment at %d satoshi for 1000 vbytes, at most %d; check the fee estimate", rate, MaxFeeRate)
	}
	must, err := among(coins, forced)
	if err != nil {
		return nil, nil, err
	}
	b := builder{f: f, coins: coins, forced: must, rate: max(rate, MinRelayRate), strict: strict}
	paid := make([]int, 0, len(required))
	if strict {
		paid = append(paid, f.Payable(coins, required)...)
	} else {
		for i := range required {
			paid = append(paid, i)
		}
	}
	for len(paid) > 0 {
		tx, poor, err := b.build(required, paid)
		if err != nil {
			return nil, nil, err
		}
		if len(poor) == 0 {
			return tx, without(len(required), paid), nil
		}
		if !strict {
			return nil, nil, fault.New(fault.Invalid, "peg-out %d of %d satoshi is not worth its share of the fee at %d satoshi for 1000 vbytes: %w; wait for lower fees", poor[0], required[poor[0]].Amount, b.rate, FeesExceedPegoutValue)
		}
		paid = subtract(paid, poor)
	}
	return nil, without(len(required), nil), nil
}

func among(coins []Coin, forced []wire.OutPoint) (map[wire.OutPoint]bool, error) {
	if len(forced) == 0 {
		return nil, nil
	}
	must := make(map[wire.OutPoint]bool, len(forced))
	for _, p := range forced {
		must[p] = true
	}
	found := 0
	for i := range coins {
		if must[coins[i].OutPoint] {
			found++
		}
	}
	if found != len(must) {
		return nil, fault.New(fault.CannotJudge, "of %d coins that a payment must spend %d are in the wallet: %w; wait for the branch that has them", len(must), found, UnspendableInput)
	}
	return must, nil
}

// builder has what a payment is made of.
type builder struct {
	f      *Federation
	coins  []Coin
	forced map[wire.OutPoint]bool
	rate   uint64
	strict bool
}

// build returns the payment of some requests and those that are not worth their share.
func (b *builder) build(required []Output, paid []int) (tx *wire.MsgTx, poor []int, err error) {
	tx = wire.NewMsgTx(2)
	var target uint64
	weight := uint64(frameWeight + changeWeight)
	for _, i := range paid {
		out := &required[i]
		if out.Amount > maxSatoshi-target {
			return nil, nil, fault.New(fault.CannotJudge, "peg-outs up to %d take more than there is: %w; wait for deposits", i, InsufficientFunds)
		}
		target += out.Amount
		weight += outputWeight(out.Script)
		tx.AddTxOut(wire.NewTxOut(int64(out.Amount), out.Script))
	}
	chosen, change, ok := b.choose(target, weight)
	if !ok {
		return nil, nil, fault.New(fault.CannotJudge, "no choice of %d coins pays %d peg-outs of %d satoshi: %w; wait for deposits", len(b.coins), len(paid), target, InsufficientFunds)
	}
	for _, c := range chosen {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: c.OutPoint, Sequence: proposalInputs})
	}
	if change > 0 {
		tx.AddTxOut(wire.NewTxOut(int64(change), b.f.ScriptPubKey))
	}
	count := uint64(len(paid))
	share := (fee(b.rate, virtualSize(b.f.Weight(tx))) + count - 1) / count
	for k, i := range paid {
		if required[i].Amount < share+DustLimit(required[i].Script) {
			poor = append(poor, i)
		}
		tx.TxOut[k].Value -= int64(share)
	}
	return tx, poor, nil
}

// choose returns the coins of a payment and its change.
func (b *builder) choose(target, weight uint64) (chosen []Coin, change uint64, ok bool) {
	most := 0
	if weight < MaxWeight {
		most = int(MaxWeight-weight) / b.f.SatisfactionWeight
	}
	chosen, ok = choose(b.coins, b.forced, target, most)
	if !ok && !b.strict {
		return b.everything(target, most)
	}
	var sum uint64
	for i := range chosen {
		sum += chosen[i].Amount
	}
	return chosen, sum - target, ok
}

// everything takes all coins when they pay the target with less left than an output is
// worth, which goes to the fee.
func (b *builder) everything(target uint64, most int) (chosen []Coin, change uint64, ok bool) {
	var sum uint64
	for i := range b.coins {
		if c := &b.coins[i]; c.Amount <= maxSatoshi && (c.Amount >= dust || b.forced[c.OutPoint]) {
			chosen, sum = append(chosen, *c), sum+c.Amount
		}
		if len(chosen) > most {
			return nil, 0, false
		}
	}
	return chosen, 0, sum >= target && sum < target+dust
}

// without returns the indices below n that are not in a sorted list.
func without(n int, list []int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return subtract(all, list)
}

// subtract removes the members of a sorted list from another.
func subtract(from, list []int) []int {
	var rest []int
	for _, i := range from {
		for len(list) > 0 && list[0] < i {
			list = list[1:]
		}
		if len(list) == 0 || list[0] != i {
			rest = append(rest, i)
		}
	}
	return rest
}
