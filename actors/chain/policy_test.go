package chain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// member returns a node of a federation of four that approves and does not
// produce; it is member 3.
func member(t *testing.T) *rig {
	r := newRig(t, 4, func(_ *spec.Chain, m *message.NodeConfigured) { m.Producing, m.Authority = false, 3 })
	r.wall += 100_000 // any slot of these tests has begun
	return r
}

// built is make with the slot's author among the signers, in a slot that is not
// this member's.
func (r *rig) built(name string, p plan) *block.Signed {
	r.t.Helper()
	parent := r.blocks[p.parent]
	p.seconds = max(p.seconds, 1)
	author := func() int {
		timestamp := max(parent.Block.Payload.Timestamp, startWall/1000-1) + p.seconds
		return aura.Author(timestamp*1000/r.spec.SlotDuration, len(r.spec.Authorities))
	}
	for author() == int(r.config.Authority) {
		p.seconds++
	}
	if by := author(); !slices.Contains(p.by, by) {
		p.by = append(slices.Clone(p.by), by)
	}
	return r.make(name, p)
}

// said fails unless the transcript since the last look has this text.
func (r *rig) said(want string) {
	r.t.Helper()
	if got := r.take(); !strings.Contains(got, want) {
		r.t.Fatalf("no %q in\n%s", want, got)
	}
}

// TestSignerPolicy has this member approve, and withhold by each rule that reads
// more than a block and its ancestors.
func TestSignerPolicy(t *testing.T) {
	t.Run("approves", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis"}))
		r.said("publish approval of a1 by 3")
		if e := r.state().Entry(r.blocks["a1"].Block.Root()); e.Approvals.CountReal(4) != 2 {
			t.Errorf("%d approvals", e.Approvals.CountReal(4))
		}
		r.receive(chain.Gossip, r.blocks["a1"])
		if got := r.take(); strings.Contains(got, "approve") {
			t.Errorf("received again: %s", got)
		}
	})
	t.Run("sync", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Sync, r.built("a1", plan{parent: "genesis"}))
		if got := r.take(); strings.Contains(got, "approve") {
			t.Errorf("approved while importing: %s", got)
		}
	})
	t.Run("one-per-slot", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis"}), r.built("b1", plan{parent: "genesis", extra: "b"}))
		r.said("withheld from b1 #1 (invalid) by one-per-slot")
		r.restart(nil)
		r.receive(chain.Gossip, r.built("c1", plan{parent: "genesis", extra: "c"}))
		r.said("withheld from c1 #1 (invalid) by one-per-slot")
	})
	t.Run("clock", func(t *testing.T) {
		r := member(t)
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", seconds: 101}), r.built("b1", plan{parent: "genesis", seconds: 103}))
		out := r.take()
		if !strings.Contains(out, "approved a1") || !strings.Contains(out, "withheld from b1 #1 (invalid) by clock") {
			t.Error(out)
		}
	})
	t.Run("finality", func(t *testing.T) {
		r := member(t)
		all := []int{0, 1, 2}
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", by: all}), r.built("a2", plan{parent: "a1", by: all}))
		r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", by: all, carry: r.header("a1", "a2", common.Address{1})}))
		r.said("finalized a2")
		r.receive(chain.Gossip, r.built("b2", plan{parent: "a1", seconds: 5}), r.built("b3", plan{parent: "b2", seconds: 5}))
		r.said("withheld from b3 #3 (invalid) by finality")
	})
	t.Run("first-recipient", func(t *testing.T) {
		r := member(t)
		all := []int{0, 1, 2}
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", by: all}), r.built("a2", plan{parent: "a1", by: all}))
		r.send(chain.ID, &message.QueueWork{Header: r.header("a1", "a2", common.Address{1}).Encode()})
		r.said("queued a1..a2")
		r.receive(chain.Gossip, r.built("thief", plan{parent: "a2", carry: r.header("a1", "a2", common.Address{2})}))
		r.said("withheld from thief #3 (invalid) by first-recipient")
		r.receive(chain.Gossip, r.built("honest", plan{parent: "a2", seconds: 2, carry: r.header("a1", "a2", common.Address{1})}))
		r.said("approved honest #3, locked on a2")
		r.send(chain.ID, &message.QueueWork{Header: r.header("a1", "a2", common.Address{3}).Encode()})
		r.said("dropped")
	})
	t.Run("later", func(t *testing.T) {
		r := member(t)
		a1 := r.built("a1", plan{parent: "genesis"})
		r.receive(chain.Gossip, a1)
		r.receive(chain.Gossip, r.built("a2", plan{parent: "a1", carry: r.header("a1", "a1", common.Address{1})}))
		r.said("withheld from a2 #2 (cannot judge yet) by exact-withdrawals: the parent is not executed")
		for by := range 2 {
			r.send(chain.ID, &message.ApprovalReceived{Root: a1.Block.Root(), Authority: uint8(by), Signature: r.approval(a1.Block.Root(), by).Signature})
		}
		out := r.take()
		if !strings.Contains(out, "approved a2 #2, locked on a1") || strings.Contains(out, "withheld") {
			t.Error(out)
		}
	})
	t.Run("hold", func(t *testing.T) {
		r := member(t)
		r.backup = r.restored()
		r.restore("backup", nil)
		r.take()
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis"}))
		if got := r.take(); strings.Contains(got, "approve") {
			t.Errorf("approved while signing is held: %s", got)
		}
		r.send(chain.ID, &message.AllowSigning{Request: 1, Reason: "test"})
		r.receive(chain.Gossip, r.built("b1", plan{parent: "genesis", extra: "b"}))
		r.said("withheld from b1 #1 (invalid) by one-per-slot: slots up to")
	})
	t.Run("signer", func(t *testing.T) {
		r := member(t)
		r.refusing = true
		r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis"}))
		r.said("withheld from a1 #1 (invalid) by signer: no key")
	})
}

// forked is a member that approved carrier A3 of a1..a2, and knows another branch
// that leaves genesis, whose blocks have a quorum at the same heights.
func forked(t *testing.T) *rig {
	r := member(t)
	all := []int{0, 1, 2}
	r.receive(chain.Gossip, r.built("a1", plan{parent: "genesis", by: all}), r.built("a2", plan{parent: "a1", by: all}))
	r.receive(chain.Gossip, r.built("a3", plan{parent: "a2", carry: r.header("a1", "a2", common.Address{1})}))
	r.said("approved a3 #3, locked on a2")
	r.receive(chain.Sync, r.built("b1", plan{parent: "genesis", seconds: 9, by: all}), r.built("b2", plan{parent: "b1", by: all}), r.built("b3", plan{parent: "b2", by: all}))
	r.said("head b3")
	return r
}

// carry receives a carrier of the other branch by one member.
func (r *rig) carry(name string, seconds uint64) {
	r.receive(chain.Gossip, r.built(name, plan{parent: "b3", seconds: seconds, carry: r.header("b1", "b2", common.Address{1})}))
}

func (r *rig) statement(by int, end string) message.Statement {
	root := aura.NeverApproveRoot(r.blocks[end].Block.Root())
	return message.Statement{Authority: uint32(by), Signature: aura.DevKey(uint64(by) + 1).Sign(root)}
}

// TestLocks walks the approval lock through its life: it binds, over a restart
// too, and ends by finality or by the statements of n - Q + 1 members, no fewer.
func TestLocks(t *testing.T) {
	t.Run("binds", func(t *testing.T) {
		r := forked(t)
		r.carry("b4", 1)
		r.said("withheld from b4 #4 (invalid) by lock: its branch excludes range end")
		r.restart(nil)
		r.carry("c4", 5)
		r.said("withheld from c4 #4 (invalid) by lock")
		r.receive(chain.Gossip, r.built("d4", plan{parent: "b3", seconds: 10}))
		r.said("approved d4 #4")
	})
	t.Run("finality", func(t *testing.T) {
		r := forked(t)
		r.receive(chain.Gossip, r.built("b4", plan{parent: "b3", by: []int{0, 1, 2}, carry: r.header("b1", "b2", common.Address{1})}))
		r.said("lock on a2 ended by finality")
		next := r.header("b3", "b4", common.Address{1})
		next.Height = 5
		r.receive(chain.Gossip, r.built("b5", plan{parent: "b4", carry: next}))
		r.said("approved b5 #5, locked on b4")
	})
	t.Run("release", func(t *testing.T) {
		r := forked(t)
		end := r.blocks["a2"].Block.Root()
		release := func(list ...message.Statement) string {
			r.send(chain.ID, &message.ReleaseLock{Request: 7, RangeEnd: end, Statements: list, Reason: "test"})
			return r.take()
		}
		one, two := r.statement(0, "a2"), r.statement(1, "a2")
		forged, other := two, r.statement(1, "b2")
		forged.Authority = 2
		for name, out := range map[string]string{
			"nobody": release(), "one": release(one), "twice": release(one, one), "forged": release(one, forged),
			"another end": release(one, other), "no member": release(one, message.Statement{Authority: 4}), "too many": release(one, two, one, two, one),
		} {
			if !strings.Contains(out, "done=false") {
				t.Errorf("%s: %s", name, out)
			}
		}
		if out := release(one, two); !strings.Contains(out, "lock on a2 ended by operator") || !strings.Contains(out, "done=true") {
			t.Error(out)
		}
		if out := release(one, two); !strings.Contains(out, "done=false") {
			t.Errorf("released twice: %s", out)
		}
		r.carry("b4", 1)
		r.said("approved b4 #4, locked on b2")
		// What was approved once was approved.
		r.send(chain.ID, &message.NeverApprove{Request: 8, RangeEnd: end})
		r.said("done=false this member approved it")
	})
	t.Run("statement", func(t *testing.T) {
		r := forked(t)
		end := r.blocks["b2"].Block.Root()
		r.send(chain.ID, &message.NeverApprove{Request: 8, RangeEnd: common.Hash{5}})
		r.said("done=false block")
		r.send(chain.ID, &message.NeverApprove{Request: 8, RangeEnd: end})
		out := r.take()
		if !strings.Contains(out, "statement of member 3 never to approve b2") || !strings.Contains(out, "done=true") {
			t.Error(out)
		}
		p := r.state().Promise(end)
		if p == nil || p.Signature != aura.DevKey(4).Sign(aura.NeverApproveRoot(end)) {
			t.Errorf("promise %+v", p)
		}
		r.restart(nil)
		r.send(chain.ID, &message.ReleaseLock{
			Request: 7, RangeEnd: r.blocks["a2"].Block.Root(), Statements: []message.Statement{r.statement(0, "a2"), r.statement(1, "a2")}, Reason: "test",
		})
		r.carry("b4", 1)
		r.said("withheld from b4 #4 (invalid) by lock: this member stated never to approve")
	})
}

// TestSignerRulesAreHoles: each rule of this core is one of the table, and every
// row of the table is decided somewhere.
func TestSignerRulesAreHoles(t *testing.T) {
	inCore := chain.SignerRules()
	for _, name := range inCore {
		if !slices.ContainsFunc(rules.Holes, func(h rules.Hole) bool { return h.Name == name }) {
			t.Errorf("signer rule %s is no row of rules.Holes", name)
		}
	}
	// Counting, the door of the queue, and the bridge with what is ordered of it.
	elsewhere := []string{
		"real-approvals", "range-forward", "payment-lock",
		"request-log", "deposits", "payments", "payouts", "payout-signatures", "off-branch",
	}
	for _, h := range rules.Holes {
		places := 0
		for _, decided := range []bool{slices.Contains(inCore, h.Name), h.Checked(), slices.Contains(elsewhere, h.Name)} {
			if decided {
				places++
			}
		}
		if places != 1 {
			t.Errorf("%s is decided in %d places", h.Name, places)
		}
	}
}
