package engine

import (
	"context"
	"errors"
	"math/big"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

// ErrNotFound is in the chain of the error a reading method of [API] returns
// when the client does not have the block asked for. Its grade is CannotJudge:
// the client may be behind.
var ErrNotFound = errors.New("not known to the execution client")

// API is what an execution client offers to this node: the three Engine API
// calls of the Capella fork and the reads the bridge needs. [Embedded]
// implements it in process, [External] over JSON-RPC.
//
// An error never says that a payload is invalid, only a PayloadStatusV1 does.
// Engine API errors carry an ErrorCode() int method. (consensus.md C15)
type API interface {
	// ForkchoiceUpdatedV2 makes state.HeadBlockHash the head. With attributes
	// it starts building a payload on that head and returns its identifier.
	ForkchoiceUpdatedV2(ctx context.Context, state beacon.ForkchoiceStateV1, attributes *beacon.PayloadAttributes) (beacon.ForkChoiceResponse, error)

	// NewPayloadV2 executes a payload and stores it without moving the head.
	NewPayloadV2(ctx context.Context, payload beacon.ExecutableData) (beacon.PayloadStatusV1, error)

	// GetPayloadV2 ends the building of a payload and returns it.
	GetPayloadV2(ctx context.Context, id beacon.PayloadID) (*beacon.ExecutionPayloadEnvelope, error)

	// HeaderByHash returns the header of a block of any branch, or an error
	// with [ErrNotFound].
	HeaderByHash(ctx context.Context, hash common.Hash) (*types.Header, error)

	// HeaderByNumber returns the header at a height of the canonical chain, or
	// an error with [ErrNotFound]. Besides heights it takes
	// rpc.LatestBlockNumber and rpc.FinalizedBlockNumber.
	HeaderByNumber(ctx context.Context, number rpc.BlockNumber) (*types.Header, error)

	// BlockByHash returns a whole block of any branch, or an error with
	// [ErrNotFound].
	BlockByHash(ctx context.Context, hash common.Hash) (*types.Block, error)

	// ReceiptsByHash returns the receipts of a block in transaction order, or
	// an error with [ErrNotFound]. A block without transactions has none.
	ReceiptsByHash(ctx context.Context, hash common.Hash) ([]*types.Receipt, error)

	// HasState reports whether a block is known and its state can be read, so
	// that a child can be executed on it.
	HasState(ctx context.Context, hash common.Hash) (bool, error)

	// Balance returns an account's balance in wei after the block with this hash;
	// an account that does not exist has zero.
	Balance(ctx context.Context, account common.Address, block common.Hash) (*big.Int, error)

	// Close ends the client, or what connects to it.
	Close() error
}
