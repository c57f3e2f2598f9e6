package bridge_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// TestFalsePayoutOfQuorum: a carrier that others approved has a payment with a signature
// that does not hold. Bitcoin is not asked to take that, but what the true signatures make.
func TestFalsePayoutOfQuorum(t *testing.T) {
	m, tx := signedMember(t)
	plan := m.plan("p2", "p1", "p2")
	m.next("c", "p2", func(b *message.PegBlock) {
		b.Carrier, b.RangeStart, b.RangeEnd = true, rootOf("p1"), rootOf("p2")
		final := readTx(t, plan.Payouts[0].Raw)
		for i, item := range final.TxIn[0].Witness {
			if len(item) == 64 {
				final.TxIn[0].Witness[i] = bytes.Clone(item)
				final.TxIn[0].Witness[i][63] ^= 1
				break
			}
		}
		b.Payouts = []message.RawTransaction{{Raw: raw(final)}}
	})
	m.follow("c", "", "c")
	if !strings.Contains(m.out.String(), "payout-witness") {
		t.Errorf("no alarm:\n%s", m.out.String())
	}
	p := m.payment(tx.TxHash())
	var spent []*wire.TxOut
	for _, o := range p.Prevouts {
		spent = append(spent, wire.NewTxOut(int64(o.Amount), o.Script))
	}
	if err := m.federation.CheckWitnesses(readTx(t, p.Signed), spent); err != nil {
		t.Errorf("what is broadcast: %v", err)
	}
	for _, sent := range m.sent {
		if b, ok := sent.(*message.BroadcastTransaction); ok && !bytes.Equal(b.Raw.Data, p.Signed) {
			t.Error("the false payment was given to Bitcoin")
		}
	}
	if len(m.bitcoin.mempool) != 1 {
		t.Errorf("Bitcoin has %d transactions, want the payment", len(m.bitcoin.mempool))
	}
}

// TestCoinbaseDeposit: an output of a coinbase cannot be spent before it is mature, so it
// is neither minted nor approved earlier, however few confirmations a deposit needs.
func TestCoinbaseDeposit(t *testing.T) {
	m := newMember(t, 1, 0, nil)
	deposit := m.deposit("coinbase", 60_000_000)
	deposit.TxIn[0].PreviousOutPoint = wire.OutPoint{Index: wire.MaxPrevOutIndex}
	m.bitcoin.mempool = append(m.bitcoin.mempool, deposit)
	for depth := 1; depth <= 100; depth++ {
		m.bitcoin.mine()
		if depth < 98 && depth != 2 {
			continue
		}
		m.settle()
		want := 0
		if depth == 100 {
			want = 1
		}
		if plan := m.plan("g", "", ""); len(plan.PegIns) != want {
			t.Errorf("%d confirmations: %d deposits are planned, want %d", depth, len(plan.PegIns), want)
		}
		m.next("m", "g", func(b *message.PegBlock) { m.mint(b, deposit) })
		if v := m.judge("m"); fault.Grade(v.Grade) == fault.CannotJudge != (want == 0) {
			t.Errorf("%d confirmations: judged %d %s: %s", depth, v.Grade, v.Rule, v.Reason)
		}
	}
	if d := m.state.(*bridge.State).Deposit(deposit.TxHash()); d.State != message.PegInProposed {
		t.Errorf("the deposit ends in state %d, want proposed", d.State)
	}
}

// TestFalseSignaturesEndMessage: what follows a false signature is not verified.
func TestFalseSignaturesEndMessage(t *testing.T) {
	m := newMember(t, 3, 0, nil)
	m.fund([]message.PegLog{burn(1, 5_000_000)})
	tx := m.honest()
	m.next("p2", "p1", func(b *message.PegBlock) { b.Proposal = bare(t, tx) })
	m.follow("p2", "", "p2")
	p := m.payment(tx.TxHash())
	var spent []*wire.TxOut
	for _, o := range p.Prevouts {
		spent = append(spent, wire.NewTxOut(int64(o.Amount), o.Script))
	}
	signed := func(by, as int) message.PaymentSignatures {
		return message.PaymentSignatures{Txid: p.Txid, Key: m.federation.Keys[as], Signatures: m.signatures(by, tx, spent)}
	}
	m.handle(core.Ref{}, &message.SignaturesReceived{Payments: []message.PaymentSignatures{signed(1, 2), signed(1, 1)}})
	if n := len(m.payment(p.Txid).Signatures); n != 0 {
		t.Errorf("%d signatures of a message that begins with a false one", n)
	}
	m.handle(core.Ref{}, &message.SignaturesReceived{Payments: []message.PaymentSignatures{signed(1, 1), signed(1, 1), signed(2, 2)}})
	if n := len(m.payment(p.Txid).Signatures); n != 2 {
		t.Errorf("%d signatures of two members", n)
	}
}
