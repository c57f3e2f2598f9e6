package node

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/index"
	"github.com/AnduroProject/alys-go/projections/connected"
)

// keepRecent is how many blocks of the head's branch are found without the index.
const keepRecent = 1024

// branch finds the newest blocks of the head's branch, folded from facts. Older
// blocks and side blocks are found by the journal's index.
type branch struct {
	mu     sync.Mutex
	recent map[uint64]stored // connected blocks by height
	// revision counts what may change the work that miners get.
	revision atomic.Uint64
	head     atomic.Pointer[foundBlock] // the last head that was read
}

// stored says where a block's bytes are.
type stored struct {
	root   common.Hash
	signed journal.Hash // zero for genesis
}

// foundBlock is a block that was read.
type foundBlock struct {
	stored
	block *block.Signed
}

// recentBranch returns the newest blocks as a chain state has them.
func recentBranch(s *chain.State) *branch {
	b := &branch{recent: map[uint64]stored{}}
	for number, n := s.Head.Number, 0; n < keepRecent; n++ {
		e := s.At(number)
		if e == nil {
			break
		}
		b.recent[number] = stored{e.Root, journal.Hash(e.Signed)}
		if number == 0 {
			break
		}
		number--
	}
	return b
}

// fold takes one fact. What is reverted stays until something is connected at its
// height: at and below the head the last connected block is the branch's, and above
// it nobody asks.
func (b *branch) fold(f Fact) {
	switch m := f.Message.(type) {
	case *message.BlockConnected:
		b.mu.Lock()
		b.recent[m.Number] = stored{m.Root, journal.Hash(m.Signed.Hash)}
		if m.Number >= keepRecent {
			delete(b.recent, m.Number-keepRecent)
		}
		b.mu.Unlock()
	case *message.HeadChanged, *message.BlockFinalized, *message.WorkQueued, *message.WorkDropped, *message.BranchDecided:
		b.revision.Add(1)
	}
}

func (b *branch) at(number uint64) (stored, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.recent[number]
	return s, ok
}

// readBlock returns a block's bytes decoded.
func (n *Node) readBlock(s stored) (*foundBlock, error) {
	if last := n.branch.head.Load(); last != nil && last.stored == s {
		return last, nil
	}
	found := &foundBlock{stored: s}
	if s.signed == (journal.Hash{}) {
		c, genesis, err := n.Rules()
		if err != nil {
			return nil, err
		}
		found.block = block.Genesis(c, *genesis)
		return found, nil
	}
	data, err := n.journal.Content(s.signed)
	if err != nil {
		return nil, err
	}
	if found.block, err = block.Decode(data); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "stored block "+s.root.Hex())
	}
	return found, nil
}

// headBlock returns the head, nil before genesis.
func (n *Node) headBlock() (*foundBlock, error) {
	s, ok := n.branch.at(n.view.snapshot().Head.Number)
	if !ok {
		return nil, nil
	}
	found, err := n.readBlock(s)
	if err == nil {
		n.branch.head.Store(found)
	}
	return found, err
}

// blockAt returns the block of the head's branch at a height, nil above the head.
func (n *Node) blockAt(ctx context.Context, number uint64) (*foundBlock, error) {
	if number > n.view.snapshot().Head.Number {
		return nil, nil
	}
	s, ok := n.branch.at(number)
	if !ok {
		var err error
		if s, ok, err = n.connectedAt(ctx, number); err != nil || !ok {
			return nil, err
		}
	}
	return n.readBlock(s)
}

// connectedAt asks the index for the last block that was connected at a height: at
// and below the head it is the one of the head's branch.
func (n *Node) connectedAt(ctx context.Context, number uint64) (stored, bool, error) {
	r, err := n.connected()
	if err != nil {
		return stored{}, false, err
	}
	b, sequence, err := r.Last(ctx, number)
	return stored{b.Root, b.Signed}, sequence > 0, err
}

// connected reads which blocks the head's branch has below the recent ones.
func (n *Node) connected() (*connected.Reader, error) {
	if n.index == nil {
		return nil, noIndex()
	}
	return &connected.Reader{Index: n.index, Height: Height}, nil
}

func noIndex() error {
	return fault.New(fault.Temporary, "the journal is not indexed in this run: only the last %d blocks are found; the log of the start says why", keepRecent)
}

// blockOf returns a block by its root, on the head's branch or beside it. The facts of
// connected blocks are asked first: messages of received blocks hold many.
func (n *Node) blockOf(ctx context.Context, root common.Hash) (*foundBlock, error) {
	var s stored
	found := false
	err := n.search(ctx, index.Any{BlockHash(root)}, index.Any{index.Fact((&message.BlockConnected{}).Type())}, func(e *journal.Event) (bool, error) {
		for i := range e.Outputs {
			m, err := connected.Fact(&e.Outputs[i])
			if err != nil {
				return false, err
			}
			if m != nil && m.Root == root {
				s, found = stored{root, journal.Hash(m.Signed.Hash)}, true
			}
		}
		return !found, nil
	})
	if err == nil && !found {
		err = n.search(ctx, index.Any{BlockHash(root)}, index.Any{index.Message((&message.BlocksReceived{}).Type())}, func(e *journal.Event) (bool, error) {
			signed, err := n.receivedBlock(e, root)
			s, found = stored{root, signed}, signed != (journal.Hash{})
			return !found, err
		})
	}
	if err != nil || !found {
		return nil, err
	}
	return n.readBlock(s)
}

// receivedBlock returns the content hash of the block with a root in a message of
// received blocks, zero when it is not there.
func (n *Node) receivedBlock(e *journal.Event, root common.Hash) (journal.Hash, error) {
	m := &message.BlocksReceived{}
	if err := message.Decode(m, e.Schema, e.Message, nil); err != nil {
		return journal.Hash{}, err
	}
	for i := range m.Blocks {
		h := journal.Hash(m.Blocks[i].Signed.Hash)
		data, err := n.journal.Content(h)
		if err != nil {
			return journal.Hash{}, err
		}
		if _, got, err := n.memo.Decode(data); err == nil && got == root {
			return h, nil
		}
	}
	return journal.Hash{}, nil
}

// search gives the events that meet both conditions, the newest first, until each returns false.
func (n *Node) search(ctx context.Context, a, b index.Any, each func(*journal.Event) (more bool, err error)) error {
	if n.index == nil {
		return noIndex()
	}
	results, err := n.index.Find(ctx, index.Query{All: []index.Any{a, b}, Reverse: true})
	if err != nil {
		return err
	}
	defer results.Close()
	for results.Next() {
		if more, err := each(results.Event()); err != nil || !more {
			return err
		}
	}
	return results.Err()
}

// queuedHeader returns the proof that waits to be carried, nil when none does.
func (n *Node) queuedHeader() (*block.AuxPowHeader, error) {
	return n.queue.header(n)
}

// queue is the proof that waits to be carried, folded from facts.
type queue struct {
	mu       sync.Mutex
	raw      []byte // as the chain actor's state had it at the start
	sequence uint64 // of the turn that queued it; 0 for raw
	waiting  bool
}

func (q *queue) fold(f Fact) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch m := f.Message.(type) {
	case *message.WorkQueued:
		q.raw, q.sequence, q.waiting = nil, f.Ref.Sequence, true
	case *message.WorkDropped:
		q.waiting = q.waiting && m.Refused
	case *message.BlockConnected:
		if m.Carrier {
			q.waiting = false
		}
	}
}

// header reads the proof: the event that queued it names the message that brought it.
func (q *queue) header(n *Node) (*block.AuxPowHeader, error) {
	q.mu.Lock()
	raw, sequence, waiting := q.raw, q.sequence, q.waiting
	q.mu.Unlock()
	if !waiting {
		return nil, nil
	}
	if sequence != 0 {
		e, _, err := n.journal.Event(sequence)
		if err != nil {
			return nil, err
		}
		data, schema, err := n.messageOf(e)
		if err != nil {
			return nil, err
		}
		m := &message.QueueWork{}
		if err := message.Decode(m, schema, data, record.Resolver(nil)); err != nil {
			return nil, err
		}
		raw = m.Header
	}
	return block.DecodeAuxPowHeader(raw)
}

// messageOf returns the message of an event, which for a send is its cause's output.
func (n *Node) messageOf(e *journal.Event) (data []byte, schema uint32, err error) {
	if e.Stored {
		return e.Message, e.Schema, nil
	}
	cause, _, err := n.journal.Event(e.Cause.Sequence)
	if err != nil {
		return nil, 0, err
	}
	if int(e.Cause.Index) >= len(cause.Outputs) {
		return nil, 0, fault.New(fault.Corrupt, "event %d names output %d of event %d, which has %d", e.Sequence, e.Cause.Index, e.Cause.Sequence, len(cause.Outputs))
	}
	o := &cause.Outputs[e.Cause.Index]
	return o.Payload, o.Schema, nil
}
