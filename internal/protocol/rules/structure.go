package rules

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
)

// c51Genesis is C5.1: only genesis has no parent, and genesis is never received.
func c51Genesis(s *subject) Verdict {
	if s.block.ParentHash == (common.Hash{}) {
		return invalid("parent_hash", "only genesis has no parent")
	}
	return Verdict{}
}

// c53Parent is C5.3.
func c53Parent(s *subject) Verdict {
	if s.parent == nil {
		return cannotJudge("parent_hash", "parent %s is not known", s.block.ParentHash)
	}
	return Verdict{}
}

// c54PayloadParent is C5.4.
func c54PayloadParent(s *subject) Verdict {
	if s.block.Payload.ParentHash != s.parent.PayloadHash {
		return invalid("execution_payload.parent_hash", "is %s, the parent's payload is %s", s.block.Payload.ParentHash, s.parent.PayloadHash)
	}
	return Verdict{}
}

// c5Number is what legacy leaves to the execution layer, which refuses such a
// payload as well: the number follows the parent's. Later rules read it.
func c5Number(s *subject) Verdict {
	if s.number != s.parent.Number+1 {
		return invalid("execution_payload.block_number", "is %d on a parent at %d", s.number, s.parent.Number)
	}
	return Verdict{}
}

// c4Slot is the slot rule of C4, by the payload's timestamp, with the older slot
// length of C16.
func c4Slot(s *subject) Verdict {
	err := aura.CheckSlotWith(s.block.Slot, s.block.Payload.Timestamp, s.Spec.SlotDuration, s.Spec.Exceptions.OlderSlotDuration)
	if err != nil {
		return invalid("slot", "%v", err)
	}
	return Verdict{}
}

// c55Approvals is the signature part of C5.5: any non-empty set of authorities.
// Whether they are enough is no property of the block: the same block may come
// with more.
func c55Approvals(s *subject) Verdict {
	if err := s.Verifier.Verify(&s.signed.Approvals, s.root); err != nil {
		return invalid("approvals", "%v", err)
	}
	return Verdict{}
}
