// Package rangecheck checks the answer of one peer to a request for blocks by height, as far
// as that needs no state, while it arrives: the signatures on all processors, the rest in
// order. Clients of every protocol use it, so that whatever they speak the sync actor gets the
// same.
//
//	checker := rangecheck.New(committee, memo)
//	run := checker.Begin(request)
//	for !run.Enough() {
//		stream.SetReadDeadline(run.Deadline())
//		signed, err := read(stream)
//		...
//		if run.Add(ctx, signed) != nil {
//			break
//		}
//	}
//	reply(run.End("", ""))
//
// # Guarantees
//
// What End gives is a run of blocks from the height asked for, without a gap: each decodes and
// is canonical (wire.md 9.4), has the height after and the root of the one before as its parent, a
// later slot, and an aggregate that is by the members it names (consensus.md C2, C5.5). The blocks
// before the first bad one count; what was wrong with it is the answer's fault, by a kind of
// package message. How many a quorum vouches for is counted over real approvals only (C17).
//
// No more than the request's count and bytes are kept, whatever the peer sends, and no more
// signatures wait than processors have to do for a moment: Add waits then, and with it the stream.
// Results go through the memo that the chain actor asks, so that nothing is checked twice.
package rangecheck

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// MostTime is how long a whole answer may take. A peer that sends a block just before each
// deadline has its answer ended then.
const MostTime = 20 * time.Second

// waitingPerProcessor is how many signature checks may wait for each processor.
const waitingPerProcessor = 16

// Busy is what End is told of a peer that answered that it has no time: nobody is to blame.
const Busy = "busy"

// Work is the slow pure work: what the functions of block and aura answer, remembered.
type Work interface {
	// Decode is block.Decode, with the block's root.
	Decode(signed []byte) (*block.Signed, common.Hash, error)
	// Verify is Committee.Verify.
	Verify(c *aura.Committee, a aura.Approvals, root common.Hash) error
}

// Message is an answer for the sync actor.
type Message interface {
	record.Record
	Type() string
	Schema() uint32
}

// Checker checks answers, any number at once, on as many processors as there are. Create
// it with [New].
type Checker struct {
	committee *aura.Committee
	work      Work
	busy      chan struct{} // one for each check that runs
	waiting   chan struct{} // one for each check that runs or waits
	now       func() time.Time
}

// New returns a checker for the blocks of a committee.
func New(committee *aura.Committee, work Work) *Checker {
	n := runtime.GOMAXPROCS(0)
	return &Checker{
		committee: committee, work: work, now: time.Now,
		busy: make(chan struct{}, n), waiting: make(chan struct{}, n*waitingPerProcessor),
	}
}

// Run is the check of one answer. It is not safe for concurrent use. [Run.End] has to be called.
type Run struct {
	c       *Checker
	want    message.FetchRange
	begun   time.Time
	blocks  []message.Block
	roots   []common.Hash
	quorums []bool
	parent  common.Hash
	slot    uint64
	bytes   uint64
	kind    string // what is wrong
	detail  string
	running sync.WaitGroup

	mu     sync.Mutex
	bad    int // index of the first block whose signature is wrong
	reason string
}

// Begin begins the check of the answer to a request.
func (c *Checker) Begin(m *message.FetchRange) *Run {
	return &Run{c: c, want: *m, begun: c.now(), bad: -1}
}

// Enough reports whether nothing more is to be read: all that was asked for is here, or as
// many bytes as were. A peer that speaks legacy's protocol does not know of the bytes.
func (r *Run) Enough() bool {
	return r.kind != "" || uint32(len(r.blocks)) >= r.want.Count || len(r.blocks) > 0 && r.bytes >= uint64(r.want.MaxBytes)
}

// Blocks returns how many blocks were added.
func (r *Run) Blocks() int { return len(r.blocks) }

// Deadline is when the next block has to be here.
func (r *Run) Deadline() time.Time {
	next, last := r.c.now().Add(time.Duration(r.want.DeadlineMs)*time.Millisecond), r.begun.Add(MostTime)
	if next.After(last) {
		return last
	}
	return next
}

// Late is the kind of act of a peer that let the deadline pass.
func (r *Run) Late() string {
	if len(r.blocks) > 0 {
		return message.ActSlow
	}
	return message.ActTimeout
}

// Refused is why an answer ends early.
type Refused struct {
	Kind   string // of package message
	Detail string
}

// Error implements error.
func (e *Refused) Error() string { return e.Kind + ": " + e.Detail }

func (r *Run) refuse(kind, format string, args ...any) error {
	r.kind, r.detail = kind, fmt.Sprintf(format, args...)
	return &Refused{r.kind, r.detail}
}

// Add takes the next block, which must not be changed any more. It waits while processors are
// busy. An error is a [Refused] or that of the context: nothing more is to be read then.
func (r *Run) Add(ctx context.Context, signed []byte) error {
	height := r.want.From + uint64(len(r.blocks))
	if uint32(len(r.blocks)) >= r.want.Count {
		return r.refuse(message.ActUnwanted, "more than the %d blocks asked for from height %d", r.want.Count, r.want.From)
	}
	if no := r.wrong(); no != nil {
		return no
	}
	b, root, err := r.c.work.Decode(signed)
	if err != nil {
		return r.refuse(message.ActMalformed, "block %d: %v", height, err)
	}
	if err := r.place(&b.Block, height); err != nil {
		return err
	}
	select {
	case r.c.waiting <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	i := len(r.blocks)
	if i == 0 {
		r.parent = b.Block.ParentHash
	}
	n := r.c.committee.Len()
	r.blocks = append(r.blocks, message.Block{Signed: record.NewContent(signed)})
	r.roots = append(r.roots, root)
	r.quorums = append(r.quorums, b.Approvals.CountReal(n) >= r.c.committee.Quorum())
	r.slot, r.bytes = b.Block.Slot, r.bytes+uint64(len(signed))
	approvals := b.Approvals
	r.running.Go(func() {
		r.c.busy <- struct{}{}
		err := r.c.work.Verify(r.c.committee, approvals, root)
		<-r.c.busy
		<-r.c.waiting
		if err != nil {
			r.found(i, err)
		}
	})
	return nil
}

// place checks where a block stands.
func (r *Run) place(b *block.Block, height uint64) error {
	number := b.Payload.BlockNumber
	switch {
	case number > height:
		return r.refuse(message.ActGap, "block %d where %d belongs", number, height)
	case number < height:
		return r.refuse(message.ActOrder, "block %d where %d belongs", number, height)
	case len(r.blocks) == 0:
		return nil
	case b.ParentHash != r.roots[len(r.roots)-1]:
		return r.refuse(message.ActForged, "block %d stands on %s and not on the one before it", height, b.ParentHash)
	case b.Slot <= r.slot:
		return r.refuse(message.ActForged, "block %d is of slot %d and the one before it of slot %d", height, b.Slot, r.slot)
	}
	return nil
}

// found notes a block whose signature is wrong.
func (r *Run) found(i int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad < 0 || i < r.bad {
		r.bad, r.reason = i, err.Error()
	}
}

// wrong is the refusal of a signature that was found wrong so far.
func (r *Run) wrong() error {
	r.mu.Lock()
	bad, reason := r.bad, r.reason
	r.mu.Unlock()
	if bad < 0 {
		return nil
	}
	return r.refuse(message.ActInvalidSignature, "block %d: %s", r.want.From+uint64(bad), reason)
}

// End waits for the checks and gives what is good. A fault is what the caller found beside them: that the
// peer was late or closed early; a worse one that was found here goes before it.
func (r *Run) End(kind, detail string) Message {
	r.running.Wait()
	if r.wrong() != nil {
		r.blocks = r.blocks[:r.bad]
	}
	if r.kind != "" {
		kind, detail = r.kind, r.detail
	}
	ms := uint32(min(r.c.now().Sub(r.begun).Milliseconds(), 1<<31))
	n := len(r.blocks)
	if n == 0 {
		if kind == "" {
			kind, detail = message.ActEmpty, fmt.Sprintf("no block from height %d on", r.want.From)
		}
		if kind == Busy {
			kind = ""
		}
		return &message.RangeFailed{Peer: r.want.Peer, From: r.want.From, Fault: kind, Detail: detail, Ms: ms}
	}
	if kind == Busy {
		kind, detail = "", ""
	}
	answer := &message.RangeFetched{
		Peer: r.want.Peer, From: r.want.From, Blocks: r.blocks, Parent: r.parent, Last: r.roots[n-1],
		Fault: kind, Detail: detail, Bytes: r.bytes, Ms: ms,
	}
	for i := n - 1; i >= 0; i-- {
		if r.quorums[i] {
			answer.Quorum, answer.Proven = uint32(i+1), r.roots[i]
			break
		}
	}
	return answer
}
