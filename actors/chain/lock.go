package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// byFinality is who ended a lock, beside an operator.
const byFinality = "finality"

// lock binds this member to a range end by its approval of a carrier, or by the payments
// of the range that it signs: the carrier is zero then.
func (x *turn) lock(end, carrier common.Hash) {
	if old := x.Lock(end); old != nil {
		if old.Carrier != (common.Hash{}) {
			carrier = old.Carrier
		}
		if !old.Ended && old.Carrier == carrier {
			return
		}
	}
	number := uint64(0)
	if e := x.Entry(end); e != nil {
		number = e.Number
	}
	x.locks.Set(&Lock{RangeEnd: end, Number: number, Carrier: carrier})
}

// endLocks ends the locks that conflict with the finalised block, once the carrier
// that made it final has a quorum of real approvals.
func (x *turn) endLocks() {
	final, carrier := x.Entry(x.Finalized.Root), x.Entry(x.Finalizer)
	if final == nil || carrier == nil || !x.hasQuorum(carrier) {
		return
	}
	for _, l := range x.Locks() {
		if e := x.Entry(l.RangeEnd); e != nil && (x.isAncestor(e, final) || x.isAncestor(final, e)) {
			continue
		}
		x.endLock(l, &message.LockEnded{By: byFinality, Carrier: carrier.Root, Reason: fmt.Sprintf("%s is final", describe(x.Finalized))})
	}
}

// OpenLocks returns the locks that finality has not passed: a range end that is final
// itself can be excluded by no carrier that is approved.
func (s *State) OpenLocks() (list []*Lock) {
	final := s.Entry(s.Finalized.Root)
	for _, l := range s.Locks() {
		if e := s.Entry(l.RangeEnd); e == nil || final == nil || !s.isAncestor(e, final) {
			list = append(list, l)
		}
	}
	return list
}

func (x *turn) endLock(l *Lock, fact *message.LockEnded) {
	ended := *l
	ended.Ended = true
	x.locks.Set(&ended)
	fact.RangeEnd = l.RangeEnd
	x.out.Fact(fact)
}

// releaseLock ends a lock by the statements of n - Q + 1 members that they never
// approve it: then no quorum can. (architecture.md 4, Approving)
func (x *turn) releaseLock(m *message.ReleaseLock) {
	l := x.Lock(m.RangeEnd)
	if l == nil || l.Ended {
		x.answer(m.Request, fmt.Sprintf("range end %s is not locked here", m.RangeEnd))
		return
	}
	if no := x.unproven(m.RangeEnd, m.Statements); no != "" {
		x.answer(m.Request, no)
		return
	}
	x.endLock(l, &message.LockEnded{By: byOperator, Reason: m.Reason})
	x.answer(m.Request, "")
	x.orderPayments()
	x.decideAgain()
}

// unproven is why statements do not release a lock, or "".
func (x *turn) unproven(end common.Hash, statements []message.Statement) string {
	n := len(x.rules.spec.Authorities)
	need := n - x.rules.spec.Quorum() + 1
	if len(statements) > n {
		return fmt.Sprintf("%d statements of %d members", len(statements), n)
	}
	root := aura.NeverApproveRoot(end)
	var by [aura.MaxAuthorities]bool
	for _, s := range statements {
		if int64(s.Authority) >= int64(n) {
			return fmt.Sprintf("statement of member %d: there are %d", s.Authority, n)
		}
		if by[s.Authority] {
			return fmt.Sprintf("two statements of member %d", s.Authority)
		}
		a := aura.Approval{Signature: s.Signature, Authority: uint8(s.Authority)}
		if err := x.work.VerifyApproval(x.rules.committee, a, root); err != nil {
			return fmt.Sprintf("statement of member %d: %v", s.Authority, err)
		}
		by[s.Authority] = true
	}
	if len(statements) < need {
		return fmt.Sprintf("statements of %d members, %d of %d are needed", len(statements), need, n)
	}
	return ""
}

// neverApprove makes this member's statement about a range end, and binds it by it.
func (x *turn) neverApprove(m *message.NeverApprove) {
	if no := x.unpromisable(m.RangeEnd); no != "" {
		if x.Entry(m.RangeEnd) == nil && x.Hold == nil {
			x.fetch(Fetch{Root: m.RangeEnd}) // who approved it has it
		}
		x.answer(m.Request, no)
		return
	}
	p := &Promise{RangeEnd: m.RangeEnd, Number: x.Entry(m.RangeEnd).Number, Request: m.Request}
	if old := x.Promise(m.RangeEnd); old != nil {
		if old.Request != 0 {
			x.answer(old.Request, "asked for again")
		}
		if !old.Signature.None() {
			x.answerSigned(m.Request, old.Signature)
			return
		}
		p.Number = old.Number
	}
	x.promises.Set(p)
	x.out.Effect(SignerEdge, core.UntilDone, &message.SignStatement{RangeEnd: m.RangeEnd})
}

// unpromisable is why this member cannot state that it never approved a range end
// and never will, or "".
func (x *turn) unpromisable(end common.Hash) string {
	e := x.Entry(end)
	switch {
	case !x.Config.HasAuthority:
		return "this node holds no authority key"
	case x.Hold != nil:
		return "signing is held: what this member approved before is not known"
	case x.mute() != "":
		return x.mute()
	case e == nil:
		return fmt.Sprintf("block %s is not known: whether this member approved it cannot be told; it was asked for, ask again", end)
	case e.Slot <= x.BlindSlot:
		return fmt.Sprintf("block %s is of slot %d: what this member approved up to slot %d was in turns that are lost", describe(e.id()), e.Slot, x.BlindSlot)
	case x.Lock(end) != nil && x.Lock(end).Carrier != (common.Hash{}):
		return "this member " + boundBy(x.Lock(end))
	case x.Promise(end) == nil && x.promises.Len() >= maxPromises:
		return fmt.Sprintf("%d statements are kept, which is all that are", maxPromises)
	}
	return ""
}

// statementSigned completes a statement.
func (x *turn) statementSigned(m *message.StatementSigned) {
	p := x.Promise(m.RangeEnd)
	a := aura.Approval{Signature: m.Signature, Authority: uint8(x.Config.Authority)}
	if p == nil || x.work.VerifyApproval(x.rules.committee, a, aura.NeverApproveRoot(m.RangeEnd)) != nil {
		return
	}
	signed := *p
	signed.Signature, signed.Request = m.Signature, 0
	x.promises.Set(&signed)
	x.out.Fact(&message.StatementMade{RangeEnd: m.RangeEnd, Authority: x.Config.Authority, Signature: m.Signature})
	if p.Request != 0 {
		x.answerSigned(p.Request, m.Signature)
	}
}

func (x *turn) answerSigned(request uint64, signature aura.Signature) {
	x.out.Effect(AnswerEdge, core.ConnectionBound, &message.OperatorAnswer{Request: request, Done: true, Signature: signature})
}

// forgetRequests forgets operators whose connections a restart ended.
func (x *turn) forgetRequests() {
	for _, p := range x.promises.Items() {
		if p.Request != 0 {
			next := *p
			next.Request = 0
			x.promises.Set(&next)
		}
	}
}
