package connected

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
)

// MaxRun is how many blocks one run has at most.
const MaxRun = 1024

// Block is a block that was connected.
type Block struct {
	Number       uint64
	Root, Parent common.Hash
	Signed       journal.Hash // of the content; zero for genesis, which has none
}

// Reader reads runs of connected blocks.
type Reader struct {
	Index *index.Index
	// Height is the term by which the index finds the events of a height.
	Height func(uint64) index.Term
}

// fact is the term of events that connect blocks.
var fact = index.Any{index.Fact((&message.BlockConnected{}).Type())}

// Last returns the last block that was connected at a height, and the sequence of the event
// that did; 0 when the journal has none.
func (r *Reader) Last(ctx context.Context, number uint64) (b Block, sequence uint64, err error) {
	err = r.each(ctx, index.Query{All: []index.Any{{r.Height(number)}, fact}, Reverse: true}, func(e *journal.Event, m *message.BlockConnected) {
		if m.Number == number {
			b, sequence = block(m), e.Sequence // the last of a reorganisation counts
		}
	}, func() bool { return sequence == 0 })
	return b, sequence, err
}

// Run returns the blocks of the head's branch from one height to another, which is not above
// the head. It is empty when the journal has no block at the first height, and ends before
// MaxRun is exceeded.
func (r *Reader) Run(ctx context.Context, from, to uint64) ([]Block, error) {
	if to < from {
		return nil, nil
	}
	if to-from >= MaxRun {
		to = from + MaxRun - 1
	}
	first, begin, err := r.Last(ctx, from)
	if err != nil || begin == 0 {
		return nil, err
	}
	last, end, err := r.Last(ctx, to)
	if err != nil {
		return nil, err
	}
	if end < begin {
		return nil, moved(from, to)
	}
	// A block's descendants on the branch were connected after it, and before the last one:
	// all are within these events. What was reverted there was replaced there.
	blocks := make([]Block, to-from+1)
	blocks[0] = first
	found := 1
	err = r.each(ctx, index.Query{All: []index.Any{fact}, From: begin, To: end}, func(_ *journal.Event, m *message.BlockConnected) {
		if m.Number <= from || m.Number > to {
			return
		}
		at := &blocks[m.Number-from]
		if at.Root == (common.Hash{}) {
			found++
		}
		*at = block(m)
	}, func() bool { return true })
	if err != nil {
		return nil, err
	}
	if found < len(blocks) || blocks[len(blocks)-1] != last {
		return nil, moved(from, to)
	}
	for i := 1; i < len(blocks); i++ {
		if blocks[i].Parent != blocks[i-1].Root {
			return nil, moved(from, to)
		}
	}
	return blocks, nil
}

func moved(from, to uint64) error {
	return fault.New(fault.Temporary, "blocks %d to %d of the head's branch: a reorganisation replaces them at this moment", from, to)
}

// each gives the facts of connected blocks of the events that a query finds, in order within
// an event, until more answers false after one.
func (r *Reader) each(ctx context.Context, q index.Query, take func(*journal.Event, *message.BlockConnected), more func() bool) error {
	results, err := r.Index.Find(ctx, q)
	if err != nil {
		return err
	}
	defer results.Close()
	for results.Next() {
		e := results.Event()
		for i := range e.Outputs {
			m, err := Fact(&e.Outputs[i])
			if err != nil {
				return fault.Wrap(fault.Corrupt, err, "a fact of a connected block in the journal")
			}
			if m != nil {
				take(e, m)
			}
		}
		if !more() {
			return nil
		}
	}
	return results.Err()
}

// Fact decodes an output that is the fact of a connected block; nil for any other.
func Fact(o *journal.Output) (*message.BlockConnected, error) {
	m := &message.BlockConnected{}
	if o.Kind != journal.KindFact || o.Type != m.Type() {
		return nil, nil
	}
	return m, message.Decode(m, o.Schema, o.Payload, nil)
}

func block(m *message.BlockConnected) Block {
	return Block{Number: m.Number, Root: m.Root, Parent: m.Parent, Signed: journal.Hash(m.Signed.Hash)}
}
