package chain

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

// considerApproval is where this member decides about a block that came by gossip, or was missed,
// or is its own. Its own it has approved by signing it. (C5.10)
func (x *turn) considerApproval(e *Entry) {
	if signed, _, err := x.work.Decode(e.Body.Data); err == nil {
		x.notice(signed.Block.AuxPowHeader)
	}
	if !x.Config.HasAuthority || e.Approvals.Has(int(x.Config.Authority)) {
		return
	}
	x.decideApproval(e, false)
}

// decideApproval approves a stored block, says why not, or leaves it for later: also to
// the bridge actor, whose verdict comes as PegJudged. told: a fact said already that it
// could not be judged.
func (x *turn) decideApproval(e *Entry, told bool) {
	if x.Hold != nil {
		return
	}
	if x.mute() != "" {
		x.postpone(Undecided{Root: e.Root, Told: told})
		return
	}
	signed, _, err := x.work.Decode(e.Body.Data)
	if err != nil {
		return // executed by now: it had its quorum
	}
	v := x.policy(e, signed)
	if parent := x.Entry(e.Parent); v.Valid() && x.hasPegPart(&signed.Block, parent) {
		x.postpone(Undecided{Root: e.Root, Told: told})
		x.askBridge(&signed.Block, e.Root, parent)
		return
	}
	x.conclude(e, &signed.Block, v, told)
}

// conclude draws the conclusion from all that is known of a block.
func (x *turn) conclude(e *Entry, b *block.Block, v rules.Verdict, told bool) {
	switch {
	case v.Valid():
		x.commit(e, false)
		x.out.Effect(SignerEdge, core.UntilDone, &message.SignApproval{Root: e.Root, Number: e.Number, Slot: e.Slot})
		return
	case v.Grade == fault.Invalid:
		told = false
	default:
		x.postpone(Undecided{Root: e.Root, Told: true, Rule: v.Rule, Reason: v.Reason})
		x.executeFor(e, b)
	}
	if !told {
		x.out.Fact(&message.ApprovalWithheld{Root: e.Root, Number: e.Number, Grade: uint8(v.Grade), Rule: v.Rule, Reason: v.Reason})
	}
}

// executeFor has the parent of a block executed that cannot be judged before. At the
// head's height it would not be executed for its own sake; but a member that approves
// no carrier on it holds up the finality of all, when heads differ and none can grow.
func (x *turn) executeFor(e *Entry, b *block.Block) {
	parent := x.Entry(e.Parent)
	switch {
	case !x.waitsForParent(e, b) || parent.Status != Stored || parent.Excluded:
	case x.hasQuorum(parent):
		x.schedule(parent)
	case x.asked < maxAsked && e.Number > x.Head.Number:
		// Who made e has the parent as its head: the approvals that are missing here.
		x.asked++
		x.out.Effect(PeersEdge, core.FireAndForget, &message.FetchBlocks{Root: parent.Root, From: parent.Number})
	}
}

// maxAsked is how many blocks a turn asks peers for again to have their approvals.
const maxAsked = 4

// commit records that this member approves a block: the vote of its slot and, for
// a carrier, the lock on its range end. The signature is asked for by the same
// turn, so it leaves only when this is durable.
func (x *turn) commit(e *Entry, own bool) {
	fact := &message.ApprovalMade{Root: e.Root, Number: e.Number, Slot: e.Slot}
	x.vote(e.Slot, e.Root)
	if e.Carrier != nil {
		fact.RangeEnd = e.Carrier.RangeEnd
		x.lock(e.Carrier.RangeEnd, e.Root)
	}
	if !own || e.Carrier != nil { // of the others block_produced tells
		x.out.Fact(fact)
	}
}

// vote gives a slot to a block. Past the bound the lowest slots are closed for all.
func (x *turn) vote(slot uint64, root common.Hash) {
	x.votes.Set(&Vote{Slot: slot, Root: root})
	for x.votes.Len() > maxSlots {
		lowest, _ := x.votes.PopMin()
		x.SlotFloor = max(x.SlotFloor, lowest.Slot)
	}
}

// postpone keeps a block to be decided about at a later tip.
func (x *turn) postpone(u Undecided) {
	kept := x.Undecided
	if len(kept) >= maxUndecided {
		kept = kept[1:]
	}
	next := make([]Undecided, 0, len(kept)+1)
	next = append(next, kept...)
	x.Undecided = append(next, u)
}

// decideAgain asks about the blocks that could not be judged, at each new tip.
func (x *turn) decideAgain() {
	waiting := x.Undecided
	x.Undecided = nil
	for _, u := range waiting {
		if e := x.undecided(u.Root); e != nil {
			x.decideApproval(e, u.Told)
		}
	}
}

// undecided returns a block that this member may still approve, or nil.
func (x *turn) undecided(root common.Hash) *Entry {
	e := x.Entry(root)
	if e == nil || e.Status != Stored || e.Approvals.Has(int(x.Config.Authority)) {
		return nil
	}
	return e
}

// commitOwn records that this member signs a block of its own, or says why not.
func (x *turn) commitOwn(b *block.Block, root common.Hash, parent *Entry) (no string) {
	own := &Entry{Ancestor: rules.NewAncestor(b, root, &parent.Ancestor, x)}
	if no = x.slotTaken(own, b); no == "" {
		no = x.lockedOut(own, b)
	}
	if no == "" {
		x.commit(own, true)
	}
	return no
}

// approvalSigned adds this member's approval to its block and gossips it.
func (x *turn) approvalSigned(m *message.ApprovalSigned) {
	a := aura.Approval{Signature: m.Signature, Authority: uint8(x.Config.Authority)}
	if !x.Config.HasAuthority || x.work.VerifyApproval(x.rules.committee, a, m.Root) != nil {
		return // another key signed: the node was restarted with it
	}
	if e := x.Entry(m.Root); x.mute() != "" {
		if e != nil {
			x.postpone(Undecided{Root: m.Root, Told: true}) // decided in an earlier run: it is signed again
		}
		return
	}
	x.out.Effect(PeersEdge, core.FireAndForget, &message.PublishApproval{Root: m.Root, Authority: a.Authority, Signature: a.Signature})
	if e := x.Entry(m.Root); e != nil && e.Status != Invalid && !e.Approvals.Has(int(a.Authority)) {
		x.approve(e, a)
		x.settle()
	}
}

// approvalRefused notes that the signer did not sign what was decided.
func (x *turn) approvalRefused(m *message.SignRefused) {
	if p := x.Promise(m.Root); p != nil && p.Request != 0 {
		next := *p
		next.Request = 0
		x.promises.Set(&next)
		x.answer(p.Request, "the signer refuses: "+m.Reason)
		return
	}
	e := x.Entry(m.Root)
	if e == nil {
		return
	}
	if v := x.Vote(e.Slot); v != nil && v.Root == m.Root {
		x.out.Fact(&message.ApprovalWithheld{Root: e.Root, Number: e.Number, Grade: uint8(fault.Invalid), Rule: "signer", Reason: m.Reason})
	}
}

// forgetVows drops what can bind nobody any more, after the finalised block moved:
// votes of slots up to the finalised block's, which no block that stands on it
// has, and locks and promises about blocks below those that are kept.
func (x *turn) forgetVows() {
	final := x.Entry(x.Finalized.Root)
	if final == nil {
		return
	}
	x.SlotFloor = max(x.SlotFloor, final.Slot)
	for v, ok := x.votes.Min(); ok && v.Slot <= x.SlotFloor; v, ok = x.votes.Min() {
		x.votes.PopMin()
	}
	lowest := x.lowestKept()
	for _, l := range x.locks.Items() {
		if l.Number < lowest {
			x.locks.Delete(l)
		}
	}
	for _, p := range x.promises.Items() {
		if p.Number < lowest {
			x.promises.Delete(p)
		}
	}
	x.Recipients = slices.DeleteFunc(slices.Clone(x.Recipients), func(r Recipient) bool {
		end := x.Entry(r.End)
		return end != nil && end.Number <= x.Finalized.Number && x.isAncestor(end, final)
	})
}
