package bridge_test

import (
	"testing"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// FuzzPayments gives the core hostile blocks and signatures: a proposal, a finalised payment
// and gossip, each of any bytes. Nothing panics, and nothing but the honest payment is
// approved.
func FuzzPayments(f *testing.F) {
	m := newMember(f, 3, 0, nil)
	m.fund([]message.PegLog{burn(1, 5_000_000), burn(2, 1_400_000)})
	honest := m.honest()
	m.next("p2", "p1", func(b *message.PegBlock) { b.Proposal = bare(f, honest) })
	m.follow("p2", "", "p2")
	m.sendSign("p1", "p2")
	m.hear(1, honest.TxHash())
	payout := m.plan("p2", "p1", "p2").Payouts[0].Raw
	gossip, _ := record.Encode(&message.SignaturesReceived{Payments: []message.PaymentSignatures{m.signedBy(2, honest)}})
	f.Add(bare(f, honest), payout, gossip)
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add([]byte{2, 0, 0, 0, 0, 1, 0}, payout[:100], gossip[:50])
	m.next("f2", "p1", nil)
	m.next("f3", "p2", func(b *message.PegBlock) { b.Carrier, b.RangeStart, b.RangeEnd = true, rootOf("p1"), rootOf("p2") })
	start := m.state
	f.Fuzz(func(t *testing.T, proposal, final, signatures []byte) {
		m.tb, m.single, m.state = t, true, start
		m.waiting, m.sent = nil, nil
		m.blocks["f2"].Proposal = proposal
		if v := m.judge("f2"); v.Grade == 0 {
			if tx := readTx(t, proposal); tx.TxHash() != honest.TxHash() && len(tx.TxIn) != len(honest.TxIn) {
				t.Fatalf("approved %x", proposal)
			}
		}
		m.blocks["f3"].Payouts = []message.RawTransaction{{Raw: final}}
		if v := m.judge("f3"); v.Grade == 0 && readTx(t, final).TxHash() != honest.TxHash() {
			t.Fatalf("approved %x", final)
		} else if v.Grade != 0 && fault.Grade(v.Grade) != fault.Invalid && fault.Grade(v.Grade) != fault.CannotJudge {
			t.Fatalf("%+v", v)
		}
		var heard message.SignaturesReceived
		if err := record.Decode(signatures, &heard, nil); err == nil {
			m.handle(core.Ref{}, &heard)
		}
		m.follow("f3", "", "f2", "f3")
		if p := m.payment(honest.TxHash()); len(p.Signatures) > 3 {
			t.Fatalf("%+v", p.Signatures)
		}
		m.follow("p2", "")
		m.restarted(m.state, &message.SignaturesReceived{}, core.Turn{Sequence: 1 << 30}, nil)
	})
}
