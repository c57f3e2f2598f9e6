package peg

import (
	"bytes"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Defect is the reason a peg-out proposal or its signatures are refused. Its text is
// legacy's name of the error; errors of [Federation.CheckProposal] and
// [Federation.CheckWitnesses] have it in their chain.
type Defect string

// The defects, in the order they are looked for. (peg.md A9, A13)
const (
	MissingPegoutProposal    Defect = "MissingPegoutProposal"    // outputs are required, nothing is proposed
	InvalidChangeOutput      Defect = "InvalidChangeOutput"      // one output more, not to the federation
	InvalidPegoutOutputCount Defect = "InvalidPegoutOutputCount" // fewer outputs, or more than one more
	InvalidPegoutOutput      Defect = "InvalidPegoutOutput"      // other script, or more than required
	UnspendableInput         Defect = "UnspendableInput"         // no unspent coin of the federation
	InvalidTransactionHeader Defect = "InvalidTransactionHeader" // not version 2 with lock time 0
	InvalidWitnessLength     Defect = "InvalidWitnessLength"     // not one item a key and two, or not the threshold of signatures
	IncorrectSignature       Defect = "IncorrectSignature"       // a signature is not its key's
	InvalidWitnessScript     Defect = "InvalidWitnessScript"     // other script or control block
)

// The defects of a member's signatures. The first is legacy's; legacy asks for no
// membership, so that anybody can fill the places of the threshold. (peg.md A12)
const (
	InvalidNumberOfSignatures Defect = "InvalidNumberOfSignatures" // not one an input
	NotAMember                Defect = "NotAMember"                // not of the federation
	TooFewSignatures          Defect = "TooFewSignatures"          // below the threshold
)

// Error returns the legacy name.
func (d Defect) Error() string { return string(d) }

// CheckProposal checks the transaction a block proposes, nil for none, against the
// outputs the parent's receipts require. Outputs may pay less than required, fees and
// change are free, and an input may be named twice: defects of legacy that history
// needs. The error is graded Invalid and wraps a [Defect]. (peg.md A9)
//
// The function unspent reports whether the federation holds an output and no earlier
// proposal spends it. What is not in the wallet and has to be looked up at Bitcoin
// first is its business, as is the one block that legacy does not check.
func (f *Federation) CheckProposal(required []Output, tx *wire.MsgTx, unspent func(wire.OutPoint) bool) error {
	if tx == nil {
		if len(required) == 0 {
			return nil
		}
		return fault.New(fault.Invalid, "%d peg-outs are required: %w; refuse the block", len(required), MissingPegoutProposal)
	}
	if err := f.checkOutputs(required, tx); err != nil {
		return err
	}
	for i, in := range tx.TxIn {
		if !unspent(in.PreviousOutPoint) {
			return fault.New(fault.Invalid, "peg-out proposal %s: input %d, %s: %w; refuse the block", tx.TxHash(), i, in.PreviousOutPoint, UnspendableInput)
		}
	}
	if tx.Version != 2 || tx.LockTime != 0 {
		return fault.New(fault.Invalid, "peg-out proposal %s: version %d, lock time %d, want 2 and 0: %w; refuse the block", tx.TxHash(), tx.Version, tx.LockTime, InvalidTransactionHeader)
	}
	return nil
}

// checkOutputs allows one output more than required if the last pays the federation.
func (f *Federation) checkOutputs(required []Output, tx *wire.MsgTx) error {
	switch n := len(tx.TxOut); {
	case n == len(required):
	case n != len(required)+1:
		return fault.New(fault.Invalid, "peg-out proposal %s: %d outputs for %d peg-outs: %w; refuse the block", tx.TxHash(), n, len(required), InvalidPegoutOutputCount)
	case !bytes.Equal(tx.TxOut[n-1].PkScript, f.ScriptPubKey):
		return fault.New(fault.Invalid, "peg-out proposal %s: output %d pays %x: %w; refuse the block", tx.TxHash(), n-1, tx.TxOut[n-1].PkScript, InvalidChangeOutput)
	}
	for i, want := range required {
		out := tx.TxOut[i]
		if !bytes.Equal(out.PkScript, want.Script) || uint64(out.Value) > want.Amount {
			return fault.New(fault.Invalid, "peg-out proposal %s: output %d pays %d to %x, required are at most %d to %x: %w; refuse the block",
				tx.TxHash(), i, out.Value, out.PkScript, want.Amount, want.Script, InvalidPegoutOutput)
		}
	}
	return nil
}
