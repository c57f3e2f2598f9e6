package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// What becomes of bitcoins is told in one line each; text of strangers stays text.
func TestConsolePegLines(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(&out)
	for _, m := range []core.Message{
		&message.PegInChanged{Txid: chainhash.Hash{31: 0xab}, State: message.PegInMinted, Amount: 150_000_000, Account: common.HexToAddress("0xa11ce")},
		&message.PegInChanged{State: message.PegInNone, Reason: "names no account"},
		&message.PegOutChanged{Log: 3, State: message.PegOutIgnored, Amount: 5, Destination: "evil\n\x1b[2J", Reason: "the destination is no Bitcoin address"},
		&message.PaymentChanged{State: message.PaymentBroadcast, Signers: 2, Fee: 321},
		&message.PaymentChanged{State: 200},
		&message.PegHalted{Reason: "a reorganisation of 6 blocks"},
		&message.PegResumed{Reason: "looked at"},
		&message.PegAlarm{Rule: "un-spending", Reason: "no"},
		&message.WalletChanged{},
	} {
		c.fact(node.Fact{Message: m})
	}
	c.close()
	want := []string{
		"peg-in ab00000000000000000000000000000000000000000000000000000000000000 minted, 1.50000000 BTC for 0x00000000000000000000000000000000000A11cE",
		"not a peg-in, 0.00000000 BTC for 0x0000000000000000000000000000000000000000: names no account",
		`/3 ignored, 0.00000005 BTC to "evil\n\x1b[2J": the destination is no Bitcoin address`,
		"broadcast, signers 2, fee 0.00000321 BTC",
		"state 200",
		"peg halted: a reorganisation of 6 blocks",
		"peg resumed: looked at",
		"peg alarm un-spending: no",
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), out.String())
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %d: %s\nwants %s", i, lines[i], want[i])
		}
	}
}
