package regtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/mining"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MaxMined is how many blocks one call mines at most.
const MaxMined = 1000

// maxAhead is how far timestamps may be ahead of the clock; Bitcoin refuses two hours.
const maxAhead = time.Hour

// Mine mines n blocks of what the mempool has, and returns their hashes.
func (c *Chain) Mine(_ context.Context, n int) (hashes []chainhash.Hash, err error) {
	if n < 1 || n > MaxMined {
		return nil, fault.New(fault.Invalid, "mine %d blocks: 1 to %d at a time", n, MaxMined)
	}
	err = c.do("mine", func() error {
		hashes, err = c.mine(n)
		return err
	})
	return hashes, err
}

func (c *Chain) mine(n int) (hashes []chainhash.Hash, err error) {
	for range n {
		template, err := c.miner.NewBlockTemplate(c.wallet.address)
		if err != nil {
			return hashes, errors.Join(fault.Wrap(fault.Fatal, err, "make a bitcoin block"), c.file.sync())
		}
		if err := c.miner.UpdateExtraNonce(template.Block, template.Height, c.file.count); err != nil {
			return hashes, errors.Join(fault.Wrap(fault.Fatal, err, "make a bitcoin block"), c.file.sync())
		}
		hash, err := c.accept(template.Block)
		if err != nil {
			return hashes, errors.Join(err, c.file.sync())
		}
		hashes = append(hashes, hash)
	}
	return hashes, c.file.sync()
}

// accept solves a block, writes it and gives it to btcd. The caller syncs.
func (c *Chain) accept(block *wire.MsgBlock) (hash chainhash.Hash, err error) {
	if ahead := block.Header.Timestamp.Sub(c.now()); ahead > maxAhead {
		return hash, fault.New(fault.Temporary, "the tip of the regtest chain is %s ahead of the clock: every block moves its time on; mine more later", ahead.Round(time.Second))
	}
	if err := solve(&block.Header); err != nil {
		return hash, err
	}
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		return hash, fault.Wrap(fault.Fatal, err, "encode a bitcoin block")
	}
	if err := c.file.append(raw.Bytes()); err != nil {
		return hash, err
	}
	hash = block.BlockHash()
	_, orphan, err := c.chain.ProcessBlock(btcutil.NewBlock(block), blockchain.BFNone)
	if err == nil && orphan {
		err = errors.New("it has no parent")
	}
	var rule blockchain.RuleError
	if errors.As(err, &rule) {
		return hash, fault.Wrap(fault.Invalid, err, fmt.Sprintf("bitcoin block %s", hash))
	}
	return hash, fault.Wrap(fault.Fatal, err, fmt.Sprintf("bitcoin block %s", hash))
}

// solve finds a nonce; of regtest's target every second is one.
func solve(header *wire.BlockHeader) error {
	target := blockchain.CompactToBig(header.Bits)
	for nonce := uint32(0); nonce < math.MaxUint32; nonce++ {
		header.Nonce = nonce
		hash := header.BlockHash()
		if blockchain.HashToBig(&hash).Cmp(target) <= 0 {
			return nil
		}
	}
	return fault.New(fault.Fatal, "no nonce solves a bitcoin block with target %08x", header.Bits)
}

// Reorg replaces the last depth blocks of the best chain by depth+1 others, and returns the
// hashes of these. The first of them has the given transactions, which may spend again what
// the replaced blocks spend; the others are empty. Transactions of the replaced blocks go
// back into the mempool where they can.
func (c *Chain) Reorg(_ context.Context, depth int, txs ...*wire.MsgTx) (hashes []chainhash.Hash, err error) {
	err = c.do("reorganise", func() error {
		hashes, err = c.reorg(depth, txs)
		return errors.Join(err, c.file.sync())
	})
	return hashes, err
}

func (c *Chain) reorg(depth int, txs []*wire.MsgTx) (hashes []chainhash.Hash, err error) {
	best := c.chain.BestSnapshot()
	if depth < 1 || depth >= MaxMined || int(best.Height)-depth < Ready {
		return nil, fault.New(fault.Invalid, "a reorganisation of depth %d at height %d: 1 to %d, and not below height %d", depth, best.Height, MaxMined-1, Ready)
	}
	height := best.Height - int32(depth)
	parent, err := c.chain.BlockHashByHeight(height)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, fmt.Sprintf("bitcoin block %d", height))
	}
	header, err := c.chain.HeaderByHash(parent)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "bitcoin block "+parent.String())
	}
	version, err := c.chain.CalcNextBlockVersion()
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "version of the next bitcoin block")
	}
	for range depth + 1 {
		height++
		next := wire.BlockHeader{Version: version, PrevBlock: header.BlockHash(), Timestamp: header.Timestamp.Add(time.Second), Bits: header.Bits}
		if now := time.Unix(c.now().Unix(), 0); now.After(next.Timestamp) {
			next.Timestamp = now
		}
		block, err := c.candidate(next, height, txs)
		if err != nil {
			return hashes, err
		}
		txs = nil
		hash, err := c.accept(block)
		if err != nil {
			return hashes, err
		}
		hashes, header = append(hashes, hash), block.Header
	}
	if tip := c.chain.BestSnapshot().Hash; tip != hashes[len(hashes)-1] {
		return hashes, fault.New(fault.Invalid, "the longer bitcoin branch was not taken: its transactions are not valid there")
	}
	return hashes, nil
}

// candidate makes an unsolved block with a coinbase for the faucet and the transactions.
func (c *Chain) candidate(header wire.BlockHeader, height int32, txs []*wire.MsgTx) (*wire.MsgBlock, error) {
	script, err := txscript.NewScriptBuilder().AddInt64(int64(height)).AddInt64(int64(c.file.count)).AddData([]byte("reorg")).Script()
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "make a coinbase")
	}
	coinbase := wire.NewMsgTx(1)
	coinbase.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{}, wire.MaxPrevOutIndex), script, nil))
	coinbase.AddTxOut(wire.NewTxOut(blockchain.CalcBlockSubsidy(height, Params()), c.wallet.script))
	all := []*btcutil.Tx{btcutil.NewTx(coinbase)}
	for _, tx := range txs {
		all = append(all, btcutil.NewTx(tx))
	}
	if len(txs) > 0 {
		mining.AddWitnessCommitment(all[0], all)
		all[0] = btcutil.NewTx(coinbase) // its hash was another before
	}
	header.MerkleRoot = blockchain.CalcMerkleRoot(all, false)
	block := wire.NewMsgBlock(&header)
	for _, tx := range all {
		if err := block.AddTransaction(tx.MsgTx()); err != nil {
			return nil, fault.Wrap(fault.Fatal, err, "make a bitcoin block")
		}
	}
	return block, nil
}

// Run mines a block every interval until ctx ends.
func (c *Chain) Run(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		return fault.New(fault.Invalid, "mine every %s", every)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := c.Mine(ctx, 1); fault.Is(err, fault.Temporary) {
				c.log.Warn("bitcoin: no block was mined", "error", err)
			} else if err != nil {
				return err
			}
		}
	}
}
