package engine

import (
	"context"
	"errors"
	"fmt"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Import executes payloads, oldest first and each the child of the one before
// it, and makes the last one the client's head with the given finalised and
// safe blocks (zero: unchanged). It returns one result per payload executed.
//
// An invalid payload is a result with StatusInvalid and the client's reason;
// it is the last result, the head stays on the payload before it, and finality
// is not touched. Every other failure is an error, and the results are those
// of the payloads before it: CannotJudge when the client is behind, away or in
// trouble of its own, Temporary when ctx ended, Invalid when finalized or safe
// is not an ancestor of the last payload (all results are complete then).
//
// Executing payloads again gives the same results. Known ones are not executed
// a second time, and the head moves back at most once, to the last payload; it
// stays above when the client has that payload finalised and frozen.
//
// With the embedded client everything that is reported executed survives
// kill -9 and a power cut.
//
// The legacy sequence moves the head to the parent first; here that happens
// only when the client says it lacks the parent's state, so that an invalid
// payload leaves the head alone. (consensus.md C11)
func (x *Executor) Import(ctx context.Context, payloads []*block.Payload, finalized, safe common.Hash) ([]Executed, error) {
	if len(payloads) == 0 {
		return nil, nil
	}
	for i, p := range payloads {
		if p == nil {
			return nil, fault.New(fault.Invalid, "import: payload %d of %d is missing", i, len(payloads))
		}
	}
	headNumber, _, err := x.Head(ctx)
	if err != nil {
		return nil, err
	}
	results, err := x.run(ctx, payloads, headNumber, finalized, safe)
	if syncer, ok := x.api.(syncer); ok && len(results) > 0 {
		// Also after ctx ended: the results are reported.
		if syncErr := syncer.Sync(context.WithoutCancel(ctx)); err == nil {
			err = syncErr
		}
	}
	return results, err
}

// syncer is a client that can be told to make its writes durable.
type syncer interface {
	Sync(ctx context.Context) error
}

// run executes payloads from a head at headNumber on and moves the head.
func (x *Executor) run(ctx context.Context, payloads []*block.Payload, headNumber uint64, finalized, safe common.Hash) ([]Executed, error) {
	results := make([]Executed, 0, len(payloads))
	for i, p := range payloads {
		state := beacon.ForkchoiceStateV1{HeadBlockHash: p.BlockHash}
		final := i == len(payloads)-1
		if final {
			state.FinalizedBlockHash, state.SafeBlockHash = finalized, safe
		}
		result, err := x.execute(ctx, p)
		if err != nil {
			return results, err
		}
		if result.Status != StatusValid {
			return append(results, result), nil
		}
		if !final && p.BlockNumber <= headNumber {
			known, err := x.canonical(ctx, p)
			if err != nil {
				return results, err
			}
			if known {
				results = append(results, result)
				continue
			}
		}
		if _, err := x.setHead(ctx, state, nil); err != nil {
			if fault.Is(err, fault.Invalid) {
				results = append(results, result)
			}
			return results, err
		}
		headNumber = p.BlockNumber
		results = append(results, result)
	}
	return results, nil
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
	return result, nil
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
			return status, fault.New(fault.CannotJudge, "%s: the client answers %s, it lacks the parent's state%s", what, status.Status, reason(status))
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
	}
}

// canonical reports whether the client has p in its canonical chain.
func (x *Executor) canonical(ctx context.Context, p *block.Payload) (bool, error) {
	header, err := x.api.HeaderByNumber(ctx, rpc.BlockNumber(p.BlockNumber))
	if errors.Is(err, ErrNotFound) {
		return false, nil // moved below it meanwhile
	}
	if err != nil {
		return false, clientError(ctx, err, fmt.Sprintf("read header %d", p.BlockNumber))
	}
	return header.Hash() == p.BlockHash, nil
}
