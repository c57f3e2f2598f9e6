package engine

import (
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// The pause before an import is tried again doubles from retryFirstMs to
// retryMostMs.
const (
	retryFirstMs = 250
	retryMostMs  = 30_000
)

// importFirst asks for the first batch. Until-done: running it again after a
// crash gives the same answer, for execution is deterministic.
func (s *State) importFirst(out *core.Out) {
	b := s.Batches[0]
	out.Effect(Edge, core.UntilDone, &message.ImportPayloads{Blocks: b.Blocks, Finalized: b.Finalized})
}

// waitBeforeRetry starts the timer before the first batch is tried again. It
// counts from now: the turn's time may be ahead of the wall clock for long.
func (s *State) waitBeforeRetry(t core.Turn, out *core.Out) {
	pause := uint64(retryFirstMs) << min(s.Attempts, 10)
	s.Attempts++
	s.Waiting = core.Ref{Sequence: t.Sequence, Index: uint32(len(out.List()))}
	out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: min(pause, retryMostMs)})
}

// buildPayload asks for a payload. Expiring: after a restart its slot is past.
func buildPayload(m *message.BuildBlock, out *core.Out) {
	out.Effect(Edge, core.Expiring, &message.BuildPayload{
		Slot: m.Slot, Parent: m.Parent, Finalized: m.Finalized,
		Timestamp: m.Timestamp, WaitMs: m.WaitMs, Withdrawals: m.Withdrawals,
	})
}
