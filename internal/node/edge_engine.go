package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
)

// engineEdge executes the engine actor's effects on the execution layer. What that
// has lost since, it is fed from the journal.
type engineEdge struct {
	api     engine.API
	x       *engine.Executor
	journal *journal.Journal
	memo    *memo.Memo
	content func(record.Content) ([]byte, error)
	log     *slog.Logger
	stop    func(cause error) // ends the node

	mu    sync.Mutex                // one call sequence at a time
	told  *message.UpdateForkchoice // the last one that was acknowledged
	state executionState
}

// Execute implements actors.Executor.
func (e *engineEdge) Execute(ctx context.Context, r actors.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch m := r.Message.(type) {
	case *message.ImportPayloads:
		if result := e.importPayloads(ctx, m); result != nil {
			r.Reply(result)
		}
	case *message.UpdateForkchoice:
		if result := e.updateForkchoice(ctx, m); result != nil {
			r.Reply(result)
		}
	case *message.BuildPayload:
		if result := e.buildPayload(ctx, m); result != nil {
			r.Reply(result)
		}
	}
}

// importPayloads runs the payloads of blocks. A stop in between is no result:
// the effect stays pending and is executed again at the next start.
func (e *engineEdge) importPayloads(ctx context.Context, m *message.ImportPayloads) *message.PayloadsImported {
	payloads, err := e.payloads(m.Blocks)
	if err != nil {
		// Without an answer the chain would wait for ever, and no answer is right.
		if ctx.Err() == nil {
			e.stop(err)
		}
		return nil
	}
	executed, err := e.execute(ctx, payloads)
	if ctx.Err() != nil {
		return nil
	}
	e.state.answered(err)
	result, whole := executions(executed)
	if err != nil && whole {
		e.log.Warn("execution layer cannot judge yet", "payload", payloads[min(len(executed), len(payloads)-1)].BlockHash, "error", err)
		if len(executed) < len(payloads) {
			result.Results = append(result.Results, message.Execution{
				PayloadHash: payloads[len(executed)].BlockHash, Status: message.ExecutionUnknown, Reason: err.Error(),
			})
		}
	}
	return result
}

// maxReceipts is how many bytes of requests an answer has before it is cut short: the
// engine actor asks again for the blocks that it lacks. (actors.MaxMessage)
const maxReceipts = actors.MaxMessage / 4

// executions are results as a message, and whether all of them are in it.
func executions(executed []engine.Executed) (m *message.PayloadsImported, whole bool) {
	m = &message.PayloadsImported{}
	size := 0
	for _, x := range executed {
		r := message.Execution{PayloadHash: x.BlockHash, Status: message.ExecutionValid, StateRoot: x.StateRoot, GasUsed: x.GasUsed}
		if x.Status != engine.StatusValid {
			r.Status, r.Reason, r.LatestValid = message.ExecutionInvalid, x.Err, x.LatestValid
		}
		if len(x.Requests) > 0 {
			data, _ := record.Encode(&message.PegReceipts{Logs: x.Requests})
			r.Receipts = record.NewContent(data)
		}
		if size += len(r.Receipts.Data); size > maxReceipts && len(m.Results) > 0 {
			return m, false
		}
		m.Results = append(m.Results, r)
	}
	return m, true
}

// execute executes payloads, and once more what could not be judged when the execution
// layer lacked what is below it. When that ends without the last payload, the head goes
// back to where it was: no move will follow.
func (e *engineEdge) execute(ctx context.Context, payloads []*block.Payload) ([]engine.Executed, error) {
	executed, err := e.x.Execute(ctx, payloads)
	if fault.Is(err, fault.CannotJudge) && len(executed) < len(payloads) {
		if fed, feedErr := e.feed(ctx, payloads[len(executed)].ParentHash); feedErr != nil {
			err = feedErr
		} else if fed > 0 {
			var more []engine.Executed
			more, err = e.x.Execute(ctx, payloads[len(executed):])
			executed = append(executed, more...)
		}
	}
	whole := len(executed) == len(payloads) && !slices.ContainsFunc(executed, func(x engine.Executed) bool { return x.Status != engine.StatusValid })
	if !whole && e.x.Displaced() && e.told != nil {
		if _, moveErr := e.move(ctx, e.told); moveErr != nil {
			e.log.Warn("execution layer does not take its head back yet", "payload", e.told.Head, "error", moveErr)
		}
	}
	return executed, err
}

// move moves the head, and feeds what is below it if the execution layer lacks it.
func (e *engineEdge) move(ctx context.Context, m *message.UpdateForkchoice) (engine.Moved, error) {
	moved, err := e.x.Move(ctx, m.Head, m.Safe, m.Finalized)
	if fault.Is(err, fault.CannotJudge) {
		fed, feedErr := e.feed(ctx, m.Head)
		if feedErr != nil {
			return moved, feedErr
		}
		if fed > 0 {
			moved, err = e.x.Move(ctx, m.Head, m.Safe, m.Finalized)
		}
	}
	if err == nil && moved.Status == engine.StatusValid {
		e.told = m
	}
	return moved, err
}

// updateForkchoice moves the execution layer's head. A stop in between is no result.
func (e *engineEdge) updateForkchoice(ctx context.Context, m *message.UpdateForkchoice) *message.ForkchoiceUpdated {
	moved, err := e.move(ctx, m)
	if ctx.Err() != nil {
		return nil
	}
	e.state.answered(err)
	switch {
	case err != nil:
		e.log.Warn("execution layer does not take the head yet", "payload", m.Head, "error", err)
		return &message.ForkchoiceUpdated{Status: message.ExecutionUnknown, Reason: err.Error()}
	case moved.Status != engine.StatusValid:
		e.log.Error("execution layer refuses a head that it executed: its data is damaged; repair it or have it synchronised anew",
			"payload", m.Head, "latest_valid", moved.LatestValid, "reason", moved.Err)
		return &message.ForkchoiceUpdated{Status: message.ExecutionInvalid, Reason: moved.Err, LatestValid: moved.LatestValid}
	}
	return &message.ForkchoiceUpdated{Status: message.ExecutionValid}
}

// payloads reads the payloads of blocks, whose bytes the journal has.
func (e *engineEdge) payloads(blocks []message.Block) ([]*block.Payload, error) {
	payloads := make([]*block.Payload, 0, len(blocks))
	for _, b := range blocks {
		data, err := e.content(b.Signed)
		if err == nil {
			var s *block.Signed
			if s, _, err = e.memo.Decode(data); err == nil {
				payloads = append(payloads, &s.Block.Payload)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("content %s of a block to execute: %w", common.Hash(b.Signed.Hash), err)
		}
	}
	return payloads, nil
}

// buildPayload answers nil when the node stops meanwhile.
func (e *engineEdge) buildPayload(ctx context.Context, m *message.BuildPayload) core.Message {
	request := engine.BuildRequest{
		Parent: m.Parent, Finalized: m.Finalized, Timestamp: m.Timestamp, Wait: time.Duration(m.WaitMs) * time.Millisecond,
	}
	for _, w := range m.Withdrawals {
		request.Withdrawals = append(request.Withdrawals, block.Withdrawal{Address: w.Address, Amount: w.Amount})
	}
	payload, err := e.x.Build(ctx, request)
	if ctx.Err() != nil {
		return nil
	}
	e.state.answered(err)
	if err != nil {
		return &message.PayloadFailed{Grade: uint8(fault.Of(err)), Reason: err.Error()}
	}
	return &message.PayloadBuilt{Payload: record.NewContent(payload.Encode())}
}
