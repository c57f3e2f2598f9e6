package chain_test

import (
	"crypto/sha256"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// layer stands in for the execution layer: every rule it has depends on payloads
// alone. A payload is invalid when its hash, state root, number or time is wrong
// or its extra data is "bad"; it cannot be judged before its parent.
type layer struct {
	known   map[common.Hash]*block.Payload
	pending [][]byte // transactions
	limit   int      // payloads that an import may judge before the layer is away; negative: all

	head, finalized common.Hash // as the last forkchoice said

	receipts map[common.Hash]record.Content // of payloads
}

// txGas is what each transaction uses.
const txGas = 21_000

func newLayer() *layer { return &layer{known: map[common.Hash]*block.Payload{}, limit: -1} }

func (l *layer) genesis() *block.Payload {
	p := &block.Payload{GasLimit: 30_000_000, BaseFeePerGas: big.NewInt(7)}
	l.seal(p, common.Hash{})
	l.known[p.BlockHash] = p
	return p
}

// seal fills in what execution on a parent state gives.
func (l *layer) seal(p *block.Payload, parentState common.Hash) {
	p.StateRoot = stateRoot(p, parentState)
	p.BlockHash = payloadHash(p)
}

func stateRoot(p *block.Payload, parent common.Hash) common.Hash {
	h := sha256.New()
	h.Write(parent[:])
	for _, tx := range p.Transactions {
		h.Write(tx)
	}
	for _, w := range p.Withdrawals {
		h.Write(w.Address[:])
	}
	return common.Hash(h.Sum(nil))
}

func payloadHash(p *block.Payload) common.Hash {
	q := *p
	q.BlockHash = common.Hash{}
	return sha256.Sum256(q.Encode())
}

// child returns a valid payload on the one with this hash, not yet executed.
func (l *layer) child(parent common.Hash, timestamp uint64, extra string, withdrawals []block.Withdrawal, txs [][]byte) *block.Payload {
	on := l.known[parent]
	p := &block.Payload{
		ParentHash: parent, FeeRecipient: common.HexToAddress("0xdead"), BlockNumber: on.BlockNumber + 1,
		GasLimit: 30_000_000, GasUsed: txGas * uint64(len(txs)), Timestamp: timestamp,
		BaseFeePerGas: big.NewInt(7), Transactions: txs, Withdrawals: withdrawals,
	}
	if extra != "" {
		p.ExtraData = []byte(extra)
	}
	l.seal(p, on.StateRoot)
	return p
}

// run is an import.
func (l *layer) run(r *rig, m *message.ImportPayloads) *message.PayloadsImported {
	result := &message.PayloadsImported{}
	for i, b := range m.Blocks {
		signed, _, err := r.work.Decode(b.Signed.Data)
		if err != nil {
			r.t.Fatalf("a block to execute: %v", err)
		}
		x := message.Execution{PayloadHash: signed.Block.Payload.BlockHash}
		if l.limit >= 0 && i >= l.limit {
			x.Status, x.Reason = message.ExecutionUnknown, "syncing"
		} else {
			l.judge(&signed.Block.Payload, &x)
		}
		result.Results = append(result.Results, x)
		if x.Status != message.ExecutionValid {
			break
		}
	}
	return result
}

// move is a forkchoice: the head and what is final must have been executed.
func (l *layer) move(m *message.UpdateForkchoice) *message.ForkchoiceUpdated {
	if l.limit == 0 || l.known[m.Head] == nil || m.Finalized != (common.Hash{}) && l.known[m.Finalized] == nil {
		return &message.ForkchoiceUpdated{Status: message.ExecutionUnknown, Reason: "syncing"}
	}
	l.head, l.finalized = m.Head, m.Finalized
	return &message.ForkchoiceUpdated{Status: message.ExecutionValid}
}

func (l *layer) judge(p *block.Payload, x *message.Execution) {
	parent := l.known[p.ParentHash]
	x.Status = message.ExecutionInvalid
	switch {
	case parent == nil:
		x.Status, x.Reason = message.ExecutionUnknown, "parent is missing"
	case string(p.ExtraData) == "bad":
		x.Reason = "extra data is bad"
	case payloadHash(p) != p.BlockHash:
		x.Reason = "block hash mismatch"
	case p.BlockNumber != parent.BlockNumber+1 || p.Timestamp <= parent.Timestamp:
		x.Reason = "number or time does not follow the parent"
	case stateRoot(p, parent.StateRoot) != p.StateRoot:
		x.Reason = "state root mismatch"
	default:
		x.Status, x.StateRoot, x.Receipts = message.ExecutionValid, p.StateRoot, l.receipts[p.BlockHash]
		for range p.Transactions {
			x.GasUsed = append(x.GasUsed, txGas)
		}
		l.known[p.BlockHash] = p
	}
}

func (l *layer) build(m *message.BuildPayload) interface {
	Type() string
	Schema() uint32
	Fields(*record.Fields)
} {
	if l.limit == 0 || l.known[m.Parent] == nil {
		return &message.PayloadFailed{Reason: "the client does not know the parent"}
	}
	var withdrawals []block.Withdrawal
	for _, w := range m.Withdrawals {
		withdrawals = append(withdrawals, block.Withdrawal{Address: w.Address, Amount: w.Amount})
	}
	p := l.child(m.Parent, m.Timestamp, "", withdrawals, l.pending)
	l.pending = nil
	return &message.PayloadBuilt{Payload: record.NewContent(p.Encode())}
}

// transfer is a transaction with a tip of so many gwei.
func transfer(nonce uint64, tipGwei int64) []byte {
	tip := new(big.Int).Mul(big.NewInt(tipGwei), big.NewInt(1_000_000_000))
	tx := types.NewTx(&types.DynamicFeeTx{
		ChainID: big.NewInt(1), Nonce: nonce, GasTipCap: tip, GasFeeCap: new(big.Int).Add(tip, big.NewInt(7)),
		Gas: txGas, To: &common.Address{1}, V: new(big.Int), R: big.NewInt(1), S: big.NewInt(1),
	})
	data, err := tx.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return data
}
