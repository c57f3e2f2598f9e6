package peg_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// members returns secret keys 1 to n and the federation of their public keys.
func members(tb testing.TB, n int) ([]*btcec.PrivateKey, *peg.Federation) {
	tb.Helper()
	secrets := make([]*btcec.PrivateKey, n)
	keys := make([][33]byte, n)
	for i := range secrets {
		secret, public := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
		secrets[i], keys[i] = secret, [33]byte(public.SerializeCompressed())
	}
	f, err := peg.NewFederation(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return secrets, f
}

// TestSpend spends a deposit under the rules of Bitcoin's script: with exactly
// the threshold of signatures it passes, with one fewer it fails.
func TestSpend(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 15, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			secrets, f := members(t, n)
			for _, signers := range []int{f.Threshold, f.Threshold - 1, n} {
				weight, err := spend(f, secrets, signers)
				if passes := err == nil; passes != (signers >= f.Threshold) {
					t.Errorf("%d of %d signatures, threshold %d: %v", signers, n, f.Threshold, err)
				}
				if signers == f.Threshold && weight != f.SatisfactionWeight {
					t.Errorf("input weighs %d, federation says %d", weight, f.SatisfactionWeight)
				}
			}
		})
	}
}

// spend returns the weight of the spending input and the verdict of the script
// engine.
func spend(f *peg.Federation, secrets []*btcec.PrivateKey, signers int) (int, error) {
	const amount = 50_000
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{Sequence: 0xfffffffd})
	tx.AddTxOut(wire.NewTxOut(amount-1000, f.ScriptPubKey))
	bare := blockchain.GetTransactionWeight(btcutil.NewTx(tx))
	prev := txscript.NewCannedPrevOutputFetcher(f.ScriptPubKey, amount)
	hashes := txscript.NewTxSigHashes(tx, prev)
	leaf := txscript.NewBaseTapLeaf(f.Script)
	witness := make(wire.TxWitness, len(secrets), len(secrets)+2)
	for i := range signers {
		signature, err := txscript.RawTxInTapscriptSignature(tx, hashes, 0, amount, f.ScriptPubKey, leaf, txscript.SigHashDefault, secrets[i])
		if err != nil {
			return 0, err
		}
		witness[len(secrets)-1-i] = signature // the first key's is on top of the stack
	}
	tx.TxIn[0].Witness = append(witness, f.Script, f.ControlBlock)
	// Segwit's marker and flag weigh 2; an input without witness takes 41 bytes.
	weight := int(blockchain.GetTransactionWeight(btcutil.NewTx(tx))-bare) - 2 + 4*41
	engine, err := txscript.NewEngine(f.ScriptPubKey, tx, 0, txscript.StandardVerifyFlags, nil, hashes, amount, prev)
	if err != nil {
		return weight, err
	}
	return weight, engine.Execute()
}

func TestRefused(t *testing.T) {
	for name, keys := range map[string][][33]byte{
		"none":          nil,
		"too many":      make([][33]byte, peg.MaxKeys+1),
		"zero":          make([][33]byte, 1),
		"off the curve": {{0: 2, 32: 5}},
		"uncompressed":  {{4, 1}},
	} {
		if _, err := peg.NewFederation(keys); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOrderMatters draws two orders of the same keys: the address is the same
// only if the order is.
func TestOrderMatters(t *testing.T) {
	_, f := members(t, 5)
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(f.Keys).Draw(t, "order")
		same := true
		for i := range order {
			same = same && order[i] == f.Keys[i]
		}
		g, err := peg.NewFederation(order)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(f.ScriptPubKey, g.ScriptPubKey) != same {
			t.Fatalf("order %x", order)
		}
		address, err := g.Address(&chaincfg.RegressionNetParams)
		if err != nil || address[:6] != "bcrt1p" {
			t.Fatal(address, err)
		}
	})
}

// TestParity: the deposit script drops it. (peg.md A2.2)
func TestParity(t *testing.T) {
	_, f := members(t, 3)
	keys := append([][33]byte(nil), f.Keys...)
	keys[1][0] ^= 1
	g, err := peg.NewFederation(keys)
	if err != nil || !bytes.Equal(f.Script, g.Script) {
		t.Errorf("%v", err)
	}
}

func BenchmarkNewFederation(b *testing.B) {
	_, f := members(b, 15)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := peg.NewFederation(f.Keys); err != nil {
			b.Fatal(err)
		}
	}
}
