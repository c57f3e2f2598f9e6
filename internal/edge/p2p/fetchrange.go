package p2p

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacy"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	format "github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/rangecheck"
)

// fetchRange asks one peer for blocks by height, and replies with what is good of the
// answer. How many of them run at once is the sync actor's to bound.
func (n *Network) fetchRange(m *message.FetchRange, reply func(Message)) {
	run := n.checker.Begin(m)
	id, err := peer.Decode(m.Peer)
	if err != nil {
		reply(run.End(message.ActReset, "it is no peer id: "+err.Error()))
		return
	}
	started := n.asks.always(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, rangecheck.MostTime)
		defer cancel()
		kind, detail := n.receive(ctx, id, m, run)
		reply(run.End(kind, detail))
	})
	if !started {
		reply(run.End(message.ActReset, "this node stops"))
	}
}

// receive reads the answer of a peer into a run. It returns the act that ended it early.
func (n *Network) receive(ctx context.Context, id peer.ID, m *message.FetchRange, run *rangecheck.Run) (kind, detail string) {
	if m.Legacy {
		return n.receiveLegacy(ctx, id, m, run)
	}
	r := format.Range{From: m.From, Count: m.Count, MaxBytes: m.MaxBytes}
	end, err := n.ours.Range(ctx, id, r, time.Duration(m.DeadlineMs)*time.Millisecond, func(signed []byte) error { return run.Add(ctx, signed) })
	var fault *own.Fault
	switch {
	case err != nil && ctx.Err() != nil: // before what the stream says of being closed then
		return unfinished(ctx, run)
	case errors.As(err, &fault):
		return fault.Kind, fault.Detail
	case err != nil: // the run knows
		return "", ""
	case end.Code == format.EndBusy:
		return rangecheck.Busy, end.Reason
	default:
		return "", ""
	}
}

// receiveLegacy reads the answer of a legacy peer into a run.
func (n *Network) receiveLegacy(ctx context.Context, id peer.ID, m *message.FetchRange, run *rangecheck.Run) (kind, detail string) {
	ask := legacy.Ask{From: m.From, Count: m.Count, MaxBytes: uint64(m.MaxBytes), Deadline: time.Duration(m.DeadlineMs) * time.Millisecond}
	_, err := legacy.Fetch(ctx, n.host.Network(), id, ask, func(signed []byte) error { return run.Add(ctx, signed) })
	problem, ok := errors.AsType[*legacy.Problem](err)
	switch {
	case err != nil && ctx.Err() != nil:
		return unfinished(ctx, run)
	case ok && problem.Kind == message.ActTimeout:
		return run.Late(), problem.Error()
	case ok:
		return problem.Kind, problem.Error()
	case err != nil && run.Blocks() == 0 && !isRefused(err):
		return message.ActReset, err.Error()
	default: // the run knows
		return "", ""
	}
}

// unfinished is an answer that was ended by this side: its time was up, or this node stops,
// which is nobody's fault.
func unfinished(ctx context.Context, run *rangecheck.Run) (kind, detail string) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return run.Late(), "the whole answer took more than " + rangecheck.MostTime.String()
	}
	return rangecheck.Busy, "this node stops"
}

// isRefused reports whether a run refused a block.
func isRefused(err error) bool {
	_, ok := errors.AsType[*rangecheck.Refused](err)
	return ok
}

// always runs f, however much runs.
func (a *asks) always(f func(context.Context)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.done.Go(func() { f(a.ctx) })
	}
	return !a.closed
}
