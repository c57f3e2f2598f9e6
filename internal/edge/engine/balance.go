package engine

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Balance returns an account's balance in wei after the block with this hash;
// an account that does not exist has zero. A block or state that the client does
// not have is [ErrNotFound], graded CannotJudge.
func (e *Embedded) Balance(ctx context.Context, account common.Address, block common.Hash) (balance *big.Int, err error) {
	err = e.call(ctx, "read a balance", func() error {
		header := e.backend.BlockChain().GetHeaderByHash(block)
		if header == nil {
			return notFound("block " + block.Hex())
		}
		state, err := e.backend.BlockChain().StateAt(header.Root, header.Number, header.Time)
		if err != nil {
			return fault.Wrap(fault.CannotJudge, err, "state of block "+block.Hex())
		}
		balance = state.GetBalance(account).ToBig()
		return nil
	})
	return balance, err
}
