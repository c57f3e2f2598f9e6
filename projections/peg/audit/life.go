package audit

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// deposit checks one that is minted, and that it was not before on this branch.
func (a *audit) deposit(m *message.PegInChanged) error {
	before, was := a.minted[m.Txid]
	switch m.State {
	case message.PegInMinted:
	case message.PegInFinalized:
		if was && before == m.Root {
			return nil // it was checked when it was minted
		}
	case message.PegInDouble:
		return nil // the first one stands
	default:
		delete(a.minted, m.Txid) // its block left the branch
		return nil
	}
	if was && before != m.Root {
		a.differs("deposit %s is minted by block %s, and by block %s before", m.Txid, m.Root, before)
	}
	a.minted[m.Txid] = m.Root
	if !was {
		a.report.Minted++
	}
	raw, ok := a.known[m.Txid]
	if !ok || !a.proven[place{m.Txid, m.BitcoinBlock}] {
		if !was {
			a.report.Unproven++
		}
		if !ok {
			return nil
		}
	}
	tx, err := a.transaction(raw)
	if err != nil || tx == nil || a.federation == nil {
		return err
	}
	a.credit(m, tx)
	return nil
}

// credit compares what a deposit credits by the rule in force with what is told.
func (a *audit) credit(m *message.PegInChanged, tx *wire.MsgTx) {
	read := a.federation.PegIn
	if spec.Active(a.spec.Activations.StrictPegins, m.Number) {
		read = a.federation.StrictPegIn
	}
	if m.Amount == 0 && m.Account == (common.Address{}) {
		return // the transaction was not here when that was told
	}
	in, ok := read(tx)
	if !ok {
		if m.Account != (common.Address{}) {
			a.differs("deposit %s credits %d satoshi to %s, and by the rules it credits nobody", m.Txid, m.Amount, m.Account)
		}
		return
	}
	if in.Amount != m.Amount || in.Account != m.Account {
		a.differs("deposit %s credits %d satoshi to %s, by the rules %d to %s", m.Txid, m.Amount, m.Account, in.Amount, in.Account)
	}
}

// payment checks the witnesses of one that is finalised. Its change may be spent by
// others before that.
func (a *audit) payment(m *message.PaymentChanged) error {
	tx, err := a.transaction(m.Raw)
	if err != nil {
		return err
	}
	if tx == nil || tx.TxHash() != m.Txid {
		a.differs("payment %s has the bytes of another transaction, or of none", m.Txid)
		return nil
	}
	if _, ok := a.known[m.Txid]; !ok {
		a.known[m.Txid] = m.Raw
	}
	final := m.State >= message.PaymentFinalized && m.State <= message.PaymentConfirmed && tx.HasWitness()
	if !final || a.paid[m.Txid] || a.federation == nil {
		return nil
	}
	spent, ok, err := a.spent(tx)
	if err != nil {
		return err
	}
	if !ok {
		a.report.Unchecked++
		a.paid[m.Txid] = true
		return nil
	}
	a.paid[m.Txid] = true
	a.report.Payments++
	if err := a.federation.CheckWitnesses(tx, spent); err != nil {
		a.differs("payment %s is finalised with witnesses that do not hold: %v", m.Txid, err)
	}
	return nil
}

// spent finds the outputs that a payment spends; ok is false when one is not here.
func (a *audit) spent(tx *wire.MsgTx) (outs []*wire.TxOut, ok bool, err error) {
	read := map[chainhash.Hash]*wire.MsgTx{}
	for _, in := range tx.TxIn {
		out := in.PreviousOutPoint
		from := read[out.Hash]
		if from == nil {
			raw, known := a.known[out.Hash]
			if !known {
				return nil, false, nil
			}
			if from, err = a.transaction(raw); err != nil || from == nil {
				return nil, false, err
			}
			read[out.Hash] = from
		}
		if uint64(out.Index) >= uint64(len(from.TxOut)) {
			return nil, false, nil
		}
		outs = append(outs, from.TxOut[out.Index])
	}
	return outs, true, nil
}
