package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// BuildRequest says what payload to build.
type BuildRequest struct {
	Parent      common.Hash        // block hash of the parent payload
	Finalized   common.Hash        // block hash of the finalised payload; zero when unknown
	Timestamp   uint64             // Unix seconds, later than the parent's
	Withdrawals []block.Withdrawal // credits of the consensus layer, in order

	// Wait is how long the client may fill the payload. Without any the
	// payload is likely to be empty; the first filling takes a few
	// milliseconds, and the embedded client repeats it five times a second.
	Wait time.Duration
}

// Build makes the parent the client's head and builds a payload on it, with
// zero randao and the fee recipient 0x…dEaD, out of the pending transactions.
// (consensus.md C12, C15)
//
// Errors: Invalid when the client refuses timestamp or withdrawals, or when
// the finalised block is not an ancestor of the parent; CannotJudge when it
// does not know the parent or does not start building; Temporary when ctx
// ended.
func (x *Executor) Build(ctx context.Context, request BuildRequest) (block.Payload, error) {
	state := beacon.ForkchoiceStateV1{
		HeadBlockHash:      request.Parent,
		SafeBlockHash:      request.Finalized,
		FinalizedBlockHash: request.Finalized,
	}
	id, err := x.setHead(ctx, state, &beacon.PayloadAttributes{
		Timestamp:             request.Timestamp,
		SuggestedFeeRecipient: DeadAddress,
		Withdrawals:           toWithdrawals(request.Withdrawals),
	})
	if err != nil {
		return block.Payload{}, err
	}
	what := fmt.Sprintf("build on block %s", request.Parent)
	if id == nil {
		return block.Payload{}, fault.New(fault.CannotJudge, "%s: the client did not start building", what)
	}
	waitErr := wait(ctx, request.Wait)
	// Asked for even when ctx ended: the client builds until then.
	envelope, err := x.api.GetPayloadV2(context.WithoutCancel(ctx), *id)
	switch {
	case waitErr != nil:
		return block.Payload{}, fault.Wrap(fault.Temporary, waitErr, what)
	case errorCode(err) == codeUnknownPayload:
		return block.Payload{}, fault.New(fault.CannotJudge, "%s: the client no longer has payload %s", what, id)
	case err != nil:
		return block.Payload{}, clientError(ctx, err, what)
	case envelope == nil || envelope.ExecutionPayload == nil:
		return block.Payload{}, fault.New(fault.CannotJudge, "%s: the client answered without a payload", what)
	}
	payload, err := FromExecutable(*envelope.ExecutionPayload)
	if err != nil {
		return block.Payload{}, err
	}
	if payload.ParentHash != request.Parent || payload.Timestamp != request.Timestamp ||
		payload.FeeRecipient != DeadAddress || !slices.Equal(payload.Withdrawals, request.Withdrawals) {
		return block.Payload{}, fault.New(fault.CannotJudge, "%s: the client built payload %s for another request", what, payload.BlockHash)
	}
	return payload, nil
}

// wait returns after d, or with ctx's error as soon as ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
