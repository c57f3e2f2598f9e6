package node

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/eventjson"
	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
)

// JournalHead implements rpc.Backend.
func (b *rpcBackend) JournalHead() rpc.JournalHead {
	durable := b.n.journal.Durable()
	return rpc.JournalHead{
		Journal: b.n.journal.ID().String(), Sequence: durable.Sequence, Hash: durable.Hash.String(),
		Indexed: durable.Sequence - min(b.n.indexLag(), durable.Sequence),
	}
}

// JournalEvent implements rpc.Backend.
func (b *rpcBackend) JournalEvent(_ context.Context, sequence uint64) (json.RawMessage, error) {
	e, hash, err := b.n.journal.Event(sequence)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return b.event(e, hash)
}

func (b *rpcBackend) event(e *journal.Event, hash journal.Hash) (json.RawMessage, error) {
	r := eventjson.Renderer{Journal: b.n.journal, Machine: b.n.recovered.Machine}
	view, err := r.View(e, hash)
	if err != nil {
		return nil, err
	}
	return json.Marshal(view)
}

// JournalFind implements rpc.Backend.
func (b *rpcBackend) JournalFind(ctx context.Context, q rpc.EventQuery, maxBytes int) (page *rpc.EventPage, err error) {
	if b.n.index == nil {
		return nil, fault.New(fault.Temporary, "the journal is not indexed in this run; the log of the start says why")
	}
	found, err := b.n.index.Find(ctx, index.Query{
		All: conditions(q), From: q.From, To: q.To, Reverse: q.Reverse, Cursor: q.Cursor,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	page = &rpc.EventPage{Events: []json.RawMessage{}}
	for size := 0; size < maxBytes; {
		if len(page.Events) == q.Limit || !found.Next() {
			break
		}
		event, err := b.event(found.Event(), found.Hash())
		if err != nil {
			return nil, err
		}
		size += len(event)
		page.Events = append(page.Events, event)
	}
	if found.Err() != nil {
		return nil, found.Err()
	}
	if len(page.Events) > 0 {
		page.Cursor = found.Cursor()
	}
	return page, nil
}

// conditions are those of a query; its hashes were checked.
func conditions(q rpc.EventQuery) (all []index.Any) {
	add := func(given bool, a index.Any) {
		if given {
			all = append(all, a)
		}
	}
	if q.Height != nil {
		add(true, index.Any{Height(*q.Height)})
	}
	add(q.Block != "", index.Any{BlockHash(common.HexToHash(q.Block))})
	add(q.Transaction != "", index.Any{Transaction(common.HexToHash(q.Transaction))})
	add(q.Actor != "", index.Any{index.Actor(q.Actor)})
	add(q.Type != "", index.Type(q.Type))
	add(q.Fact != "", index.Any{index.Fact(q.Fact)})
	return all
}

// Status implements rpc.Backend.
func (b *rpcBackend) Status(context.Context) (json.RawMessage, error) {
	return json.Marshal(b.n.Status())
}

// Health implements rpc.Backend.
func (b *rpcBackend) Health() rpc.Health {
	reasons, warnings := b.n.opt.Telemetry.Health.Now()
	return rpc.Health{Ready: len(reasons) == 0, Reasons: problemsOf(reasons), Warnings: problemsOf(warnings)}
}

func problemsOf(list []health.Problem) []rpc.HealthProblem {
	out := []rpc.HealthProblem{}
	for _, p := range list {
		out = append(out, rpc.HealthProblem{Code: string(p.Code), Text: p.Text, Do: p.Do, Since: p.Since.Format(time.RFC3339)})
	}
	return out
}
