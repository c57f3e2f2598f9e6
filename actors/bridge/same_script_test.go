package bridge_test

import (
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestRequestsOfOneScript: two requests name one address, and only the later, smaller one
// can be paid. The payment is for that one: the larger is carried, and not taken for paid
// with the other's amount.
func TestRequestsOfOneScript(t *testing.T) {
	m := newMember(t, 1, 0, func(c *spec.Chain, _ *message.NodeConfigured) { c.Activations.StrictPegouts = 1 })
	deposit := m.deposit("coin", 6_000_000)
	if err := m.bitcoin.accept(deposit); err != nil {
		t.Fatal(err)
	}
	m.bitcoin.mine()
	m.bitcoin.mine()
	m.settle()
	large, small := burn(1, 9_000_000), burn(2, 3_000_000)
	small.Data = burn(1, 3_000_000).Data // to the address of the first
	m.next("m", "g", func(b *message.PegBlock) {
		m.mint(b, deposit)
		b.Receipts = receipts(large, small)
	})
	m.follow("m", "", "m")
	p := m.plan("m", "", "")
	if p.Refused != "" || len(p.Proposal) == 0 {
		t.Fatalf("no payment of what can be paid: %q", p.Refused)
	}
	m.next("p", "m", func(b *message.PegBlock) { b.Proposal = p.Proposal })
	if v := m.judge("p"); v.Grade != 0 {
		t.Fatalf("judged %s: %s", v.Rule, v.Reason)
	}
	m.follow("p", "", "p")
	w := m.wallet("p")
	if len(w.Pending) != 1 || w.Pending[0].Transaction != large.Transaction || w.Totals.Pending != 9_000_000 {
		t.Errorf("pending are %d requests of %d satoshi, want the large one alone", len(w.Pending), w.Totals.Pending)
	}
	if w.Totals.PoolDrift != 0 || w.Totals.UserFees != w.Totals.BitcoinFees {
		t.Errorf("users bear %d satoshi of %d and the pool %d, want all and nothing", w.Totals.UserFees, w.Totals.BitcoinFees, w.Totals.PoolDrift)
	}
	paid := m.payment(readTx(t, p.Proposal).TxHash())
	if len(paid.Pays) != 1 || paid.Pays[0].Transaction != small.Transaction {
		t.Errorf("the payment is for %d requests, the first of %d satoshi; want the small one", len(paid.Pays), paid.Pays[0].Amount)
	}
}
