package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
)

// engineQueue is the engine edge: one request at a time, in order, each of which
// takes a while.
type engineQueue struct {
	p       *process
	waiting []actors.Request
	busy    bool
}

func (q *engineQueue) put(r actors.Request) {
	q.waiting = append(q.waiting, r)
	q.next()
}

func (q *engineQueue) next() {
	if q.busy || len(q.waiting) == 0 {
		return
	}
	r := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.busy = true
	w := q.p.m.w
	takes := w.engineTime()
	if b, ok := r.Message.(*message.BuildPayload); ok {
		takes += int64(b.WaitMs)
	}
	q.p.later(takes, "engine", func() {
		q.busy = false
		if result := q.run(r.Message); result != nil {
			q.p.reply(r, result)
		}
		if q.p.current() {
			q.next()
		}
	})
}

func (q *engineQueue) run(m core.Message) core.Message {
	layer, w := q.p.m.layer, q.p.m.w
	switch m := m.(type) {
	case *message.ImportPayloads:
		blocks, err := q.p.withData(m.Blocks)
		if err != nil {
			w.fail("journal", []*member{q.p.m}, "a block to execute: %v", err)
			return nil
		}
		q.p.feed(blocks[0])
		result, err := layer.Import(&message.ImportPayloads{Blocks: blocks, Finalized: m.Finalized}, w.work.Decode)
		if err != nil {
			w.fail("journal", []*member{q.p.m}, "%v", err)
			return nil
		}
		if w.rand.layer.IntN(4) == 0 {
			layer.Sync()
		}
		return result
	case *message.UpdateForkchoice:
		return layer.Forkchoice(m)
	case *message.BuildPayload:
		built, no := layer.Build(m)
		if no != nil {
			return no
		}
		return built
	}
	return nil
}

// withData fills in the bytes of blocks that a message only names.
func (p *process) withData(blocks []message.Block) ([]message.Block, error) {
	blocks = slices.Clone(blocks)
	for i := range blocks {
		c := &blocks[i].Signed
		if c.Data != nil {
			continue
		}
		data, err := p.content(c.Hash)
		if err != nil {
			return nil, err
		}
		*c = record.Content{Hash: c.Hash, Data: data}
	}
	return blocks, nil
}

// level feeds the execution layer the payloads of the head's branch that it lost,
// as a node does at its start: which those are is read from the facts of the
// journal, newest first.
func (p *process) level() bool {
	s := p.m.state()
	head := s.Entry(s.Head.Root)
	if head == nil || p.m.layer.Knows(head.PayloadHash) {
		return true
	}
	missing, err := p.missing(head.Root)
	if err == nil {
		missing, err = p.withData(missing)
	}
	if err == nil {
		limit := p.m.layer.Limit
		p.m.layer.Limit = -1
		_, err = p.m.layer.Import(&message.ImportPayloads{Blocks: missing}, p.m.w.work.Decode)
		p.m.layer.Limit = limit
	}
	if err == nil && !p.m.layer.Knows(head.PayloadHash) {
		err = errNotLevel
	}
	if err != nil {
		p.m.w.fail("journal", []*member{p.m}, "member %d: bringing the execution layer level: %v", p.m.index, err)
		return false
	}
	return true
}

// feed gives the execution layer what it lost of the branch below a block that is to be
// executed, one off the head's branch too, as the node's edge does. The node reads
// those payloads in the imports of its journal; here the registry has the same ones.
func (p *process) feed(first message.Block) {
	layer := p.m.layer
	signed, _, err := p.m.w.work.Decode(first.Signed.Data)
	if err != nil || layer.Limit == 0 {
		return
	}
	var lost []message.Block
	at := p.m.w.blocks.get(signed.Block.ParentHash)
	for ; at != nil && !layer.Knows(at.payload); at = p.m.w.blocks.get(at.parent) {
		if e := p.m.state().Entry(at.root); e == nil || e.Status != chain.Executed && e.Status != chain.Connected {
			return // it was never executed here: the journal has no import of it
		}
		lost = append(lost, message.Block{Signed: record.NewContent(at.signed.Encode())})
	}
	if at == nil || len(lost) == 0 {
		return
	}
	slices.Reverse(lost)
	limit := layer.Limit
	layer.Limit = -1
	if _, err := layer.Import(&message.ImportPayloads{Blocks: lost}, p.m.w.work.Decode); err != nil {
		p.m.w.fail("journal", []*member{p.m}, "member %d: feeding its execution layer: %v", p.m.index, err)
	}
	layer.Limit = limit
}

// missing returns the blocks up to root that the layer lacks, oldest first.
func (p *process) missing(root common.Hash) (blocks []message.Block, err error) {
	it := p.journal.Iterate(p.journal.Durable().Sequence, true)
	defer it.Close()
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
			if fact.Signed.None() || p.m.layer.Knows(fact.PayloadHash) {
				slices.Reverse(blocks)
				return blocks, nil
			}
			blocks = append(blocks, message.Block{Signed: fact.Signed})
			want = fact.Parent
		}
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	return nil, errNotLevel
}
