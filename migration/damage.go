package migration

import (
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

// damagedPart names the part of a block that is likely damaged, given that the
// block decodes and does not hash to its root; empty for no idea. The payload carries its own hash,
// so damage inside and outside of it can be told apart.
func damagedPart(height uint64, b *block.Block) string {
	if b.Payload.BlockNumber != height {
		return "payload: block number"
	}
	if height == 0 {
		return "" // a genesis file may give its header a difficulty no payload has
	}
	if hash, ok := payloadHash(&b.Payload); !ok {
		return "payload: transaction"
	} else if hash != b.Payload.BlockHash {
		return "payload"
	}
	parts := []string{"parent hash", "slot"}
	if b.AuxPowHeader != nil {
		parts = append(parts, "aux-PoW header")
	}
	if len(b.Pegins) > 0 {
		parts = append(parts, "pegins")
	}
	if b.PegoutProposal != nil {
		parts = append(parts, "pegout proposal")
	}
	if len(b.FinalizedPegouts) > 0 {
		parts = append(parts, "finalized pegouts")
	}
	return strings.Join(parts, " or ")
}

// payloadHash returns the hash of the execution layer's header that a Capella
// payload stands for (EIP-4895), false when a transaction does not decode.
func payloadHash(p *block.Payload) (common.Hash, bool) {
	txs := make(types.Transactions, len(p.Transactions))
	for i, raw := range p.Transactions {
		txs[i] = new(types.Transaction)
		if txs[i].UnmarshalBinary(raw) != nil {
			return common.Hash{}, false
		}
	}
	credits := make(types.Withdrawals, len(p.Withdrawals))
	for i, w := range p.Withdrawals {
		credits[i] = &types.Withdrawal{Index: w.Index, Validator: w.ValidatorIndex, Address: w.Address, Amount: w.Amount}
	}
	credited := types.DeriveSha(credits, trie.NewStackTrie(nil))
	header := types.Header{
		ParentHash: p.ParentHash, UncleHash: types.EmptyUncleHash, Coinbase: p.FeeRecipient,
		Root: p.StateRoot, TxHash: types.DeriveSha(txs, trie.NewStackTrie(nil)), ReceiptHash: p.ReceiptsRoot,
		Bloom: p.LogsBloom, Difficulty: new(big.Int), Number: new(big.Int).SetUint64(p.BlockNumber),
		GasLimit: p.GasLimit, GasUsed: p.GasUsed, Time: p.Timestamp, Extra: p.ExtraData,
		MixDigest: p.PrevRandao, BaseFee: p.BaseFeePerGas, WithdrawalsHash: &credited,
	}
	return header.Hash(), true
}
