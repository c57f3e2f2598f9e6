package engine

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// nodeConfigured begins a run. What the execution layer knew before is not relied
// on: clients keep the finalised block in memory only.
func (s *State) nodeConfigured(t core.Turn, out *core.Out) {
	s.Known = nil
	s.bringHead(t, out)
}

// moveHead takes the head and finalised block of now. Of several that wait the
// newest is told: each names blocks that were executed, so none depends on one
// before it.
func (s *State) moveHead(m *message.MoveHead, t core.Turn, out *core.Out) {
	wanted := Forkchoice{Head: m.Head, Finalized: m.Finalized}
	if s.Wanted == nil || *s.Wanted != wanted {
		s.Wanted = &wanted
		// What is tried again next is another call: the execution layer has just
		// executed a block.
		s.MoveAttempts, s.MoveWaiting = 0, core.Ref{}
	}
	s.bringHead(t, out)
}

// bringHead tells the execution layer what is wanted, unless it knows, is being
// told, or is given a pause.
func (s *State) bringHead(t core.Turn, out *core.Out) {
	if s.Wanted == nil || s.Asked != nil || !s.MoveWaiting.None() || s.Known != nil && *s.Known == *s.Wanted {
		return
	}
	s.updateForkchoice(t, out)
}

// forkchoiceUpdated takes the answer. A refusal of a head that the execution layer
// has executed can only be its own fault, so it is published and tried again like
// a head that cannot be judged yet: the operator may repair the client.
func (s *State) forkchoiceUpdated(m *message.ForkchoiceUpdated, t core.Turn, out *core.Out) {
	if s.Asked == nil || s.Asked.Effect != t.Cause {
		return
	}
	asked := s.Asked.Forkchoice
	s.Asked = nil
	if m.Status == message.ExecutionValid {
		s.Known, s.MoveAttempts, s.Refused = &asked, 0, common.Hash{}
		s.bringHead(t, out)
		return
	}
	if m.Status == message.ExecutionInvalid && s.Refused != asked.Head {
		s.Refused = asked.Head
		out.Fact(&message.HeadRefused{Head: asked.Head, Finalized: asked.Finalized, LatestValid: m.LatestValid, Reason: m.Reason})
	}
	s.Known = nil // an answer that was lost may have moved the head
	if asked == *s.Wanted {
		s.MoveWaiting = pause(&s.MoveAttempts, t, out)
	} else {
		s.bringHead(t, out)
	}
}
