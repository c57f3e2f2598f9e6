package standin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// Subsidy is what each block pays to users, in satoshi. Anyone can spend it.
const Subsidy = 5_000_000_000

// FeeRate is the estimate of the stand-in's nodes, satoshi per 1000 vbytes.
const FeeRate = 2000

// users is the script of all coins that are not the federation's: OP_TRUE.
var users = []byte{txscript.OP_TRUE}

// Bitcoin stands in for the Bitcoin network and the nodes on it: a best chain that grows
// and is reorganised when it is told to, and a pool of transactions. A transaction must
// spend coins that exist and are not spent, once each, with scripts that hold under btcd's
// interpreter, and make no money. There is no proof of work and no maturity. It is
// deterministic and for one goroutine at a time.
type Bitcoin struct {
	federation *peg.Federation
	chain      []*bitcoinBlock // best chain, by height
	pool       []*wire.MsgTx   // in the order they came
	coins      map[wire.OutPoint]*wire.TxOut
	mined      map[chainhash.Hash]uint64 // height of transactions on the best chain
	funding    []wire.OutPoint           // users' coins that no deposit has taken
	forks      uint64                    // makes blocks and funding of branches differ
	banned     map[chainhash.Hash]bool   // transactions that their makers replaced
}

type bitcoinBlock struct {
	header wire.BlockHeader
	hash   chainhash.Hash
	txs    []*wire.MsgTx
}

// NewBitcoin returns a chain of one block for this federation.
func NewBitcoin(f *peg.Federation) *Bitcoin {
	b := &Bitcoin{
		federation: f, coins: map[wire.OutPoint]*wire.TxOut{}, mined: map[chainhash.Hash]uint64{}, banned: map[chainhash.Hash]bool{},
	}
	b.Mine(1)
	return b
}

// Height returns the height of the best chain's tip.
func (b *Bitcoin) Height() uint64 { return uint64(len(b.chain) - 1) }

// Confirmations returns how deep a transaction is on the best chain; zero when it is not
// on it. The tip is one deep.
func (b *Bitcoin) Confirmations(txid chainhash.Hash) uint64 {
	height, ok := b.mined[txid]
	if !ok {
		return 0
	}
	return b.Height() - height + 1
}

// Mine adds blocks; the first has all of the pool.
func (b *Bitcoin) Mine(blocks int) {
	for range blocks {
		b.add(b.pool)
		b.pool = nil
	}
}

// Reorganise leaves so many blocks for one more than that. Their transactions go into the
// last of the new blocks, unless their maker replaced them.
func (b *Bitcoin) Reorganise(depth int) {
	depth = min(depth, len(b.chain)-1)
	if depth <= 0 {
		return
	}
	var again []*wire.MsgTx
	for _, left := range b.chain[len(b.chain)-depth:] {
		again = append(again, left.txs[1:]...)
	}
	kept := b.chain[:len(b.chain)-depth]
	b.chain, b.coins, b.mined, b.funding = nil, map[wire.OutPoint]*wire.TxOut{}, map[chainhash.Hash]uint64{}, nil
	b.forks++
	for _, old := range kept {
		b.connect(old)
	}
	pool := append(again, b.pool...)
	b.pool = nil
	for range depth {
		b.add(nil)
	}
	for _, tx := range pool { // in their order: what spends another comes after it
		_ = b.Submit(tx)
	}
	b.Mine(1)
}

// Replace has the maker of a transaction spend its coin otherwise: it is in no block from
// now on, if a reorganisation takes it out of the one that it is in.
func (b *Bitcoin) Replace(txid chainhash.Hash) { b.banned[txid] = true }

// Submit puts a transaction into the pool. Known ones are accepted again. Errors: Invalid
// for one that no block can have, naming why.
func (b *Bitcoin) Submit(tx *wire.MsgTx) error {
	txid := tx.TxHash()
	if _, ok := b.mined[txid]; ok || slices.ContainsFunc(b.pool, func(p *wire.MsgTx) bool { return p.TxHash() == txid }) {
		return nil
	}
	if b.banned[txid] {
		return fault.New(fault.Invalid, "%s: an input is spent by another transaction", txid)
	}
	if err := b.check(tx); err != nil {
		return err
	}
	b.pool = append(b.pool, tx)
	return nil
}

// check is what Bitcoin demands of a transaction, so far as the stand-in goes.
func (b *Bitcoin) check(tx *wire.MsgTx) error {
	txid := tx.TxHash()
	spent := map[wire.OutPoint]*wire.TxOut{}
	var in, out int64
	for _, input := range tx.TxIn {
		coin := b.coin(input.PreviousOutPoint)
		if coin == nil || spent[input.PreviousOutPoint] != nil {
			return fault.New(fault.Invalid, "%s: input %s is missing or spent", txid, input.PreviousOutPoint)
		}
		spent[input.PreviousOutPoint] = coin
		in += coin.Value
	}
	for _, output := range tx.TxOut {
		if output.Value < 0 || output.Value > 21e14 {
			return fault.New(fault.Invalid, "%s: an output of %d satoshi", txid, output.Value)
		}
		out += output.Value
	}
	if len(tx.TxIn) == 0 || len(tx.TxOut) == 0 || out > in {
		return fault.New(fault.Invalid, "%s: %d satoshi in, %d out", txid, in, out)
	}
	fetch := txscript.NewMultiPrevOutFetcher(spent)
	hashes := txscript.NewTxSigHashes(tx, fetch)
	for i, input := range tx.TxIn {
		coin := spent[input.PreviousOutPoint]
		vm, err := txscript.NewEngine(coin.PkScript, tx, i, txscript.StandardVerifyFlags, nil, hashes, coin.Value, fetch)
		if err == nil {
			err = vm.Execute()
		}
		if err != nil {
			return fault.New(fault.Invalid, "%s: input %d: %v", txid, i, err)
		}
	}
	return nil
}

// coin returns an output that is not spent, in the pool neither.
func (b *Bitcoin) coin(out wire.OutPoint) *wire.TxOut {
	coin := b.coins[out]
	for _, tx := range b.pool {
		for _, input := range tx.TxIn {
			if input.PreviousOutPoint == out {
				return nil
			}
		}
		if tx.TxHash() == out.Hash && int(out.Index) < len(tx.TxOut) {
			coin = tx.TxOut[out.Index]
		}
	}
	return coin
}

// add makes a block of these transactions on the tip.
func (b *Bitcoin) add(txs []*wire.MsgTx) {
	height := uint64(len(b.chain))
	coinbase := wire.NewMsgTx(2)
	var mark [16]byte
	binary.BigEndian.PutUint64(mark[:], height)
	binary.BigEndian.PutUint64(mark[8:], b.forks)
	coinbase.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: 0xffffffff}, mark[:], nil))
	for range 8 {
		coinbase.AddTxOut(wire.NewTxOut(Subsidy/8, users))
	}
	all := append([]*wire.MsgTx{coinbase}, txs...)
	var previous chainhash.Hash
	if height > 0 {
		previous = b.chain[height-1].hash
	}
	root := merkleRoot(all)
	header := wire.NewBlockHeader(0x20000000, &previous, &root, 0x207fffff, uint32(b.forks))
	header.Timestamp = time.Unix(1_700_000_000+600*int64(height), 0)
	b.connect(&bitcoinBlock{header: *header, hash: header.BlockHash(), txs: all})
}

// connect puts a block on the tip: its coins come and go.
func (b *Bitcoin) connect(x *bitcoinBlock) {
	height := uint64(len(b.chain))
	for i, tx := range x.txs {
		txid := tx.TxHash()
		b.mined[txid] = height
		for _, input := range tx.TxIn {
			delete(b.coins, input.PreviousOutPoint)
		}
		for k, output := range tx.TxOut {
			out := wire.OutPoint{Hash: txid, Index: uint32(k)}
			b.coins[out] = output
			if i == 0 {
				b.funding = append(b.funding, out)
			}
		}
	}
	b.chain = append(b.chain, x)
}

// Deposit puts a transaction into the pool that pays the federation so many satoshi for an
// account, and returns its txid.
func (b *Bitcoin) Deposit(amount int64, account common.Address) chainhash.Hash {
	script, err := txscript.NullDataScript(account[:])
	if err != nil {
		panic(err) // twenty bytes always fit
	}
	return b.Pay(wire.NewTxOut(amount, b.federation.ScriptPubKey), wire.NewTxOut(0, script))
}

// Pay puts a transaction of a user with these outputs into the pool and returns its txid.
func (b *Bitcoin) Pay(outputs ...*wire.TxOut) chainhash.Hash {
	tx := wire.NewMsgTx(2)
	for {
		if len(b.funding) == 0 {
			b.Mine(1)
		}
		out := b.funding[0]
		b.funding = b.funding[1:]
		coin := b.coin(out)
		if coin == nil {
			continue
		}
		tx.AddTxIn(wire.NewTxIn(&out, nil, nil))
		rest := coin.Value - 1000
		for _, output := range outputs {
			tx.AddTxOut(output)
			rest -= output.Value
		}
		tx.AddTxOut(wire.NewTxOut(rest, users))
		break
	}
	if err := b.Submit(tx); err != nil {
		panic(err) // users have enough
	}
	return tx.TxHash()
}

// Mined returns a transaction of the best chain, or nil.
func (b *Bitcoin) Mined(txid chainhash.Hash) *wire.MsgTx {
	height, ok := b.mined[txid]
	if !ok {
		return nil
	}
	for _, tx := range b.chain[height].txs {
		if tx.TxHash() == txid {
			return tx
		}
	}
	return nil
}

// Spends returns the transactions of the best chain that spend the federation's coins, in
// their order.
func (b *Bitcoin) Spends() (list []*wire.MsgTx) {
	for _, x := range b.chain {
		for _, tx := range x.txs[1:] {
			if b.bySpend(tx) {
				list = append(list, tx)
			}
		}
	}
	return list
}

// Reserves returns the sum of the federation's coins on the best chain.
func (b *Bitcoin) Reserves() (sum int64) {
	for _, coin := range b.coins {
		if b.federation.Owns(coin.PkScript) {
			sum += coin.Value
		}
	}
	return sum
}

// bySpend reports whether a transaction spends by the federation's script.
func (b *Bitcoin) bySpend(tx *wire.MsgTx) bool {
	return slices.ContainsFunc(tx.TxIn, func(in *wire.TxIn) bool {
		n := len(in.Witness)
		return n >= 2 && bytes.Equal(in.Witness[n-1], b.federation.ControlBlock) && bytes.Equal(in.Witness[n-2], b.federation.Script)
	})
}

// concerns reports whether the peg wants to see a transaction.
func (b *Bitcoin) concerns(tx *wire.MsgTx) bool {
	return b.bySpend(tx) || slices.ContainsFunc(tx.TxOut, func(out *wire.TxOut) bool { return b.federation.Owns(out.PkScript) })
}

// merkleRoot is the root over txids.
func merkleRoot(txs []*wire.MsgTx) chainhash.Hash {
	level := txids(txs)
	for len(level) > 1 {
		level = parents(level)
	}
	return level[0]
}

// branch is the Merkle branch of the transaction at an index, lowest first.
func branch(txs []*wire.MsgTx, index int) (list []chainhash.Hash) {
	level := txids(txs)
	for ; len(level) > 1; index /= 2 {
		list = append(list, level[min(index^1, len(level)-1)])
		level = parents(level)
	}
	return list
}

func txids(txs []*wire.MsgTx) (list []chainhash.Hash) {
	for _, tx := range txs {
		list = append(list, tx.TxHash())
	}
	return list
}

// parents is the next level of a Merkle tree: an odd last one is paired with itself.
func parents(level []chainhash.Hash) (next []chainhash.Hash) {
	for i := 0; i < len(level); i += 2 {
		right := level[min(i+1, len(level)-1)]
		first := sha256.Sum256(append(level[i][:], right[:]...))
		next = append(next, sha256.Sum256(first[:]))
	}
	return next
}
