package peg

import (
	"bytes"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// The defects of payments that legacy takes and this node's members do not sign; from the
// activation of strict peg-outs on those of [Federation.CheckStrict] make a block invalid.
// (peg.md A8, A9, REC; consensus.md C17)
const (
	UnrequiredProposal Defect = "UnrequiredProposal" // nothing is required
	RepeatedInput      Defect = "RepeatedInput"      // an input is named twice
	UnusualInput       Defect = "UnusualInput"       // a signature script, a witness or another sequence
	ImpossibleAmount   Defect = "ImpossibleAmount"   // amounts that no Bitcoin transaction has
	UnequalDeductions  Defect = "UnequalDeductions"  // users bear other shares of the fee
	OutputBelowDust    Defect = "OutputBelowDust"    // an output that Bitcoin does not relay
	WrongChange        Defect = "WrongChange"        // change is not what the inputs leave
	FeeRateTooLow      Defect = "FeeRateTooLow"      // below the policy's least
	FeeRateTooHigh     Defect = "FeeRateTooHigh"     // above the policy's most
	TooHeavy           Defect = "TooHeavy"           // heavier than Bitcoin relays
	RequestPassedOver  Defect = "RequestPassedOver"  // a request that can be paid is carried
)

// CheckStrict checks a proposed payment by the rule from the activation of strict peg-outs
// on, and returns the indices of the requests it pays, in order; what it does not pay is
// carried over. It spends unspent coins of the federation, each once; it pays requests of
// those required in their order, each less the same share of the fee; change is last and
// exactly what is left, so that the pool pays nothing. The outputs spent are given in the
// order of the inputs, nil for what is no unspent coin. A transaction of nil pays nothing.
// The error is graded Invalid and wraps a [Defect]. (peg.md A9, REC)
func (f *Federation) CheckStrict(required []Output, tx *wire.MsgTx, spent []*wire.TxOut) (paid []int, err error) {
	if tx == nil {
		return nil, nil
	}
	if defect := f.strictDefect(required, tx, spent, &paid); defect != "" {
		return nil, refuse(tx, defect)
	}
	return paid, nil
}

func (f *Federation) strictDefect(required []Output, tx *wire.MsgTx, spent []*wire.TxOut, paid *[]int) Defect {
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
	if !ok || in <= out {
		return ImpossibleAmount
	}
	paidHere, defect := f.matchPaid(required, tx, in-out)
	*paid = paidHere
	return defect
}

// matchPaid returns the requests that the outputs pay, each less the same share of the
// fees, and a defect if there is no such reading.
func (f *Federation) matchPaid(required []Output, tx *wire.MsgTx, fees uint64) ([]int, Defect) {
	defect := InvalidPegoutOutputCount
	// Users can name the federation's own address, so the last output may be either.
	for _, change := range []int{1, 0} {
		count := len(tx.TxOut) - change
		if count < 1 || count > len(required) || change == 1 && !f.Pays(tx.TxOut[count].PkScript) {
			continue
		}
		if change == 1 && uint64(tx.TxOut[count].Value) < dust {
			defect = WrongChange
			continue
		}
		share := fees / uint64(count)
		if share*uint64(count) != fees {
			defect = UnequalDeductions
			continue
		}
		if paid := matchShare(required, tx.TxOut[:count], share); len(paid) == count {
			return paid, ""
		}
		defect = InvalidPegoutOutput
	}
	return nil, defect
}

// Paid returns for each output of a payment the index of the request it is for, -1 for
// change, as [Federation.CheckStrict] reads it: of requests of one script the amounts
// decide. The sum of what its inputs spend is in satoshi. It is false for a payment that
// the rule refuses.
func (f *Federation) Paid(required []Output, tx *wire.MsgTx, in uint64) ([]int, bool) {
	out, ok := sum(tx.TxOut)
	if !ok || in <= out {
		return nil, false
	}
	paid, defect := f.matchPaid(required, tx, in-out)
	if defect != "" {
		return nil, false
	}
	for len(paid) < len(tx.TxOut) {
		paid = append(paid, -1)
	}
	return paid, true
}

// Match returns the indices of the requests that a payment's outputs are for, and -1 for
// an output that is for none, such as change: for each output the first request after the
// one before it with the same script and at least its amount. It is for payments that were
// imported with a quorum although they break the rule.
func Match(required []Output, tx *wire.MsgTx) []int {
	matched := make([]int, len(tx.TxOut))
	next := 0
	for k, out := range tx.TxOut {
		matched[k] = -1
		for i := next; i < len(required); i++ {
			if r := &required[i]; bytes.Equal(r.Script, out.PkScript) && out.Value >= 0 && uint64(out.Value) <= r.Amount {
				matched[k], next = i, i+1
				break
			}
		}
	}
	return matched
}

// matchShare returns the requests that outputs pay less a share, in order, the first of
// equal ones; fewer than there are outputs if one pays none.
func matchShare(required []Output, outputs []*wire.TxOut, share uint64) []int {
	var matched []int
	next := 0
	for _, out := range outputs {
		for next < len(required) {
			r, i := &required[next], next
			next++
			if bytes.Equal(r.Script, out.PkScript) && r.Amount >= share && r.Amount-share == uint64(out.Value) {
				matched = append(matched, i)
				break
			}
		}
	}
	return matched
}

// checkInputs looks at what a payment spends.
func (f *Federation) checkInputs(tx *wire.MsgTx, spent []*wire.TxOut) Defect {
	if len(spent) != len(tx.TxIn) || len(tx.TxIn) == 0 {
		return UnspendableInput
	}
	seen := make(map[wire.OutPoint]bool, len(tx.TxIn))
	for i, in := range tx.TxIn {
		switch {
		case seen[in.PreviousOutPoint]:
			return RepeatedInput
		case spent[i] == nil || !f.Pays(spent[i].PkScript):
			return UnspendableInput
		case len(in.SignatureScript) > 0 || len(in.Witness) > 0 || in.Sequence != proposalInputs:
			return UnusualInput
		}
		seen[in.PreviousOutPoint] = true
	}
	return ""
}

// balance sums what a payment spends and pays. It is false for amounts that do not exist.
func balance(tx *wire.MsgTx, spent []*wire.TxOut) (in, out uint64, ok bool) {
	if in, ok = sum(spent); !ok {
		return 0, 0, false
	}
	out, ok = sum(tx.TxOut)
	return in, out, ok
}

func sum(outputs []*wire.TxOut) (total uint64, ok bool) {
	for _, out := range outputs {
		if out == nil || out.Value < 0 || uint64(out.Value) > maxSatoshi-total {
			return 0, false
		}
		total += uint64(out.Value)
	}
	return total, true
}

func refuse(tx *wire.MsgTx, defect Defect) error {
	return fault.New(fault.Invalid, "peg-out proposal %s of %d inputs and %d outputs: %w; do not sign it", tx.TxHash(), len(tx.TxIn), len(tx.TxOut), defect)
}
