package peg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// list is a query that was checked.
type list struct {
	Query
	kind      Kind
	state     uint8
	prefix    []byte // of the keys that are read
	low, high []byte
	byState   bool // the keys are of one state already
}

// List answers a query. Invalid for one that makes no sense.
func (l *Ledger) List(q Query) (*Page, error) {
	c, err := q.check()
	if err != nil {
		return nil, err
	}
	page := &Page{Pegs: []Peg{}}
	err = l.store.View(func(r derived.Reader, at derived.Position) error {
		v, err := l.viewer(r, at, q.AsOf)
		if err != nil {
			return err
		}
		page.AsOf = v.asOf
		return c.fill(page, v)
	})
	return page, err
}

func (q Query) check() (c list, err error) {
	c.Query = q
	if c.Kind == "" {
		c.Kind = Deposits.String()
	}
	if c.kind, err = ParseKind(c.Kind); err != nil {
		return c, err
	}
	if c.State != "" {
		if c.state, err = parseState(c.kind, c.State); err != nil {
			return c, err
		}
	}
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	switch {
	case c.Limit < 1 || c.Limit > MaxLimit:
		return c, fault.New(fault.Invalid, "limit is %d, allowed is 1 to %d", c.Limit, MaxLimit)
	case c.Since < 0 || c.Until < 0:
		return c, fault.New(fault.Invalid, "since and until are Unix milliseconds, not below 0")
	}
	if err := c.choose(); err != nil {
		return c, err
	}
	return c, c.bound()
}

// choose takes the keys that answer with the least reading.
func (c *list) choose() error {
	switch {
	case c.Account != "":
		raw, err := hex.DecodeString(strings.TrimPrefix(c.Account, "0x"))
		if err != nil || len(raw) != common.AddressLength {
			return fault.New(fault.Invalid, "account is %q, wanted are 40 hex digits", clip(c.Account))
		}
		if c.kind == Payments {
			return fault.New(fault.Invalid, "a payment is of no account; ask for requests")
		}
		c.prefix = append(append([]byte{prefixAccount}, raw...), byte(c.kind))
	case c.state != 0 && c.AsOf == 0:
		c.prefix, c.byState = []byte{prefixState, byte(c.kind), c.state}, true
	default:
		c.prefix = []byte{prefixEntry, byte(c.kind)}
	}
	return nil
}

// bound makes the range of keys of times, the event and the cursor.
func (c *list) bound() error {
	c.low, c.high = moment{Time: uint64(c.Since)}.append(bytes.Clone(c.prefix)), after(c.prefix)
	if c.Until != 0 && c.Until < math.MaxInt64 {
		c.high = moment{Time: uint64(c.Until) + 1}.append(bytes.Clone(c.prefix))
	}
	if c.Cursor == "" {
		return nil
	}
	raw, err := hex.DecodeString(c.Cursor)
	if _, ok := parseMoment(raw); err != nil || !ok {
		return fault.New(fault.Invalid, "%q is no cursor", clip(c.Cursor))
	}
	at := append(bytes.Clone(c.prefix), raw...)
	if c.Forward {
		if next := append(at, 0); bytes.Compare(next, c.low) > 0 {
			c.low = next
		}
	} else if bytes.Compare(at, c.high) < 0 {
		c.high = at
	}
	return nil
}

// fill reads a page.
func (c *list) fill(page *Page, v *viewer) error {
	if bytes.Compare(c.low, c.high) >= 0 {
		return nil
	}
	// What left a state leaves marks of deletion in its range for a while; the count
	// says when no entry is left to find.
	most := uint64(MaxScan)
	if c.byState && c.Cursor == "" {
		most = min(most, v.counts[kindState{c.kind, c.state}].Entries)
	}
	if most == 0 {
		return nil
	}
	var inner error
	var seen uint64
	last, more := "", false
	err := v.r.Scan(c.low, c.high, !c.Forward, func(key, value []byte) bool {
		if len(page.Pegs) == c.Limit || seen == MaxScan {
			more = true
			return false
		}
		seen++
		last = hex.EncodeToString(key[len(c.prefix):])
		inner = c.row(page, v, key, value)
		return inner == nil && (seen < most || most == MaxScan)
	})
	if more {
		page.Cursor = last
	}
	return errors.Join(err, inner)
}

// row takes one entry into the page, if it is one that is asked for.
func (c *list) row(page *Page, v *viewer, key, value []byte) error {
	first, ok := parseMoment(key[len(c.prefix):])
	if !ok {
		return derived.Damaged(nil, fmt.Sprintf("peg ledger: key %x", key))
	}
	e := &entry{}
	var err error
	if c.prefix[0] == prefixEntry {
		if err = decode(key, value, e); err == nil {
			err = sound(c.kind, key, e)
		}
	} else {
		e, err = entryAt(v.r, c.kind, first)
	}
	if err != nil {
		return err
	}
	p, ok, err := v.show(c.kind, e)
	if err == nil && ok && (c.state == 0 || c.byState || p.State == stateName(c.kind, c.state)) {
		page.Pegs = append(page.Pegs, p)
	}
	return err
}
