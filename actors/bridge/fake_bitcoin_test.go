package bridge_test

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// userCoin begins the txids of outputs that users have: nobody looks at them.
const userCoin = 0xaa

// fakeBitcoin is a Bitcoin node: a chain of blocks, a mempool, and the rule that an output
// is spent once, by signatures that the script engine accepts.
type fakeBitcoin struct {
	federation *peg.Federation
	chain      []*fakeBlock
	mempool    []*wire.MsgTx
	salt       uint32
	away       bool
	rate       uint64
}

type fakeBlock struct {
	header wire.BlockHeader
	txs    []*wire.MsgTx
}

func newFakeBitcoin(f *peg.Federation) *fakeBitcoin {
	b := &fakeBitcoin{federation: f}
	b.mine()
	return b
}

// mine makes a block of the mempool.
func (b *fakeBitcoin) mine() {
	coinbase := wire.NewMsgTx(1)
	coinbase.AddTxIn(&wire.TxIn{SignatureScript: []byte{1, byte(len(b.chain)), byte(b.salt)}})
	coinbase.AddTxOut(wire.NewTxOut(1, []byte{txscript.OP_TRUE}))
	block := &fakeBlock{txs: append([]*wire.MsgTx{coinbase}, b.mempool...)}
	var list []*btcutil.Tx
	for _, tx := range block.txs {
		list = append(list, btcutil.NewTx(tx))
	}
	block.header = wire.BlockHeader{Version: 2, MerkleRoot: blockchain.CalcMerkleRoot(list, false), Nonce: b.salt}
	if n := len(b.chain); n > 0 {
		block.header.PrevBlock = b.chain[n-1].header.BlockHash()
	}
	b.chain, b.mempool = append(b.chain, block), nil
}

// leave takes blocks off the end; what was in them is not in the mempool again.
func (b *fakeBitcoin) leave(depth int) {
	b.chain = b.chain[:len(b.chain)-depth]
	b.mempool = nil
	b.salt++
}

func (b *fakeBitcoin) id(height int) message.BitcoinID {
	return message.BitcoinID{Height: uint64(height), Hash: b.chain[height].header.BlockHash()}
}

func (b *fakeBitcoin) blockOf(txid chainhash.Hash) chainhash.Hash {
	for _, block := range b.chain {
		for _, tx := range block.txs {
			if tx.TxHash() == txid {
				return block.header.BlockHash()
			}
		}
	}
	return chainhash.Hash{}
}

// ancestor is the height of the highest known block on the chain, or -1.
func (b *fakeBitcoin) ancestor(r *message.FollowBitcoin) int {
	for _, k := range r.Known {
		if h := int(k.Height); h < len(b.chain) && b.id(h) == k {
			return h
		}
	}
	return -1
}

func (b *fakeBitcoin) news(r *message.FollowBitcoin) bool {
	top := len(b.chain) - 1
	return b.away || r.Tip == nil || *r.Tip != b.id(top) || len(r.Known) == 0 || r.Known[0] != b.id(top)
}

func (b *fakeBitcoin) follow(r *message.FollowBitcoin) core.Message {
	if b.away {
		return &message.BitcoinAway{Grade: 1, Reason: "connection refused"}
	}
	tip := b.id(len(b.chain) - 1)
	m := &message.BitcoinFollowed{Tip: &tip, FeeRate: b.rate, Network: "regtest"}
	from := int(r.From)
	if a := b.ancestor(r); a >= 0 {
		id := b.id(a)
		m.Ancestor, from = &id, a+1
	}
	for h := from; h < len(b.chain); h++ {
		m.Blocks = append(m.Blocks, b.tell(h))
	}
	return m
}

// tell is a block with what concerns the federation.
func (b *fakeBitcoin) tell(height int) message.BitcoinBlock {
	block := b.chain[height]
	told := message.BitcoinBlock{Height: uint64(height), Hash: block.header.BlockHash()}
	var header bytes.Buffer
	_ = block.header.Serialize(&header)
	copy(told.Header[:], header.Bytes())
	for i, tx := range block.txs {
		pays := slices.ContainsFunc(tx.TxOut, func(o *wire.TxOut) bool { return b.federation.Owns(o.PkScript) })
		spends := slices.ContainsFunc(tx.TxIn, func(in *wire.TxIn) bool {
			n := len(in.Witness)
			return n >= 2 && bytes.Equal(in.Witness[n-1], b.federation.ControlBlock)
		})
		if !pays && !spends {
			continue
		}
		t := message.BitcoinTransaction{Raw: record.NewContent(raw(tx)), Index: uint32(i)}
		for _, h := range merkleBranch(block.txs, i) {
			t.Branch = append(t.Branch, message.SigHash{Value: h})
		}
		told.Transactions = append(told.Transactions, t)
	}
	return told
}

func raw(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.Serialize(&b)
	return b.Bytes()
}

func merkleBranch(txs []*wire.MsgTx, index int) []chainhash.Hash {
	var row []chainhash.Hash
	for _, tx := range txs {
		row = append(row, tx.TxHash())
	}
	var branch []chainhash.Hash
	for len(row) > 1 {
		if len(row)%2 == 1 {
			row = append(row, row[len(row)-1])
		}
		branch = append(branch, row[index^1])
		var next []chainhash.Hash
		for i := 0; i < len(row); i += 2 {
			next = append(next, blockchain.HashMerkleBranches(&row[i], &row[i+1]))
		}
		row, index = next, index/2
	}
	return branch
}

// outputs returns what is unspent, with the mempool's.
func (b *fakeBitcoin) outputs() map[wire.OutPoint]*wire.TxOut {
	unspent := map[wire.OutPoint]*wire.TxOut{}
	take := func(tx *wire.MsgTx) {
		for _, in := range tx.TxIn {
			delete(unspent, in.PreviousOutPoint)
		}
		for i, out := range tx.TxOut {
			unspent[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}] = out
		}
	}
	for _, block := range b.chain {
		for _, tx := range block.txs {
			take(tx)
		}
	}
	for _, tx := range b.mempool {
		take(tx)
	}
	return unspent
}

// accept takes a transaction into the mempool.
func (b *fakeBitcoin) accept(tx *wire.MsgTx) error {
	unspent := b.outputs()
	spent := map[wire.OutPoint]*wire.TxOut{}
	for i, in := range tx.TxIn {
		if in.PreviousOutPoint.Hash[0] == userCoin {
			spent[in.PreviousOutPoint] = wire.NewTxOut(1, []byte{txscript.OP_TRUE})
			continue
		}
		out := unspent[in.PreviousOutPoint]
		if out == nil {
			return fmt.Errorf("bad-txns-inputs-missingorspent: input %d", i)
		}
		spent[in.PreviousOutPoint] = out
	}
	fetcher := txscript.NewMultiPrevOutFetcher(spent)
	hashes := txscript.NewTxSigHashes(tx, fetcher)
	for i, in := range tx.TxIn {
		out := spent[in.PreviousOutPoint]
		if in.PreviousOutPoint.Hash[0] == userCoin {
			continue
		}
		engine, err := txscript.NewEngine(out.PkScript, tx, i, txscript.StandardVerifyFlags, nil, hashes, out.Value, fetcher)
		if err == nil {
			err = engine.Execute()
		}
		if err != nil {
			return fmt.Errorf("mandatory-script-verify-flag-failed: %w", err)
		}
	}
	b.mempool = append(b.mempool, tx)
	return nil
}

func (b *fakeBitcoin) broadcast(r *message.BroadcastTransaction) core.Message {
	answer := &message.TransactionBroadcast{Txid: r.Txid, Outcome: message.BroadcastAccepted}
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(r.Raw.Data)); err != nil {
		answer.Outcome, answer.Reason = message.BroadcastRefused, err.Error()
		return answer
	}
	switch {
	case b.away:
		answer.Outcome, answer.Reason = message.BroadcastAway, "connection refused"
	case b.blockOf(r.Txid) != chainhash.Hash{}:
		answer.Outcome = message.BroadcastConfirmed
	case slices.ContainsFunc(b.mempool, func(k *wire.MsgTx) bool { return k.TxHash() == r.Txid }):
	default:
		if err := b.accept(tx); err != nil {
			answer.Outcome, answer.Reason = message.BroadcastConflict, err.Error()
		}
	}
	return answer
}

func (b *fakeBitcoin) fetch(r *message.FetchTransaction) core.Message {
	for h, block := range b.chain {
		for _, tx := range block.txs {
			if tx.TxHash() == r.Txid && block.header.BlockHash() == r.Block {
				return &message.TransactionFetched{Txid: r.Txid, Block: r.Block, Height: uint64(h), Raw: record.NewContent(raw(tx))}
			}
		}
	}
	return &message.TransactionMissing{Txid: r.Txid, Block: r.Block, Reason: "not there"}
}
