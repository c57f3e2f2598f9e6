package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// ExitRefused is the exit code by which a core asks for an end of the process for safety.
const ExitRefused = 4

// rangeEnd returns the block that a carrier finalises, or nil: a range that ends
// beside the carrier's branch makes nothing final, for legacy's next forkchoice
// call with it fails. (C10, C17)
func (s *State) rangeEnd(carrier *Entry) *Entry {
	end := s.finalizedBy(carrier)
	if end == nil || !s.isAncestor(end, carrier) {
		return nil
	}
	return end
}

// finalises reports whether a carrier, given its quorum, would move the finalised block.
func (s *State) finalises(carrier *Entry) bool {
	end := s.rangeEnd(carrier)
	return end != nil && end.Number > s.Finalized.Number
}

// lateFinality returns the carrier with the highest range end of those that this
// turn learnt and that finalise whenever they are learnt, or nil. (architecture.md
// 4, Finality; before the activation height connecting a carrier finalises)
func (x *turn) lateFinality() (late *Entry) {
	for _, root := range x.learnt {
		e := x.Entry(root)
		if e == nil || !e.executed() || e.Excluded || !x.isProof(e) || !x.hasQuorum(e) || !x.finalises(e) {
			continue
		}
		if late == nil || x.rangeEnd(e).Number > x.rangeEnd(late).Number {
			late = e
		}
	}
	return late
}

// finalize makes the range of a carrier final when its end is on the head's
// branch. The finalised block never moves down. From the activation height on the
// carrier must have a quorum of its own. (C10; architecture.md 4, Finality)
func (x *turn) finalize(carrier *Entry) {
	if !x.finalises(carrier) || x.isProof(carrier) && !x.hasQuorum(carrier) {
		return
	}
	end := x.rangeEnd(carrier)
	x.Finalized, x.Finalizer = end.id(), carrier.Root
	x.out.Fact(&message.BlockFinalized{
		Root: end.Root, Number: end.Number, PayloadHash: end.PayloadHash,
		Carrier: carrier.Root, CarrierNumber: carrier.Number, Bits: carrier.Carrier.Bits,
	})
	x.releaseBy(carrier)
}

// excludedOn reports whether a block on parent is on a branch that leaves the
// head's below the finalised block.
func (s *State) excludedOn(parent *Entry) bool {
	return parent.Excluded || parent.Status == Connected && parent.Number < s.Finalized.Number
}

// refreshExcluded marks the side blocks anew after the finalised block moved, puts
// those of excluded branches out of the queue, and judges them.
func (x *turn) refreshExcluded() {
	fresh := make(map[common.Hash]bool) // looked up only, never ranged over
	var changed []common.Hash
	x.aside.Scan(func(id message.BlockID) bool {
		e := x.Entry(id.Root)
		parent := x.Entry(e.Parent)
		excluded, known := fresh[e.Parent]
		if !known {
			excluded = parent == nil || x.excludedOn(parent)
		}
		if excluded != e.Excluded {
			fresh[e.Root] = excluded
			changed = append(changed, e.Root)
		}
		return true
	})
	for _, root := range changed {
		next := *x.Entry(root)
		next.Excluded = fresh[root]
		x.put(&next)
	}
	if x.Deciding != nil {
		x.decided(fmt.Sprintf("the finalised block moved to %s at %d meanwhile; look again and decide again", x.Finalized.Root, x.Finalized.Number))
	}
	x.putBack()
	x.judgeExcluded(changed)
}

// judgeExcluded looks at blocks of excluded branches that have a quorum: two
// ranges that are final by carriers from the activation height on, none of which
// contains the other, end everything; a branch longer than the head's is reported.
func (x *turn) judgeExcluded(list []common.Hash) {
	for _, root := range list {
		e := x.Entry(root)
		if e == nil || !e.Excluded || e.Status == Invalid || !x.hasQuorum(e) || x.Conflict != nil {
			continue
		}
		if x.conflicts(e) {
			x.endInConflict(e)
		} else if e.Number > x.Head.Number {
			x.reportExcluded(e)
		}
	}
}

// conflicts reports whether a carrier of an excluded branch finalises a range that
// does not end at or below our finalised block, which is final by such a carrier too.
func (x *turn) conflicts(e *Entry) bool {
	ours := x.Entry(x.Finalizer)
	if ours == nil || !x.isProof(ours) || !x.isProof(e) {
		return false
	}
	end := x.rangeEnd(e)
	return end != nil && !x.isAncestor(end, x.Entry(x.Finalized.Root))
}

// endInConflict remembers the conflict with both proofs and stops the process.
func (x *turn) endInConflict(e *Entry) {
	ours, other := x.Finalized, x.rangeEnd(e).id()
	x.Conflict = &message.FinalityConflict{
		Ours: &ours, OurCarrier: x.Finalizer, OurProof: x.whole(x.Entry(x.Finalizer)),
		Other: &other, OtherCarrier: e.Root, OtherProof: x.whole(e),
	}
	x.out.Fact(x.Conflict)
	x.Building, x.Deciding = nil, nil
	x.stopInConflict()
}

// stopInConflict ends the process; at every start again.
func (x *turn) stopInConflict() {
	x.out.Effect(ProcessEdge, core.FireAndForget, &message.StopProcess{Exit: ExitRefused, Reason: DescribeConflict(x.Conflict)})
}

// DescribeConflict names both proofs of a conflict and says what to do.
func DescribeConflict(c *message.FinalityConflict) string {
	return conflictReason(c) + fmt.Sprintf("; the signed blocks are contents %x and %x of the journal. "+
		"More members signed both than the federation tolerates: keep the journal, compare it with the other members', "+
		"and agree on what to do before any node is started again", c.OurProof.Hash, c.OtherProof.Hash)
}

func conflictReason(c *message.FinalityConflict) string {
	return fmt.Sprintf("conflict of finality: %s is final by carrier %s, and %s by carrier %s",
		describe(*c.Ours), c.OurCarrier, describe(*c.Other), c.OtherCarrier)
}

// answerInConflict refuses what waits for an answer; nothing else is done any more.
func (x *turn) answerInConflict(m core.Message) {
	switch m := m.(type) {
	case *message.AllowSigning:
		x.out.Effect(AnswerEdge, core.ConnectionBound, &message.SigningAnswer{Request: m.Request, Reason: conflictReason(x.Conflict)})
	case *message.DecideBranch:
		x.answer(m.Request, conflictReason(x.Conflict))
	case *message.NeverApprove:
		x.answer(m.Request, conflictReason(x.Conflict))
	case *message.ReleaseLock:
		x.answer(m.Request, conflictReason(x.Conflict))
	}
}

// answer tells an operator that his order is done, or why not.
func (x *turn) answer(request uint64, reason string) {
	x.out.Effect(AnswerEdge, core.ConnectionBound, &message.OperatorAnswer{Request: request, Done: reason == "", Reason: reason})
}

// fork returns the last block of the head's branch below e, and the first block
// above it on e's.
func (s *State) fork(e *Entry) (ancestor, first *Entry) {
	for ancestor = e; ancestor != nil && ancestor.Status != Connected; ancestor = s.Entry(ancestor.Parent) {
		first = ancestor
	}
	return ancestor, first
}

// ExcludedBranch returns the highest branch with a quorum that is longer than the
// head's and excludes the finalised block, or nil: what an operator may decide about.
func (s *State) ExcludedBranch() (m *message.BranchExcluded) {
	s.aside.Reverse(func(id message.BlockID) bool {
		if e := s.Entry(id.Root); id.Number > s.Head.Number && e.Excluded && e.Status != Invalid && s.hasQuorum(e) {
			if ancestor, _ := s.fork(e); ancestor != nil {
				finalized, common := s.Finalized, ancestor.id()
				m = &message.BranchExcluded{Root: e.Root, Number: e.Number, Finalized: &finalized, Ancestor: &common}
			}
		}
		return m == nil && id.Number > s.Head.Number
	})
	return m
}

// reportExcluded says once that a branch with a quorum is longer than the head's
// and excludes the finalised block: only an operator has it followed.
func (x *turn) reportExcluded(e *Entry) {
	ancestor, first := x.fork(e)
	if ancestor == nil || first.Reported {
		return
	}
	reported := *first
	reported.Reported = true
	x.put(&reported)
	finalized, common := x.Finalized, ancestor.id()
	x.out.Fact(&message.BranchExcluded{Root: e.Root, Number: e.Number, Finalized: &finalized, Ancestor: &common})
}

// Decision is an operator's decision that is being carried out: the branch must be
// executed first.
type Decision struct {
	Request uint64 // zero after a restart: nobody waits for the answer
	Root    common.Hash
	Reason  string
}

// Fields implements record.Record.
func (d *Decision) Fields(f *record.Fields) {
	f.Uint64(1, &d.Request)
	f.Fixed(2, d.Root[:])
	f.String(3, &d.Reason)
}

// decideBranch takes an operator's decision to follow a branch that excludes the
// finalised block. (architecture.md 4, Finality)
func (x *turn) decideBranch(m *message.DecideBranch) {
	if m.Keep {
		x.keepTo(m)
		return
	}
	if no := x.undecidable(m.Root); no != "" {
		x.answer(m.Request, no)
		return
	}
	x.Deciding = &Decision{Request: m.Request, Root: m.Root, Reason: m.Reason}
	x.schedule(x.Entry(m.Root))
	x.settle()
}

// undecidable is why a branch cannot be decided for, or "".
func (x *turn) undecidable(root common.Hash) string {
	e := x.Entry(root)
	switch ours := x.Entry(x.Finalizer); {
	case x.Deciding != nil:
		return fmt.Sprintf("the decision for %s is being carried out", x.Deciding.Root)
	case e == nil:
		return fmt.Sprintf("block %s is not known", root)
	case !e.Excluded:
		return fmt.Sprintf("block %s does not exclude the finalised block: the fork choice decides", describe(e.id()))
	case e.Status == Invalid:
		return fmt.Sprintf("block %s was refused", describe(e.id()))
	case !x.hasQuorum(e):
		return fmt.Sprintf("block %s has no quorum", describe(e.id()))
	case e.Number <= x.Head.Number:
		return fmt.Sprintf("block %s is not above the head at %d", describe(e.id()), x.Head.Number)
	case ours != nil && x.isProof(ours):
		return fmt.Sprintf("%s is final by carrier %s, from the activation height on: no decision reverts that", describe(x.Finalized), describe(ours.id()))
	}
	if ancestor, _ := x.fork(e); ancestor == nil {
		return fmt.Sprintf("the branch of %s begins below what is kept", describe(e.id()))
	}
	return ""
}

// carryOut follows the branch that an operator decided for, once it is executed:
// the finalised block moves down to the common ancestor, and the reorganisation is
// part of the same turn.
func (x *turn) carryOut() {
	if x.Deciding == nil || x.Conflict != nil {
		return
	}
	e := x.Entry(x.Deciding.Root)
	switch {
	case e == nil || e.Status == Invalid:
		x.decided(fmt.Sprintf("block %s was refused", x.Deciding.Root))
		return
	case e.Status != Executed:
		return
	case e.Number <= x.Head.Number:
		x.decided(fmt.Sprintf("the head is at %d meanwhile, block %s is not above it", x.Head.Number, describe(e.id())))
		return
	}
	ancestor, _ := x.fork(e)
	abandoned, common := x.Finalized, ancestor.id()
	x.out.Fact(&message.BranchDecided{Root: e.Root, Number: e.Number, Abandoned: &abandoned, Ancestor: &common, Reason: x.Deciding.Reason})
	x.Finalized, x.Finalizer = ancestor.id(), [32]byte{}
	x.decided("")
	x.refreshExcluded()
}

// decided ends a decision and answers whoever still waits.
func (x *turn) decided(reason string) {
	request := x.Deciding.Request
	x.Deciding = nil
	if request != 0 {
		x.answer(request, reason)
	}
}
