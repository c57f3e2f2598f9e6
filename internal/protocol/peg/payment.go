package peg

import (
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// MaxFeeRate bounds the fee rate of a payment, in satoshi per 1000 vbytes.
	MaxFeeRate = 1_000_000_000

	maxSatoshi     = 21_000_000 * 100_000_000 // all there will be
	dust           = 330                      // the least change worth an output, in satoshi
	inputWeight    = 4 * 40                   // what legacy's wallet adds to an input's weight
	changeSize     = 8 + 1 + 34               // an output to the federation, in vbytes
	proposalInputs = 0xfffffffd               // the sequence of inputs: replaceable
)

// The reasons there is no payment, by legacy's names. (peg.md A8)
const (
	InsufficientFunds     Defect = "InsufficientFunds"     // the coins do not cover what is required and their own fees
	FeesExceedPegoutValue Defect = "FeesExceedPegoutValue" // a peg-out is worth no more than its share of the fee
)

// Payment builds the unsigned transaction that legacy proposes for peg-outs from
// coins already chosen: the required outputs in their order, each less its equal
// share of the fee rounded up, and change to the federation last, if it is worth an
// output. The rate is in satoshi per 1000 vbytes. (peg.md A8)
//
// Legacy takes the fee of the inputs and of the change from the federation, and the
// whole fee from the users as well; what is paid twice goes to Bitcoin's miners. Which
// coins are spent is a local choice and not made here. The error is graded
// CannotJudge for [InsufficientFunds], which more deposits mend, else Invalid.
func (f *Federation) Payment(coins []Coin, required []Output, rate uint64) (*wire.MsgTx, error) {
	if rate > MaxFeeRate || len(required) == 0 {
		return nil, fault.New(fault.Invalid, "payment of %d peg-outs at %d satoshi for 1000 vbytes, at most %d; check the fee estimate", len(required), rate, MaxFeeRate)
	}
	tx := wire.NewMsgTx(2)
	var target uint64
	for i, out := range required {
		if out.Amount > maxSatoshi-target {
			return nil, fault.New(fault.CannotJudge, "peg-outs up to %d take more than there is: %w; wait for deposits", i, InsufficientFunds)
		}
		target += out.Amount
		tx.AddTxOut(wire.NewTxOut(int64(out.Amount), out.Script))
	}
	effective, err := f.effectiveValue(tx, coins, rate)
	if err != nil {
		return nil, err
	}
	if effective < target {
		return nil, fault.New(fault.CannotJudge, "%d coins are worth %d satoshi after their fees, %d are required: %w; wait for deposits", len(coins), effective, target, InsufficientFunds)
	}
	if left, changeFee := effective-target, fee(rate, changeSize); left >= changeFee+dust {
		tx.AddTxOut(wire.NewTxOut(int64(left-changeFee), f.ScriptPubKey))
	}
	total := fee(rate, uint64(tx.SerializeSizeStripped()))
	share := (total + uint64(len(required)) - 1) / uint64(len(required))
	for i := range required {
		out := tx.TxOut[i]
		if uint64(out.Value) <= share {
			return nil, fault.New(fault.Invalid, "peg-out %d of %d satoshi, its share of the fee is %d: %w; propose nothing", i, out.Value, share, FeesExceedPegoutValue)
		}
		out.Value -= int64(share)
	}
	return tx, nil
}

// effectiveValue adds the coins as inputs and returns what they are worth after the
// fee legacy's wallet counts for each.
func (f *Federation) effectiveValue(tx *wire.MsgTx, coins []Coin, rate uint64) (uint64, error) {
	inputFee := fee(rate, uint64(inputWeight+f.SatisfactionWeight+3)/4)
	var sum, gross uint64
	for _, coin := range coins {
		if coin.Amount > maxSatoshi-gross {
			return 0, fault.New(fault.Invalid, "coin %s of %d satoshi: the coins are more than there is; check the wallet", coin.OutPoint, coin.Amount)
		}
		if coin.Amount <= inputFee {
			return 0, fault.New(fault.Invalid, "coin %s of %d satoshi is not worth its fee of %d; choose others", coin.OutPoint, coin.Amount, inputFee)
		}
		gross += coin.Amount
		sum += coin.Amount - inputFee
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: coin.OutPoint, Sequence: proposalInputs})
	}
	return sum, nil
}

// fee rounds up.
func fee(rate, vbytes uint64) uint64 { return (rate*vbytes + 999) / 1000 }
