package bridge_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// transcripts are the rules that testdata/payments shows.
var transcripts = []string{"paid-off-branch", "request-passed-over", "signed-off-branch"}

// carrierHole is a carrier whose finalised payments are not what its range proposes.
// (peg.md A13)
type carrierHole struct {
	rule   string
	change func(m *member, b *message.PegBlock, tx *wire.MsgTx)
}

// witness changes the finalised payment alone.
func witness(f func(w wire.TxWitness) wire.TxWitness) func(*member, *message.PegBlock, *wire.MsgTx) {
	return func(_ *member, _ *message.PegBlock, tx *wire.MsgTx) { tx.TxIn[0].Witness = f(tx.TxIn[0].Witness) }
}

var carrierHoles = map[string]carrierHole{
	"payout-left-out": {"IllegalFinalization", func(_ *member, b *message.PegBlock, _ *wire.MsgTx) { b.Payouts = nil }},
	"payout-twice": {"IllegalFinalization", func(_ *member, b *message.PegBlock, _ *wire.MsgTx) {
		b.Payouts = append(b.Payouts, b.Payouts[0])
	}},
	"payout-without-proof": {"IllegalFinalization", func(_ *member, b *message.PegBlock, _ *wire.MsgTx) { b.Carrier = false }},
	"payout-changed":       {"IllegalFinalization", func(_ *member, _ *message.PegBlock, tx *wire.MsgTx) { tx.TxOut[0].Value-- }},
	"payout-unreadable": {"payout-raw", func(_ *member, b *message.PegBlock, _ *wire.MsgTx) {
		b.Payouts[0].Raw = append(bytes.Clone(b.Payouts[0].Raw), 0)
	}},
	"range-beside": {"range-on-branch", func(m *member, b *message.PegBlock, _ *wire.MsgTx) {
		m.next("beside", "p1", func(s *message.PegBlock) { s.Proposal = m.blocks["p2"].Proposal })
		m.follow("", "", "beside")
		b.RangeEnd = rootOf("beside")
	}},
	"too-few-signatures": {"InvalidWitnessLength", witness(func(w wire.TxWitness) wire.TxWitness {
		w[len(w)-3] = nil
		return w
	})},
	"too-many-signatures": {"InvalidWitnessLength", witness(func(w wire.TxWitness) wire.TxWitness {
		w[0] = w[1]
		return w
	})},
	"stack-item-more": {"InvalidWitnessLength", witness(func(w wire.TxWitness) wire.TxWitness { return append(wire.TxWitness{nil}, w...) })},
	"forged-signature": {"IncorrectSignature", witness(func(w wire.TxWitness) wire.TxWitness {
		w[1] = bytes.Clone(w[1])
		w[1][63] ^= 1
		return w
	})},
	"signature-in-other-place": {"IncorrectSignature", witness(func(w wire.TxWitness) wire.TxWitness {
		w[1], w[2] = w[2], w[1]
		return w
	})},
	"other-script": {"InvalidWitnessScript", witness(func(w wire.TxWitness) wire.TxWitness {
		w[3] = append([]byte{}, w[3]...)
		w[3][1] ^= 1
		return w
	})},
}

// TestCarrierHoles: none is approved, at any height.
func TestCarrierHoles(t *testing.T) {
	for name, h := range carrierHoles {
		t.Run(name, func(t *testing.T) {
			m, tx := signedMember(t)
			m.next("c", "p2", func(b *message.PegBlock) {
				b.Carrier, b.RangeStart, b.RangeEnd = true, rootOf("p1"), rootOf("p2")
				plan := m.plan("p2", "p1", "p2")
				if len(plan.Payouts) != 1 {
					t.Fatalf("%+v", plan)
				}
				b.Payouts = plan.Payouts
			})
			if v := m.judge("c"); v.Grade != 0 {
				t.Fatalf("honest: %+v", v)
			}
			b := *m.blocks["c"]
			final := readTx(t, b.Payouts[0].Raw)
			before := raw(final)
			h.change(m, &b, final)
			if !bytes.Equal(raw(final), before) {
				b.Payouts = []message.RawTransaction{{Raw: raw(final)}}
			}
			m.blocks["c"] = &b
			if v := m.judge("c"); fault.Grade(v.Grade) != fault.Invalid || v.Rule != h.rule {
				t.Errorf("%s: judged %+v, want %s", tx.TxHash(), v, h.rule)
			}
		})
	}
}

// signedMember has a payment with the signatures of members 0 and 1.
func signedMember(t *testing.T) (*member, *wire.MsgTx) {
	m := newMember(t, 3, 0, nil)
	m.fund([]message.PegLog{burn(1, 5_000_000), burn(2, 1_400_000)})
	tx := m.honest()
	m.next("p2", "p1", func(b *message.PegBlock) { b.Proposal = bare(t, tx) })
	m.follow("p2", "", "p2")
	m.sendSign("p1", "p2")
	m.hear(1, tx.TxHash())
	return m, tx
}

// signatureHole is a message of signatures that must count for nothing. (peg.md A12)
type signatureHole func(m *member, s *message.PaymentSignatures)

var signatureHoles = map[string]signatureHole{
	"stranger": func(m *member, s *message.PaymentSignatures) {
		secret, public := btcec.PrivKeyFromBytes([]byte{99})
		s.Key = [33]byte(public.SerializeCompressed())
		m.resign(s, secret)
	},
	"borrowed-key":       func(m *member, s *message.PaymentSignatures) { s.Key = m.federation.Keys[2] },
	"signature-short":    func(_ *member, s *message.PaymentSignatures) { s.Signatures = s.Signatures[:0] },
	"signature-more":     func(_ *member, s *message.PaymentSignatures) { s.Signatures = append(s.Signatures, s.Signatures[0]) },
	"signature-of-other": func(_ *member, s *message.PaymentSignatures) { s.Signatures[0].Value[5] ^= 1 },
}

// resign signs with another key what s signs.
func (m *member) resign(s *message.PaymentSignatures, secret *btcec.PrivateKey) {
	p := m.payment(s.Txid)
	var spent []*wire.TxOut
	for _, o := range p.Prevouts {
		spent = append(spent, wire.NewTxOut(int64(o.Amount), o.Script))
	}
	hashes, err := m.federation.SigHashes(readTx(m.tb, p.Raw), spent)
	if err != nil {
		m.tb.Fatal(err)
	}
	for i, h := range hashes {
		sig, err := schnorr.Sign(secret, h[:])
		if err != nil {
			m.tb.Fatal(err)
		}
		s.Signatures[i].Value = [64]byte(sig.Serialize())
	}
}

// TestSignatureHoles: what strangers and liars send takes no place from what members
// signed, before and after the payment is known.
func TestSignatureHoles(t *testing.T) {
	for name, change := range signatureHoles {
		for _, early := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " early"}[early], func(t *testing.T) {
				m := newMember(t, 3, 0, nil)
				m.fund([]message.PegLog{burn(1, 5_000_000), burn(2, 1_400_000)})
				tx := m.honest()
				m.next("p2", "p1", func(b *message.PegBlock) { b.Proposal = bare(t, tx) })
				tell := func() { m.follow("p2", "", "p2") }
				honest := m.signedBy(1, tx)
				bad := m.signedBy(1, tx)
				if !early {
					tell()
				}
				if name == "stranger" && early {
					t.Skip("what a stranger signs is never kept: see the other case")
				}
				change(m, &bad)
				m.handle(core.Ref{}, &message.SignaturesReceived{Payments: []message.PaymentSignatures{bad}})
				if early {
					tell()
				}
				if p := m.payment(tx.TxHash()); len(p.Signatures) != 0 {
					t.Fatalf("kept %+v", p.Signatures)
				}
				m.handle(core.Ref{}, &message.SignaturesReceived{Payments: []message.PaymentSignatures{honest}})
				if p := m.payment(tx.TxHash()); len(p.Signatures) != 1 || p.Signatures[0].Member != 1 {
					t.Fatalf("kept %+v", p.Signatures)
				}
			})
		}
	}
}

// signedBy is a member's message of signatures of a payment of coins of 10,000,000 satoshi.
func (m *member) signedBy(by int, tx *wire.MsgTx) message.PaymentSignatures {
	spent := slices.Repeat([]*wire.TxOut{wire.NewTxOut(10_000_000, m.federation.ScriptPubKey)}, len(tx.TxIn))
	return message.PaymentSignatures{Txid: tx.TxHash(), Key: m.federation.Keys[by], Signatures: m.signatures(by, tx, spent)}
}
