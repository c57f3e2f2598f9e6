package standin

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// TxGas is what each transaction uses.
const TxGas = 21_000

// BadExtra is the extra data of payloads that the layer calls invalid.
const BadExtra = "bad"

// baseFee of every payload, in wei.
const baseFee = 7

// Layer stands in for the execution layer. What it says of a payload depends on
// the payload and its ancestors alone: it is invalid when its hash, state root,
// number or time is wrong or its extra data is [BadExtra], and cannot be judged
// before its parent is known. Transactions of [Burn], [RoutedBurn] and [FakeBurn] log
// requests to peg out; others log nothing. It is for one goroutine at a time.
type Layer struct {
	// Limit is how many payloads an import judges before the layer is away, and
	// with 0 it builds nothing and moves no head either; negative: no limit.
	Limit int

	payloads  map[common.Hash]*block.Payload
	loose     []common.Hash // not synced, oldest first
	waiting   [][]byte      // transactions for the next payload
	head      common.Hash
	finalized common.Hash
	durable   [2]common.Hash // head and finalised at the last Sync
}

// NewLayer returns a layer that knows the genesis payload of [Genesis].
func NewLayer() *Layer {
	g := Genesis()
	return &Layer{
		Limit: -1, payloads: map[common.Hash]*block.Payload{g.BlockHash: g},
		head: g.BlockHash, durable: [2]common.Hash{g.BlockHash},
	}
}

// Genesis is the payload at height 0 of every simulated chain.
func Genesis() *block.Payload {
	p := &block.Payload{GasLimit: 30_000_000, BaseFeePerGas: big.NewInt(baseFee)}
	seal(p, common.Hash{})
	return p
}

// Genesis is the function of the same name.
func (l *Layer) Genesis() *block.Payload { return Genesis() }

// seal fills in what execution on a parent state gives.
func seal(p *block.Payload, parentState common.Hash) {
	p.LogsBloom = bloom(requests(p.Transactions))
	p.StateRoot = StateRoot(p, parentState)
	p.BlockHash = PayloadHash(p)
}

// StateRoot is the state after a payload on the parent's state.
func StateRoot(p *block.Payload, parent common.Hash) (root common.Hash) {
	h := sha256.New()
	h.Write(parent[:])
	number := func(n uint64) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		h.Write(b[:])
	}
	for _, tx := range p.Transactions {
		number(uint64(len(tx)))
		h.Write(tx)
	}
	for _, w := range p.Withdrawals {
		h.Write(w.Address[:])
		number(w.Amount)
	}
	h.Sum(root[:0])
	return root
}

// PayloadHash is the block hash that belongs to a payload's other fields.
func PayloadHash(p *block.Payload) common.Hash {
	q := *p
	q.BlockHash = common.Hash{}
	return sha256.Sum256(q.Encode())
}

// Child is a valid payload on parent with these contents, not yet executed.
func Child(parent *block.Payload, timestamp uint64, extra string, withdrawals []block.Withdrawal, txs [][]byte) *block.Payload {
	p := &block.Payload{
		ParentHash: parent.BlockHash, FeeRecipient: common.HexToAddress("0xdead"), BlockNumber: parent.BlockNumber + 1,
		GasLimit: 30_000_000, GasUsed: TxGas * uint64(len(txs)), Timestamp: timestamp,
		BaseFeePerGas: big.NewInt(baseFee), Transactions: txs, Withdrawals: withdrawals,
	}
	if extra != "" {
		p.ExtraData = []byte(extra)
	}
	seal(p, parent.StateRoot)
	return p
}

// Submit adds transactions to the next payload that is built.
func (l *Layer) Submit(txs ...[]byte) { l.waiting = append(l.waiting, txs...) }

// Head returns the payload hash of the layer's head and finalised block.
func (l *Layer) Head() (head, finalized common.Hash) { return l.head, l.finalized }

// Knows reports whether a payload was executed and not forgotten.
func (l *Layer) Knows(payload common.Hash) bool { return l.payloads[payload] != nil }

// Len returns how many payloads the layer has.
func (l *Layer) Len() int { return len(l.payloads) }

// Sync makes what was executed so far survive a crash.
func (l *Layer) Sync() {
	l.loose = nil
	l.durable = [2]common.Hash{l.head, l.finalized}
}

// Crash forgets what was executed since the last Sync, and pending transactions.
func (l *Layer) Crash() {
	for _, hash := range l.loose {
		delete(l.payloads, hash)
	}
	l.loose, l.waiting = nil, nil
	l.head, l.finalized = l.durable[0], l.durable[1]
}

// Import answers ImportPayloads. Decode is the chain's own; a block that does
// not decode cannot have come from the chain actor and is an error.
func (l *Layer) Import(m *message.ImportPayloads, decode func([]byte) (*block.Signed, common.Hash, error)) (*message.PayloadsImported, error) {
	result := &message.PayloadsImported{}
	for i, b := range m.Blocks {
		signed, _, err := decode(b.Signed.Data)
		if err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "a block to execute")
		}
		p := &signed.Block.Payload
		x := message.Execution{PayloadHash: p.BlockHash}
		if l.Limit >= 0 && i >= l.Limit {
			x.Status, x.Reason = message.ExecutionUnknown, "syncing"
		} else {
			l.judge(p, &x)
		}
		result.Results = append(result.Results, x)
		if x.Status != message.ExecutionValid {
			break
		}
	}
	return result, nil
}

func (l *Layer) judge(p *block.Payload, x *message.Execution) {
	parent := l.payloads[p.ParentHash]
	known := l.payloads[p.BlockHash] != nil // it was judged before, hash and all
	x.Status = message.ExecutionInvalid
	switch {
	case parent == nil:
		x.Status, x.Reason = message.ExecutionUnknown, "parent is missing"
		return
	case string(p.ExtraData) == BadExtra:
		x.Reason = "extra data is bad"
		return
	case PayloadHash(p) != p.BlockHash:
		x.Reason = "block hash mismatch"
		return
	case p.BlockNumber != parent.BlockNumber+1 || p.Timestamp <= parent.Timestamp:
		x.Reason = "number or time does not follow the parent"
		return
	case StateRoot(p, parent.StateRoot) != p.StateRoot:
		x.Reason = "state root mismatch"
		return
	}
	logs := requests(p.Transactions)
	if bloom(logs) != p.LogsBloom {
		x.Reason = "bloom mismatch"
		return
	}
	x.Status, x.StateRoot, x.Receipts = message.ExecutionValid, p.StateRoot, receipts(logs)
	for range p.Transactions {
		x.GasUsed = append(x.GasUsed, TxGas)
	}
	if !known {
		l.payloads[p.BlockHash] = p
		l.loose = append(l.loose, p.BlockHash)
	}
}

// Forkchoice answers UpdateForkchoice. A head that is not known cannot be judged
// yet; a finalised payload that is not below the head is refused, as real
// execution clients do.
func (l *Layer) Forkchoice(m *message.UpdateForkchoice) *message.ForkchoiceUpdated {
	head := l.payloads[m.Head]
	if l.Limit == 0 || head == nil {
		return &message.ForkchoiceUpdated{Status: message.ExecutionUnknown, Reason: "syncing"}
	}
	if m.Finalized != (common.Hash{}) && !l.descends(head, m.Finalized) {
		return &message.ForkchoiceUpdated{Status: message.ExecutionInvalid, Reason: "the finalised payload is not below the head"}
	}
	l.head, l.finalized = m.Head, m.Finalized
	return &message.ForkchoiceUpdated{Status: message.ExecutionValid, LatestValid: m.Head}
}

// descends reports whether p is the payload with this hash or stands on it.
func (l *Layer) descends(p *block.Payload, on common.Hash) bool {
	base := l.payloads[on]
	if base == nil {
		return false
	}
	for p != nil && p.BlockNumber > base.BlockNumber {
		p = l.payloads[p.ParentHash]
	}
	return p != nil && p.BlockHash == on
}

// Build answers BuildPayload: the payload, or why there is none.
func (l *Layer) Build(m *message.BuildPayload) (*message.PayloadBuilt, *message.PayloadFailed) {
	parent := l.payloads[m.Parent]
	switch {
	case l.Limit == 0:
		return nil, &message.PayloadFailed{Grade: uint8(fault.Temporary), Reason: "the layer is away"}
	case parent == nil:
		return nil, &message.PayloadFailed{Grade: uint8(fault.CannotJudge), Reason: "the parent is not known"}
	}
	var withdrawals []block.Withdrawal
	for _, w := range m.Withdrawals {
		withdrawals = append(withdrawals, block.Withdrawal{Address: w.Address, Amount: w.Amount})
	}
	p := Child(parent, m.Timestamp, "", withdrawals, l.waiting)
	l.waiting = nil
	return &message.PayloadBuilt{Payload: record.NewContent(p.Encode())}, nil
}
