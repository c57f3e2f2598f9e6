package engine

import (
	"context"
	"fmt"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Execute executes payloads, oldest first and each the child of the one before it.
// It returns one result per payload executed and does not make any of them the head.
// A client that lacks the state below them is taken to where they fork off, and stays
// there until the next [Executor.Move]. (architecture.md 7)
//
// An invalid payload is a result with StatusInvalid and the client's reason; it is the
// last result. Every other failure is an error, and the results are those of the
// payloads before it: CannotJudge when the client is behind, away or in trouble of its
// own, Temporary when ctx ended.
//
// Executing payloads again gives the same results; known ones are not executed a second
// time. With the embedded client everything that is reported executed survives kill -9
// and a power cut.
//
// The legacy sequence moves the head to the parent first; here an invalid payload
// leaves the head alone. (consensus.md C11)
func (x *Executor) Execute(ctx context.Context, payloads []*block.Payload) ([]Executed, error) {
	for i, p := range payloads {
		if p == nil {
			return nil, fault.New(fault.Invalid, "execute: payload %d of %d is missing", i, len(payloads))
		}
	}
	results := make([]Executed, 0, len(payloads))
	var err error
	for _, p := range payloads {
		var result Executed
		if result, err = x.execute(ctx, p); err != nil {
			break
		}
		results = append(results, result)
		if result.Status != StatusValid {
			break
		}
	}
	if len(results) > 0 {
		if syncErr := x.sync(ctx); err == nil {
			err = syncErr
		}
	}
	return results, err
}

// Import is [Executor.Execute], after which the last valid payload is the head, with the
// given finalised and safe blocks (zero: unchanged) unless a payload was invalid.
//
// The head stays above when the client has that payload finalised and frozen. Errors, beside
// those of Execute: Invalid when finalized or safe is not an ancestor of the last payload
// (all results are complete then).
func (x *Executor) Import(ctx context.Context, payloads []*block.Payload, finalized, safe common.Hash) ([]Executed, error) {
	results, err := x.Execute(ctx, payloads)
	state := beacon.ForkchoiceStateV1{FinalizedBlockHash: finalized, SafeBlockHash: safe}
	for _, r := range results {
		if r.Status != StatusValid {
			state.FinalizedBlockHash, state.SafeBlockHash = common.Hash{}, common.Hash{}
			break
		}
		state.HeadBlockHash = r.BlockHash
	}
	if err != nil || state.HeadBlockHash == (common.Hash{}) {
		return results, err
	}
	if _, err := x.setHead(ctx, state, nil); err != nil {
		return results, err
	}
	return results, x.sync(ctx)
}

// sync makes the client's writes durable, where it can be told to: also after ctx ended,
// for what was executed is reported.
func (x *Executor) sync(ctx context.Context) error {
	if client, ok := x.api.(syncer); ok {
		return client.Sync(context.WithoutCancel(ctx))
	}
	return nil
}

// syncer is a client that can be told to make its writes durable.
type syncer interface {
	Sync(ctx context.Context) error
}

// execute has the client execute one payload and reads the outcome.
func (x *Executor) execute(ctx context.Context, p *block.Payload) (Executed, error) {
	status, err := x.newPayload(ctx, p)
	if err != nil {
		return Executed{}, err
	}
	result := Executed{BlockHash: p.BlockHash, Number: p.BlockNumber, Status: StatusValid}
	if status.Status == beacon.INVALID {
		result.Status = StatusInvalid
		result.Err = "no reason given"
		if status.ValidationError != nil {
			result.Err = *status.ValidationError
		}
		if status.LatestValidHash != nil {
			result.LatestValid = *status.LatestValidHash
		}
		if x.clientTrouble(result.Err) {
			return Executed{}, fault.New(fault.CannotJudge, "block %d %s: the client could not execute it: %s", p.BlockNumber, p.BlockHash, result.Err)
		}
		return result, nil
	}
	receipts, err := x.Receipts(ctx, p)
	if err != nil {
		return Executed{}, err
	}
	result.StateRoot = p.StateRoot
	result.GasUsed = make([]uint64, len(receipts))
	for i, receipt := range receipts {
		result.GasUsed[i] = receipt.GasUsed
	}
	result.Requests, err = requests(p, receipts)
	return result, err
}

// newPayload returns the client's verdict, VALID or INVALID. A client that
// lacks the parent's state is first taken to the parent.
func (x *Executor) newPayload(ctx context.Context, p *block.Payload) (beacon.PayloadStatusV1, error) {
	what := fmt.Sprintf("execute block %d %s", p.BlockNumber, p.BlockHash)
	data := ToExecutable(p)
	for attempt := 0; ; attempt++ {
		status, err := x.api.NewPayloadV2(ctx, data)
		if err != nil {
			return status, clientError(ctx, err, what)
		}
		switch status.Status {
		case beacon.VALID:
			if status.LatestValidHash == nil || *status.LatestValidHash != p.BlockHash {
				return status, fault.New(fault.CannotJudge, "%s: the client answers VALID for another block", what)
			}
			return status, nil
		case beacon.INVALID:
			return status, nil
		}
		if attempt > 0 {
			return status, fault.New(fault.CannotJudge, "%s: the client has the parent as its head and answers %s%s: if it is geth, its log says that it went over to snap sync, which it does when it was killed before it wrote any state; restart it", what, status.Status, reason(status))
		}
		parent, err := x.api.HeaderByHash(ctx, p.ParentHash)
		if err != nil {
			return status, clientError(ctx, err, what+" on its parent")
		}
		if parent.Number.Uint64() != p.BlockNumber-1 {
			// Clients look for a parent of that height and wait for it.
			text := fmt.Sprintf("block number %d does not follow the parent's %d", p.BlockNumber, parent.Number)
			return beacon.PayloadStatusV1{Status: beacon.INVALID, ValidationError: &text}, nil
		}
		if _, err := x.setHead(ctx, beacon.ForkchoiceStateV1{HeadBlockHash: p.ParentHash}, nil); err != nil {
			return status, err
		}
		x.displaced = true
	}
}
