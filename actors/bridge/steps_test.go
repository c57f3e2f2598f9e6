package bridge_test

import (
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestReorganisationInSteps: Bitcoin leaves the block of a minted deposit in two answers,
// neither of which leaves as many blocks as a deposit needs. The peg halts all the same,
// and says which deposit it is about.
func TestReorganisationInSteps(t *testing.T) {
	m := newMember(t, 1, 0, func(c *spec.Chain, _ *message.NodeConfigured) { c.Confirmations = 3 })
	deposit := m.deposit("coin", 60_000_000)
	if err := m.bitcoin.accept(deposit); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.bitcoin.mine()
	}
	m.settle()
	m.next("m", "g", func(b *message.PegBlock) { m.mint(b, deposit) })
	if v := m.judge("m"); v.Grade != 0 {
		t.Fatalf("judged %s: %s", v.Rule, v.Reason)
	}
	m.follow("m", "", "m")
	for step := range 2 {
		if halted := m.state.(*bridge.State).Halted; halted != "" {
			t.Fatalf("halted before step %d: %s", step, halted)
		}
		m.bitcoin.leave(2)
		m.bitcoin.mine()
		m.settle()
		m.wake()
	}
	if m.state.(*bridge.State).Halted == "" {
		t.Error("the block of a minted deposit with 3 confirmations was left, and the peg goes on")
	}
	if !strings.Contains(m.out.String(), "minted-left") {
		t.Errorf("no alarm tells of the deposit:\n%s", m.out.String())
	}
	// What an operator resumes does not halt again at the next small step.
	m.handle(core.Ref{}, &message.ResumePeg{Request: 1, Reason: "seen"})
	m.bitcoin.leave(1)
	m.bitcoin.mine()
	m.settle()
	if halted := m.state.(*bridge.State).Halted; halted != "" {
		t.Errorf("halted again: %s", halted)
	}
}
