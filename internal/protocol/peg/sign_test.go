package peg_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// payment is an unsigned one of as many inputs, with the outputs they spend.
func payment(tb testing.TB, f *peg.Federation, inputs int) (*wire.MsgTx, []*wire.TxOut, [][32]byte) {
	tb.Helper()
	tx := wire.NewMsgTx(2)
	var spent []*wire.TxOut
	for i := range inputs {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: uint32(i)}, Sequence: 0xfffffffd})
		spent = append(spent, wire.NewTxOut(100_000, f.ScriptPubKey))
	}
	tx.AddTxOut(wire.NewTxOut(int64(inputs)*100_000-10_000, p2tr))
	hashes, err := f.SigHashes(tx, spent)
	if err != nil {
		tb.Fatal(err)
	}
	return tx, spent, hashes
}

func signAll(tb testing.TB, secret *btcec.PrivateKey, hashes [][32]byte) (out [][64]byte) {
	tb.Helper()
	for _, hash := range hashes {
		signature, err := schnorr.Sign(secret, hash[:])
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, [64]byte(signature.Serialize()))
	}
	return out
}

// TestVerifySignatures has each reason to drop a member's signatures.
func TestVerifySignatures(t *testing.T) {
	secrets, f := members(t, 3)
	_, _, hashes := payment(t, f, 3)
	good := signAll(t, secrets[1], hashes)
	if err := f.VerifySignatures(hashes, 1, good); err != nil {
		t.Error(err)
	}
	swapped := [][64]byte{good[1], good[0], good[2]}
	for name, c := range map[string]struct {
		member     int
		signatures [][64]byte
		want       peg.Defect
	}{
		"other member":      {0, good, peg.IncorrectSignature},
		"no member":         {3, good, peg.NotAMember},
		"negative":          {-1, good, peg.NotAMember},
		"one short":         {1, good[:2], peg.InvalidNumberOfSignatures},
		"one more":          {1, append(bytes3(good), good[0]), peg.InvalidNumberOfSignatures},
		"none":              {1, nil, peg.InvalidNumberOfSignatures},
		"other order":       {1, swapped, peg.IncorrectSignature},
		"zero in the place": {1, [][64]byte{good[0], good[1], {}}, peg.IncorrectSignature},
	} {
		if err := f.VerifySignatures(hashes, c.member, c.signatures); !errors.Is(err, c.want) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func bytes3(s [][64]byte) [][64]byte { return append([][64]byte(nil), s...) }

// TestMember: a key is found with either parity, and no other.
func TestMember(t *testing.T) {
	_, f := members(t, 5)
	for i, key := range f.Keys {
		key[0] ^= 1
		if got, ok := f.Member(key); !ok || got != i {
			t.Errorf("member %d is %d, %v", i, got, ok)
		}
		key[32] ^= 1
		if _, ok := f.Member(key); ok {
			t.Errorf("a changed key of %d is a member", i)
		}
	}
}

// TestFinalize draws who signs: with the threshold or more the payment passes here and
// under Bitcoin's script, the first signers are taken, and fewer wait.
func TestFinalize(t *testing.T) {
	secrets, f := members(t, 5)
	tx, spent, hashes := payment(t, f, 3)
	all := make([][][64]byte, 5)
	for i := range all {
		all[i] = signAll(t, secrets[i], hashes)
	}
	rapid.Check(t, func(t *rapid.T) {
		signatures, count := make([][][64]byte, 5), 0
		for i, signs := range rapid.SliceOfN(rapid.Bool(), 5, 5).Draw(t, "signers") {
			if signs {
				signatures[i], count = all[i], count+1
			}
		}
		final, err := f.Finalize(tx, signatures)
		if count < f.Threshold {
			if !errors.Is(err, peg.TooFewSignatures) || !fault.Is(err, fault.CannotJudge) {
				t.Fatal(count, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := f.CheckWitnesses(final, spent); err != nil || !bitcoinPasses(final, spent) || final.TxHash() != tx.TxHash() || tx.HasWitness() {
			t.Fatal(err)
		}
		want := 0
		for i := range all {
			item := final.TxIn[2].Witness[len(f.Keys)-1-i]
			if taken := signatures[i] != nil && want < f.Threshold; taken != bytes.Equal(item, all[i][2][:]) || !taken && len(item) != 0 {
				t.Fatalf("member %d", i)
			} else if taken {
				want++
			}
		}
	})
}

// TestFinalizeRefused: signatures that cannot be a member's or an input's.
func TestFinalizeRefused(t *testing.T) {
	secrets, f := members(t, 3)
	tx, _, hashes := payment(t, f, 2)
	good := signAll(t, secrets[0], hashes)
	for _, c := range []struct {
		signatures [][][64]byte
		want       peg.Defect
	}{
		{[][][64]byte{good, good[:1], good}, peg.InvalidNumberOfSignatures},
		{[][][64]byte{good, good, good, good}, peg.NotAMember},
		{nil, peg.TooFewSignatures},
	} {
		if _, err := f.Finalize(tx, c.signatures); !errors.Is(err, c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// FuzzVerifySignatures changes the bytes of a message: only the member's own pass.
func FuzzVerifySignatures(f *testing.F) {
	secrets, fed := members(f, 3)
	_, _, hashes := payment(f, fed, 2)
	good := signAll(f, secrets[2], hashes)
	f.Add(fed.Keys[2][:], append(bytes.Clone(good[0][:]), good[1][:]...))
	f.Add(fed.Keys[0][:], make([]byte, 128))
	f.Add([]byte{2}, []byte{})
	f.Fuzz(func(t *testing.T, key, data []byte) {
		var claimed [33]byte
		copy(claimed[:], key)
		member, ok := fed.Member(claimed)
		if !ok {
			member = -1
		}
		var signatures [][64]byte
		for ; len(data) >= 64; data = data[64:] {
			signatures = append(signatures, [64]byte(data))
		}
		err := fed.VerifySignatures(hashes, member, signatures)
		if err == nil && (member != 2 || signatures[0] != good[0] || signatures[1] != good[1]) {
			t.Fatalf("member %d: %x", member, signatures)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

func BenchmarkSigHashes500(b *testing.B) {
	_, f := members(b, 15)
	tx, spent, _ := payment(b, f, 500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.SigHashes(tx, spent); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySignatures(b *testing.B) {
	secrets, f := members(b, 15)
	_, _, hashes := payment(b, f, 10)
	signatures := signAll(b, secrets[3], hashes)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.VerifySignatures(hashes, 3, signatures); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFinalize500(b *testing.B) {
	_, f := members(b, 15)
	tx, _, _ := payment(b, f, 500)
	signatures := make([][][64]byte, 15)
	for i := range signatures {
		signatures[i] = make([][64]byte, 500)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Finalize(tx, signatures); err != nil {
			b.Fatal(err)
		}
	}
}
