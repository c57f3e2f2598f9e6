package chain

import (
	"fmt"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Who released a hold, as the fact says.
const (
	byCarrier  = "carrier"
	byOperator = "operator"
)

// journalIncident puts signing off: the journal ends before what this node has
// signed, so no slot up to now is known to be free. A block under way is given
// up, for its slot may have been signed in the turns that are lost.
// (architecture.md 2, "Another node's state is not ours")
func (x *turn) journalIncident(m *message.JournalIncident) {
	hold := &message.SigningHold{
		Incident: m.Number, Kind: m.Kind, After: m.After, Sequence: x.Sequence,
		Time: max(x.Time, m.At), Changed: m.At, Text: m.Text,
	}
	if m.At <= 0 || m.At > x.Time {
		hold.Changed = x.Time // unknown, or by a clock that was ahead
	}
	if b := x.Building; b != nil {
		x.Building = nil
		x.skip(b.Slot, "signing is held: "+m.Kind+" of the journal")
	}
	x.Hold = hold
	x.dateHold()
	x.out.Fact(&message.SigningHeld{Hold: x.Hold})
}

// dateHold gives the hold its slot once slots have a length: a journal that
// begins at another node's checkpoint has an incident before its configuration.
func (x *turn) dateHold() {
	if x.Hold == nil || x.Hold.Slot != 0 || x.rules == nil {
		return
	}
	dated := *x.Hold
	dated.Slot = max(x.slotAt(dated.Time), x.LastSlot)
	x.Hold = &dated
}

// heldReason is why a slot of ours passes while signing is held.
func (x *turn) heldReason() string {
	return fmt.Sprintf("signing is held since the %s of the journal after event %d", x.Hold.Kind, x.Hold.After)
}

// releaseBy ends a hold when others finalised a block of a later slot: the
// approvals of the carrier make a quorum without ours, so the network went on
// past everything that we may have signed before. With two members or one,
// others never are a quorum, and an operator has to decide.
func (x *turn) releaseBy(carrier *Entry) {
	if x.Hold == nil || carrier.Slot <= x.Hold.Slot || x.approvalsOfOthers(carrier) < x.rules.spec.Quorum() {
		return
	}
	x.release(&message.SigningReleased{By: byCarrier, Carrier: carrier.Root, Number: carrier.Number, Slot: carrier.Slot})
}

// approvalsOfOthers counts the real approvals of a block that are not ours.
func (x *turn) approvalsOfOthers(e *Entry) int {
	n := e.Approvals.CountReal(len(x.rules.spec.Authorities))
	if x.Config.HasAuthority && e.Approvals.Has(int(x.Config.Authority)) {
		n--
	}
	return n
}

// allowSigning ends a hold because an operator says so.
func (x *turn) allowSigning(m *message.AllowSigning) {
	answer := &message.SigningAnswer{Request: m.Request, Released: x.Hold != nil}
	if x.Hold != nil {
		x.release(&message.SigningReleased{By: byOperator, Reason: m.Reason})
	} else {
		answer.Reason = "signing is not held"
	}
	x.out.Effect(AnswerEdge, core.ConnectionBound, answer)
	x.orderPayments()
}

// release ends the hold. Slots up to the moment of the change by this node's own
// wall clock count as used: turns that are lost may have signed them.
func (x *turn) release(m *message.SigningReleased) {
	m.Incident = x.Hold.Incident
	x.LastSlot = max(x.LastSlot, x.slotAt(x.Hold.Changed))
	x.SlotFloor, x.BlindSlot = max(x.SlotFloor, x.slotAt(x.Hold.Changed)), max(x.BlindSlot, x.slotAt(x.Hold.Changed))
	x.Hold = nil
	x.out.Fact(m)
}
