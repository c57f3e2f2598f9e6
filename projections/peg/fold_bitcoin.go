package peg

import (
	"errors"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// keptHeaders is how many Bitcoin blocks without a transaction of the peg are kept, for
// the observed time between blocks.
const keptHeaders = 300

// followed keeps where transactions of the peg stand in Bitcoin blocks.
func (f *folder) followed(m *message.BitcoinFollowed) error {
	for i := range m.Blocks {
		b := &m.Blocks[i]
		h := &header{Hash: b.Hash, Header: b.Header, Kept: len(b.Transactions) > 0}
		if err := f.set(keyNumber(prefixHeader, b.Height), h); err != nil {
			return err
		}
		for j := range b.Transactions {
			t := &b.Transactions[j]
			txid, err := f.txid(t.Raw)
			if err != nil {
				return err
			}
			p := &proof{Height: b.Height, Header: b.Header, Index: t.Index, Branch: t.Branch, Raw: t.Raw}
			if err := f.set(keyProof(txid, b.Hash), p); err != nil {
				return err
			}
		}
		if b.Height < keptHeaders {
			continue
		}
		old := keyNumber(prefixHeader, b.Height-keptHeaders)
		var was header
		if ok, err := read(f.w, old, &was); err != nil {
			return err
		} else if ok && !was.Kept {
			if err := f.w.Delete(old); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *folder) tipChanged(at moment, m *message.BitcoinTipChanged) error {
	before, err := latestTip(f.w, nil)
	if err != nil {
		return err
	}
	// Headers above are of a branch that was left.
	if before != nil && m.Reverted > 0 {
		for n := m.Height + 1; n <= before.Height && n-m.Height <= 2*keptHeaders; n++ {
			if err := f.w.Delete(keyNumber(prefixHeader, n)); err != nil {
				return err
			}
		}
	}
	t := &tip{Time: at.Time, Height: m.Height, Hash: m.Hash, NodeHeight: m.NodeHeight, FeeRate: m.FeeRate, Reverted: m.Reverted}
	if before != nil {
		t.Reverted += before.Reverted
	}
	return f.set(keyPlace(prefixTip, at), t)
}

func (f *folder) lost(at moment, m *message.BitcoinLost) error {
	t, err := latestTip(f.w, nil)
	if err != nil {
		return err
	}
	if t == nil {
		t = &tip{}
	}
	t.Time, t.Lost, t.Grade, t.Reason = at.Time, true, m.Grade, m.Reason
	return f.set(keyPlace(prefixTip, at), t)
}

// latestTip is what Bitcoin was at the last fact before a key, nil when there is none;
// the newest when the key is nil.
func latestTip(r derived.Reader, before []byte) (t *tip, err error) {
	if before == nil {
		before = []byte{prefixTip + 1}
	}
	failed := r.Scan([]byte{prefixTip}, before, true, func(key, value []byte) bool {
		t = &tip{}
		err = decode(key, value, t)
		return false
	})
	if err = errors.Join(failed, err); err != nil {
		return nil, err
	}
	return t, nil
}

// keptAlarms is how many alarms are kept.
const keptAlarms = 256

func (f *folder) alarm(at moment, m *message.PegAlarm) error {
	c, err := f.ofChain()
	if err != nil {
		return err
	}
	c.Alarms++
	if err := f.set(keyPlace(prefixAlarm, at), m); err != nil {
		return err
	}
	if c.Alarms <= keptAlarms {
		return nil
	}
	var oldest []byte
	if err := f.w.Scan([]byte{prefixAlarm}, []byte{prefixAlarm + 1}, false, func(key, _ []byte) bool {
		oldest = append(oldest, key...)
		return false
	}); err != nil {
		return err
	}
	return f.w.Delete(oldest)
}
