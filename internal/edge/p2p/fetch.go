package p2p

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/admit"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	format "github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of what is asked for beside ranges, whose number the sync actor bounds.
const (
	maxAsks      = 64              // at once; what is beyond is asked for again by its actor
	maxAsked     = 5               // peers that are asked for one thing
	askTimeout   = 5 * time.Second // for a frame of an answer
	wholeTimeout = 30 * time.Second
	fetchBytes   = 16 << 20 // of blocks in one answer
	fetchBlocks  = 256      // in one message ([message.BlocksReceived])
	syncOrigin   = "sync"
)

// asks are requests that run.
type asks struct {
	ctx     context.Context
	mu      sync.Mutex
	running map[any]bool // by what is asked for
	done    sync.WaitGroup
	closed  bool
}

// begin runs f, unless the same is asked for already or too much is.
func (a *asks) begin(what any, f func(context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.running[what] || len(a.running) >= maxAsks {
		return
	}
	if a.running == nil {
		a.running = map[any]bool{}
	}
	a.running[what] = true
	a.done.Go(func() {
		ctx, cancel := context.WithTimeout(a.ctx, wholeTimeout)
		defer cancel()
		f(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.running, what)
	})
}

// wait ends when the last request has.
func (a *asks) wait() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.done.Wait()
}

// failed tells of a request that a peer did not answer well, and reports whether it did not.
func (n *Network) failed(id peer.ID, err error) bool {
	var f *own.Fault
	switch {
	case err == nil:
		return false
	case errors.As(err, &f):
		n.told.act(id.String(), f.Kind, f.Detail)
	case !errors.Is(err, context.Canceled):
		n.log.Debug("a request failed", "peer", id, "error", err)
	}
	return true
}

// someOfOurs returns peers of ours, members first, at most maxAsked.
func (n *Network) someOfOurs() []peer.ID {
	all := n.ours.Peers() // of a map: others each time
	return all[:min(len(all), maxAsked)]
}

// fetchBlocks asks one peer after the other for a block and those below it, until one has it.
func (n *Network) fetchBlocks(m *message.FetchBlocks) {
	n.asks.begin(*m, func(ctx context.Context) {
		for _, id := range n.someOfOurs() {
			signed, err := n.ours.Descend(ctx, id, format.Descend{Root: m.Root, Lowest: m.From, Count: fetchBlocks, MaxBytes: fetchBytes}, askTimeout)
			n.failed(id, err)
			if len(signed) == 0 {
				continue
			}
			n.told.act(id.String(), message.ActContent, "")
			r := &message.BlocksReceived{Origin: syncOrigin, Peer: id.String(), Blocks: make([]message.Block, len(signed))}
			for i := range signed {
				r.Blocks[i].Signed = record.NewContent(signed[i])
			}
			n.deliver(ctx, r)
			return
		}
	})
}

// fetchApprovals asks peers for single approvals of a block: each may have others.
func (n *Network) fetchApprovals(m *message.FetchApprovals) {
	n.asks.begin(*m, func(ctx context.Context) {
		had := map[uint8]bool{}
		for _, id := range n.someOfOurs() {
			err := n.ours.Approvals(ctx, id, [][32]byte{m.Root}, askTimeout, func(a *format.Approval) error {
				if had[a.Authority] {
					return nil
				}
				had[a.Authority] = n.answered(ctx, id, n.admit.JudgeApproval(
					&message.ApprovalReceived{Root: a.Root, Authority: a.Authority, Signature: a.Signature}, id.String()))
				return nil
			})
			n.failed(id, err)
		}
	})
}

// signer names what one member signed.
type signer struct {
	txid [32]byte
	key  [33]byte
}

// paymentsAsked names a request for signatures.
type paymentsAsked struct{ first [32]byte }

// fetchSignatures asks peers for signatures of payments: each may have others.
func (n *Network) fetchSignatures(m *message.FetchSignatures) {
	if len(m.Payments) == 0 {
		return
	}
	n.asks.begin(paymentsAsked{m.Payments[0].Txid}, func(ctx context.Context) {
		txids := make([][32]byte, 0, format.MaxAsked)
		for _, p := range m.Payments[:min(len(m.Payments), format.MaxAsked)] {
			txids = append(txids, p.Txid)
		}
		had := map[signer]bool{}
		for _, id := range n.someOfOurs() {
			err := n.ours.Signatures(ctx, id, txids, askTimeout, func(p message.PaymentSignatures) error {
				if s := (signer{p.Txid, p.Key}); !had[s] {
					had[s] = n.answered(ctx, id, n.admit.JudgeSignatures(&message.SignaturesReceived{Payments: []message.PaymentSignatures{p}}, id.String()))
				}
				return nil
			})
			n.failed(id, err)
		}
	})
}

// answered tells of what was found of an answer, delivers what is good, and reports whether
// it is.
func (n *Network) answered(ctx context.Context, id peer.ID, r admit.Result) bool {
	for _, act := range r.Acts {
		n.told.act(act.Peer, act.Kind, act.Detail)
	}
	if r.Verdict != admit.Forward {
		return false
	}
	n.deliver(ctx, r.Message)
	return true
}
