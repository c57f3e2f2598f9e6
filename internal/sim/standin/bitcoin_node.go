package standin

import (
	"bytes"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// maxFollowed is how many blocks a node tells at once.
const maxFollowed = 20

// Follow answers FollowBitcoin, or returns nil when there is nothing new to tell.
func (b *Bitcoin) Follow(m *message.FollowBitcoin) *message.BitcoinFollowed {
	answer := &message.BitcoinFollowed{Tip: b.id(b.Height()), FeeRate: FeeRate, Network: "regtest"}
	next := m.From
	for i := range m.Known {
		if known := m.Known[i]; known.Height <= b.Height() && b.chain[known.Height].hash == known.Hash {
			answer.Ancestor, next = &known, known.Height+1
			break
		}
	}
	for ; next <= b.Height() && len(answer.Blocks) < maxFollowed && (answer.Ancestor != nil || len(m.Known) == 0); next++ {
		answer.Blocks = append(answer.Blocks, b.told(next))
	}
	stayed := len(m.Known) > 0 && answer.Ancestor != nil && *answer.Ancestor == m.Known[0] || len(m.Known) == 0
	if stayed && len(answer.Blocks) == 0 && m.Tip != nil && *m.Tip == *answer.Tip {
		return nil
	}
	return answer
}

func (b *Bitcoin) id(height uint64) *message.BitcoinID {
	return &message.BitcoinID{Height: height, Hash: b.chain[height].hash}
}

// told is a block with what concerns the peg in it.
func (b *Bitcoin) told(height uint64) message.BitcoinBlock {
	x := b.chain[height]
	m := message.BitcoinBlock{Height: height, Hash: x.hash}
	var header bytes.Buffer
	_ = x.header.Serialize(&header) // a buffer takes everything
	copy(m.Header[:], header.Bytes())
	for i, tx := range x.txs {
		if !b.concerns(tx) {
			continue
		}
		t := message.BitcoinTransaction{Raw: rawTransaction(tx), Index: uint32(i)}
		for _, hash := range branch(x.txs, i) {
			t.Branch = append(t.Branch, message.SigHash{Value: hash})
		}
		m.Transactions = append(m.Transactions, t)
	}
	return m
}

func rawTransaction(tx *wire.MsgTx) record.Content {
	var raw bytes.Buffer
	_ = tx.Serialize(&raw)
	return record.NewContent(raw.Bytes())
}

// Fetch answers FetchTransaction.
func (b *Bitcoin) Fetch(m *message.FetchTransaction) core.Message {
	for height, x := range b.chain {
		if x.hash != m.Block {
			continue
		}
		for _, tx := range x.txs {
			if tx.TxHash() == m.Txid {
				return &message.TransactionFetched{Txid: m.Txid, Block: m.Block, Height: uint64(height), Raw: rawTransaction(tx)}
			}
		}
	}
	return &message.TransactionMissing{Txid: m.Txid, Block: m.Block, Reason: "it is not in the best chain's block"}
}

// Broadcast answers BroadcastTransaction.
func (b *Bitcoin) Broadcast(m *message.BroadcastTransaction) *message.TransactionBroadcast {
	answer := &message.TransactionBroadcast{Txid: m.Txid, Outcome: message.BroadcastAccepted}
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(m.Raw.Data)); err != nil {
		answer.Outcome, answer.Reason = message.BroadcastRefused, err.Error()
		return answer
	}
	if b.Confirmations(tx.TxHash()) > 0 {
		answer.Outcome = message.BroadcastConfirmed
		return answer
	}
	for _, in := range tx.TxIn {
		if b.coin(in.PreviousOutPoint) == nil && !b.pooled(tx.TxHash()) {
			answer.Outcome, answer.Reason = message.BroadcastConflict, "input "+in.PreviousOutPoint.String()+" is missing or spent"
			return answer
		}
	}
	if err := b.Submit(tx); err != nil {
		answer.Outcome, answer.Reason = message.BroadcastRefused, err.Error()
	}
	return answer
}

func (b *Bitcoin) pooled(txid chainhash.Hash) bool {
	for _, tx := range b.pool {
		if tx.TxHash() == txid {
			return true
		}
	}
	return false
}
