package peg_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// bitcoinBlock is a block of these transactions, in Bitcoin's serialization.
func bitcoinBlock(tb testing.TB, txs ...*wire.MsgTx) []byte {
	tb.Helper()
	b := wire.NewMsgBlock(&wire.BlockHeader{Version: 4, Bits: 0x207fffff})
	var ids []chainhash.Hash
	for _, tx := range txs {
		if err := b.AddTransaction(tx); err != nil {
			tb.Fatal(err)
		}
		ids = append(ids, tx.TxHash())
	}
	b.Header.MerkleRoot, _ = peg.MerkleRoot(ids)
	var out bytes.Buffer
	if err := b.Serialize(&out); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// sampleTxs are a coinbase, a stranger's payment, a deposit, a spend with an annex and a
// deposit in another witness version.
func sampleTxs(tb testing.TB, f *peg.Federation) []*wire.MsgTx {
	stranger := func(seed byte) *wire.MsgTx {
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{seed}}, Witness: wire.TxWitness{{1, 2}, bytes.Repeat([]byte{seed}, 33)}})
		tx.AddTxOut(wire.NewTxOut(5000, p2wpkh))
		return tx
	}
	coinbase := stranger(0)
	coinbase.TxIn[0].SignatureScript, coinbase.TxIn[0].Witness = []byte{1, 2, 3}, nil
	deposit := stranger(1)
	deposit.AddTxOut(wire.NewTxOut(70_000, f.ScriptPubKey))
	spend := stranger(2)
	spend.AddTxIn(&wire.TxIn{Witness: append(f.Witness(nil), []byte{0x50, 9})})
	other := stranger(3)
	other.AddTxOut(wire.NewTxOut(1, append([]byte{txscript.OP_16}, f.ScriptPubKey[1:]...)))
	return []*wire.MsgTx{coinbase, stranger(4), deposit, spend, other}
}

func TestScanBlock(t *testing.T) {
	_, f := members(t, 3)
	txs := sampleTxs(t, f)
	raw := bitcoinBlock(t, txs...)
	s, err := f.ScanBlock(raw)
	if err != nil {
		t.Fatal(err)
	}
	compareScan(t, f, raw, s)
	if len(s.Found) != 3 || s.Found[0].Index != 2 || !s.Found[0].Pays || s.Found[1].Index != 3 || !s.Found[1].Spends || s.Found[2].Index != 4 || s.Found[0].Spends {
		t.Errorf("%+v", s.Found)
	}
	for end := range raw {
		if _, err := f.ScanBlock(raw[:end]); !fault.Is(err, fault.Invalid) {
			t.Fatalf("cut at %d: %v", end, err)
		}
	}
	for name, bad := range map[string][]byte{
		"a byte more": append(bytes.Clone(raw), 0), "other root": func() []byte { b := bytes.Clone(raw); b[40] ^= 1; return b }(),
		"no transactions": append(bytes.Clone(raw[:80]), 0), "a twin": bitcoinBlock(t, txs[0], txs[1], txs[2], txs[2]), "too large": make([]byte, 4_000_001),
		"long count": append(append(bytes.Clone(raw[:80]), 0xfd, 5, 0), raw[81:]...), "huge count": append(bytes.Clone(raw[:80]), bytes.Repeat([]byte{0xff}, 9)...),
	} {
		if _, err := f.ScanBlock(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// compareScan compares with what btcd reads and what its transactions say one by one.
func compareScan(tb testing.TB, f *peg.Federation, raw []byte, s *peg.Scan) {
	tb.Helper()
	b, err := btcutil.NewBlockFromBytes(raw)
	if err != nil {
		tb.Fatal(err)
	}
	if *b.Hash() != s.Hash || len(s.Txids) != len(b.Transactions()) {
		tb.Fatalf("block %s with %d transactions, want %s with %d", s.Hash, len(s.Txids), b.Hash(), len(b.Transactions()))
	}
	found := s.Found
	for i, tx := range b.Transactions() {
		if s.Txids[i] != *tx.Hash() {
			tb.Fatalf("transaction %d is %s, want %s", i, s.Txids[i], tx.Hash())
		}
		pays, spends := false, false
		for _, out := range tx.MsgTx().TxOut {
			pays = pays || f.Owns(out.PkScript)
		}
		for _, in := range tx.MsgTx().TxIn {
			spends = spends || f.SpendsFederation(in.Witness)
		}
		if !pays && !spends {
			continue
		}
		var want bytes.Buffer
		if err := tx.MsgTx().Serialize(&want); err != nil {
			tb.Fatal(err)
		}
		if len(found) == 0 || int(found[0].Index) != i || found[0].Pays != pays || found[0].Spends != spends || !bytes.Equal(found[0].Raw, want.Bytes()) {
			tb.Fatalf("transaction %d: found %+v, want %v, %v", i, found, pays, spends)
		}
		found = found[1:]
	}
	if len(found) != 0 {
		tb.Fatalf("found %+v more", found)
	}
}

// FuzzScanBlock reads hostile bytes as btcd does, and nothing that btcd does not read.
func FuzzScanBlock(f *testing.F) {
	_, fed := members(f, 3)
	txs := sampleTxs(f, fed)
	for n := 1; n <= len(txs); n++ {
		f.Add(bitcoinBlock(f, txs[:n]...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b wire.MsgBlock
		r := bytes.NewReader(raw)
		if err := b.Deserialize(r); err != nil || r.Len() > 0 || len(b.Transactions) == 0 {
			if _, err := fed.ScanBlock(raw); !fault.Is(err, fault.Invalid) {
				t.Fatalf("btcd reads no block of it: %v", err)
			}
			return
		}
		var ids []chainhash.Hash
		superfluous := false // a witness flag without a witness, which btcd does not write
		for _, tx := range b.Transactions {
			ids = append(ids, tx.TxHash())
		}
		var again bytes.Buffer
		if err := b.Serialize(&again); err != nil {
			t.Fatal(err)
		}
		superfluous = !bytes.Equal(again.Bytes(), raw)
		root, mutated := peg.MerkleRoot(ids)
		raw = bytes.Clone(raw)
		copy(raw[36:68], root[:])
		s, err := fed.ScanBlock(raw)
		if (err != nil) != mutated {
			t.Fatalf("btcd reads it, mutated %v: %v", mutated, err)
		}
		if err == nil && !superfluous {
			compareScan(t, fed, raw, s)
		}
	})
}

// TestMerkle draws transaction ids: root and branches are btcd's, each branch leads from
// its transaction and index alone.
func TestMerkle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "transactions")
		var ids []chainhash.Hash
		var txs []*btcutil.Tx
		for i := range n {
			tx := wire.NewMsgTx(int32(i))
			ids, txs = append(ids, tx.TxHash()), append(txs, btcutil.NewTx(tx))
		}
		root, mutated := peg.MerkleRoot(ids)
		if want := blockchain.CalcMerkleRoot(txs, false); root != want || mutated {
			t.Fatal(root, want, mutated)
		}
		i := rapid.IntRange(0, n-1).Draw(t, "index")
		branch, err := peg.MerkleBranch(ids, i)
		if err != nil {
			t.Fatal(err)
		}
		for at := range uint32(64) {
			if err := peg.CheckBranch(ids[i], 100, at, branch, root); (err == nil) != (at == uint32(i)) {
				t.Fatalf("transaction %d of %d at %d: %v", i, n, at, err)
			}
		}
	})
}

// TestBranchRefused: what a Merkle branch must not prove.
func TestBranchRefused(t *testing.T) {
	ids := []chainhash.Hash{{1}, {2}, {3}}
	root, _ := peg.MerkleRoot(ids)
	branch, err := peg.MerkleBranch(ids, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := peg.CheckBranch(ids[2], 100, 2, branch, root); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"copy":             peg.CheckBranch(ids[2], 100, 3, branch, root),
		"out of reach":     peg.CheckBranch(ids[2], 100, 6, branch, root),
		"as an inner node": peg.CheckBranch(ids[2], 64, 2, branch, root),
		"other root":       peg.CheckBranch(ids[2], 100, 2, branch, chainhash.Hash{}),
		"long":             peg.CheckBranch(ids[2], 100, 2, make([]chainhash.Hash, 33), root),
		"other":            peg.CheckBranch(ids[1], 100, 2, branch, root),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, mutated := peg.MerkleRoot([]chainhash.Hash{{1}, {2}, {3}, {3}}); !mutated {
		t.Error("a twin is not seen")
	}
	for _, i := range []int{-1, 3} {
		if _, err := peg.MerkleBranch(ids, i); !fault.Is(err, fault.Invalid) {
			t.Error(i, err)
		}
	}
}

// BenchmarkScanBlock reads a block of common transactions, two in a thousand the federation's.
func BenchmarkScanBlock(b *testing.B) {
	_, f := members(b, 15)
	var txs []*wire.MsgTx
	for i := range 4000 {
		tx := wire.NewMsgTx(2)
		var seed chainhash.Hash
		binary.LittleEndian.PutUint32(seed[:], uint32(i))
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: seed}, Witness: wire.TxWitness{make([]byte, 72), make([]byte, 33)}})
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: seed, Index: 1}, Witness: wire.TxWitness{make([]byte, 72), make([]byte, 33)}})
		tx.AddTxOut(wire.NewTxOut(1, p2wpkh))
		tx.AddTxOut(wire.NewTxOut(1, p2tr))
		if i%500 == 7 {
			tx.AddTxOut(wire.NewTxOut(1, f.ScriptPubKey))
		}
		txs = append(txs, tx)
	}
	raw := bitcoinBlock(b, txs...)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if s, err := f.ScanBlock(raw); err != nil || len(s.Found) != 8 {
			b.Fatal(err)
		}
	}
}
