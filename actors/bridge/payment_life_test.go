package bridge_test

import (
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// TestPaymentLife: a burn is paid, signed by two of three, finalised, broadcast and
// confirmed, and every satoshi is accounted for.
func TestPaymentLife(t *testing.T) {
	m := newMember(t, 3, 0, nil)
	d := m.deposit("d1", 10_000_000)
	if err := m.bitcoin.accept(d); err != nil {
		t.Fatal(err)
	}
	m.bitcoin.mine()
	m.bitcoin.mine()
	m.settle()
	m.next("b1", "g", func(b *message.PegBlock) {
		m.mint(b, d)
		b.Receipts = receipts(burn(1, 5_000_000), burn(2, 1_400_000))
	})
	m.follow("b1", "", "b1")
	plan := m.plan("b1", "", "")
	t.Log(m.take())
	if plan.Refused != "" || len(plan.Proposal) == 0 {
		t.Fatalf("plan %+v", plan)
	}
	m.next("b2", "b1", func(b *message.PegBlock) { b.Proposal = plan.Proposal })
	m.judge("b2")
	m.follow("b2", "", "b2")
	m.sendSign("b1", "b2")
	m.hear(1, readTx(t, plan.Proposal).TxHash())
	plan = m.plan("b2", "b1", "b2")
	m.next("b3", "b2", func(b *message.PegBlock) {
		b.Carrier, b.RangeStart, b.RangeEnd, b.Payouts = true, m.blocks["b1"].Root, m.blocks["b2"].Root, plan.Payouts
	})
	m.judge("b3")
	m.follow("b3", "b2", "b3")
	for range 4 {
		m.bitcoin.mine()
		m.settle()
	}
	t.Log(m.take())
	t.Logf("%+v", m.wallet("b3").Totals)
}
