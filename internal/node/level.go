package node

import (
	"context"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// levelBatch is how many payloads are fed at once.
const levelBatch = 64

// levelExecution feeds the execution layer the payloads it lost in a crash, or
// all of them when its directory was deleted. Which blocks those are is read
// from the BlockConnected facts of the journal, newest first.
func (n *Node) levelExecution(ctx context.Context, m *actors.Machine) error {
	s := chainState(m)
	head := s.Entry(s.Head.Root)
	if head == nil || head.Root == s.Genesis || n.embedded.HasState(ctx, head.PayloadHash) {
		return nil
	}
	started := time.Now()
	missing, err := n.missingBlocks(ctx, head.Root)
	if err != nil {
		return err
	}
	n.log.Info("execution layer is behind the journal: feeding payloads", "count", len(missing), "to_height", head.Number)
	edge := &engineEdge{x: n.executor, memo: n.memo, content: n.content, log: n.log}
	reported := time.Now()
	for done := 0; done < len(missing); {
		batch := missing[done:min(done+levelBatch, len(missing))]
		payloads, err := edge.payloads(batch)
		if err != nil {
			return err
		}
		results, err := n.executor.Import(ctx, payloads, common.Hash{}, common.Hash{})
		if err != nil {
			return err
		}
		if last := results[len(results)-1]; last.Err != "" {
			return fault.New(fault.Corrupt, "the execution layer refuses payload %s at height %d, which it executed before: %s; delete the execution directory to have it built anew", last.BlockHash, last.Number, last.Err)
		}
		done += len(batch)
		if time.Since(reported) > 8*time.Second {
			reported = time.Now()
			n.log.Info("feeding the execution layer", "done", done, "total", len(missing))
		}
	}
	n.log.Info("execution layer is level", "fed", len(missing), "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// missingBlocks returns the signed blocks from just above what the execution
// layer has up to root, oldest first.
func (n *Node) missingBlocks(ctx context.Context, root common.Hash) ([]message.Block, error) {
	it := n.journal.Iterate(n.journal.Durable().Sequence, true)
	defer it.Close()
	var missing []message.Block
	want := root
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			return nil, err
		}
		for _, o := range slices.Backward(e.Outputs) {
			if o.Kind != journal.KindFact || o.Type != (*message.BlockConnected)(nil).Type() {
				continue
			}
			var fact message.BlockConnected
			if err := message.Decode(&fact, o.Schema, o.Payload, nil); err != nil {
				return nil, err
			}
			if fact.Root != want {
				continue
			}
			if fact.Signed.None() || n.embedded.HasState(ctx, fact.PayloadHash) {
				slices.Reverse(missing)
				return missing, nil
			}
			missing = append(missing, message.Block{Signed: fact.Signed})
			want = fact.Parent
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Corrupt, "the journal holds no block %s, which the execution layer lacks", want)
}
