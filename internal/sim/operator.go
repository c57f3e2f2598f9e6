package sim

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// operator is what the members' operators do together when finality stalls, as
// docs/operator.md has it: they agree on the range end that most members locked,
// keep all members to its branch, state never to approve range ends that it excludes,
// and release the locks on those with n - Q + 1 statements. They stay with it until finality has
// passed it: who changes his mind binds members to both sides by their statements. Before the activation height they also decide for a
// branch that excludes a finalised block.
type operator struct {
	w      *world
	agreed common.Hash // the branch goes through it
}

// patience is how long operators look at a stall, and how often they act.
const patience = 10 * slot

func (o *operator) start() {
	o.w.after(patience/2, "operator", -1, func() {
		if o.w.now-o.w.oracle.grown > patience {
			o.act()
		}
		o.start()
	})
}

func (o *operator) act() {
	o.handAround()
	if o.w.now-o.w.oracle.grown < 2*patience {
		return // first see whether that was all that was missing
	}
	agreed := o.agree()
	for _, v := range o.w.oracle.views {
		if v.m == nil || v.m.process == nil || !v.m.honest() {
			continue
		}
		if v.excluded != nil {
			o.decide(v)
		}
		if agreed != (common.Hash{}) {
			o.keep(v.m, agreed)
		}
		for _, end := range v.ends() {
			if o.left(end) {
				o.release(v.m, end)
			}
		}
	}
}

// left reports whether all members that are up keep to a branch without a range end.
// Before that nobody is bound by a statement about it.
func (o *operator) left(end common.Hash) bool {
	return !slices.ContainsFunc(o.w.members, func(m *member) bool {
		return alive(m) && m.honest() && (m.state().Kept.Number == 0 || o.together(m.state().Kept.Root, end))
	})
}

// ends are the range ends that bind the member.
func (v *view) ends() (list []common.Hash) {
	for _, l := range v.locks {
		if !slices.Contains(list, l.end) {
			list = append(list, l.end)
		}
	}
	return list
}

// handAround gives carriers that lock members, and the approvals of them, to everybody
// once more: a member that was away when one was gossiped may be the one that is
// missing for its quorum.
func (o *operator) handAround() {
	given := map[common.Hash]bool{}
	for _, v := range o.w.oracle.views {
		for _, l := range v.locks {
			if on, _ := o.w.blocks.contains(v.finalized.Root, l.end); on || given[l.carrier] {
				continue
			}
			given[l.carrier] = true
			o.hand(l.carrier)
		}
	}
}

// hand gives one block, the one below it, and what was signed of it to all members.
func (o *operator) hand(root common.Hash) {
	b := o.w.blocks.get(root)
	if b == nil {
		return
	}
	for _, m := range o.w.members {
		if !alive(m) || !m.honest() {
			continue
		}
		if parent := o.w.blocks.get(b.parent); parent != nil && parent.number > 0 {
			m.process.receiveBlocks(chain.Sync, nobody, record.NewContent(parent.signed.Encode()))
		}
		m.process.receiveBlocks(chain.Gossip, nobody, record.NewContent(b.signed.Encode()))
		for _, by := range o.w.members {
			if by.signer.slots[b.slot] == root && by != m {
				a := standin.Approve(by.index, root)
				m.process.receiveApproval(&message.ApprovalReceived{Root: root, Authority: a.Authority, Signature: a.Signature})
			}
		}
	}
}

// settled is the range end that the operators agreed on, while it is not final,
// somebody up can show it, and the range ends that it excludes can be left.
func (o *operator) settled() common.Hash {
	b := o.w.blocks.get(o.agreed)
	if b == nil || b.number <= o.w.oracle.finalized || !o.shown(o.agreed) || !o.leaves(o.agreed) {
		o.agreed = common.Hash{}
	}
	return o.agreed
}

// agree returns the range end whose branch members are to keep to, the zero hash for
// none. It is chosen when enough members are up that others can state what a release
// takes: with h >= 2(n - Q) + 1 honest members up, at least n - Q + 1 of them never approved
// the end that fewer approved of two that exclude each other, for nobody approved both.
// (docs/formats/approval-lock.md)
func (o *operator) agree() common.Hash {
	settled, up := o.settled(), 0
	for _, m := range o.w.members {
		if alive(m) && m.honest() {
			up++
		}
	}
	if up > 2*(o.w.opt.Members-o.w.quorum()) {
		o.agreed = o.choose(settled)
	}
	return o.agreed
}

// choose returns the range end that most members that are up approved, then the one
// that most did of those that stand on it, and so on.
func (o *operator) choose(chosen common.Hash) common.Hash {
	for {
		ends := o.ends(chosen)
		if len(ends) == 0 {
			return chosen
		}
		next, most := chosen, -1 // a lock by payments alone has no approver
		for _, end := range ends {
			if n := o.approvers(end); n > most || n == most && o.lower(end, next) {
				next, most = end, n
			}
		}
		chosen = next
	}
}

// ends are the range ends that bind members that are up, of those that are open.
func (o *operator) ends(chosen common.Hash) (list []common.Hash) {
	for _, v := range o.w.oracle.views {
		if v.m == nil || !alive(v.m) || !v.m.honest() {
			continue
		}
		for _, end := range v.ends() {
			if o.open(end, chosen) && !slices.Contains(list, end) {
				list = append(list, end)
			}
		}
	}
	return list
}

// open reports whether a range end is above the finalised block and stands on what
// is chosen already.
func (o *operator) open(end, chosen common.Hash) bool {
	b := o.w.blocks.get(end)
	if b == nil || b.number <= o.w.oracle.finalized || end == chosen || !o.shown(end) {
		return false
	}
	on, _ := o.w.blocks.contains(end, chosen)
	return on || chosen == (common.Hash{})
}

// shown reports whether a member that is up can keep to a block, and show the others
// the quorum on its branch. Nothing was stated or released for one that nobody can.
func (o *operator) shown(root common.Hash) bool {
	return slices.ContainsFunc(o.w.members, func(m *member) bool {
		return alive(m) && m.honest() && m.state().Unkeepable(root) == ""
	})
}

// approvers counts the honest members up that approved a carrier of a range end.
func (o *operator) approvers(end common.Hash) (n int) {
	for _, m := range o.w.members {
		if alive(m) && m.honest() && m.signer.ends[end] {
			n++
		}
	}
	return n
}

// lower orders range ends that as many approved: the lower one, for others stand on it.
func (o *operator) lower(a, b common.Hash) bool {
	x, y := o.w.blocks.get(a), o.w.blocks.get(b)
	return cmp.Or(cmp.Compare(x.number, y.number), bytes.Compare(a[:], b[:])) < 0
}

// together reports whether two blocks are on one branch.
func (o *operator) together(a, b common.Hash) bool {
	one, _ := o.w.blocks.contains(a, b)
	other, _ := o.w.blocks.contains(b, a)
	return one || other
}

// keep has a member keep to the branch agreed on.
func (o *operator) keep(m *member, agreed common.Hash) {
	if m.state().Kept.Root == agreed || m.state().Finalized.Number >= o.w.blocks.get(agreed).number {
		return
	}
	m.process.ask(chain.ID, func(request uint64) core.Message {
		return &message.DecideBranch{Request: request, Root: agreed, Reason: "finality stalls", Keep: true}
	}, func(answer core.Message) {
		if a, ok := answer.(*message.OperatorAnswer); ok && !a.Done {
			o.w.tell("m%d does not keep to %s: %s", m.index, name(agreed), a.Reason)
		}
	})
}

func (o *operator) decide(v *view) {
	f := v.excluded
	v.excluded = nil
	o.w.tell("the operator of m%d decides for %s at %d", v.m.index, name(f.Root), f.Number)
	o.w.result.Decisions++
	v.m.process.ask(chain.ID, func(request uint64) core.Message {
		return &message.DecideBranch{Request: request, Root: f.Root, Reason: "the longer branch"}
	}, func(core.Message) {})
}

// release ends a member's lock if enough statements can be had; else it asks for them.
func (o *operator) release(m *member, end common.Hash) {
	var statements []message.Statement
	for _, s := range o.w.members {
		if s.signer.stated[end] {
			statements = append(statements, message.Statement{
				Authority: uint32(s.index), Signature: standin.Sign(standin.Key(s.index), aura.NeverApproveRoot(end)),
			})
		}
	}
	if len(statements) < o.w.opt.Members-o.w.quorum()+1 {
		o.gather(end)
		return
	}
	o.w.tell("the operator of m%d releases %s with %d statements", m.index, name(end), len(statements))
	m.process.ask(chain.ID, func(request uint64) core.Message {
		return &message.ReleaseLock{Request: request, RangeEnd: end, Statements: statements, Reason: "finality stalls"}
	}, func(answer core.Message) {
		if a, ok := answer.(*message.OperatorAnswer); ok && !a.Done {
			o.w.tell("m%d does not release %s: %s", m.index, name(end), a.Reason)
		}
	})
}

// gather asks members that never signed a carrier of a range end to state that.
func (o *operator) gather(end common.Hash) {
	for _, m := range o.w.members {
		if m.process == nil || m.signer.stated[end] {
			continue
		}
		if !m.honest() {
			if m.w.rand.dishonest.IntN(2) == 0 {
				m.signer.state(end) // true or not
			}
			continue
		}
		if m.signer.ends[end] {
			continue
		}
		m.process.ask(chain.ID, func(request uint64) core.Message {
			return &message.NeverApprove{Request: request, RangeEnd: end}
		}, func(core.Message) {})
	}
}

// canRelease reports whether every lock that stands against the branch agreed on can
// be released: enough members never approved the range end.
func (o *operator) canRelease() bool { return o.leaves(o.choose(o.settled())) }

// leaves reports whether every lock that stands against a block can be released.
func (o *operator) leaves(agreed common.Hash) bool {
	for _, v := range o.w.oracle.views {
		for _, end := range v.ends() {
			if agreed != (common.Hash{}) && !o.together(agreed, end) && o.free(end) < o.w.opt.Members-o.w.quorum()+1 {
				return false
			}
		}
	}
	return true
}

// free counts the honest members that never approved a carrier of a range end, and
// may still say so or have said so.
func (o *operator) free(end common.Hash) (n int) {
	for _, m := range o.w.members {
		if m.signer.stated[end] || m.honest() && !m.gone && !m.signer.ends[end] {
			n++
		}
	}
	return n
}
