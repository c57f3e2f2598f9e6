package engine

import (
	"context"
	"errors"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// call runs f unless the client is closed, broken or ctx is done. Engine API
// errors pass through unchanged.
func (e *Embedded) call(ctx context.Context, what string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Temporary, err, what)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return fault.New(fault.Temporary, "%s: execution layer in %s is closed", what, e.dir)
	}
	if err := e.failure(); err != nil {
		return err
	}
	var result error
	err := guard(what, func() error {
		result = f()
		return nil
	})
	if err != nil {
		e.brokenMu.Lock()
		e.broken = err
		e.brokenMu.Unlock()
		return err
	}
	return result
}

// ForkchoiceUpdatedV2 implements [API]. Two things differ from go-ethereum's
// own: before building, the transaction pool is brought level with the head,
// so that no pending transaction is missed; and a head below or beside the
// finalised block is honoured, as finality of this chain is decided outside.
// The exception are blocks already moved to the freezer: a head among them is
// answered VALID and the head stays above it, as go-ethereum does, and a
// branch that would replace them is refused with a Fatal error.
func (e *Embedded) ForkchoiceUpdatedV2(ctx context.Context, state beacon.ForkchoiceStateV1, attributes *beacon.PayloadAttributes) (response beacon.ForkChoiceResponse, err error) {
	err = e.call(ctx, "forkchoiceUpdated "+state.HeadBlockHash.Hex(), func() error {
		if err := e.prepareHead(state); err != nil {
			return err
		}
		if attributes != nil {
			if response, err = e.api.ForkchoiceUpdatedV2(ctx, state, nil); err != nil || response.PayloadStatus.Status != beacon.VALID {
				return err
			}
			if err := e.backend.TxPool().Sync(); err != nil {
				return fault.Wrap(fault.Temporary, err, "bring the transaction pool level")
			}
		}
		response, err = e.api.ForkchoiceUpdatedV2(ctx, state, attributes)
		return err
	})
	return response, err
}

// prepareHead looks at the branch that ends in the new head down to the
// canonical chain.
func (e *Embedded) prepareHead(state beacon.ForkchoiceStateV1) error {
	chain := e.backend.BlockChain()
	header := chain.GetHeaderByHash(state.HeadBlockHash)
	if header == nil || header.Hash() == chain.CurrentBlock().Hash() {
		return nil
	}
	for header.Number.Sign() > 0 && chain.GetCanonicalHash(header.Number.Uint64()) != header.Hash() {
		parent := chain.GetHeader(header.ParentHash, header.Number.Uint64()-1)
		if parent == nil {
			return nil
		}
		header = parent
	}
	ancestor := header.Number.Uint64()
	if ancestor >= chain.CurrentBlock().Number.Uint64() {
		return nil
	}
	frozen, err := e.backend.ChainDb().Ancients()
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "read the size of the freezer in "+e.dir)
	}
	if frozen > 0 && ancestor < frozen-1 {
		if header.Hash() == state.HeadBlockHash {
			return nil
		}
		return fault.New(fault.Fatal, "head %s leaves the chain at block %d, but blocks up to %d are finalised and frozen; to follow that branch remove %s, it is rebuilt from the journal",
			state.HeadBlockHash, ancestor, frozen-1, e.dir)
	}
	if final := chain.CurrentFinalBlock(); final != nil && ancestor < final.Number.Uint64() {
		chain.SetFinalized(nil)
		chain.SetSafe(nil)
	}
	return nil
}

// NewPayloadV2 implements [API].
func (e *Embedded) NewPayloadV2(ctx context.Context, payload beacon.ExecutableData) (status beacon.PayloadStatusV1, err error) {
	err = e.call(ctx, "newPayload "+payload.BlockHash.Hex(), func() error {
		status, err = e.api.NewPayloadV2(ctx, payload)
		return err
	})
	return status, err
}

// GetPayloadV2 implements [API].
func (e *Embedded) GetPayloadV2(ctx context.Context, id beacon.PayloadID) (envelope *beacon.ExecutionPayloadEnvelope, err error) {
	err = e.call(ctx, "getPayload "+id.String(), func() error {
		envelope, err = e.api.GetPayloadV2(id)
		return err
	})
	return envelope, err
}

// HeaderByHash implements [API].
func (e *Embedded) HeaderByHash(ctx context.Context, hash common.Hash) (header *types.Header, err error) {
	err = e.call(ctx, "read header "+hash.Hex(), func() error {
		if header = e.backend.BlockChain().GetHeaderByHash(hash); header == nil {
			return notFound("header " + hash.Hex())
		}
		return nil
	})
	return header, err
}

// HeaderByNumber implements [API].
func (e *Embedded) HeaderByNumber(ctx context.Context, number rpc.BlockNumber) (header *types.Header, err error) {
	err = e.call(ctx, "read header "+number.String(), func() error {
		chain := e.backend.BlockChain()
		switch {
		case number == rpc.LatestBlockNumber:
			header = chain.CurrentBlock()
		case number == rpc.FinalizedBlockNumber:
			header = chain.CurrentFinalBlock()
		case number >= 0:
			// The index above the head can outlive a rewind.
			if number.Int64() <= chain.CurrentBlock().Number.Int64() {
				header = chain.GetHeaderByNumber(uint64(number))
			}
		default:
			return fault.New(fault.Invalid, "block number %s cannot be asked for", number)
		}
		if header == nil {
			return notFound("header " + number.String())
		}
		return nil
	})
	return header, err
}

// BlockByHash implements [API].
func (e *Embedded) BlockByHash(ctx context.Context, hash common.Hash) (block *types.Block, err error) {
	err = e.call(ctx, "read block "+hash.Hex(), func() error {
		if block = e.backend.BlockChain().GetBlockByHash(hash); block == nil {
			return notFound("block " + hash.Hex())
		}
		return nil
	})
	return block, err
}

// ReceiptsByHash implements [API].
func (e *Embedded) ReceiptsByHash(ctx context.Context, hash common.Hash) (receipts []*types.Receipt, err error) {
	err = e.call(ctx, "read receipts of "+hash.Hex(), func() error {
		chain := e.backend.BlockChain()
		block := chain.GetBlockByHash(hash)
		if block == nil {
			return notFound("block " + hash.Hex())
		}
		if len(block.Transactions()) == 0 {
			return nil
		}
		if !rawdb.HasReceipts(e.backend.ChainDb(), hash, block.NumberU64()) {
			return notFound("receipts of block " + hash.Hex())
		}
		receipts = chain.GetReceiptsByHash(hash)
		return nil
	})
	return receipts, err
}

// HasState implements [API].
func (e *Embedded) HasState(ctx context.Context, hash common.Hash) (has bool, err error) {
	err = e.call(ctx, "look for the state of "+hash.Hex(), func() error {
		chain := e.backend.BlockChain()
		header := chain.GetHeaderByHash(hash)
		has = header != nil && chain.HasBlockAndState(hash, header.Number.Uint64())
		return nil
	})
	return has, err
}

// Sync forces what the client has written onto the disk, so that it survives
// kill -9 and a power cut. go-ethereum itself writes in the background.
// [Executor] calls it once for each Import.
func (e *Embedded) Sync(ctx context.Context) error {
	return e.call(ctx, "sync "+e.dir, func() error {
		err := e.backend.ChainDb().SyncKeyValue()
		return fault.Wrap(fault.Fatal, err, "sync the chain database in "+e.dir)
	})
}

func notFound(what string) error {
	return fault.Wrap(fault.CannotJudge, ErrNotFound, what)
}

// ignoreNotFound returns nil for an error that says only that a block is not there.
func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// errorCode returns the JSON-RPC error code in err's chain, or zero.
func errorCode(err error) int {
	var coded interface{ ErrorCode() int }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return 0
}
