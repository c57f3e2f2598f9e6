package peg_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// p2tr is an output script of a stranger.
var p2tr = append([]byte{txscript.OP_1, 32}, bytes.Repeat([]byte{7}, 32)...)

func coin(i uint32, amount uint64) peg.Coin {
	return peg.Coin{OutPoint: wire.OutPoint{Index: i}, Amount: amount}
}

// TestPayment is the worked example of peg.md A15.
func TestPayment(t *testing.T) {
	_, f := members(t, 3)
	tx, err := f.Payment([]peg.Coin{coin(0, 10_000_000)}, []peg.Output{{5_000_000, p2tr}, {400_000, p2tr}}, 2000)
	if err != nil {
		t.Fatal(err)
	}
	var values []int64
	for _, out := range tx.TxOut {
		values = append(values, out.Value)
	}
	if len(values) != 3 || values[0] != 4_999_820 || values[1] != 399_820 || values[2] != 4_599_616 {
		t.Error(values)
	}
}

// TestPaymentProperties draws coins, peg-outs and rates: nothing is made from
// nothing, and what is built passes our own check of a proposal.
func TestPaymentProperties(t *testing.T) {
	_, f := members(t, 3)
	rapid.Check(t, func(t *rapid.T) {
		var coins []peg.Coin
		var outputs []peg.Output
		var in, target uint64
		for i, amount := range rapid.SliceOfN(rapid.Uint64Range(1, 50_000_000), 1, 6).Draw(t, "coins") {
			coins, in = append(coins, coin(uint32(i), amount)), in+amount
		}
		for _, amount := range rapid.SliceOfN(rapid.Uint64Range(peg.MinPegOut, 20_000_000), 1, 6).Draw(t, "peg-outs") {
			outputs, target = append(outputs, peg.Output{Amount: amount, Script: p2tr}), target+amount
		}
		rate := rapid.Uint64Range(0, 2_000_000).Draw(t, "rate")
		tx, err := f.Payment(coins, outputs, rate)
		if err != nil {
			if in > target+10_000_000 && rate < 1000 && fault.Is(err, fault.CannotJudge) {
				t.Fatalf("%d for %d at %d: %v", in, target, rate, err)
			}
			return
		}
		var out uint64
		for i, o := range tx.TxOut {
			if i < len(outputs) && (o.Value <= 0 || uint64(o.Value) > outputs[i].Amount) || i >= len(outputs) && o.Value < 330 {
				t.Fatalf("output %d of %d", i, o.Value)
			}
			out += uint64(o.Value)
		}
		if paid := (in - out) * 1000; out > in || paid < rate*uint64(tx.SerializeSizeStripped()) {
			t.Fatalf("%d in, %d out at rate %d", in, out, rate)
		}
		if err := f.CheckProposal(outputs, tx, func(p wire.OutPoint) bool { return int(p.Index) < len(coins) }); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPaymentRefused(t *testing.T) {
	_, f := members(t, 3)
	rich := []peg.Coin{coin(0, 10_000_000)}
	for name, c := range map[string]struct {
		coins   []peg.Coin
		outputs []peg.Output
		rate    uint64
		want    error
		grade   fault.Grade
	}{
		"no coins":         {nil, []peg.Output{{1_000_000, p2tr}}, 2000, peg.InsufficientFunds, fault.CannotJudge},
		"not its fee":      {[]peg.Coin{coin(0, 1_000_297)}, []peg.Output{{1_000_000, p2tr}}, 2000, peg.InsufficientFunds, fault.CannotJudge},
		"above the supply": {rich, []peg.Output{{btcutil.MaxSatoshi, p2tr}, {1, p2tr}}, 2000, peg.InsufficientFunds, fault.CannotJudge},
		"64 bits":          {rich, []peg.Output{{1<<64 - 1, p2tr}}, 2000, peg.InsufficientFunds, fault.CannotJudge},
		"fee share":        {rich, []peg.Output{{250, p2tr}}, 2000, peg.FeesExceedPegoutValue, fault.Invalid},
		"nothing to pay":   {rich, nil, 2000, nil, fault.Invalid},
		"rate":             {rich, []peg.Output{{1_000_000, p2tr}}, peg.MaxFeeRate + 1, nil, fault.Invalid},
		"worthless coin":   {[]peg.Coin{coin(0, 298)}, []peg.Output{{1, p2tr}}, 2000, nil, fault.Invalid},
		"impossible coin":  {[]peg.Coin{coin(0, 1<<64-1)}, []peg.Output{{1, p2tr}}, 2000, nil, fault.Invalid},
	} {
		_, err := f.Payment(c.coins, c.outputs, c.rate)
		if !fault.Is(err, c.grade) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Payment([]peg.Coin{coin(0, 1_000_298)}, []peg.Output{{1_000_000, p2tr}}, 2000); err != nil {
		t.Errorf("just its fee: %v", err)
	}
}

// TestProposalRefused has the cases the vectors lack: no proposal where none is
// required, and a proposal of change alone.
func TestProposalRefused(t *testing.T) {
	_, f := members(t, 3)
	change := wire.NewMsgTx(2)
	change.AddTxOut(wire.NewTxOut(1, f.ScriptPubKey))
	stranger := wire.NewMsgTx(2)
	stranger.AddTxOut(wire.NewTxOut(1, p2tr))
	all := func(wire.OutPoint) bool { return true }
	for name, c := range map[string]struct {
		tx   *wire.MsgTx
		want error
	}{"none": {nil, nil}, "change alone": {change, nil}, "one to a stranger": {stranger, peg.InvalidChangeOutput}} {
		if err := f.CheckProposal(nil, c.tx, all); !errors.Is(err, c.want) || c.want != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// signed returns a peg-out of two inputs with the signatures of some members.
func signed(tb testing.TB, f *peg.Federation, secrets []*btcec.PrivateKey, signers ...int) (*wire.MsgTx, []*wire.TxOut) {
	tb.Helper()
	tx, err := f.Payment([]peg.Coin{coin(0, 1_000_000), coin(1, 2_000_000)}, []peg.Output{{1_500_000, p2tr}}, 2000)
	if err != nil {
		tb.Fatal(err)
	}
	spent := []*wire.TxOut{wire.NewTxOut(1_000_000, f.ScriptPubKey), wire.NewTxOut(2_000_000, f.ScriptPubKey)}
	hashes, err := f.SigHashes(tx, spent)
	if err != nil {
		tb.Fatal(err)
	}
	for i, hash := range hashes {
		signatures := make([][]byte, len(f.Keys))
		for _, member := range signers {
			signature, err := schnorr.Sign(secrets[member], hash[:])
			if err != nil {
				tb.Fatal(err)
			}
			signatures[member] = signature.Serialize()
		}
		tx.TxIn[i].Witness = f.Witness(signatures)
	}
	return tx, spent
}

// TestWitnesses: the threshold of members passes here and under Bitcoin's script;
// one more, which Bitcoin takes, does not pass here, one fewer passes nowhere.
func TestWitnesses(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		secrets, f := members(t, n)
		for count := 0; count <= n; count++ {
			signers := make([]int, count)
			for i := range signers {
				signers[i] = n - 1 - i
			}
			tx, spent := signed(t, f, secrets, signers...)
			err := f.CheckWitnesses(tx, spent)
			if passes := err == nil; passes != (count == f.Threshold) || !passes && !errors.Is(err, peg.InvalidWitnessLength) {
				t.Errorf("%d of %d: %v", count, n, err)
			}
			if got := bitcoinPasses(tx, spent); got != (count >= f.Threshold) {
				t.Errorf("%d of %d: Bitcoin %v", count, n, got)
			}
		}
	}
}

// bitcoinPasses runs every input under the rules of Bitcoin's script.
func bitcoinPasses(tx *wire.MsgTx, spent []*wire.TxOut) bool {
	outputs := make(map[wire.OutPoint]*wire.TxOut)
	for i, in := range tx.TxIn {
		outputs[in.PreviousOutPoint] = spent[i]
	}
	fetcher := txscript.NewMultiPrevOutFetcher(outputs)
	hashes := txscript.NewTxSigHashes(tx, fetcher)
	for i, out := range spent {
		engine, err := txscript.NewEngine(out.PkScript, tx, i, txscript.StandardVerifyFlags, nil, hashes, out.Value, fetcher)
		if err != nil || engine.Execute() != nil {
			return false
		}
	}
	return true
}

// TestSpentMissing: an output that is not given is an error, no panic.
func TestSpentMissing(t *testing.T) {
	secrets, f := members(t, 3)
	tx, spent := signed(t, f, secrets, 0, 1)
	for _, given := range [][]*wire.TxOut{nil, spent[:1], {spent[0], nil}, append(spent, spent[0])} {
		if err := f.CheckWitnesses(tx, given); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d outputs: %v", len(given), err)
		}
	}
	for _, member := range []int{-1, 3} {
		if f.VerifySignature(member, [32]byte{}, make([]byte, 64)) {
			t.Errorf("member %d", member)
		}
	}
}

// FuzzCheckWitnesses changes one witness item: what passes here passes under
// Bitcoin's script as well.
func FuzzCheckWitnesses(f *testing.F) {
	secrets, fed := members(f, 3)
	good, spent := signed(f, fed, secrets, 0, 2)
	for i, item := range good.TxIn[1].Witness {
		f.Add(uint8(i), item)
	}
	f.Add(uint8(0), []byte{})
	f.Fuzz(func(t *testing.T, index uint8, item []byte) {
		tx := good.Copy()
		witness := tx.TxIn[1].Witness
		if int(index) < len(witness) {
			witness[index] = item
		} else {
			tx.TxIn[1].Witness = append(witness, item)
		}
		err := fed.CheckWitnesses(tx, spent)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		if err == nil && !bitcoinPasses(tx, spent) {
			t.Fatalf("item %d as %x passes", index, item)
		}
	})
}

func BenchmarkCheckWitnesses(b *testing.B) {
	secrets, f := members(b, 15)
	tx, spent := signed(b, f, secrets, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.CheckWitnesses(tx, spent); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPaymentLimits: the least change that gets an output, and the least peg-out
// that outlives its share of the fee. At this rate an input costs 298, change 86 and
// a transaction of one output to a stranger 188.
func TestPaymentLimits(t *testing.T) {
	_, f := members(t, 3)
	for extra, outputs := range map[uint64]int{86 + 329: 1, 86 + 330: 2} {
		tx, err := f.Payment([]peg.Coin{coin(0, 1_000_000+298+extra)}, []peg.Output{{1_000_000, p2tr}}, 2000)
		if err != nil || len(tx.TxOut) != outputs {
			t.Errorf("%d left: %v, %v", extra, tx, err)
		}
	}
	if _, err := f.Payment([]peg.Coin{coin(0, 188+298)}, []peg.Output{{188, p2tr}}, 2000); !errors.Is(err, peg.FeesExceedPegoutValue) {
		t.Errorf("worth its share: %v", err)
	}
	tx, err := f.Payment([]peg.Coin{coin(0, 189+298)}, []peg.Output{{189, p2tr}}, 2000)
	if err != nil || tx.TxOut[0].Value != 1 {
		t.Errorf("worth a satoshi more: %v, %v", tx, err)
	}
}
