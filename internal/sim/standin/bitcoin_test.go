package standin_test

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

func federation(t *testing.T, n int) *peg.Federation {
	t.Helper()
	f, err := peg.NewFederation(standin.PegKeys(n))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// spend is the federation's transaction that pays a deposit on, signed by these members.
func spend(t *testing.T, f *peg.Federation, in wire.OutPoint, coin *wire.TxOut, amount int64, by ...int) *wire.MsgTx {
	t.Helper()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&in, nil, nil))
	tx.AddTxOut(wire.NewTxOut(amount, []byte{txscript.OP_TRUE}))
	hashes, err := f.SigHashes(tx, []*wire.TxOut{coin})
	if err != nil {
		t.Fatal(err)
	}
	signatures := make([][][64]byte, len(f.Keys))
	for _, i := range by {
		signatures[i] = [][64]byte{standin.PegSign(i, hashes[0])}
	}
	final, err := f.Finalize(tx, signatures)
	if err != nil {
		t.Fatal(err)
	}
	return final
}

// TestBitcoinSpends: the chain takes a payment that the federation signed, once, and no
// other.
func TestBitcoinSpends(t *testing.T) {
	f := federation(t, 3)
	b := standin.NewBitcoin(f)
	txid := b.Deposit(1_000_000, common.Address{1})
	if b.Confirmations(txid) != 0 {
		t.Error("confirmed in the pool")
	}
	b.Mine(2)
	if b.Confirmations(txid) != 2 || b.Reserves() != 1_000_000 {
		t.Fatalf("%d confirmations, reserves %d", b.Confirmations(txid), b.Reserves())
	}
	in, coin := wire.OutPoint{Hash: txid}, b.Mined(txid).TxOut[0]
	if err := b.Submit(spend(t, f, in, coin, 1_000_001, 0, 1)); err == nil {
		t.Error("a payment of more than it spends")
	}
	forged := spend(t, f, in, coin, 900_000, 0, 1)
	forged.TxIn[0].Witness[1] = make([]byte, 64)
	if err := b.Submit(forged); err == nil {
		t.Error("a forged signature")
	}
	good := spend(t, f, in, coin, 900_000, 0, 2)
	if err := b.Submit(good); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(spend(t, f, in, coin, 800_000, 0, 1)); err == nil {
		t.Error("a second spend beside one in the pool")
	}
	b.Mine(1)
	if err := b.Submit(spend(t, f, in, coin, 800_000, 0, 1)); err == nil {
		t.Error("a second spend")
	}
	if b.Submit(good) != nil || len(b.Spends()) != 1 || b.Reserves() != 0 {
		t.Errorf("%d spends, reserves %d", len(b.Spends()), b.Reserves())
	}
}

// followed reads everything that a node tells, and checks each place by its branch.
func followed(t *testing.T, b *standin.Bitcoin, m *message.FollowBitcoin) (known []message.BitcoinID, txs int) {
	t.Helper()
	for answer := b.Follow(m); answer != nil; answer = b.Follow(m) {
		if answer.Ancestor == nil && len(m.Known) > 0 {
			t.Fatal("the node knows nothing of what it told")
		}
		for len(known) > 0 && known[0] != *answer.Ancestor {
			known = known[1:]
		}
		for _, x := range answer.Blocks {
			var header wire.BlockHeader
			if err := header.Deserialize(bytes.NewReader(x.Header[:])); err != nil || header.BlockHash() != x.Hash || len(known) > 0 && header.PrevBlock != known[0].Hash {
				t.Fatalf("block %d does not follow: %v", x.Height, err)
			}
			for _, tx := range x.Transactions {
				txs++
				var m wire.MsgTx
				if err := m.Deserialize(bytes.NewReader(tx.Raw.Data)); err != nil {
					t.Fatal(err)
				}
				hash, index := m.TxHash(), tx.Index
				for _, side := range tx.Branch {
					left, right := hash, chainhash.Hash(side.Value)
					if index&1 == 1 {
						left, right = right, left
					}
					hash, index = chainhash.DoubleHashH(append(left[:], right[:]...)), index/2
				}
				if hash != header.MerkleRoot {
					t.Errorf("transaction %d of block %d is not in it", tx.Index, x.Height)
				}
			}
			known = append([]message.BitcoinID{{Height: x.Height, Hash: x.Hash}}, known...)
		}
		m = &message.FollowBitcoin{Known: known, From: m.From, Tip: answer.Tip}
	}
	return known, txs
}

// TestBitcoinFollowed: a node tells every block and what concerns the peg, leaves what a
// reorganisation replaced, and has nothing to tell when nothing is new.
func TestBitcoinFollowed(t *testing.T) {
	b := standin.NewBitcoin(federation(t, 3))
	var deposits []chainhash.Hash
	for i := range 5 {
		deposits = append(deposits, b.Deposit(int64(1000+i), common.Address{byte(i)}))
		b.Mine(9)
	}
	for range 4 { // several in a block
		deposits = append(deposits, b.Deposit(5000, common.Address{9}))
	}
	b.Mine(1)
	known, txs := followed(t, b, &message.FollowBitcoin{From: 1})
	if uint64(len(known)) != b.Height() || txs != len(deposits) {
		t.Fatalf("%d blocks, %d transactions", len(known), txs)
	}
	last := deposits[len(deposits)-1]
	b.Replace(last)
	b.Reorganise(3)
	if b.Confirmations(last) != 0 || b.Confirmations(deposits[5]) != 1 || b.Confirmations(deposits[0]) == 0 {
		t.Errorf("confirmations %d, %d, %d", b.Confirmations(last), b.Confirmations(deposits[5]), b.Confirmations(deposits[0]))
	}
	answer := b.Follow(&message.FollowBitcoin{Known: known})
	if answer == nil || answer.Ancestor == nil || *answer.Ancestor != known[3] || len(answer.Blocks) != 4 {
		t.Fatalf("after a reorganisation: %+v", answer)
	}
	if tx := b.Fetch(&message.FetchTransaction{Txid: deposits[0], Block: known[len(known)-1].Hash}); tx.Type() != "transaction_fetched" {
		t.Errorf("fetched: %+v", tx)
	}
	if tx := b.Fetch(&message.FetchTransaction{Txid: last, Block: known[0].Hash}); tx.Type() != "transaction_missing" {
		t.Errorf("a block that was left: %+v", tx)
	}
}
