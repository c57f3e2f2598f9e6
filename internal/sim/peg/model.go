package peg

import (
	"bytes"
	"maps"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// model is a wallet after a block, from what the world knows of deposits and burns: it
// reads no OP_RETURN, no receipt and no address.
type model struct {
	coins    map[wire.OutPoint]uint64
	minted   map[chainhash.Hash]bool
	pending  []*burn
	credited uint64
	paid     uint64
	fees     uint64
	problem  string // what the branch must not have
}

// owns reports whether a script is the federation's by the rule at a height.
func (w *world) owns(script []byte, number uint64) bool {
	own := w.federation.ScriptPubKey
	if spec.Active(w.spec.Activations.StrictPegins, number) {
		return bytes.Equal(script, own)
	}
	return len(script) == len(own) && bytes.Equal(script[1:], own[1:]) && (script[0] == 0 || script[0] >= 0x51 && script[0] <= 0x60)
}

// model returns the wallet after a block.
func (w *world) model(b *block) *model {
	if b.parent == nil {
		return &model{coins: map[wire.OutPoint]uint64{}, minted: map[chainhash.Hash]bool{}}
	}
	p := w.model(b.parent)
	m := &model{coins: maps.Clone(p.coins), minted: maps.Clone(p.minted), pending: slices.Clone(p.pending), credited: p.credited, paid: p.paid, fees: p.fees, problem: p.problem}
	for _, id := range b.PegIns {
		d := w.deposits[id.Txid]
		if d == nil || m.minted[id.Txid] {
			m.problem = "a deposit is minted that is none, or twice"
			continue
		}
		m.minted[id.Txid] = true
		for i, out := range d.tx.TxOut {
			if w.owns(out.PkScript, b.Number) {
				m.coins[wire.OutPoint{Hash: id.Txid, Index: uint32(i)}] = uint64(out.Value)
			}
		}
		if spec.Active(w.spec.Activations.StrictPegins, b.Number) {
			m.credited += d.strict
		} else {
			m.credited += d.loose
		}
	}
	if len(b.Proposal) > 0 {
		m.spend(w, b)
	}
	if !w.strict(b.Number) && len(m.pending) > 0 {
		m.problem = "a request is passed over"
	}
	pays := w.strict(b.Number + 1) // the rule is that of the block that pays
	for _, x := range b.burns {
		if pays && x.strict || !pays && x.paid {
			m.pending = append(m.pending, x)
		}
	}
	return m
}

// spend takes a block's payment.
func (m *model) spend(w *world, b *block) {
	tx := readTx(b.Proposal)
	in, out := uint64(0), uint64(0)
	for _, input := range tx.TxIn {
		amount, held := m.coins[input.PreviousOutPoint]
		if !held {
			m.problem = "a payment spends what the wallet does not hold"
		}
		in += amount
		delete(m.coins, input.PreviousOutPoint)
	}
	for i, o := range tx.TxOut {
		out += uint64(o.Value)
		if k := slices.IndexFunc(m.pending, func(x *burn) bool { return bytes.Equal(x.script, o.PkScript) }); k >= 0 {
			if uint64(o.Value) > m.pending[k].amount {
				m.problem = "a user is overpaid"
			}
			m.pending = slices.Delete(m.pending, k, k+1)
			m.paid += uint64(o.Value)
			continue
		}
		if !w.owns(o.PkScript, b.Number) {
			m.problem = "a payment pays what nobody asks for"
			continue
		}
		m.coins[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}] = uint64(o.Value)
	}
	if out > in {
		m.problem = "a payment pays more than it spends"
	}
	m.fees += in - min(in, out)
}
