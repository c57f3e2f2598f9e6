package peg

import (
	"errors"
	"maps"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// held is an entry of a batch.
type held struct {
	kind   Kind
	id     []byte
	stored *entry // before the batch; nil when there was none
	now    *entry
}

// hold reads an entry once a batch.
func (f *folder) hold(k Kind, id []byte) (*held, error) {
	key := string(append([]byte{byte(k)}, id...))
	if h := f.entries[key]; h != nil {
		return h, nil
	}
	e, err := readEntry(f.w, k, id)
	if err != nil {
		return nil, err
	}
	h := &held{kind: k, id: slices.Clone(id), stored: e, now: e}
	f.entries[key] = h
	return h, nil
}

// entry returns an entry, nil when there is none.
func (f *folder) entry(k Kind, id []byte) (*entry, error) {
	h, err := f.hold(k, id)
	if err != nil {
		return nil, err
	}
	return h.now, nil
}

// write writes the entries that the batch changed, and their lists.
func (f *folder) write() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(f.entries)) {
		h := f.entries[key]
		if h.now == h.stored {
			continue
		}
		errs = append(errs, f.set(keyEntry(h.kind, h.now.First), h.now), f.list(h.kind, h.stored, h.now))
		if h.stored == nil {
			errs = append(errs, f.w.Set(keyID(h.kind, h.id), h.now.First.append(nil)))
		}
	}
	return errors.Join(errs...)
}

// enter takes the newest fact of an entry.
func (f *folder) enter(at moment, k Kind, id []byte, now *entry) error {
	h, err := f.hold(k, id)
	if err != nil {
		return err
	}
	before := h.now
	now.First, now.Last, now.Changes = at, at, 1
	if before != nil {
		now.First, now.Changes = before.First, before.Changes+1
	}
	if listedAgain(before, now) {
		return nil
	}
	h.now = now
	c := now.change()
	return errors.Join(f.count(k, before, now), f.set(keyHistory(k, now.First, at), &c))
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
