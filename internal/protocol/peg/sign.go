package peg

import (
	"bytes"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// SigHashes returns what members sign, one hash for each input: the default sighash
// of a spend by the federation's script, over the outputs spent, which are given in
// the order of the inputs. (peg.md A11; BIP 341, 342)
func (f *Federation) SigHashes(tx *wire.MsgTx, spent []*wire.TxOut) ([][32]byte, error) {
	if len(spent) != len(tx.TxIn) {
		return nil, fault.New(fault.Invalid, "peg-out %s has %d inputs, %d outputs are given; give each its output", tx.TxHash(), len(tx.TxIn), len(spent))
	}
	outputs := make(map[wire.OutPoint]*wire.TxOut, len(spent))
	for i, in := range tx.TxIn {
		if spent[i] == nil {
			return nil, fault.New(fault.Invalid, "peg-out %s: the output of input %d is not given; give each its output", tx.TxHash(), i)
		}
		outputs[in.PreviousOutPoint] = spent[i]
	}
	fetcher := txscript.NewMultiPrevOutFetcher(outputs)
	leaf := txscript.NewBaseTapLeaf(f.Script)
	midstate := txscript.NewTxSigHashes(tx, fetcher)
	hashes := make([][32]byte, len(tx.TxIn))
	for i := range tx.TxIn {
		hash, err := txscript.CalcTapscriptSignaturehash(midstate, txscript.SigHashDefault, tx, i, fetcher, leaf)
		if err != nil {
			return nil, fault.New(fault.Invalid, "peg-out %s: sighash of input %d: %w", tx.TxHash(), i, err)
		}
		hashes[i] = [32]byte(hash)
	}
	return hashes, nil
}

// Member returns the index of a member's compressed key. The parity counts for nothing:
// neither the script nor a signature has it. (peg.md A2, A12)
func (f *Federation) Member(key [33]byte) (int, bool) {
	for i := range f.Keys {
		if bytes.Equal(f.Keys[i][1:], key[1:]) {
			return i, true
		}
	}
	return 0, false
}

// VerifySignature reports whether a signature of a sighash is that of the member with
// an index in the federation's keys. (BIP 340)
func (f *Federation) VerifySignature(member int, hash [32]byte, signature []byte) bool {
	if member < 0 || member >= len(f.parsed) {
		return false
	}
	parsed, err := schnorr.ParseSignature(signature)
	return err == nil && parsed.Verify(hash[:], f.parsed[member])
}

// VerifySignatures checks one member's signatures of a payment, one an input, in order,
// against the payment's [Federation.SigHashes]. Who is no member has no signatures here,
// which legacy leaves open. The error is graded Invalid and wraps a [Defect]. (peg.md A12)
func (f *Federation) VerifySignatures(hashes [][32]byte, member int, signatures [][64]byte) error {
	if member < 0 || member >= len(f.Keys) {
		return fault.New(fault.Invalid, "signatures of member %d of %d: %w; drop them", member, len(f.Keys), NotAMember)
	}
	if len(signatures) != len(hashes) {
		return fault.New(fault.Invalid, "%d signatures of member %d for %d inputs: %w; drop them", len(signatures), member, len(hashes), InvalidNumberOfSignatures)
	}
	for i := range hashes {
		if !f.VerifySignature(member, hashes[i], signatures[i][:]) {
			return fault.New(fault.Invalid, "signature of member %d of input %d: %w; drop them", member, i, IncorrectSignature)
		}
	}
	return nil
}

// Finalize returns a payment with its witnesses, from the signatures by the members'
// indices: one for each input, none of a member who has not signed. Of more than the
// threshold the first members in the order of keys are taken, so the same signatures
// always give the same bytes. With fewer the error is graded CannotJudge and wraps
// [TooFewSignatures]. The signatures must have been verified. (peg.md A12)
func (f *Federation) Finalize(tx *wire.MsgTx, signatures [][][64]byte) (*wire.MsgTx, error) {
	if len(signatures) > len(f.Keys) {
		return nil, fault.New(fault.Invalid, "signatures of %d members for payment %s, the federation has %d: %w; give each member one place", len(signatures), tx.TxHash(), len(f.Keys), NotAMember)
	}
	var chosen []int
	for member, list := range signatures {
		if len(list) == 0 || len(chosen) == f.Threshold {
			continue
		}
		if len(list) != len(tx.TxIn) {
			return nil, fault.New(fault.Invalid, "%d signatures of member %d for payment %s of %d inputs: %w; drop them", len(list), member, tx.TxHash(), len(tx.TxIn), InvalidNumberOfSignatures)
		}
		chosen = append(chosen, member)
	}
	if len(chosen) < f.Threshold {
		return nil, fault.New(fault.CannotJudge, "payment %s has signatures of %d members, %d are needed: %w; wait for more", tx.TxHash(), len(chosen), f.Threshold, TooFewSignatures)
	}
	final := tx.Copy()
	for i, in := range final.TxIn {
		slots := make([][]byte, len(f.Keys))
		for _, member := range chosen {
			slots[member] = bytes.Clone(signatures[member][i][:])
		}
		in.Witness = f.Witness(slots)
	}
	return final, nil
}

// Witness returns the witness of an input from the members' signatures, empty for a
// member without one: last key first, then script and control block. (peg.md A12)
func (f *Federation) Witness(signatures [][]byte) wire.TxWitness {
	witness := make(wire.TxWitness, len(f.Keys), len(f.Keys)+2)
	for i := range witness {
		witness[i] = []byte{}
		if member := len(f.Keys) - 1 - i; member < len(signatures) {
			witness[i] = signatures[member]
		}
	}
	return append(witness, f.Script, f.ControlBlock)
}

// CheckWitnesses checks the signatures of a finalised peg-out: for each input exactly
// the threshold of signatures, each its key's, and the federation's script. The error
// is graded Invalid and wraps a [Defect]. The outputs spent are given in the order of
// the inputs. (peg.md A13)
func (f *Federation) CheckWitnesses(tx *wire.MsgTx, spent []*wire.TxOut) error {
	hashes, err := f.SigHashes(tx, spent)
	if err != nil {
		return err
	}
	for i, in := range tx.TxIn {
		if defect := f.checkWitness(in.Witness, hashes[i]); defect != "" {
			return fault.New(fault.Invalid, "finalised peg-out %s: input %d, %s: %w; refuse the block", tx.TxHash(), i, in.PreviousOutPoint, defect)
		}
	}
	return nil
}

func (f *Federation) checkWitness(witness wire.TxWitness, hash [32]byte) Defect {
	n := len(f.Keys)
	if len(witness) != n+2 {
		return InvalidWitnessLength
	}
	signatures := 0
	for _, item := range witness[:n] {
		if len(item) > 0 {
			signatures++
		}
	}
	if signatures != f.Threshold {
		return InvalidWitnessLength
	}
	for i, item := range witness[:n] {
		if len(item) > 0 && !f.VerifySignature(n-1-i, hash, item) {
			return IncorrectSignature
		}
	}
	if !bytes.Equal(witness[n], f.Script) || !bytes.Equal(witness[n+1], f.ControlBlock) {
		return InvalidWitnessScript
	}
	return ""
}
