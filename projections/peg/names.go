package peg

import (
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// kindNames are the kinds as readers write them; the index is the Kind.
var kindNames = []string{"", "deposit", "request", "payment"}

// String returns the name of a kind: deposit, request or payment.
func (k Kind) String() string {
	if int(k) < len(kindNames) && k != 0 {
		return kindNames[k]
	}
	return "unknown"
}

// ParseKind reads the name of a kind.
func ParseKind(name string) (Kind, error) {
	if i := slices.Index(kindNames, name); i > 0 {
		return Kind(i), nil
	}
	return 0, fault.New(fault.Invalid, "%q is no kind of the ledger; there are deposit, request and payment", clip(name))
}

// Names of states, by the constants of the facts. The name of a deposit that credits
// nobody is what it is: not a peg-in.
var stateNames = map[Kind][]string{
	Deposits: {
		message.PegInSeen: "seen", message.PegInConfirmed: "confirmed", message.PegInQueued: "queued", message.PegInProposed: "proposed",
		message.PegInMinted: "minted", message.PegInFinalized: "finalised", message.PegInReorgedOut: "reorged-out",
		message.PegInNone: "not-a-peg-in", message.PegInDouble: "double", message.PegInBelow: "below-policy",
	},
	Requests: {
		message.PegOutRequested: "requested", message.PegOutIgnored: "ignored", message.PegOutCarried: "carried", message.PegOutProposed: "proposed",
		message.PegOutFinalized: "finalised", message.PegOutConfirmed: "confirmed", message.PegOutReverted: "reverted",
	},
	Payments: {
		message.PaymentProposed: "proposed", message.PaymentSigning: "signing", message.PaymentSigned: "signed", message.PaymentFinalized: "finalised",
		message.PaymentBroadcast: "broadcast", message.PaymentMined: "mined", message.PaymentConfirmed: "confirmed",
		message.PaymentAbandoned: "abandoned", message.PaymentReplaced: "replaced",
	},
}

// States returns the names of a kind's states, in the order of a life, dead ends last.
func States(k Kind) []string { return stateNames[k][1:] }

// stateName names a state. One that this version does not know has no name.
func stateName(k Kind, state uint8) string {
	if names := stateNames[k]; state != 0 && int(state) < len(names) {
		return names[state]
	}
	return "unknown"
}

// parseState reads the name of a kind's state.
func parseState(k Kind, name string) (uint8, error) {
	if i := slices.Index(stateNames[k], name); i > 0 {
		return uint8(i), nil
	}
	return 0, fault.New(fault.Invalid, "%q is no state of a %s; there are %v", clip(name), k, States(k))
}

// clip shortens text of a question that is repeated.
func clip(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
