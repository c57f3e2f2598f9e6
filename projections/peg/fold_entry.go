package peg

import (
	"encoding/binary"
	"errors"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// entry reads an entry, nil when there is none.
func (f *folder) entry(k Kind, id []byte) (*entry, error) {
	e := &entry{}
	ok, err := read(f.w, keyEntry(k, id), e)
	if err == nil && ok {
		return e, sound(k, id, e)
	}
	return nil, err
}

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
	state, amount := now.state()
	account, listed := now.account()
	errs := []error{f.set(keyEntry(k, id), now)}
	c := now.change()
	errs = append(errs, f.set(keyHistory(k, id, at), &c))
	if before == nil {
		errs = append(errs, f.w.Set(keyAll(k, at), id))
	} else {
		was, wasAmount := before.state()
		errs = append(errs, f.count(k, was, -1, wasAmount), f.w.Delete(keyState(k, was, now.First)))
		if old, ok := before.account(); ok && old != account {
			errs = append(errs, f.w.Delete(keyAccount(old, k, now.First)))
		}
	}
	errs = append(errs, f.count(k, state, 1, amount), f.w.Set(keyState(k, state, now.First), id))
	if listed {
		errs = append(errs, f.w.Set(keyAccount(account, k, now.First), id))
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

// count adds one entry to a state or takes it away.
func (f *folder) count(k Kind, state uint8, by int, amount uint64) error {
	key := keyCount(k, state)
	n, sum, err := readCount(f.w, key)
	if err != nil {
		return err
	}
	if by > 0 {
		n, sum = n+1, sum+amount
	} else {
		n, sum = n-1, sum-amount
	}
	return f.w.Set(key, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n), sum))
}

func (f *folder) wallet(at moment, m *message.WalletChanged) error {
	w := &wallet{Time: at.Time, Root: m.Root, Number: m.Number, Totals: m.Totals}
	return errors.Join(f.set(keyPlace(prefixWallet, at), w), f.w.Set(keyNumber(prefixHeight, m.Number), at.appendPlace(nil)))
}
