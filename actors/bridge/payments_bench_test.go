package bridge_test

import (
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// funded is a member of three with as many coins and one request for nearly all of them.
func funded(tb testing.TB, coins int) *member {
	m := newMember(tb, 3, 0, nil)
	m.single = true
	var txs []*wire.MsgTx
	for i := range coins {
		tx := m.deposit(fmt.Sprint("coin ", i), 1_000_000)
		m.bitcoin.mempool = append(m.bitcoin.mempool, tx)
		txs = append(txs, tx)
	}
	m.bitcoin.mine()
	m.bitcoin.mine()
	m.settle()
	m.next("b1", "g", func(b *message.PegBlock) {
		for _, tx := range txs {
			b.PegIns = append(b.PegIns, message.DepositID{Txid: tx.TxHash(), Block: m.bitcoin.chain[1].header.BlockHash()})
		}
		b.Receipts = receipts(burn(1, uint64(coins)*1_000_000-500_000))
	})
	m.follow("b1", "", "b1")
	return m
}

// BenchmarkJudgeProposal judges a payment of many inputs.
func BenchmarkJudgeProposal(b *testing.B) {
	m := funded(b, 500)
	plan := m.plan("b1", "", "")
	if len(plan.Proposal) == 0 {
		b.Fatalf("%+v", plan)
	}
	m.next("b2", "b1", func(p *message.PegBlock) { p.Proposal = plan.Proposal })
	request := &message.JudgePeg{Block: m.blocks["b2"]}
	b.ReportAllocs()
	for b.Loop() {
		var out core.Out
		m.core.Handle(m.state, request, core.Turn{Sequence: 1}, &out)
		if v := out.List()[0].Message.(*message.PegJudged); v.Grade != 0 {
			b.Fatalf("%+v", v)
		}
	}
}

// BenchmarkCollect verifies a member's signatures of a payment of many inputs.
func BenchmarkCollect(b *testing.B) {
	m := funded(b, 100)
	plan := m.plan("b1", "", "")
	m.next("b2", "b1", func(p *message.PegBlock) { p.Proposal = plan.Proposal })
	m.follow("b2", "", "b2")
	tx := readTx(b, plan.Proposal)
	p := m.payment(tx.TxHash())
	var spent []*wire.TxOut
	for _, o := range p.Prevouts {
		spent = append(spent, wire.NewTxOut(int64(o.Amount), o.Script))
	}
	heard := &message.SignaturesReceived{Payments: []message.PaymentSignatures{{Txid: p.Txid, Key: m.federation.Keys[1], Signatures: m.signatures(1, tx, spent)}}}
	b.ReportAllocs()
	for b.Loop() {
		var out core.Out
		m.core.Handle(m.state.Clone(), heard, core.Turn{Sequence: 1}, &out)
		if len(out.List()) != 1 {
			b.Fatal("not collected")
		}
	}
}

// BenchmarkPlanPayment proposes a payment from a large wallet.
func BenchmarkPlanPayment(b *testing.B) {
	m := funded(b, 2000)
	m.next("c0", "g", func(p *message.PegBlock) {
		*p = *m.blocks["b1"]
		p.Root = rootOf("c0")
		p.Receipts = receipts(burn(2, 50_000_000))
	})
	m.follow("", "", "c0")
	request := &message.PlanPeg{Slot: 1, Parent: rootOf("c0")}
	b.ReportAllocs()
	for b.Loop() {
		var out core.Out
		m.core.Handle(m.state, request, core.Turn{Sequence: 1}, &out)
		if p := out.List()[0].Message.(*message.PegPlanned); len(p.Proposal) == 0 {
			b.Fatalf("%+v", p)
		}
	}
}
