package node

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Rules returns the chain specification and the genesis payload that the node
// was opened with.
func (n *Node) Rules() (*spec.Chain, *block.Payload, error) {
	c, _, err := spec.Parse(n.config.ChainSpec.Data)
	if err != nil {
		return nil, nil, err
	}
	genesis, err := block.DecodePayload(n.config.GenesisPayload.Data)
	return c, genesis, err
}

// Head returns the head's branch as readers see it.
func (n *Node) Head() message.BlockID { return n.view.snapshot().Head }

// Heads is what the recovered chain state says of itself.
type Heads struct {
	Head, LatestPow, Finalized message.BlockID
	PayloadHash, StateRoot     common.Hash // of the head
	Fees                       *big.Int    // accumulator at the head, wei
}

// Heads returns the pointers as recovered when the node was opened. It is for
// a node that does not run.
func (n *Node) Heads() (Heads, error) {
	s := chainState(n.recovered.Machine)
	e := s.Entry(s.Head.Root)
	if e == nil {
		return Heads{}, fault.New(fault.CannotJudge, "the data directory %s holds no chain yet", n.opt.DataDir)
	}
	return Heads{
		Head: s.Head, LatestPow: s.LatestPow, Finalized: s.Finalized,
		PayloadHash: e.PayloadHash, StateRoot: e.StateRoot, Fees: new(big.Int).SetBytes(e.Fees),
	}, nil
}

// Balance returns an account's balance in wei after the block whose payload has
// this hash.
func (n *Node) Balance(ctx context.Context, account common.Address, payload common.Hash) (*big.Int, error) {
	return n.engine.api.Balance(ctx, account, payload)
}
