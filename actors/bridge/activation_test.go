package bridge_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// TestNobodyBurnedBeforeActivation: the last block under legacy's rule has a log of a
// contract's creation that spells a request. The first block under the strict rule neither
// pays it nor stands still, and no later one pays it as carried.
func TestNobodyBurnedBeforeActivation(t *testing.T) {
	m := newMember(t, 1, 0, func(c *spec.Chain, _ *message.NodeConfigured) { c.Activations.StrictPegouts = 2 })
	deposit := m.deposit("coin", 60_000_000)
	if err := m.bitcoin.accept(deposit); err != nil {
		t.Fatal(err)
	}
	m.bitcoin.mine()
	m.bitcoin.mine()
	m.settle()
	forged := burn(1, 9_000_000)
	forged.HasTo, forged.To, forged.Emitter = false, common.Address{}, common.Address{1}
	m.next("m", "g", func(b *message.PegBlock) {
		m.mint(b, deposit)
		b.Receipts = receipts(forged, burn(2, 3_000_000))
	})
	m.follow("m", "", "m")
	for _, step := range [][2]string{{"p", "m"}, {"q", "p"}} {
		name, on := step[0], step[1]
		p := m.plan(on, "", "")
		if p.Refused != "" {
			t.Fatalf("no block on %s: %s", on, p.Refused)
		}
		m.next(name, on, func(b *message.PegBlock) { b.Proposal = p.Proposal })
		if v := m.judge(name); v.Grade != 0 {
			t.Fatalf("block %s is judged %s: %s", name, v.Rule, v.Reason)
		}
		m.follow(name, "", name)
	}
	if w := m.wallet("q"); len(w.Pending) != 0 || w.Totals.Requested != 3_000_000 {
		t.Errorf("%d requests wait, %d satoshi were asked for; want the one that burned, paid", len(w.Pending), w.Totals.Requested)
	}
}
