package nodetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
)

const (
	// Ready is the height from which taproot is active on btcd's regtest: three windows of
	// 144 blocks that signal.
	Ready = 432

	signals    = 0x20000000 | 1<<0 | 1<<1 | 1<<2 // BIP 9: CSV, segwit, taproot
	paymentFee = 5000
	maturity   = 100
)

// Miner mines for a process and has the coins of its blocks. It keeps every block, so that
// a process that lost some is given them again, as peers would. It implements [Control].
type Miner struct {
	p      *Process
	node   *bitcoin.Client
	key    *btcec.PrivateKey
	script []byte
	blocks map[chainhash.Hash]*wire.MsgBlock
	order  []chainhash.Hash // as they were made
	chain  []chainhash.Hash // the best chain as it was seen last, by height
	extra  int64
}

// NewMiner returns the miner of a process that runs, and mines until [Ready].
func NewMiner(ctx context.Context, p *Process, node *bitcoin.Client) (*Miner, error) {
	key, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{0x77}, 32))
	address, err := btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(public.SerializeCompressed()), &chaincfg.RegressionNetParams)
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		return nil, err
	}
	genesis := chaincfg.RegressionNetParams.GenesisBlock
	m := &Miner{
		p: p, node: node, key: key, script: script,
		blocks: map[chainhash.Hash]*wire.MsgBlock{genesis.BlockHash(): genesis}, chain: []chainhash.Hash{genesis.BlockHash()},
	}
	tip := m.chain[0]
	for height := 1; height <= Ready+maturity; height++ {
		if tip, err = m.add(ctx, tip, height, nil); err != nil {
			return nil, err
		}
	}
	return m, m.settled(ctx, tip)
}

// Script is where the miner's coins are.
func (m *Miner) Script() []byte { return m.script }

// Mine implements [Control].
func (m *Miner) Mine(ctx context.Context, n int) (hashes []chainhash.Hash, err error) {
	for range n {
		if err := m.refresh(ctx); err != nil {
			return hashes, err
		}
		txs, err := m.Mempool(ctx)
		if err != nil {
			return hashes, err
		}
		hash, err := m.add(ctx, m.chain[len(m.chain)-1], len(m.chain), txs)
		if err != nil {
			return hashes, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, m.settled(ctx, hashes[len(hashes)-1])
}

// Reorg implements [Control].
func (m *Miner) Reorg(ctx context.Context, depth int, txs ...*wire.MsgTx) (hashes []chainhash.Hash, err error) {
	if err := m.refresh(ctx); err != nil {
		return nil, err
	}
	height := len(m.chain) - depth
	parent := m.chain[height-1]
	for range depth + 1 {
		if parent, err = m.add(ctx, parent, height, txs); err != nil {
			return hashes, err
		}
		hashes, txs = append(hashes, parent), nil
		height++
	}
	return hashes, m.settled(ctx, parent)
}

// settled waits until a block is the tip: nodes take blocks in beside their answers.
func (m *Miner) settled(ctx context.Context, tip chainhash.Hash) error {
	for range 500 {
		info, err := m.node.Info(ctx)
		if err != nil || info.Tip == tip {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("block %s does not become the tip", tip)
}

// Restore gives a process that was started again the blocks that it lost.
func (m *Miner) Restore(ctx context.Context) error {
	info, err := m.node.Info(ctx)
	if err != nil {
		return err
	}
	// The blocks that it has now may be a part of what was made, in the order it was made.
	first := 0
	for i, hash := range m.order {
		if hash == info.Tip {
			first = i + 1
		}
	}
	if m.submitAll(ctx, m.order[first:]) == nil {
		return nil
	}
	return m.submitAll(ctx, m.order) // it lacks a side block below
}

func (m *Miner) submitAll(ctx context.Context, hashes []chainhash.Hash) error {
	for _, hash := range hashes {
		if err := m.submit(ctx, m.blocks[hash]); err != nil {
			return err
		}
	}
	return nil
}

// refresh follows the best chain.
func (m *Miner) refresh(ctx context.Context) error {
	info, err := m.node.Info(ctx)
	if err != nil {
		return err
	}
	var fresh []chainhash.Hash
	hash, height := info.Tip, int(info.Height)
	for ; height >= len(m.chain) || m.chain[height] != hash; height-- {
		b := m.blocks[hash]
		if b == nil {
			raw, err := m.node.Block(ctx, hash)
			if err != nil {
				return err
			}
			b = new(wire.MsgBlock)
			if err := b.Deserialize(bytes.NewReader(raw)); err != nil {
				return err
			}
			m.blocks[hash] = b
		}
		fresh = append(fresh, hash)
		hash = b.Header.PrevBlock
	}
	slices.Reverse(fresh)
	m.chain = append(m.chain[:height+1:height+1], fresh...)
	return nil
}

// add makes a block on a parent and submits it. The fees of its transactions go to nobody.
func (m *Miner) add(ctx context.Context, parent chainhash.Hash, height int, txs []*wire.MsgTx) (chainhash.Hash, error) {
	at := m.blocks[parent].Header.Timestamp.Add(time.Second)
	if height == 1 {
		at = time.Now().Add(-time.Hour).Truncate(time.Second)
	}
	m.extra++
	sign, err := txscript.NewScriptBuilder().AddInt64(int64(height)).AddInt64(m.extra).AddData([]byte("alys")).Script()
	if err != nil {
		return chainhash.Hash{}, err
	}
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, wire.MaxPrevOutIndex), sign, nil))
	coinbase.AddTxOut(wire.NewTxOut(blockchain.CalcBlockSubsidy(int32(height), &chaincfg.RegressionNetParams), m.script))
	block := wire.NewMsgBlock(&wire.BlockHeader{Version: signals, PrevBlock: parent, Timestamp: at, Bits: chaincfg.RegressionNetParams.PowLimitBits})
	all := append([]*wire.MsgTx{coinbase}, txs...)
	if slices.ContainsFunc(txs, (*wire.MsgTx).HasWitness) {
		commit(coinbase, all)
	}
	utxs := make([]*btcutil.Tx, len(all))
	for i, tx := range all {
		block.Transactions, utxs[i] = append(block.Transactions, tx), btcutil.NewTx(tx)
	}
	block.Header.MerkleRoot = blockchain.CalcMerkleRoot(utxs, false)
	target := blockchain.CompactToBig(block.Header.Bits)
	for hash := block.BlockHash(); blockchain.HashToBig(&hash).Cmp(target) > 0; hash = block.BlockHash() {
		block.Header.Nonce++
	}
	hash := block.BlockHash()
	m.blocks[hash], m.order = block, append(m.order, hash)
	return hash, m.submit(ctx, block)
}

// commit adds the commitment to witnesses. (BIP 141)
func commit(coinbase *wire.MsgTx, all []*wire.MsgTx) {
	coinbase.TxIn[0].Witness = wire.TxWitness{make([]byte, 32)}
	utxs := make([]*btcutil.Tx, len(all))
	for i, tx := range all {
		utxs[i] = btcutil.NewTx(tx)
	}
	root := blockchain.CalcMerkleRoot(utxs, true)
	hash := chainhash.DoubleHashB(append(root[:], coinbase.TxIn[0].Witness[0]...))
	coinbase.AddTxOut(wire.NewTxOut(0, append(append([]byte{}, blockchain.WitnessMagicBytes...), hash...)))
}

func (m *Miner) submit(ctx context.Context, block *wire.MsgBlock) error {
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		return err
	}
	var refusal *string
	if err := m.p.call(ctx, &refusal, "submitblock", hex.EncodeToString(raw.Bytes())); err != nil {
		return err
	}
	// A side branch is inconclusive to Bitcoin Core.
	if refusal != nil && *refusal != "inconclusive" && !strings.HasPrefix(*refusal, "duplicate") && !strings.Contains(*refusal, "already have block") {
		return fmt.Errorf("block %s is refused: %s", block.BlockHash(), *refusal)
	}
	return nil
}

// Mempool returns what waits for a block, parents before children.
func (m *Miner) Mempool(ctx context.Context) (ordered []*wire.MsgTx, err error) {
	var ids []string
	if err := m.p.call(ctx, &ids, "getrawmempool"); err != nil {
		return nil, err
	}
	slices.Sort(ids)
	waiting := make(map[chainhash.Hash]*wire.MsgTx)
	for _, id := range ids {
		var text string
		if err := m.p.call(ctx, &text, "getrawtransaction", id); err != nil {
			return nil, err
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		tx := new(wire.MsgTx)
		if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
			return nil, err
		}
		waiting[tx.TxHash()] = tx
	}
	var take func(*wire.MsgTx)
	take = func(tx *wire.MsgTx) {
		delete(waiting, tx.TxHash())
		for _, in := range tx.TxIn {
			if parent := waiting[in.PreviousOutPoint.Hash]; parent != nil {
				take(parent)
			}
		}
		ordered = append(ordered, tx)
	}
	for _, id := range ids {
		hash, err := chainhash.NewHashFromStr(id)
		if err != nil {
			return nil, err
		}
		if tx := waiting[*hash]; tx != nil {
			take(tx)
		}
	}
	return ordered, nil
}

// coin is an output of the miner.
type coin struct {
	point wire.OutPoint
	out   *wire.TxOut
}

// Unspent returns the outputs of the best chain that a script of which pays, by outpoint;
// of coinbases the matured ones.
func (m *Miner) Unspent(ctx context.Context, pays func(script []byte) bool) (map[wire.OutPoint]*wire.TxOut, error) {
	if err := m.refresh(ctx); err != nil {
		return nil, err
	}
	coins := make(map[wire.OutPoint]*wire.TxOut)
	for height, hash := range m.chain {
		for i, tx := range m.blocks[hash].Transactions {
			for _, in := range tx.TxIn {
				delete(coins, in.PreviousOutPoint)
			}
			if i == 0 && height+maturity > len(m.chain) {
				continue
			}
			for j, out := range tx.TxOut {
				if pays(out.PkScript) {
					coins[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(j)}] = out
				}
			}
		}
	}
	return coins, nil
}

// Pay implements [Control].
func (m *Miner) Pay(ctx context.Context, outputs ...*wire.TxOut) (*wire.MsgTx, error) {
	unspent, err := m.Unspent(ctx, func(script []byte) bool { return bytes.Equal(script, m.script) })
	if err != nil {
		return nil, err
	}
	pending, err := m.Mempool(ctx)
	if err != nil {
		return nil, err
	}
	for _, tx := range pending {
		for _, in := range tx.TxIn {
			delete(unspent, in.PreviousOutPoint)
		}
	}
	coins := make([]coin, 0, len(unspent))
	for point, out := range unspent {
		coins = append(coins, coin{point, out})
	}
	slices.SortFunc(coins, func(a, b coin) int {
		if c := bytes.Compare(a.point.Hash[:], b.point.Hash[:]); c != 0 {
			return c
		}
		return int(a.point.Index) - int(b.point.Index)
	})
	tx := wire.NewMsgTx(2)
	need := int64(paymentFee)
	for _, out := range outputs {
		tx.AddTxOut(out)
		need += out.Value
	}
	var taken []coin
	for _, c := range coins {
		if need <= 0 {
			break
		}
		tx.AddTxIn(wire.NewTxIn(&c.point, nil, nil))
		taken, need = append(taken, c), need-c.out.Value
	}
	if need > 0 {
		return nil, errors.New("the miner has too few coins")
	}
	if change := -need; change > 1000 {
		tx.AddTxOut(wire.NewTxOut(change, m.script))
	}
	return tx, m.sign(tx, taken)
}

func (m *Miner) sign(tx *wire.MsgTx, coins []coin) error {
	prevouts := make(map[wire.OutPoint]*wire.TxOut)
	for _, c := range coins {
		prevouts[c.point] = c.out
	}
	hashes := txscript.NewTxSigHashes(tx, txscript.NewMultiPrevOutFetcher(prevouts))
	for i, c := range coins {
		witness, err := txscript.WitnessSignature(tx, hashes, i, c.out.Value, c.out.PkScript, txscript.SigHashAll, m.key, true)
		if err != nil {
			return err
		}
		tx.TxIn[i].Witness = witness
	}
	return nil
}
