package node

import (
	"context"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// levelBatch is how many payloads are fed at once.
const levelBatch = 64

// levelExecution feeds the execution layer, at a start, what it lost in a crash, or all
// payloads when its directory was deleted. An external one that is away or behind is fed
// as soon as it is asked something.
func (n *Node) levelExecution(ctx context.Context, m *actors.Machine) error {
	s := chainState(m)
	head := s.Entry(s.Head.Root)
	if head == nil || head.Root == s.Genesis {
		return nil
	}
	_, err := n.engine.feed(ctx, head.PayloadHash)
	n.engine.state.answered(err)
	if n.external != nil && (fault.Is(err, fault.Temporary) || fault.Is(err, fault.CannotJudge)) && ctx.Err() == nil {
		n.log.Warn("execution client is away or behind; it is fed when it answers", "client", n.external.Name(), "error", err)
		return nil
	}
	return err
}

// feed has the execution layer execute what it lacks up to the payload with this hash,
// so that a child can be executed on it. It returns how many payloads that were, and
// does not move the head to the last one.
func (e *engineEdge) feed(ctx context.Context, want common.Hash) (fed int, err error) {
	if has, err := e.api.HasState(ctx, want); err != nil || has {
		return 0, err
	}
	started := time.Now()
	missing, err := e.missing(ctx, want)
	if err != nil || len(missing) == 0 {
		return 0, err
	}
	e.log.Info("execution layer is behind the journal: feeding payloads", "count", len(missing), "to", want)
	defer e.state.feeding(0)
	reported := time.Now()
	for fed < len(missing) {
		e.state.feeding(len(missing) - fed)
		batch := missing[fed:min(fed+levelBatch, len(missing))]
		payloads, err := e.payloads(batch)
		if err != nil {
			return fed, err
		}
		results, err := e.x.Execute(ctx, payloads)
		if err != nil {
			return fed, err
		}
		if last := results[len(results)-1]; last.Status != engine.StatusValid {
			return fed, fault.New(fault.Corrupt, "the execution layer refuses payload %s at height %d, which was executed before: %s; delete the execution directory, or that of the external client, to have it built anew", last.BlockHash, last.Number, last.Err)
		}
		fed += len(batch)
		if time.Since(reported) > 8*time.Second {
			reported = time.Now()
			e.log.Info("feeding the execution layer", "done", fed, "total", len(missing))
		}
	}
	e.log.Info("execution layer is level", "fed", fed, "took", time.Since(started).Round(time.Millisecond))
	return fed, nil
}

// missing returns the signed blocks from just above what the execution layer has up to the
// payload with this hash, oldest first. Where they are is read from the journal backward:
// from the facts that connected them, and from the imports that executed those of a branch
// that is not connected, or not yet.
func (e *engineEdge) missing(ctx context.Context, want common.Hash) ([]message.Block, error) {
	it := e.journal.Iterate(e.journal.Durable().Sequence, true)
	defer it.Close()
	var missing []message.Block
	for it.Next() {
		event, err := it.Event()
		if err != nil {
			return nil, err
		}
		found, err := e.blocksOf(event)
		if err != nil {
			return nil, err
		}
		for _, f := range slices.Backward(found) {
			if f.payload != want {
				continue
			}
			if f.signed.Signed.None() {
				return nil, fault.New(fault.CannotJudge, "the execution layer lacks block 0 of this chain, %s", want)
			}
			missing = append(missing, f.signed)
			parent, err := e.parent(f.signed)
			if err != nil {
				return nil, err
			}
			has, err := e.api.HasState(ctx, parent)
			if err != nil {
				return nil, err
			}
			if has {
				slices.Reverse(missing)
				return missing, nil
			}
			want = parent
		}
		if ctx.Err() != nil {
			return nil, fault.Wrap(fault.Temporary, ctx.Err(), "reading the journal for what the execution layer lacks")
		}
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.CannotJudge, "neither the execution layer nor the journal has payload %s", want)
}

// executedBlock is a block that an event tells of.
type executedBlock struct {
	payload common.Hash
	signed  message.Block
}

// blocksOf returns the executed blocks that an event tells of, oldest first.
func (e *engineEdge) blocksOf(event *journal.Event) (list []executedBlock, err error) {
	if event.Stored && event.Type == (*message.PayloadsImported)(nil).Type() {
		if list, err = e.imported(event); err != nil {
			return nil, err
		}
	}
	for _, o := range event.Outputs {
		if o.Kind != journal.KindFact || o.Type != (*message.BlockConnected)(nil).Type() {
			continue
		}
		var fact message.BlockConnected
		if err := message.Decode(&fact, o.Schema, o.Payload, nil); err != nil {
			return nil, err
		}
		list = append(list, executedBlock{fact.PayloadHash, message.Block{Signed: fact.Signed}})
	}
	return list, nil
}

// imported returns the blocks of an import by its answer, whose cause is the import.
func (e *engineEdge) imported(answer *journal.Event) (list []executedBlock, err error) {
	var results message.PayloadsImported
	if err := message.Decode(&results, answer.Schema, answer.Message, nil); err != nil {
		return nil, err
	}
	asked, _, err := e.journal.Event(answer.Cause.Sequence)
	if err != nil {
		return nil, err
	}
	if int(answer.Cause.Index) >= len(asked.Outputs) || asked.Outputs[answer.Cause.Index].Type != (*message.ImportPayloads)(nil).Type() {
		return nil, fault.New(fault.Corrupt, "event %d answers output %d of event %d, which is no import", answer.Sequence, answer.Cause.Index, answer.Cause.Sequence)
	}
	o := &asked.Outputs[answer.Cause.Index]
	var request message.ImportPayloads
	if err := message.Decode(&request, o.Schema, o.Payload, nil); err != nil {
		return nil, err
	}
	for i, r := range results.Results {
		if i < len(request.Blocks) && r.Status == message.ExecutionValid {
			list = append(list, executedBlock{r.PayloadHash, request.Blocks[i]})
		}
	}
	return list, nil
}

// parent returns the payload hash that a block stands on.
func (e *engineEdge) parent(b message.Block) (common.Hash, error) {
	payloads, err := e.payloads([]message.Block{b})
	if err != nil {
		return common.Hash{}, err
	}
	return payloads[0].ParentHash, nil
}
