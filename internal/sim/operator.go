package sim

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// operator is what the members' operators do together when finality stalls: they
// agree on the branch of the highest head, state never to approve range ends that it
// excludes, and release the locks on them with n - Q + 1 statements. Before the
// activation height they also decide for a branch that excludes a finalised block.
type operator struct{ w *world }

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

// target is the highest head of an honest member that is up.
func (o *operator) target() (head common.Hash) {
	height := 0
	for _, v := range o.w.oracle.views {
		if v.m != nil && v.m.process != nil && v.m.honest() && len(v.branch) > height {
			height, head = len(v.branch), v.branch[len(v.branch)-1]
		}
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
