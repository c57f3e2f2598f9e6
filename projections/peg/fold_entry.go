package peg

import (
	"errors"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// entry reads an entry, nil when there is none.
func (f *folder) entry(k Kind, id []byte) (*entry, error) { return readEntry(f.w, k, id) }

// enter takes the newest fact of an entry into every list that has it.
func (f *folder) enter(at moment, k Kind, id []byte, now *entry) error {
	before, err := f.entry(k, id)
	if err != nil {
		return err
	}
	now.First, now.Last, now.Changes = at, at, 1
	if before != nil {
		now.First, now.Changes = before.First, before.Changes+1
	}
	if listedAgain(before, now) {
		return nil
	}
	c := now.change()
	errs := []error{
		f.count(k, before, now), f.set(keyEntry(k, now.First), now), f.set(keyHistory(k, now.First, at), &c), f.list(k, before, now),
	}
	if before == nil {
		errs = append(errs, f.w.Set(keyID(k, id), at.append(nil)))
	}
	return errors.Join(errs...)
}

// list has an entry stand in the lists of its state and account, and in no others.
func (f *folder) list(k Kind, before, now *entry) error {
	var errs []error
	var was uint8
	var old common.Address
	var listed bool
	if before != nil {
		was, _ = before.state()
		old, listed = before.account()
	}
	if state, _ := now.state(); before == nil || state != was {
		errs = append(errs, f.w.Set(keyState(k, state, now.First), nil))
		if before != nil {
			errs = append(errs, f.w.Delete(keyState(k, was, now.First)))
		}
	}
	if account, ok := now.account(); ok && (!listed || account != old) {
		errs = append(errs, f.w.Set(keyAccount(account, k, now.First), nil))
		if listed {
			errs = append(errs, f.w.Delete(keyAccount(old, k, now.First)))
		}
	}
	return errors.Join(errs...)
}

// listedAgain reports whether a deposit that stands minted is listed once more: the
// first time counts on.
func listedAgain(before, now *entry) bool {
	if before == nil || now.PegIn == nil || now.PegIn.State != message.PegInDouble {
		return false
	}
	return before.PegIn.State == message.PegInMinted || before.PegIn.State == message.PegInFinalized
}

func (f *folder) pegOut(at moment, m *message.PegOutChanged) error {
	id := requestID(m.Transaction, m.Log)
	before, err := f.entry(Requests, id)
	if err != nil {
		return err
	}
	if before != nil && before.PegOut.Payment != (chainhash.Hash{}) {
		if err := f.w.Delete(keyPays(before.PegOut.Payment, before.PegOut.Output, id)); err != nil {
			return err
		}
	}
	if m.Payment != (chainhash.Hash{}) {
		if err := f.w.Set(keyPays(m.Payment, m.Output, id), nil); err != nil {
			return err
		}
	}
	return f.enter(at, Requests, id, &entry{PegOut: m})
}

// count moves an entry from one state to another.
func (f *folder) count(k Kind, before, now *entry) (err error) {
	if f.counts == nil {
		if f.counts, err = readCounts(f.w); err != nil {
			return err
		}
	}
	f.counts.move(k, before, now)
	return nil
}

func (f *folder) wallet(at moment, m *message.WalletChanged) error {
	w := &wallet{Time: at.Time, Root: m.Root, Number: m.Number, Totals: m.Totals}
	return errors.Join(f.set(keyPlace(prefixWallet, at), w), f.w.Set(keyNumber(prefixHeight, m.Number), at.appendPlace(nil)))
}
