package node

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"
)

// ExecutionHeads returns head and finalised block of the running node's execution
// layer; a block that it lacks is the zero hash.
func (n *Node) ExecutionHeads(ctx context.Context) (head, finalised common.Hash) {
	hash := func(tag rpc.BlockNumber) common.Hash {
		header, err := n.engine.api.HeaderByNumber(ctx, tag)
		if err != nil || header == nil {
			return common.Hash{}
		}
		return header.Hash()
	}
	return hash(rpc.LatestBlockNumber), hash(rpc.FinalizedBlockNumber)
}
