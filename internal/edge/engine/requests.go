package engine

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// requests returns the logs of a payload's receipts that may request a peg-out: those
// whose first topic is the request's, whoever called and emitted, for what they are worth
// is a rule of the peg. Payloads whose bloom has no such topic are not looked at.
// (peg.md A7)
//
// The receipts must be those of the payload's receipts root, or nodes would pay
// different requests: anything else is CannotJudge.
func requests(p *block.Payload, receipts []*types.Receipt) ([]message.PegLog, error) {
	if !types.BloomLookup(types.Bloom(p.LogsBloom), peg.RequestTopic) {
		return nil, nil
	}
	if root := types.DeriveSha(types.Receipts(receipts), trie.NewStackTrie(nil)); root != p.ReceiptsRoot {
		return nil, fault.New(fault.CannotJudge, "block %d %s: the client's receipts have the root %s, the payload's is %s",
			p.BlockNumber, p.BlockHash, root, p.ReceiptsRoot)
	}
	var logs []message.PegLog
	index := uint32(0) // in the block; that of a client is not part of the root
	for i, receipt := range receipts {
		for _, l := range receipt.Logs {
			if len(l.Topics) > 0 && l.Topics[0] == peg.RequestTopic {
				found, err := requestLog(p, i, l)
				if err != nil {
					return nil, err
				}
				found.Index = index
				logs = append(logs, found)
			}
			index++
		}
	}
	return logs, nil
}

// requestLog is one log with what the rules read of its transaction, which is the
// payload's own: a receipt's destination is not part of the root.
func requestLog(p *block.Payload, i int, l *types.Log) (message.PegLog, error) {
	var tx types.Transaction
	if err := tx.UnmarshalBinary(p.Transactions[i]); err != nil {
		return message.PegLog{}, fault.Wrap(fault.CannotJudge, err, "transaction of a valid payload")
	}
	found := message.PegLog{Transaction: tx.Hash(), Emitter: l.Address, Data: l.Data}
	if to := tx.To(); to != nil {
		found.HasTo, found.To = true, *to
	}
	for _, topic := range l.Topics {
		found.Topics = append(found.Topics, message.Topic{Value: common.Hash(topic)})
	}
	return found, nil
}
