package reorg

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Failure is a property that does not hold.
type Failure struct {
	Check  string // name of the property
	Node   string
	Action int // index of the action
	Detail string
}

// Error is what is wrong, and where.
func (f *Failure) Error() string {
	return f.Check + ": node " + f.Node + ": " + f.Detail
}

// fact folds what a turn publishes and checks what can be checked at once.
func (n *node) fact(m core.Message) {
	switch m := m.(type) {
	case *message.BlockConnected:
		n.foldFact(m)
		n.connected(m)
		delete(n.excluded, m.Root) // followed by a decision, it may be excluded anew
	case *message.BlockReverted:
		n.foldFact(m)
		n.w.stats.Reverted++
	case *message.HeadChanged:
		if len(n.fold) == 0 || n.fold[len(n.fold)-1] != m.Root {
			n.fail("facts fold to the branch", "the head changed to %s, connected last was another block", n.w.name(m.Root))
		}
	case *message.BlockFinalized:
		n.w.stats.Finalised++
	case *message.BlockProduced:
		n.produced(m)
	case *message.BranchExcluded:
		if n.excluded[m.Root] {
			n.fail("a branch is reported once", "%s again", n.w.name(m.Root))
		}
		n.excluded[m.Root] = true
		n.reported = append(n.reported, m.Root)
	case *message.BranchDecided:
		n.decided = true
		n.w.stats.Decided++
		n.final = *m.Ancestor
	case *message.FinalityConflict:
		n.finalityConflict(m)
	case *message.LockEnded:
		n.lockEnded(m)
	}
}

// foldFact: a block is connected on the last connected one, and only the last
// connected one is reverted; so none is ever both.
func (n *node) foldFact(m core.Message) {
	switch m := m.(type) {
	case *message.BlockConnected:
		if len(n.fold) > 0 && n.fold[len(n.fold)-1] != m.Parent {
			n.fail("facts fold to the branch", "%s is connected, its parent is not the last connected block", n.w.name(m.Root))
		}
		n.fold = append(n.fold, m.Root)
	case *message.BlockReverted:
		if len(n.fold) == 0 || n.fold[len(n.fold)-1] != m.Root {
			n.fail("facts fold to the branch", "%s is reverted and is not the last connected block", n.w.name(m.Root))
		}
		n.fold = n.fold[:len(n.fold)-1]
	}
}

// connected compares a block that joins the branch with the model: it is valid,
// and its fees are exact to the wei.
func (n *node) connected(m *message.BlockConnected) {
	b := n.w.model.Block(m.Root)
	switch {
	case b == nil:
		n.fail("only valid blocks are connected", "%x was never made", m.Root[:4])
	case b.Wrong != "":
		n.fail("only valid blocks are connected", "%s is connected, but %s", n.w.name(m.Root), b.Wrong)
	case new(big.Int).SetBytes(m.Fees).Cmp(b.Fees) != 0:
		n.fail("fees are exact", "%s accumulates %s wei, the blocks since the last carrier earned %s", n.w.name(m.Root), new(big.Int).SetBytes(m.Fees), b.Fees)
	}
	if b.Header == nil || b.Number == 0 {
		return
	}
	// What a carrier pays and what vanishes is what was accumulated.
	parent := n.w.model.Block(b.Parent)
	_, _, vanished := n.w.model.Split(parent)
	paid := new(big.Int)
	for _, w := range b.Payload.Withdrawals {
		paid.Add(paid, new(big.Int).Mul(new(big.Int).SetUint64(w.Amount), big.NewInt(1_000_000_000)))
	}
	if parent.Fees.Sign() > 0 && paid.Add(paid, vanished).Cmp(parent.Fees) != 0 {
		n.fail("fees are exact", "%s distributes %s wei with what vanishes, %s were accumulated", n.w.name(m.Root), paid, parent.Fees)
	}
}

// afterTurn checks what holds after every turn.
func (n *node) afterTurn(in actors.Input, turn actors.Turn) {
	s := n.state()
	if s.Config == nil {
		return
	}
	if len(n.fold) == 0 || n.fold[len(n.fold)-1] != s.Head.Root {
		n.fail("a reorganisation is one turn", "after %s the facts end elsewhere than at the head %s", in.Message.Type(), n.w.name(s.Head.Root))
	}
	n.headMoved(in, s)
	n.checkWork(s)
	if s.Finalized != n.final {
		if !n.w.model.Above(s.Finalized.Root, n.final.Root) && n.final.Root != (common.Hash{}) {
			n.fail("finality never reverts", "%s was final, now %s is", n.w.name(n.final.Root), n.w.name(s.Finalized.Root))
		}
		n.final = s.Finalized
	}
	if !n.w.model.Above(s.Head.Root, s.Finalized.Root) {
		n.fail("the head stands on the finalised block", "head %s, finalised %s", n.w.name(s.Head.Root), n.w.name(s.Finalized.Root))
	}
	if b := n.w.model.Block(s.Head.Root); b == nil || b.LastCarrier != s.LatestPow.Root {
		n.fail("the latest proof of work is the head's", "it is %s at head %s", n.w.name(s.LatestPow.Root), n.w.name(s.Head.Root))
	}
	n.reorganised(turn)
}

// headMoved: a head gives way to a higher one only, unless it does not stand on
// the finalised block any more. (C10, first seen)
func (n *node) headMoved(in actors.Input, s *chain.State) {
	if s.Head.Number <= n.head.Number && s.Head != n.head && n.w.model.Above(n.head.Root, s.Finalized.Root) {
		n.fail("a head gives way to a higher one", "after %s %s at %d follows %s at %d", in.Message.Type(), n.w.name(s.Head.Root), s.Head.Number, n.w.name(n.head.Root), n.head.Number)
	}
	n.head = s.Head
}

// checkWork: a proof that waits to be carried is over a range of the head's
// branch that no carrier of that branch has finalised.
func (n *node) checkWork(s *chain.State) {
	if len(s.Work) == 0 || n.conflict != nil { // a node in conflict does nothing with it
		return
	}
	h, err := block.DecodeAuxPowHeader(s.Work)
	if err != nil {
		n.fail("queued work fits the branch", "%v", err)
	}
	final := n.w.model.Final(n.w.model.Block(s.Head.Root))
	if !n.w.model.Above(s.Head.Root, h.RangeEnd) || n.w.model.Above(final, h.RangeEnd) {
		n.fail("queued work fits the branch", "its range ends at %s, the head is %s, final on its branch is %s", n.w.name(h.RangeEnd), n.w.name(s.Head.Root), n.w.name(final))
	}
}

// reorganised measures a turn that left blocks.
func (n *node) reorganised(turn actors.Turn) {
	depth := 0
	for _, o := range turn.Outputs {
		if _, ok := o.Message.(*message.BlockReverted); ok {
			depth++
		}
	}
	if depth == 0 {
		return
	}
	n.w.stats.reorg(depth)
	for _, o := range turn.Outputs {
		if _, ok := o.Message.(*message.HeadChanged); ok {
			return
		}
	}
	n.fail("a reorganisation is one turn", "turn %d reverts %d blocks and changes no head", turn.Event.Sequence, depth)
}

// produced takes a block that this node made.
func (n *node) produced(m *message.BlockProduced) {
	s, root, err := n.w.work.Decode(m.Signed.Data)
	if err != nil {
		n.fail("produced blocks decode", "%v", err)
	}
	if b := n.w.model.Add(s); b.Wrong != "" {
		n.fail("produced blocks are valid", "slot %d: %s", m.Slot, b.Wrong)
	}
	n.w.stats.Produced++
	n.w.add(n.name+"@"+itoa(m.Slot), s)
	n.known.Learn(s)
	n.w.approval(root, approvalOf(n, root))
}

// signed: no slot gets two signatures of one member for different blocks.
func (n *node) signed(slot uint64, root common.Hash) {
	if before, ok := n.slots[slot]; ok && before != root {
		n.fail("no slot is signed twice", "slot %d: %s and %s", slot, n.w.name(before), n.w.name(root))
	}
	n.slots[slot] = root
}

// lock is a range end that this node approved.
type lock struct{ end, carrier common.Hash }

// approved: no carrier is approved whose branch excludes a range end that was
// approved before and is still locked. (architecture.md 4, Approving)
func (n *node) approved(m *message.SignApproval) {
	n.w.stats.Approved++
	a := approvalOf(n, m.Root)
	n.known.Approve(m.Root, a)
	b := n.w.model.Block(m.Root)
	if b == nil {
		n.fail("only valid blocks are approved", "%x was never made", m.Root[:4])
	}
	if b.Structure != "" { // it is executed once it has its quorum (C5.10, C11)
		n.fail("only valid blocks are approved", "%s: %s", n.w.name(m.Root), b.Structure)
	}
	if b.Header == nil {
		return
	}
	for _, l := range n.locks {
		if !n.w.model.Above(m.Root, l.end) {
			n.fail("approval locks hold", "%s is approved, its branch excludes %s, approved by %s", n.w.name(m.Root), n.w.name(l.end), n.w.name(l.carrier))
		}
	}
	n.locks = append(n.locks, lock{b.Header.RangeEnd, m.Root})
}

// lockEnded: a lock ends by finality only when a carrier with a quorum has
// finalised an end that conflicts with it.
func (n *node) lockEnded(m *message.LockEnded) {
	if m.By == "finality" {
		c := n.w.model.Block(m.Carrier)
		if c == nil || c.Header == nil || c.Wrong != "" || n.known.Approvals(m.Carrier) < n.w.spec.Quorum() {
			n.fail("approval locks hold", "the lock on %s ended by %s, which finalises nothing", n.w.name(m.RangeEnd), n.w.name(m.Carrier))
		}
	}
	kept := n.locks[:0:0]
	for _, l := range n.locks {
		if l.end != m.RangeEnd {
			kept = append(kept, l)
		}
	}
	n.locks = kept
}

// finalityConflict: a node stops for two finalised ranges only when there are two.
func (n *node) finalityConflict(m *message.FinalityConflict) {
	n.conflict = m
	n.w.stats.Conflicts++
	if n.w.model.Above(m.Ours.Root, m.Other.Root) || n.w.model.Above(m.Other.Root, m.Ours.Root) {
		n.fail("a conflict of finality is one", "%s and %s are on one branch", n.w.name(m.Ours.Root), n.w.name(m.Other.Root))
	}
	for _, proof := range [][]byte{m.OurProof.Data, m.OtherProof.Data} {
		if proof == nil {
			continue // a content of an earlier turn
		}
		s, root, err := n.w.work.Decode(proof)
		if err != nil || s.Block.AuxPowHeader == nil {
			n.fail("a conflict of finality is one", "a proof is no carrier: %v", err)
		}
		// An execution layer that is final elsewhere cannot execute the other branch.
		if b := n.w.model.Block(root); b == nil || b.Structure != "" || s.Approvals.CountReal(len(n.w.spec.Authorities)) < n.w.spec.Quorum() {
			n.fail("a conflict of finality is one", "the proof %s has no quorum or is invalid", n.w.name(root))
		}
	}
	if n.w.network.Activation == 0 {
		n.fail("a conflict of finality is one", "it stops the node before the activation height")
	}
}
