package engine

import (
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// The pause before a call is tried again doubles from retryFirstMs to retryMostMs.
const (
	retryFirstMs = 250
	retryMostMs  = 30_000
)

// importFirst asks for the first batch. Until-done: running it again after a
// crash gives the same answer, for execution is deterministic.
func (s *State) importFirst(out *core.Out) {
	b := s.Batches[0]
	out.Effect(Edge, core.UntilDone, &message.ImportPayloads{Blocks: b.Blocks})
}

// updateForkchoice asks for what is wanted. Until-done: running it again after a
// crash leads to the same head.
func (s *State) updateForkchoice(t core.Turn, out *core.Out) {
	s.Asked = &Asked{Forkchoice: *s.Wanted, Effect: next(t, out)}
	out.Effect(Edge, core.UntilDone, &message.UpdateForkchoice{
		Head: s.Wanted.Head, Safe: s.Wanted.Finalized, Finalized: s.Wanted.Finalized,
	})
}

// pause starts the timer before a call that was made attempts times without an
// answer is tried again. It counts from now: the turn's time may be ahead of the
// wall clock for long.
func pause(attempts *uint32, t core.Turn, out *core.Out) core.Ref {
	after := min(uint64(retryFirstMs)<<min(*attempts, 10), retryMostMs)
	*attempts++
	timer := next(t, out)
	out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: after})
	return timer
}

// next is the ref of the output that is emitted next.
func next(t core.Turn, out *core.Out) core.Ref {
	return core.Ref{Sequence: t.Sequence, Index: uint32(len(out.List()))}
}

// buildPayload asks for a payload. Expiring: after a restart its slot is past.
func buildPayload(m *message.BuildBlock, out *core.Out) {
	out.Effect(Edge, core.Expiring, &message.BuildPayload{
		Slot: m.Slot, Parent: m.Parent, Finalized: m.Finalized,
		Timestamp: m.Timestamp, WaitMs: m.WaitMs, Withdrawals: m.Withdrawals,
	})
}
