package peg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	rules "github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// fromOutside is the index of the outputs that users spend: nobody looks at them.
const fromOutside = 0xfffffff0

// bitcoin is the Bitcoin network.
type bitcoin struct {
	federation *rules.Federation
	chain      []*bitcoinBlock
	mempool    []*wire.MsgTx
	made       uint32 // blocks
	rate       uint64
}

type bitcoinBlock struct {
	id   message.BitcoinID
	txs  []*wire.MsgTx
	told message.BitcoinBlock
}

func newBitcoin(f *rules.Federation) *bitcoin {
	b := &bitcoin{federation: f, rate: 2000}
	b.mine(0)
	return b
}

// mine makes a block of the mempool, without the last few of it.
func (b *bitcoin) mine(without int) {
	b.made++
	coinbase := wire.NewMsgTx(1)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: fromOutside}, SignatureScript: binary.BigEndian.AppendUint32([]byte{4}, b.made)})
	coinbase.AddTxOut(wire.NewTxOut(1, []byte{txscript.OP_TRUE}))
	take := max(len(b.mempool)-without, 0)
	block := &bitcoinBlock{txs: append([]*wire.MsgTx{coinbase}, b.mempool[:take]...)}
	b.mempool = slices.Clone(b.mempool[take:])
	var txids []chainhash.Hash
	for _, tx := range block.txs {
		txids = append(txids, tx.TxHash())
	}
	m := wire.MsgBlock{Transactions: block.txs, Header: wire.BlockHeader{Version: 4, Nonce: b.made}}
	m.Header.MerkleRoot, _ = rules.MerkleRoot(txids)
	if n := len(b.chain); n > 0 {
		m.Header.PrevBlock = b.chain[n-1].id.Hash
	}
	block.id = message.BitcoinID{Height: uint64(len(b.chain)), Hash: m.Header.BlockHash()}
	var raw bytes.Buffer
	_ = m.Serialize(&raw) // a bytes.Buffer takes everything
	block.told = b.tell(block.id, raw.Bytes())
	b.chain = append(b.chain, block)
}

// tell is what an edge says of a block.
func (b *bitcoin) tell(id message.BitcoinID, raw []byte) message.BitcoinBlock {
	s, err := b.federation.ScanBlock(raw)
	if err != nil {
		panic(err) // the block was made here
	}
	told := message.BitcoinBlock{Height: id.Height, Hash: s.Hash, Header: s.Header}
	for _, f := range s.Found {
		t := message.BitcoinTransaction{Raw: record.NewContent(bytes.Clone(f.Raw)), Index: f.Index}
		branch, err := rules.MerkleBranch(s.Txids, int(f.Index))
		if err != nil {
			panic(err)
		}
		for _, h := range branch {
			t.Branch = append(t.Branch, message.SigHash{Value: h})
		}
		told.Transactions = append(told.Transactions, t)
	}
	return told
}

// leave takes blocks off the end. Their transactions go back to the mempool, before what
// is there, except those that are dropped; what does not fit any more is gone.
func (b *bitcoin) leave(depth int, drop func(*wire.MsgTx) bool) {
	cut := len(b.chain) - depth
	var again []*wire.MsgTx
	for _, block := range b.chain[cut:] {
		again = append(again, block.txs[1:]...)
	}
	again = append(again, b.mempool...)
	b.chain, b.mempool = b.chain[:cut], nil
	for _, tx := range again {
		if !drop(tx) {
			_ = b.accept(tx)
		}
	}
}

func (b *bitcoin) tip() message.BitcoinID { return b.chain[len(b.chain)-1].id }

// all calls yield for each transaction of the chain and of the mempool.
func (b *bitcoin) all(yield func(*wire.MsgTx)) {
	for _, block := range b.chain {
		for _, tx := range block.txs {
			yield(tx)
		}
	}
	for _, tx := range b.mempool {
		yield(tx)
	}
}

// find returns the block that has a transaction; nil when none has.
func (b *bitcoin) find(txid chainhash.Hash) *bitcoinBlock {
	for _, block := range b.chain {
		if slices.ContainsFunc(block.txs, func(tx *wire.MsgTx) bool { return tx.TxHash() == txid }) {
			return block
		}
	}
	return nil
}

// unspent returns the outputs that the mempool leaves unspent.
func (b *bitcoin) unspent() map[wire.OutPoint]*wire.TxOut {
	out := map[wire.OutPoint]*wire.TxOut{}
	b.all(func(tx *wire.MsgTx) {
		for _, in := range tx.TxIn {
			delete(out, in.PreviousOutPoint)
		}
		txid := tx.TxHash()
		for i, o := range tx.TxOut {
			out[wire.OutPoint{Hash: txid, Index: uint32(i)}] = o
		}
	})
	return out
}

// accept takes a transaction into the mempool if it spends unspent outputs by Bitcoin's
// rules.
func (b *bitcoin) accept(tx *wire.MsgTx) error {
	txid := tx.TxHash()
	if b.find(txid) != nil || slices.ContainsFunc(b.mempool, func(k *wire.MsgTx) bool { return k.TxHash() == txid }) {
		return nil
	}
	unspent, spent := b.unspent(), map[wire.OutPoint]*wire.TxOut{}
	in, out := int64(0), int64(0)
	for i, input := range tx.TxIn {
		o := unspent[input.PreviousOutPoint]
		if input.PreviousOutPoint.Index == fromOutside {
			o = wire.NewTxOut(21e14, []byte{txscript.OP_TRUE})
		}
		if o == nil || spent[input.PreviousOutPoint] != nil {
			return fmt.Errorf("input %d is missing or spent", i)
		}
		spent[input.PreviousOutPoint], in = o, in+o.Value
	}
	for _, o := range tx.TxOut {
		out += o.Value
		if o.Value < 0 || o.Value > 0 && uint64(o.Value) < rules.DustLimit(o.PkScript) && tx.TxIn[0].PreviousOutPoint.Index != fromOutside {
			return fmt.Errorf("an output of %d satoshi", o.Value)
		}
	}
	if out > in {
		return fmt.Errorf("%d in, %d out", in, out)
	}
	if err := verify(tx, spent); err != nil {
		return err
	}
	b.mempool = append(b.mempool, tx)
	return nil
}

func verify(tx *wire.MsgTx, spent map[wire.OutPoint]*wire.TxOut) error {
	fetcher := txscript.NewMultiPrevOutFetcher(spent)
	hashes := txscript.NewTxSigHashes(tx, fetcher)
	for i, in := range tx.TxIn {
		if in.PreviousOutPoint.Index == fromOutside {
			continue
		}
		o := spent[in.PreviousOutPoint]
		engine, err := txscript.NewEngine(o.PkScript, tx, i, txscript.StandardVerifyFlags, nil, hashes, o.Value, fetcher)
		if err != nil {
			return err
		}
		if err := engine.Execute(); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}

// follow answers an edge's question; nil when there is nothing new.
func (b *bitcoin) follow(r *message.FollowBitcoin) core.Message {
	tip := b.tip()
	m := &message.BitcoinFollowed{Tip: &tip, FeeRate: b.rate, Network: "regtest"}
	from := int(r.From)
	for _, k := range r.Known {
		if int(k.Height) < len(b.chain) && b.chain[k.Height].id == k {
			id := k
			m.Ancestor, from = &id, int(k.Height)+1
			break
		}
	}
	if r.Tip != nil && *r.Tip == tip && len(r.Known) > 0 && r.Known[0] == tip {
		return nil
	}
	for h := from; h < len(b.chain); h++ {
		m.Blocks = append(m.Blocks, b.chain[h].told)
	}
	return m
}

func (b *bitcoin) broadcast(r *message.BroadcastTransaction) core.Message {
	answer := &message.TransactionBroadcast{Txid: r.Txid, Outcome: message.BroadcastAccepted}
	if b.find(r.Txid) != nil {
		answer.Outcome = message.BroadcastConfirmed
	} else if err := b.accept(readTx(r.Raw.Data)); err != nil {
		answer.Outcome, answer.Reason = message.BroadcastConflict, err.Error()
	}
	return answer
}

func (b *bitcoin) fetch(r *message.FetchTransaction) core.Message {
	block := b.find(r.Txid)
	if block == nil || block.id.Hash != r.Block {
		return &message.TransactionMissing{Txid: r.Txid, Block: r.Block, Reason: "it is not there"}
	}
	i := slices.IndexFunc(block.txs, func(tx *wire.MsgTx) bool { return tx.TxHash() == r.Txid })
	return &message.TransactionFetched{Txid: r.Txid, Block: r.Block, Height: block.id.Height, Raw: record.NewContent(rawTx(block.txs[i]))}
}

func readTx(raw []byte) *wire.MsgTx {
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		panic(fmt.Sprintf("a core made %x: %v", raw, err))
	}
	return tx
}

func rawTx(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.Serialize(&b) // a bytes.Buffer takes everything
	return b.Bytes()
}
