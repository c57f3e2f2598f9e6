package node

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/projections/heads"
)

// maxReason bounds what an operator says of a decision, in bytes.
const maxReason = 1024

// tellIncident makes the incident that the journal waits for the first turn of
// this run, before anything that earlier turns left can lead to a signature.
func (n *Node) tellIncident() error {
	if i, pending := n.journal.PendingIncident(); pending {
		err := n.runtime.Precede(actors.Input{Actor: chain.ID, Message: &message.JournalIncident{
			Number: i.Number, Kind: string(i.Kind), After: i.After,
			HeadBefore: i.Before.Sequence, HashBefore: i.Before.Hash, At: i.Time, Text: i.Text,
		}})
		if err != nil {
			return err
		}
	}
	if hold := chainState(n.recovered.Machine).Hold; hold != nil {
		n.signer.refuseThrough.Store(hold.Sequence)
	}
	return nil
}

// warnHeld says in the log that this node signs nothing, and how that ends.
func (n *Node) warnHeld() {
	hold := chainState(n.recovered.Machine).Hold
	if hold == nil {
		return
	}
	n.log.Warn("signing is held: this node makes no block and approves none until others finalise a block of a later slot, or an operator runs alys signing allow",
		"incident", hold.Incident, "kind", hold.Kind, "after", hold.After, "slot", hold.Slot,
		"since", time.UnixMilli(hold.Time).UTC().Format(time.RFC3339), "text", hold.Text)
}

// signingWarning is what status and readiness show of a hold.
func signingWarning(s heads.Signing) string {
	return "signing is held since the " + s.Kind + " of the journal (incident " + s.Since() + "): no block is made or approved until others finalise a block of a later slot, or an operator runs alys signing allow"
}

// AllowSigning ends a hold of this node's signature by an operator's decision,
// which becomes a turn of the journal with the reason given. It returns when the
// turn is on disk. ErrRefused: signing is not held. Invalid: no usable reason.
func (n *Node) AllowSigning(ctx context.Context, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	if !n.view.snapshot().Signing.Held { // reads and what changes nothing become no turns
		return refused("signing is not held: there is nothing to allow")
	}
	answer, err := n.ask(ctx, chain.ID, func(request uint64) core.Message {
		return &message.AllowSigning{Request: request, Reason: reason}
	})
	if err != nil {
		return err
	}
	judged, ok := answer.(*message.SigningAnswer)
	switch {
	case !ok:
		return fault.New(fault.Fatal, "the chain actor answered %s to allow_signing", answer.Type())
	case !judged.Released:
		return refused("signing stays held: %s", judged.Reason)
	}
	n.log.Warn("signing is allowed again by an operator", "reason", reason)
	return nil
}

// CheckReason refuses a reason that readers of the journal could not use: none,
// more than 1,024 bytes, or text that does not print.
func CheckReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return fault.New(fault.Invalid, "a reason is needed: it is kept in the journal")
	case len(reason) > maxReason:
		return fault.New(fault.Invalid, "the reason has %d bytes, at most %d are kept", len(reason), maxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault.New(fault.Invalid, "the reason has characters that do not print")
	}
	return nil
}
