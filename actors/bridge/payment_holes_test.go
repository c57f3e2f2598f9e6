package bridge_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// paymentHole is a proposal that legacy takes, or that none should make, and what becomes
// of it. (peg.md A7 to A9; consensus.md C17)
type paymentHole struct {
	rule  string
	grade fault.Grade
	// change spoils the honest proposal of block p2, whose parent p1 has two requests.
	change func(m *member, b *message.PegBlock, tx *wire.MsgTx)
	logs   func([]message.PegLog) []message.PegLog // of p1
}

// edit changes the transaction alone.
func edit(f func(tx *wire.MsgTx)) func(*member, *message.PegBlock, *wire.MsgTx) {
	return func(_ *member, _ *message.PegBlock, tx *wire.MsgTx) { f(tx) }
}

var paymentHoles = map[string]paymentHole{
	"nothing-proposed": {rule: "MissingPegoutProposal", change: func(_ *member, b *message.PegBlock, _ *wire.MsgTx) { b.Proposal = nil }},
	"not-a-transaction": {rule: "payment-raw", change: func(_ *member, b *message.PegBlock, tx *wire.MsgTx) {
		b.Proposal = append(b.Proposal, 0)
		tx.TxIn = nil // the bytes stay as they are
	}},
	"missing-output":     {rule: "InvalidPegoutOutputCount", change: edit(func(tx *wire.MsgTx) { tx.TxOut = tx.TxOut[2:] })},
	"foreign-change":     {rule: "InvalidChangeOutput", change: edit(func(tx *wire.MsgTx) { tx.TxOut[2].PkScript = tx.TxOut[0].PkScript })},
	"other-destination":  {rule: "InvalidPegoutOutput", change: edit(func(tx *wire.MsgTx) { tx.TxOut[0].PkScript = tx.TxOut[1].PkScript })},
	"overpaid":           {rule: "InvalidPegoutOutput", change: edit(func(tx *wire.MsgTx) { tx.TxOut[0].Value += 1_000_000 })},
	"lock-time":          {rule: "InvalidTransactionHeader", change: edit(func(tx *wire.MsgTx) { tx.LockTime = 1 })},
	"version":            {rule: "InvalidTransactionHeader", change: edit(func(tx *wire.MsgTx) { tx.Version = 1 })},
	"repeated-input":     {rule: "RepeatedInput", change: edit(func(tx *wire.MsgTx) { tx.AddTxIn(tx.TxIn[0]) })},
	"final-sequence":     {rule: "UnusualInput", change: edit(func(tx *wire.MsgTx) { tx.TxIn[0].Sequence = wire.MaxTxInSequenceNum })},
	"underpaid":          {rule: "UnequalDeductions", change: edit(func(tx *wire.MsgTx) { tx.TxOut[0].Value -= 100_000 })},
	"burned-as-fee":      {rule: "FeeRateTooHigh", change: edit(func(tx *wire.MsgTx) { tx.TxOut[0].Value -= 100_000; tx.TxOut[1].Value -= 100_000 })},
	"users-paid-nothing": {rule: "InvalidPegoutOutput", change: edit(func(tx *wire.MsgTx) { tx.TxOut[0].Value, tx.TxOut[1].Value = -1, -1 })},
	"change-kept-back":   {rule: "WrongChange", change: edit(func(tx *wire.MsgTx) { tx.TxOut[2].Value -= 100_000 })},
	"change-left-out":    {rule: "WrongChange", change: edit(func(tx *wire.MsgTx) { tx.TxOut = tx.TxOut[:2] })},
	"change-too-large":   {rule: "WrongChange", change: edit(func(tx *wire.MsgTx) { tx.TxOut[2].Value++ })},
	"more-than-inputs":   {rule: "ImpossibleAmount", change: edit(func(tx *wire.MsgTx) { tx.TxOut[2].Value += 5_000_000 })},
	"no-fee": {rule: "FeeRateTooLow", change: edit(func(tx *wire.MsgTx) {
		tx.TxOut[0].Value, tx.TxOut[1].Value = 5_000_000, 1_400_000
	})},
	"no-input": {rule: "UnspendableInput", change: edit(func(tx *wire.MsgTx) { tx.TxIn = nil })},
	"unspending": {rule: "SpentInput", change: func(m *member, _ *message.PegBlock, tx *wire.MsgTx) {
		// The payment of block p0 is not broadcast: Bitcoin shows its coin unspent.
		spent := readTx(m.tb, m.blocks["p0"].Proposal).TxIn[0].PreviousOutPoint
		tx.TxIn[0].PreviousOutPoint = spent
	}},
	"unknown-input": {rule: "UnspendableInput", grade: fault.CannotJudge, change: edit(func(tx *wire.MsgTx) {
		tx.TxIn[0].PreviousOutPoint = wire.OutPoint{Hash: [32]byte{7}}
	})},
	"foreign-input": {rule: "UnspendableInput", change: func(m *member, _ *message.PegBlock, tx *wire.MsgTx) {
		tx.TxIn[0].PreviousOutPoint.Index = 1 // the deposit's OP_RETURN
	}},
	"unconfirmed-input": {rule: "UnspendableInput", grade: fault.CannotJudge, change: func(m *member, _ *message.PegBlock, tx *wire.MsgTx) {
		d := m.deposit("late", 10_000_000)
		if err := m.bitcoin.accept(d); err != nil {
			m.tb.Fatal(err)
		}
		m.bitcoin.mine()
		m.settle()
		tx.TxIn[0].PreviousOutPoint = wire.OutPoint{Hash: d.TxHash()}
	}},
	"anyone-can-spend": {rule: "UnspendableInput", change: func(m *member, _ *message.PegBlock, tx *wire.MsgTx) {
		tx.TxIn[0].PreviousOutPoint = wire.OutPoint{Hash: m.hash("loose")}
	}},
	"spent-in-bitcoin": {rule: "spent-in-bitcoin", grade: fault.CannotJudge, change: func(m *member, _ *message.PegBlock, tx *wire.MsgTx) {
		m.steal(tx.TxIn[0].PreviousOutPoint)
	}},
	"nobody-burned": {rule: "request-emitter", change: edit(func(*wire.MsgTx) {}), logs: func(logs []message.PegLog) []message.PegLog {
		logs[1].HasTo, logs[1].To, logs[1].Emitter = false, common.Address{}, common.Address{0xbd}
		return logs
	}},
	"not-required": {rule: "UnrequiredProposal", change: edit(func(tx *wire.MsgTx) { tx.TxOut = tx.TxOut[2:] }), logs: func([]message.PegLog) []message.PegLog { return nil }},
}

func (m *member) hash(name string) (hash [32]byte) {
	for h, n := range m.names {
		if n == name {
			return h
		}
	}
	m.tb.Fatalf("no %s", name)
	return hash
}

// steal has dishonest members spend a coin in Bitcoin.
func (m *member) steal(out wire.OutPoint) {
	m.tb.Helper()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: out})
	coin := m.bitcoin.outputs()[out]
	tx.AddTxOut(wire.NewTxOut(coin.Value-1000, append([]byte{0, 20}, make([]byte, 20)...)))
	lists := make([][][64]byte, len(m.secrets))
	for by := range m.federation.Threshold {
		for _, s := range m.signatures(by, tx, []*wire.TxOut{coin}) {
			lists[by] = append(lists[by], s.Value)
		}
	}
	final, err := m.federation.Finalize(tx, lists)
	if err == nil {
		err = m.bitcoin.accept(final)
	}
	if err != nil {
		m.tb.Fatal(err)
	}
	m.bitcoin.mine()
	m.settle()
}

// fund mints three deposits, one of them in an output that anyone can spend, and has block
// p0 pay with one; block p1 asks for what p2 is to pay.
func (m *member) fund(logs []message.PegLog) {
	m.tb.Helper()
	loose := m.deposit("loose", 10_000_000)
	delete(m.names, loose.TxHash())
	loose.TxOut[0].PkScript = bytes.Clone(loose.TxOut[0].PkScript)
	loose.TxOut[0].PkScript[0] = txscript.OP_2
	m.names[loose.TxHash()] = "loose"
	txs := []*wire.MsgTx{m.deposit("one", 10_000_000), m.deposit("two", 10_000_000), loose}
	for _, tx := range txs {
		if err := m.bitcoin.accept(tx); err != nil {
			m.tb.Fatal(err)
		}
	}
	m.bitcoin.mine()
	m.bitcoin.mine()
	m.settle()
	m.next("m", "g", func(b *message.PegBlock) {
		m.mint(b, txs...)
		b.Receipts = receipts(burn(9, 9_000_000))
	})
	m.follow("m", "", "m")
	p := m.plan("m", "", "")
	m.next("p0", "m", func(b *message.PegBlock) { b.Proposal = p.Proposal })
	m.follow("p0", "", "p0")
	m.next("p1", "p0", func(b *message.PegBlock) { b.Receipts = receipts(logs...) })
	m.follow("p1", "", "p1")
	m.sendSign("g", "p1")
}

// honest is a payment of p1's requests as a legacy node or ours makes it.
func (m *member) honest() *wire.MsgTx {
	m.tb.Helper()
	var coins []peg.Coin
	m.wallet("p1").Coins(func(c bridge.Coin) bool {
		if c.Spendable() && c.Amount == 10_000_000 {
			coins = append(coins, peg.Coin{OutPoint: c.OutPoint, Amount: c.Amount, Confirmed: true})
		}
		return true
	})
	required := []peg.Output{{Amount: 5_000_000, Script: mustScript(1)}, {Amount: 1_400_000, Script: mustScript(2)}}
	tx, _, err := m.federation.Propose(coins, nil, required, 2000, false)
	if err != nil {
		m.tb.Fatal(err)
	}
	return tx
}

func mustScript(number uint32) []byte {
	script, ok := peg.ParseAddress(destination(number))
	if !ok {
		panic(number)
	}
	return script
}

// TestPaymentHoles: each proposal is refused or waits, by the name of its rule; and when it
// is imported with a quorum of others, this member does not sign it.
func TestPaymentHoles(t *testing.T) {
	for name, h := range paymentHoles {
		t.Run(name, func(t *testing.T) {
			m := newMember(t, 3, 0, nil)
			logs := []message.PegLog{burn(1, 5_000_000), burn(2, 1_400_000)}
			if h.logs != nil {
				logs = h.logs(logs)
			}
			m.fund(logs)
			tx := m.honest()
			m.next("p2", "p1", func(b *message.PegBlock) {
				b.Proposal = bare(t, tx)
				if h.change(m, b, tx); b.Proposal != nil && name != "not-a-transaction" {
					b.Proposal = bare(t, tx)
				}
			})
			grade := h.grade
			if grade == 0 {
				grade = fault.Invalid
			}
			m.take()
			if v := m.judge("p2"); v == nil || v.Rule != h.rule || fault.Grade(v.Grade) != grade {
				t.Fatalf("judged %+v, want %s by %s", v, grade, h.rule)
			}
			m.follow("p2", "", "p2")
			m.sendSign("p1", "p2")
			m.wake()
			for _, e := range m.sent {
				if r, ok := e.(*message.SignPayout); ok && r.Root == rootOf("p2") {
					t.Errorf("asked the signer for %s", r.Txid)
				}
			}
		})
	}
}

// TestHonestPayment is the other side of TestPaymentHoles: without a change it is approved
// and signed.
func TestHonestPayment(t *testing.T) {
	m := newMember(t, 3, 0, nil)
	m.fund([]message.PegLog{burn(1, 5_000_000), burn(2, 1_400_000)})
	tx := m.honest()
	m.next("p2", "p1", func(b *message.PegBlock) { b.Proposal = bare(t, tx) })
	if v := m.judge("p2"); v.Grade != 0 {
		t.Fatalf("%+v", v)
	}
	m.follow("p2", "", "p2")
	m.sendSign("p1", "p2")
	if p := m.payment(tx.TxHash()); len(p.Signatures) != 1 {
		t.Fatalf("%+v", p)
	}
}

// TestPaymentHolesPage: the page has each of them, and no others.
func TestPaymentHolesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/decisions/0053-payments-signed.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllSubmatch(page, -1) {
		rows = append(rows, string(row[1]))
	}
	var names []string
	for _, list := range [][]string{keys(paymentHoles), keys(carrierHoles), keys(signatureHoles), transcripts} {
		names = append(names, list...)
	}
	slices.Sort(rows)
	slices.Sort(names)
	if !slices.Equal(rows, names) {
		t.Errorf("the page has\n%v\nthe tests\n%v", rows, names)
	}
}

func keys[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	return list
}
