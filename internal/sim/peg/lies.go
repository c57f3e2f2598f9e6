package peg

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// lies turn an honest block into one that no honest member may approve, whatever it comes
// to know. They are false when the block gives no occasion.
var lies = []struct {
	name string
	tell func(*world, *block) bool
}{
	{"a credit has a gwei more", func(_ *world, b *block) bool {
		n := len(b.Withdrawals)
		if n > 0 {
			b.Withdrawals = slices.Clone(b.Withdrawals)
			b.Withdrawals[n-1].Amount++
		}
		return n > 0
	}},
	{"a withdrawal beside the credits", func(_ *world, b *block) bool {
		b.Withdrawals = append(slices.Clone(b.Withdrawals), message.Withdrawal{Address: common.Address{0xbd}, Amount: 1})
		return true
	}},
	{"a deposit is listed twice", func(_ *world, b *block) bool {
		if len(b.PegIns) == 0 {
			return false
		}
		b.PegIns = append(slices.Clone(b.PegIns), b.PegIns[0])
		return true
	}},
	{"a deposit is minted again", mintAgain},
	{"a deposit that nobody made", func(_ *world, b *block) bool {
		b.PegIns = append(slices.Clone(b.PegIns), message.DepositID{Txid: chainhash.Hash{7}, Block: chainhash.Hash{8}})
		b.Withdrawals = append(slices.Clone(b.Withdrawals), message.Withdrawal{Address: common.Address{0xbd}, Amount: 1e9})
		return true
	}},
	{"a deposit that credits nobody", mintNothing},
	{"a user bears more than another", changed(func(tx *wire.MsgTx, w *world) bool {
		tx.TxOut[0].Value -= 700
		return len(tx.TxOut) > 1 && !w.federation.Pays(tx.TxOut[1].PkScript)
	})},
	{"a user is overpaid", changed(func(tx *wire.MsgTx, w *world) bool {
		if burn := w.burnTo(tx.TxOut[0].PkScript); burn != nil {
			tx.TxOut[0].Value = int64(burn.amount) + 1
		}
		return true
	})},
	{"another is paid", changed(func(tx *wire.MsgTx, _ *world) bool {
		tx.TxOut[0].PkScript = append([]byte{0x51, 32}, bytes.Repeat([]byte{0xbd}, 32)...)
		return true
	})},
	{"the change goes elsewhere", changed(func(tx *wire.MsgTx, w *world) bool {
		last := tx.TxOut[len(tx.TxOut)-1]
		if !w.federation.Pays(last.PkScript) {
			return false
		}
		last.PkScript = append([]byte{0x51, 32}, bytes.Repeat([]byte{0xbd}, 32)...)
		return true
	})},
	{"the change is burned", changed(func(tx *wire.MsgTx, w *world) bool {
		last := tx.TxOut[len(tx.TxOut)-1]
		last.Value -= 5000
		return w.federation.Pays(last.PkScript) && last.Value > 330
	})},
	{"an input twice", changed(func(tx *wire.MsgTx, _ *world) bool { tx.AddTxIn(tx.TxIn[0]); return true })},
	{"an input that is spent", spendAgain},
	{"an input with a script", changed(func(tx *wire.MsgTx, _ *world) bool { tx.TxIn[0].SignatureScript = []byte{0x51}; return true })},
	{"locked", changed(func(tx *wire.MsgTx, _ *world) bool { tx.LockTime = 9; return true })},
	{"a payment is proposed again", func(_ *world, b *block) bool {
		for a := b.parent; a != nil; a = a.parent {
			if len(a.Proposal) > 0 {
				b.Proposal = a.Proposal
				return true
			}
		}
		return false
	}},
	{"no payment for what is asked", func(w *world, b *block) bool {
		had := len(b.Proposal) > 0
		b.Proposal = nil
		return had && !w.strict(b.Number)
	}},
	{"a payment without its signatures", payouts(func(list []message.RawTransaction) []message.RawTransaction {
		tx := readTx(list[0].Raw)
		for _, in := range tx.TxIn {
			in.Witness = nil
		}
		list[0].Raw = rawTx(tx)
		return list
	})},
	{"a payment with a false signature", payouts(func(list []message.RawTransaction) []message.RawTransaction {
		tx := readTx(list[0].Raw)
		for i, item := range tx.TxIn[0].Witness {
			if len(item) == 64 {
				tx.TxIn[0].Witness[i] = bytes.Repeat([]byte{1}, 64)
			}
		}
		list[0].Raw = rawTx(tx)
		return list
	})},
	{"a payment is not finalised", payouts(func(list []message.RawTransaction) []message.RawTransaction { return list[1:] })},
	{"a payment is finalised twice", payouts(func(list []message.RawTransaction) []message.RawTransaction { return append(list, list[0]) })},
}

// changed changes a block's proposal.
func changed(change func(*wire.MsgTx, *world) bool) func(*world, *block) bool {
	return func(w *world, b *block) bool {
		if len(b.Proposal) == 0 {
			return false
		}
		tx := readTx(b.Proposal)
		if !change(tx, w) {
			return false
		}
		b.Proposal = bareTx(tx)
		return true
	}
}

func bareTx(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.SerializeNoWitness(&b) // a bytes.Buffer takes everything
	return b.Bytes()
}

// payouts changes a carrier's.
func payouts(change func([]message.RawTransaction) []message.RawTransaction) func(*world, *block) bool {
	return func(_ *world, b *block) bool {
		if len(b.Payouts) == 0 {
			return false
		}
		b.Payouts = change(slices.Clone(b.Payouts))
		return true
	}
}

// mintAgain credits a deposit that the branch has minted.
func mintAgain(w *world, b *block) bool {
	for a := b.parent; a != nil; a = a.parent {
		if len(a.PegIns) > 0 {
			w.credit(b, a.PegIns[0])
			return true
		}
	}
	return false
}

// mintNothing lists a deposit that neither rule credits.
func mintNothing(w *world, b *block) bool {
	for _, bb := range w.bitcoin.chain {
		for _, tx := range bb.txs {
			if d := w.deposits[tx.TxHash()]; d != nil && d.strict+d.loose == 0 && d.kind != "elsewhere" {
				b.PegIns = append(slices.Clone(b.PegIns), message.DepositID{Txid: tx.TxHash(), Block: bb.id.Hash})
				return true
			}
		}
	}
	return false
}

// credit adds a deposit and its credit to a block.
func (w *world) credit(b *block, id message.DepositID) {
	b.PegIns = append(slices.Clone(b.PegIns), id)
	d := w.deposits[id.Txid]
	b.Withdrawals = append(slices.Clone(b.Withdrawals), message.Withdrawal{Address: d.to, Amount: 10 * max(d.strict, d.loose)})
}

// spendAgain has the proposal spend what one of its branch spends.
func spendAgain(_ *world, b *block) bool {
	if len(b.Proposal) == 0 {
		return false
	}
	for a := b.parent; a != nil; a = a.parent {
		if len(a.Proposal) > 0 {
			tx := readTx(b.Proposal)
			tx.TxIn[0].PreviousOutPoint = readTx(a.Proposal).TxIn[0].PreviousOutPoint
			b.Proposal = bareTx(tx)
			return true
		}
	}
	return false
}

// lie tells one of the lies about a block that a member has built, under another name.
func (w *world) lie(b *block, which int) bool {
	l := lies[which]
	if !l.tell(w, b) {
		return false
	}
	b.lie = l.name
	b.name = fmt.Sprint(b.name, "!")
	b.Root = sha256.Sum256([]byte(b.name))
	w.stats.Lies++
	return true
}

func (w *world) burnTo(script []byte) *burn {
	i := slices.IndexFunc(w.burns, func(b *burn) bool { return bytes.Equal(b.script, script) })
	if i < 0 {
		return nil
	}
	return w.burns[i]
}
