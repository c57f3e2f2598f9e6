package engine

import (
	"fmt"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Names of the actor, its neighbour and its edges.
const (
	ID        core.ID   = "engine"
	chain     core.ID   = "chain"
	Edge      core.Edge = "engine"
	TimerEdge core.Edge = "timer"
)

// Engine is the core.
type Engine struct{}

// New returns the core.
func New() *Engine { return &Engine{} }

// ID implements core.Core.
func (*Engine) ID() core.ID { return ID }

// NewState implements core.Core.
func (*Engine) NewState() core.State { return &State{} }

// Messages implements core.Core.
func (*Engine) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.ExecuteBlocks{}, &message.BuildBlock{},
		&message.PayloadsImported{}, &message.PayloadBuilt{}, &message.PayloadFailed{},
		&message.MoveHead{}, &message.ForkchoiceUpdated{},
		&message.TimerFired{}, &core.Expired{},
	}
}

// Handle implements core.Core.
func (*Engine) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	s := state.(*State)
	switch m := m.(type) {
	case *message.NodeConfigured:
		s.nodeConfigured(t, out)
	case *message.ExecuteBlocks:
		s.executeBlocks(m, out)
	case *message.PayloadsImported:
		s.payloadsImported(m, t, out)
	case *message.BuildBlock:
		s.buildBlock(m, t, out)
	case *message.PayloadBuilt:
		s.payloadBuilt(m, t, out)
	case *message.PayloadFailed:
		s.buildFailed(m.Reason, t, out)
	case *message.MoveHead:
		s.moveHead(m, t, out)
	case *message.ForkchoiceUpdated:
		s.forkchoiceUpdated(m, t, out)
	case *message.TimerFired:
		s.tryAgain(t, out)
	case *core.Expired:
		s.tryAgain(t, out)
		s.buildFailed("expired: "+m.Reason, t, out)
	}
}

func (s *State) executeBlocks(m *message.ExecuteBlocks, out *core.Out) {
	if len(m.Blocks) == 0 {
		return
	}
	s.Batches = append(s.Batches, Batch{Blocks: m.Blocks})
	if len(s.Batches) == 1 {
		s.importFirst(out)
	}
}

// payloadsImported passes verdicts on. "unknown" is no verdict: its block and
// those after it are tried again later, as are blocks without any result. After
// "invalid" the rest of the batch is dropped, for it builds on the invalid block.
func (s *State) payloadsImported(m *message.PayloadsImported, t core.Turn, out *core.Out) {
	if len(s.Batches) == 0 {
		return
	}
	first := s.Batches[0]
	judged, refused := verdicts(m.Results[:min(len(m.Results), len(first.Blocks))])
	if len(judged) > 0 {
		s.Executed += uint64(len(judged))
		s.Attempts = 0
		out.Send(chain, &message.BlocksExecuted{Results: judged})
	}
	if !refused && len(judged) < len(first.Blocks) {
		rest := Batch{Blocks: first.Blocks[len(judged):]}
		s.Batches = append([]Batch{rest}, s.Batches[1:]...)
		s.Waiting = pause(&s.Attempts, t, out)
		return
	}
	s.Batches = append([]Batch(nil), s.Batches[1:]...)
	if len(s.Batches) > 0 {
		s.importFirst(out)
	}
}

// verdicts returns the results up to the first that is no verdict, or the first
// "invalid" included.
func verdicts(results []message.Execution) (judged []message.Execution, refused bool) {
	for i, r := range results {
		switch r.Status {
		case message.ExecutionValid:
		case message.ExecutionInvalid:
			return results[:i+1], true
		default:
			return results[:i], false
		}
	}
	return results, false
}

// tryAgain ends the pause whose timer fired.
func (s *State) tryAgain(t core.Turn, out *core.Out) {
	switch {
	case t.Cause.None():
	case t.Cause == s.Waiting:
		s.Waiting = core.Ref{}
		if len(s.Batches) > 0 {
			s.importFirst(out)
		}
	case t.Cause == s.MoveWaiting:
		s.MoveWaiting = core.Ref{}
		s.bringHead(t, out)
	}
}

func (s *State) buildBlock(m *message.BuildBlock, t core.Turn, out *core.Out) {
	if len(s.Batches) > 0 || s.Building != nil {
		out.Send(chain, &message.BuildFailed{Slot: m.Slot, Reason: "the execution layer is busy"})
		return
	}
	s.Building = &Building{Slot: m.Slot, Parent: m.Parent, Effect: next(t, out)}
	buildPayload(m, out)
}

func (s *State) payloadBuilt(m *message.PayloadBuilt, t core.Turn, out *core.Out) {
	if b := s.Building; b != nil && b.Effect == t.Cause {
		s.Building = nil
		out.Send(chain, &message.PayloadReady{Slot: b.Slot, Parent: b.Parent, Payload: m.Payload})
	}
}

func (s *State) buildFailed(reason string, t core.Turn, out *core.Out) {
	if b := s.Building; b != nil && b.Effect == t.Cause {
		s.Building = nil
		out.Send(chain, &message.BuildFailed{Slot: b.Slot, Reason: fmt.Sprintf("no payload: %s", reason)})
	}
}
