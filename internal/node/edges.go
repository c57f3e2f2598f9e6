package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// signerEdge holds the authority key. It signs what the journal says was asked
// for, and nothing else.
type signerEdge struct {
	key *aura.SecretKey
	// refuseThrough is the sequence of the turn since which signing is held: a
	// signature that an earlier turn asked for is not given any more.
	refuseThrough atomic.Uint64
}

// Execute implements actors.Executor.
func (s *signerEdge) Execute(_ context.Context, r actors.Request) {
	var (
		name, root common.Hash // of what is signed, and the bytes
		signed     func(aura.Signature) core.Message
	)
	switch m := r.Message.(type) {
	case *message.SignBlock:
		name, root = m.Root, m.Root
		signed = func(g aura.Signature) core.Message { return &message.BlockSigned{Root: m.Root, Signature: g} }
	case *message.SignApproval:
		name, root = m.Root, m.Root
		signed = func(g aura.Signature) core.Message { return &message.ApprovalSigned{Root: m.Root, Signature: g} }
	case *message.SignStatement:
		name, root = m.RangeEnd, aura.NeverApproveRoot(m.RangeEnd)
		signed = func(g aura.Signature) core.Message {
			return &message.StatementSigned{RangeEnd: m.RangeEnd, Signature: g}
		}
	default:
		return
	}
	switch {
	case r.Ref.Sequence <= s.refuseThrough.Load():
		r.Reply(&message.SignRefused{Root: name, Reason: "it was asked for before signing was held"})
	case s.key == nil:
		r.Reply(&message.SignRefused{Root: name, Reason: "this node holds no authority key"})
	default:
		r.Reply(signed(s.key.Sign(root)))
	}
}

// timerEdge answers each StartTimer when its time has come.
type timerEdge struct {
	wall  func() time.Time
	start time.Time // carries the monotonic clock
}

// Execute implements actors.Executor.
func (t *timerEdge) Execute(ctx context.Context, r actors.Request) {
	m, ok := r.Message.(*message.StartTimer)
	if !ok {
		return
	}
	wait := time.Duration(m.After) * time.Millisecond
	if m.At != 0 {
		wait = time.UnixMilli(m.At).Sub(t.wall())
	}
	timer := time.NewTimer(max(wait, 0))
	go func() {
		defer timer.Stop()
		select {
		case <-timer.C:
			now := t.wall()
			r.Reply(&message.TimerFired{Due: m.At, Wall: now.UnixMilli(), Monotonic: now.Sub(t.start).Milliseconds()})
		case <-ctx.Done():
		}
	}()
}

// answerEdge takes connection-bound answers to the callers that wait for them.
type answerEdge struct {
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan core.Message
}

func newAnswerEdge() *answerEdge { return &answerEdge{waiting: make(map[uint64]chan core.Message)} }

// open returns the number of a new request and where its answer will arrive.
// done must be called when the caller waits no more.
func (a *answerEdge) open() (request uint64, answer <-chan core.Message, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	request = a.next
	c := make(chan core.Message, 1)
	a.waiting[request] = c
	return request, c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, request)
	}
}

// Execute implements actors.Executor. An answer whose caller is gone is dropped.
func (a *answerEdge) Execute(_ context.Context, r actors.Request) {
	var request uint64
	switch m := r.Message.(type) {
	case *message.AuxBlock:
		request = m.Request
	case *message.AuxBlockJudged:
		request = m.Request
	case *message.SigningAnswer:
		request = m.Request
	case *message.OperatorAnswer:
		request = m.Request
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.waiting[request]; c != nil {
		delete(a.waiting, request)
		c <- r.Message
	}
}

// processEdge ends the process when a core says so.
type processEdge struct{ stop context.CancelCauseFunc }

// Execute implements actors.Executor.
func (p *processEdge) Execute(_ context.Context, r actors.Request) {
	m, ok := r.Message.(*message.StopProcess)
	switch {
	case !ok:
	case m.Exit == chain.ExitRefused:
		p.stop(refused("%s", m.Reason))
	default:
		p.stop(fault.New(fault.Fatal, "stopped by the supervisor: %s", m.Reason))
	}
}
