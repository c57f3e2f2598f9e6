package main

import (
	"strconv"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// The words for states on the console, by the constants of the facts.
var (
	pegInWords = []string{
		message.PegInSeen: "seen", message.PegInConfirmed: "confirmed", message.PegInQueued: "queued", message.PegInProposed: "proposed",
		message.PegInMinted: "minted", message.PegInFinalized: "finalised", message.PegInReorgedOut: "reorged out",
		message.PegInNone: "not a peg-in", message.PegInDouble: "double", message.PegInBelow: "below policy",
	}
	pegOutWords = []string{
		message.PegOutRequested: "requested", message.PegOutIgnored: "ignored", message.PegOutCarried: "carried", message.PegOutProposed: "proposed",
		message.PegOutFinalized: "finalised", message.PegOutConfirmed: "confirmed", message.PegOutReverted: "reverted",
	}
	paymentWords = []string{
		message.PaymentProposed: "proposed", message.PaymentSigning: "signing", message.PaymentSigned: "signed", message.PaymentFinalized: "finalised",
		message.PaymentBroadcast: "broadcast", message.PaymentMined: "mined", message.PaymentConfirmed: "confirmed",
		message.PaymentAbandoned: "abandoned", message.PaymentReplaced: "replaced",
	}
)

func word(words []string, state uint8) string {
	if int(state) < len(words) && words[state] != "" {
		return words[state]
	}
	return "state " + strconv.Itoa(int(state))
}

// because is the end of a line that has a reason.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// peg prints what becomes of bitcoins on their way in and out.
func (c *console) peg(m core.Message) {
	switch m := m.(type) {
	case *message.PegInChanged:
		c.line("peg-in %s %s, %s BTC for %s%s", m.Txid, word(pegInWords, m.State), peg.FormatAmount(m.Amount), m.Account.Hex(), because(m.Reason))
	case *message.PegOutChanged:
		c.line("peg-out %s/%d %s, %s BTC to %q%s", m.Transaction.Hex(), m.Log, word(pegOutWords, m.State), peg.FormatAmount(m.Amount), m.Destination, because(m.Reason))
	case *message.PaymentChanged:
		c.line("payment %s %s, signers %d, fee %s BTC%s", m.Txid, word(paymentWords, m.State), m.Signers, peg.FormatAmount(m.Fee), because(m.Reason))
	case *message.PegHalted:
		c.line("peg halted: %s", m.Reason)
	case *message.PegResumed:
		c.line("peg resumed: %s", m.Reason)
	case *message.PegAlarm:
		c.line("peg alarm %s: %s", m.Rule, m.Reason)
	}
}
