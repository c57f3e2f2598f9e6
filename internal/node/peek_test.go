package node

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
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

// PeerSource is what peers are served from.
func (n *Node) PeerSource() p2p.Source { return chainSource{n} }

// Deliver takes a message as the edge of peers does.
func (n *Node) Deliver(ctx context.Context, m p2p.Message) error { return n.deliver(ctx, m) }

// ForgetRecent has the node find its blocks by the journal's index alone, as those far
// below the head.
func (n *Node) ForgetRecent() {
	n.branch.mu.Lock()
	defer n.branch.mu.Unlock()
	clear(n.branch.recent)
}

// SignedByIndex looks one block of the head's branch up in the index.
func (n *Node) SignedByIndex(ctx context.Context, number uint64) ([]byte, error) {
	s, found, err := n.connectedAt(ctx, number)
	if err != nil || !found {
		return nil, err
	}
	return n.journal.Content(s.signed)
}

// IndexLag is how many durable events are not indexed yet.
func (n *Node) IndexLag() uint64 { return n.indexLag() }
