package peg

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// Bounds of answers.
const (
	// MaxScan is how many entries a page of a list looks at, at most.
	MaxScan = 10_000
	// MaxLimit is how many entries a page gives, at most; DefaultLimit unless asked for.
	MaxLimit     = 500
	DefaultLimit = 50
	// maxPays bounds the requests that are shown of one payment.
	maxPays = 1000
)

// Question names one deposit, request or payment.
type Question struct {
	ID   string  `json:"id" doc:"Bitcoin transaction id of a deposit or payment, or hash of the execution layer's transaction that asks for a peg-out; 64 hex digits, 0x optional"`
	Log  *uint32 `json:"log,omitempty" doc:"index of the log, when the transaction asks for several peg-outs"`
	AsOf uint64  `json:"asOf,omitempty" doc:"as it was after this event of the journal; now, unless given"`
}

// Found is what a question names. One transaction may ask for several peg-outs.
type Found struct {
	AsOf uint64 `json:"asOf" doc:"event of the journal up to which the answer holds"`
	Pegs []Peg  `json:"pegs" doc:"what was found, with its history"`
}

// Query says which entries are wanted; the zero values are no conditions.
type Query struct {
	Kind    string `json:"kind,omitempty" doc:"deposit, request or payment; deposit unless given"`
	State   string `json:"state,omitempty" doc:"those in this state"`
	Account string `json:"account,omitempty" doc:"those of this account of the sidechain, 40 hex digits"`
	Since   int64  `json:"since,omitempty" doc:"first seen at this time or later, Unix milliseconds"`
	Until   int64  `json:"until,omitempty" doc:"first seen at this time or before, Unix milliseconds"`
	Forward bool   `json:"forward,omitempty" doc:"oldest first; newest first unless given"`
	AsOf    uint64 `json:"asOf,omitempty" doc:"as they were after this event of the journal; now, unless given"`
	Cursor  string `json:"cursor,omitempty" doc:"go on where another answer to the same query ended"`
	Limit   int    `json:"limit,omitempty" doc:"most entries, 1 to 500; 50 unless given"`
}

// Page is a part of what a query finds.
type Page struct {
	AsOf   uint64 `json:"asOf" doc:"event of the journal up to which the answer holds"`
	Pegs   []Peg  `json:"pegs" doc:"what was found"`
	Cursor string `json:"cursor,omitempty" doc:"where to go on; absent at the end"`
}

// Get answers a question; nothing found is no error. Invalid for one that makes no sense.
func (l *Ledger) Get(q Question) (*Found, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(q.ID, "0x"))
	if err != nil || len(raw) != chainhash.HashSize {
		return nil, fault.New(fault.Invalid, "id is %q, wanted are 64 hex digits", clip(q.ID))
	}
	out := &Found{Pegs: []Peg{}}
	err = l.store.View(func(r derived.Reader, at derived.Position) error {
		v, err := l.viewer(r, at, q.AsOf)
		if err != nil {
			return err
		}
		out.AsOf = v.asOf
		ids, err := v.named(raw, q.Log)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p, ok, err := v.one(id.kind, id.id)
			if err != nil {
				return err
			}
			if ok {
				out.Pegs = append(out.Pegs, p)
			}
		}
		return nil
	})
	return out, err
}

type named struct {
	kind Kind
	id   []byte
}

// viewer answers one question from one view of the store.
type viewer struct {
	r       derived.Reader
	asOf    uint64
	present bool // asked for now
	*moments
	payments map[chainhash.Hash]*entry // of the requests that were shown
}

// moments is what many answers of one moment need.
type moments struct {
	at      journal.Head
	outlook *outlook
	counts  counts // of now
}

// viewer begins an answer. What every answer of now needs is read once per position.
func (l *Ledger) viewer(r derived.Reader, at derived.Position, asOf uint64) (*viewer, error) {
	v := &viewer{r: r, asOf: at.Head.Sequence, present: asOf == 0, payments: map[chainhash.Hash]*entry{}}
	if asOf > at.Head.Sequence {
		return nil, fault.New(fault.CannotJudge, "the ledger has come to event %d, not to %d", at.Head.Sequence, asOf)
	}
	if !v.present {
		v.asOf = asOf
		o, err := look(r, keyPlace(prefixTip, moment{Sequence: asOf + 1}))
		v.moments = &moments{outlook: o}
		return v, err
	}
	if m := l.present.Load(); m != nil && m.at == at.Head {
		v.moments = m
		return v, nil
	}
	m := &moments{at: at.Head}
	var err error
	if m.outlook, err = look(r, nil); err != nil {
		return nil, err
	}
	if m.counts, err = readCounts(r); err != nil {
		return nil, err
	}
	l.present.Store(m)
	v.moments = m
	return v, nil
}

// named finds the entries that a hash may name.
func (v *viewer) named(hash []byte, log *uint32) (ids []named, err error) {
	txid := slices.Clone(hash)
	slices.Reverse(txid) // Bitcoin's are displayed reversed
	ids = []named{{Deposits, txid}, {Payments, txid}}
	if log != nil {
		return []named{{Requests, requestID(common.Hash(hash), *log)}}, nil
	}
	low := keyID(Requests, hash)
	err = v.r.Scan(low, after(low), false, func(key, _ []byte) bool {
		ids = append(ids, named{Requests, slices.Clone(key[2:])})
		return len(ids) < maxPays
	})
	return ids, err
}

// one shows an entry as it was, with its history; ok is false when there was none.
func (v *viewer) one(k Kind, id []byte) (p Peg, ok bool, err error) {
	e, err := readEntry(v.r, k, id)
	if err != nil || e == nil {
		return p, false, err
	}
	p, ok, err = v.show(k, e)
	if err != nil || !ok {
		return p, false, err
	}
	if p.History, err = v.history(k, e.First); err != nil {
		return p, false, err
	}
	if k == Payments {
		p.Requests, err = v.pays(e.Payment.Txid)
	}
	return p, true, err
}

// show shows an entry that was read as it was; ok is false when there was none.
func (v *viewer) show(k Kind, e *entry) (p Peg, ok bool, err error) {
	if ok, err = v.then(k, e); err != nil || !ok {
		return p, false, err
	}
	p = e.view()
	var payment *entry
	if e.PegOut != nil && e.PegOut.Payment != (chainhash.Hash{}) {
		if payment, err = v.payment(e.PegOut.Payment); err != nil {
			return p, false, err
		}
	}
	v.outlook.add(&p, e, payment)
	return p, true, nil
}

// payment reads a payment as it was, nil when there was none.
func (v *viewer) payment(txid chainhash.Hash) (*entry, error) {
	e, read := v.payments[txid]
	if read {
		return e, nil
	}
	e, err := readEntry(v.r, Payments, txid[:])
	if err == nil && e != nil {
		var ok bool
		if ok, err = v.then(Payments, e); !ok {
			e = nil
		}
	}
	if err == nil {
		v.payments[txid] = e
	}
	return e, err
}

// then sets an entry back to what it was; ok is false when there was none.
func (v *viewer) then(k Kind, e *entry) (ok bool, err error) {
	if v.present || e.Last.Sequence <= v.asOf {
		return true, nil
	}
	if e.First.Sequence > v.asOf {
		return false, nil
	}
	var c change
	low := e.First.append([]byte{prefixHistory, byte(k)})
	failed := v.r.Scan(low, keyHistory(k, e.First, moment{Sequence: v.asOf + 1}), true, func(key, value []byte) bool {
		if err = decode(key, value, &c); err == nil && len(key) >= placeSize {
			e.Last = moment{Time: c.Time, Sequence: binary.BigEndian.Uint64(key[len(key)-placeSize:])}
		}
		return false
	})
	if err = errors.Join(failed, err); err != nil {
		return false, err
	}
	e.apply(c)
	return true, nil
}

// readEntry reads the entry with an id, nil when there is none.
func readEntry(r derived.Reader, k Kind, id []byte) (*entry, error) {
	value, err := r.Get(keyID(k, id))
	if err != nil || value == nil {
		return nil, err
	}
	first, ok := parseMoment(value)
	if !ok {
		return nil, derived.Damaged(nil, fmt.Sprintf("peg ledger: the place of entry %x", id))
	}
	return entryAt(r, k, first)
}

// entryAt reads the entry whose first fact is at a moment.
func entryAt(r derived.Reader, k Kind, first moment) (*entry, error) {
	e, key := &entry{}, keyEntry(k, first)
	if ok, err := read(r, key, e); err != nil {
		return nil, err
	} else if !ok {
		return nil, derived.Damaged(nil, fmt.Sprintf("peg ledger: key %x is listed and not there", key))
	}
	return e, sound(k, key, e)
}

// sound refuses an entry that is not of its kind.
func sound(k Kind, key []byte, e *entry) error {
	if have := [...]bool{Deposits: e.PegIn != nil, Requests: e.PegOut != nil, Payments: e.Payment != nil}; !have[k] {
		return derived.Damaged(nil, fmt.Sprintf("peg ledger: key %x is no %s", key, k))
	}
	return nil
}

func (v *viewer) history(k Kind, first moment) (out []Change, err error) {
	low := first.append([]byte{prefixHistory, byte(k)})
	failed := v.r.Scan(low, keyHistory(k, first, moment{Sequence: v.asOf + 1}), false, func(key, value []byte) bool {
		var c change
		if err = decode(key, value, &c); err != nil || len(key) != len(low)+placeSize {
			return false
		}
		out = append(out, c.view(k, binary.BigEndian.Uint64(key[len(low):])))
		return true
	})
	return out, errors.Join(failed, err)
}

// pays lists the requests of a payment.
func (v *viewer) pays(payment chainhash.Hash) (out []string, err error) {
	low := append([]byte{prefixPays}, payment[:]...)
	err = v.r.Scan(low, after(low), false, func(key, _ []byte) bool {
		if id := key[len(low)+4:]; len(id) == idSize(Requests) {
			out = append(out, fmt.Sprintf("0x%x/%d", id[:common.HashLength], binary.BigEndian.Uint32(id[common.HashLength:])))
		}
		return len(out) < maxPays
	})
	return out, err
}
