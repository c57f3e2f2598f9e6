package chain

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

// signerRule is a rule of rules.Holes that reads what this member knows beside
// the block and its ancestors: "" when nothing speaks against approving.
type signerRule struct {
	name  string // of the hole
	check func(x *turn, e *Entry, b *block.Block) string
}

// signerRules are asked in this order, before those of package rules.
var signerRules = []signerRule{
	{"clock", (*turn).ofFuture},
	{"finality", (*turn).offFinalized},
	{"one-per-slot", (*turn).slotTaken},
	{"first-recipient", (*turn).otherRecipient},
	{"lock", (*turn).lockedOut},
}

// SignerRules returns the names of the rules that this core adds to a block's own.
func SignerRules() (names []string) {
	for _, r := range signerRules {
		names = append(names, r.name)
	}
	return names
}

// policy is what this member's rules say of approving a valid block of the tree, but for
// what the bridge says of the peg. A verdict of "invalid" means never.
func (x *turn) policy(e *Entry, signed *block.Signed) rules.Verdict {
	for _, r := range signerRules {
		if reason := r.check(x, e, &signed.Block); reason != "" {
			return rules.Verdict{Grade: fault.Invalid, Rule: r.name, Reason: reason}
		}
	}
	judge := x.judge()
	if v := judge.CheckSigner(signed, e.Root, x); !v.Valid() {
		return v
	}
	if x.waitsForParent(e, &signed.Block) {
		return rules.Verdict{Grade: fault.CannotJudge, Rule: "C6", Field: "parent_hash", Reason: "the parent is not executed"}
	}
	return rules.Verdict{}
}

// waitsForParent reports whether a block cannot be judged before its parent is executed:
// the fees that a carrier must pay are known only then, and the wallet.
func (x *turn) waitsForParent(e *Entry, b *block.Block) bool {
	parent := x.Entry(e.Parent)
	return !parent.executed() && (e.Carrier != nil || x.hasPegPart(b, parent))
}

// ofFuture is the clock rule: at most one slot ahead of this turn's time.
func (x *turn) ofFuture(e *Entry, _ *block.Block) string {
	if now := x.slotAt(x.Time); e.Slot > now+1 {
		return fmt.Sprintf("slot %d is after slot %d, which is now", e.Slot, now)
	}
	return ""
}

// offFinalized is the finality rule: the block stands on the finalised one.
func (x *turn) offFinalized(e *Entry, _ *block.Block) string {
	if e.Excluded || e.Number <= x.Finalized.Number {
		return fmt.Sprintf("it does not stand on the finalised block %s", describe(x.Finalized))
	}
	return ""
}

// slotTaken is one approval a slot. Slots up to the floor are not remembered one
// by one, or were in turns that are lost.
func (x *turn) slotTaken(e *Entry, _ *block.Block) string {
	if v := x.Vote(e.Slot); v != nil && v.Root != e.Root {
		return fmt.Sprintf("%s was approved in slot %d", v.Root, e.Slot)
	}
	if e.Slot <= x.SlotFloor {
		return fmt.Sprintf("slots up to %d are used up", x.SlotFloor)
	}
	return ""
}

// otherRecipient is about proofs, which do not commit to their fee recipient: the
// one that was seen first for a range stays.
func (x *turn) otherRecipient(_ *Entry, b *block.Block) string {
	if h := b.AuxPowHeader; h != nil {
		if first, seen := x.recipient(h); seen && first != h.FeeRecipient {
			return fmt.Sprintf("the proof for this range named %s when it was seen first, not %s", first, h.FeeRecipient)
		}
	}
	return ""
}

// lockedOut is the approval lock, the promises and the branch that an operator has
// us keep to: no carrier whose branch excludes a range end that binds us or that
// block, none of a range end that we renounced.
func (x *turn) lockedOut(e *Entry, _ *block.Block) string {
	if e.Carrier == nil {
		return ""
	}
	return x.lockedOn(x.Entry(e.Parent), e.Carrier.RangeEnd)
}

// lockedOn is lockedOut for a carrier on parent with this range end.
func (x *turn) lockedOn(parent *Entry, end common.Hash) string {
	if x.Promise(end) != nil {
		return fmt.Sprintf("this member stated never to approve a carrier of range end %s", end)
	}
	reason := x.offKept(parent)
	x.locks.Scan(func(l *Lock) bool {
		if l.Ended || reason != "" {
			return reason == ""
		}
		locked := x.Entry(l.RangeEnd)
		if locked == nil || parent == nil || !x.isAncestor(locked, parent) {
			reason = fmt.Sprintf("its branch excludes range end %s at %d: this member %s", l.RangeEnd, l.Number, boundBy(l))
		}
		return reason == ""
	})
	return reason
}

// recipient returns who gets the fees by the first proof seen for a header's range.
func (x *turn) recipient(h *block.AuxPowHeader) (common.Address, bool) {
	for i := range x.Recipients {
		if r := &x.Recipients[i]; r.End == h.RangeEnd && r.Start == h.RangeStart {
			return r.Address, true
		}
	}
	return common.Address{}, false
}

// notice remembers a header's fee recipient when its range is new.
func (x *turn) notice(h *block.AuxPowHeader) {
	if h == nil {
		return
	}
	if _, seen := x.recipient(h); seen {
		return
	}
	kept := x.Recipients
	if len(kept) >= maxRecipients {
		kept = kept[1:]
	}
	next := make([]Recipient, 0, len(kept)+1)
	next = append(next, kept...)
	x.Recipients = append(next, Recipient{Start: h.RangeStart, End: h.RangeEnd, Address: h.FeeRecipient})
}
