package sim

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// operator is what the members' operators do together when finality stalls: they
// agree on the branch of the highest head, state never to approve range ends that it
// excludes, and release the locks on them with n - Q + 1 statements. Before the
// activation height they also decide for a branch that excludes a finalised block.
type operator struct {
	w        *world
	agreed   common.Hash // the branch goes through it
	agreedAt uint64      // finalised height at which they agreed
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
	target := o.target()
	if target == (common.Hash{}) {
		return
	}
	o.handAround()
	if o.w.now-o.w.oracle.grown < 2*patience {
		return // first see whether that was all that was missing
	}
	for _, v := range o.w.oracle.views {
		if v.m == nil || v.m.process == nil || !v.m.honest() {
			continue
		}
		if v.excluded != nil {
			o.decide(v)
		}
		for _, l := range v.locks {
			if on, known := o.w.blocks.contains(target, l.end); known && !on {
				o.release(v.m, l.end)
			}
		}
	}
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
			m.process.receiveBlocks(chain.Sync, record.NewContent(parent.signed.Encode()))
		}
		m.process.receiveBlocks(chain.Gossip, record.NewContent(b.signed.Encode()))
		for _, by := range o.w.members {
			if by.signer.slots[b.slot] == root && by != m {
				a := standin.Approve(by.index, root)
				m.process.receiveApproval(&message.ApprovalReceived{Root: root, Authority: a.Authority, Signature: a.Signature})
			}
		}
	}
}

// target is the highest head of an honest member that is up, on the branch that the
// operators agreed on before, while there is one: who changes his mind binds members
// to both sides by their statements.
func (o *operator) target() (head common.Hash) {
	if o.agreedAt != o.w.oracle.finalized {
		o.agreed, o.agreedAt = common.Hash{}, o.w.oracle.finalized
	}
	height := 0
	for range 2 {
		for _, v := range o.w.oracle.views {
			if v.m == nil || v.m.process == nil || !v.m.honest() || len(v.branch) <= height {
				continue
			}
			tip := v.branch[len(v.branch)-1]
			if on, _ := o.w.blocks.contains(tip, o.agreed); on || o.agreed == (common.Hash{}) {
				height, head = len(v.branch), tip
			}
		}
		if height > 0 {
			break
		}
		o.agreed = common.Hash{} // everybody left it
	}
	if o.agreed == (common.Hash{}) {
		o.agreed = head
	}
	return head
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
func (o *operator) canRelease() bool {
	target := o.target()
	for _, v := range o.w.oracle.views {
		for _, l := range v.locks {
			if on, _ := o.w.blocks.contains(target, l.end); !on && o.free(l.end) < o.w.opt.Members-o.w.quorum()+1 {
				return false
			}
		}
	}
	return true
}

// free counts the honest members that never approved a carrier of a range end, and
// may still say so.
func (o *operator) free(end common.Hash) (n int) {
	for _, m := range o.w.members {
		if m.honest() && !m.gone && !m.signer.ends[end] {
			n++
		}
	}
	return n
}
