package peg

import (
	"encoding/binary"
	"errors"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// Count is how many entries are in a state, and their amount.
type Count struct {
	Entries uint64 `json:"entries" doc:"how many"`
	Amount  uint64 `json:"amount" doc:"satoshi together; of payments their fees"`
}

// Summary is the peg at a glance.
type Summary struct {
	AsOf     uint64                      `json:"asOf" doc:"event of the journal up to which the answer holds"`
	Counts   map[string]map[string]Count `json:"counts,omitempty" doc:"by kind and state; absent for a question as of then"`
	Wallet   Wallet                      `json:"wallet" doc:"the sums of the wallet at the head"`
	Bitcoin  Bitcoin                     `json:"bitcoin" doc:"what is known of Bitcoin"`
	Required uint64                      `json:"confirmations" doc:"depth that a deposit needs"`
	Payouts  uint64                      `json:"payoutConfirmations" doc:"depth from which a payment is called confirmed"`
	Halted   *Halt                       `json:"halted" doc:"why the peg stands still; null while it goes on"`
	Alarms   Alarms                      `json:"alarms" doc:"what the bridge refused that should not be"`
	Members  []Member                    `json:"members" doc:"members of the federation, by their index"`
}

// Wallet is the wallet of the head's branch at a block.
type Wallet struct {
	Block  string `json:"block,omitempty" doc:"the last block that the peg touched; absent before the first"`
	Height uint64 `json:"height" doc:"its height"`
	Totals Totals `json:"totals" doc:"the sums"`
}

// Bitcoin is what is known of Bitcoin.
type Bitcoin struct {
	Configured bool   `json:"configured" doc:"this node has a Bitcoin node to ask"`
	Height     uint64 `json:"height" doc:"followed to"`
	Hash       string `json:"hash,omitempty" doc:"the block there"`
	NodeHeight uint64 `json:"nodeHeight" doc:"tip of the Bitcoin node"`
	FeeRate    uint64 `json:"feeRate" doc:"satoshi per 1000 vbytes in force"`
	Reverted   uint64 `json:"reverted" doc:"blocks that Bitcoin left since the beginning"`
	Since      string `json:"since,omitempty" doc:"when that was said, RFC 3339"`
	Lost       string `json:"lost,omitempty" doc:"why the Bitcoin node cannot be asked; absent while it can"`
	LostGrade  string `json:"lostGrade,omitempty" doc:"temporary, or invalid when the operator must act"`
}

// Halt is why the peg stands still.
type Halt struct {
	Since  string `json:"since" doc:"when, RFC 3339"`
	Reason string `json:"reason" doc:"why"`
}

// Alarms are what the bridge refused that should not be.
type Alarms struct {
	Count uint64 `json:"count" doc:"since the beginning"`
	Last  *Alarm `json:"last" doc:"the newest; null for none"`
}

// Alarm is one of them.
type Alarm struct {
	Rule     string `json:"rule" doc:"signer rule or invariant"`
	Reason   string `json:"reason" doc:"what was found"`
	Block    string `json:"block,omitempty" doc:"block concerned"`
	Txid     string `json:"txid,omitempty" doc:"payment concerned"`
	Sequence uint64 `json:"sequence" doc:"event of the journal that says so"`
}

// Member is when a member last signed a payment.
type Member struct {
	LastSigned string `json:"lastSigned,omitempty" doc:"when its last signature was counted, RFC 3339; absent for never"`
	LastMillis uint64 `json:"lastSignedMs,omitempty" doc:"the same in Unix milliseconds"`
	Payments   uint64 `json:"payments" doc:"payments with a signature of it"`
}

// Summary shows the peg at a glance, as of an event; 0 for now.
func (l *Ledger) Summary(asOf uint64) (*Summary, error) {
	s := &Summary{Members: []Member{}}
	err := l.store.View(func(r derived.Reader, at derived.Position) error {
		v, err := l.viewer(r, at, asOf)
		if err != nil {
			return err
		}
		s.AsOf = v.asOf
		s.take(v.outlook)
		if v.present {
			s.Counts = v.counts.view()
		}
		w, err := walletBefore(r, moment{Sequence: v.asOf + 1})
		if err != nil {
			return err
		}
		s.Wallet = w.view()
		s.Alarms, err = alarms(r, v)
		return err
	})
	return s, err
}

func (s *Summary) take(o *outlook) {
	t, c := &o.tip, &o.chain
	s.Required, s.Payouts = c.Confirmations, c.PayoutConfirmations
	s.Bitcoin = Bitcoin{Configured: c.Bitcoin, Height: t.Height, Hash: bitcoinHash(t.Hash), NodeHeight: t.NodeHeight, FeeRate: t.FeeRate, Reverted: t.Reverted}
	if t.Time > 0 {
		s.Bitcoin.Since = stamp(t.Time)
	}
	if t.Lost {
		s.Bitcoin.Lost, s.Bitcoin.LostGrade = t.Reason, fault.Grade(t.Grade).String()
	}
	if !o.presentOnly {
		return // what follows is known of now only
	}
	if c.HaltedSince != 0 {
		s.Halted = &Halt{Since: stamp(c.HaltedSince), Reason: c.HaltReason}
	}
	s.Alarms.Count = c.Alarms
	for _, m := range c.Members {
		one := Member{Payments: m.Payments, LastMillis: m.Time}
		if m.Time > 0 {
			one.LastSigned = stamp(m.Time)
		}
		s.Members = append(s.Members, one)
	}
}

// walletBefore reads the sums of the last fact before a place of the journal.
func walletBefore(r derived.Reader, before moment) (w wallet, err error) {
	failed := r.Scan([]byte{prefixWallet}, keyPlace(prefixWallet, before), true, func(key, value []byte) bool {
		err = decode(key, value, &w)
		return false
	})
	return w, errors.Join(failed, err)
}

func (w *wallet) view() Wallet {
	return Wallet{Block: rootText(w.Root), Height: w.Number, Totals: TotalsOf(w.Totals)}
}

// WalletAt returns the sums at a height of the head's branch: those of the last block up
// to there that the peg touched.
func (l *Ledger) WalletAt(height uint64) (w Wallet, asOf uint64, err error) {
	err = l.store.View(func(r derived.Reader, at derived.Position) error {
		asOf = at.Head.Sequence
		var place []byte
		high := []byte{prefixHeight + 1}
		if height < ^uint64(0) {
			high = keyNumber(prefixHeight, height+1)
		}
		err := r.Scan([]byte{prefixHeight}, high, true, func(_, value []byte) bool {
			place = append(place, value...)
			return false
		})
		if err != nil || place == nil {
			return err
		}
		var stored wallet
		if ok, err := read(r, append([]byte{prefixWallet}, place...), &stored); err != nil || !ok {
			return err
		}
		w = stored.view()
		return nil
	})
	return w, asOf, err
}

func alarms(r derived.Reader, v *viewer) (a Alarms, err error) {
	if v.present {
		a.Count = v.outlook.chain.Alarms
	}
	failed := r.Scan([]byte{prefixAlarm}, keyPlace(prefixAlarm, moment{Sequence: v.asOf + 1}), true, func(key, value []byte) bool {
		var m message.PegAlarm
		if err = decode(key, value, &m); err == nil && len(key) == 1+placeSize {
			a.Last = &Alarm{Rule: m.Rule, Reason: m.Reason, Block: rootText(m.Root), Txid: bitcoinHash(m.Txid), Sequence: binary.BigEndian.Uint64(key[1:])}
		}
		return false
	})
	return a, errors.Join(failed, err)
}
