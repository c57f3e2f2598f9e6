package peg

import (
	"errors"
	"fmt"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

// version is raised with every change of keys or values.
const version = 2

// model folds the facts of the peg. It implements derived.Model.
type model struct{}

// Version implements derived.Model.
func (model) Version() uint32 { return version }

// Begin implements derived.Model.
func (model) Begin(w derived.Writer, content func(journal.Hash) ([]byte, error)) derived.Folder {
	return &folder{w: w, content: content, entries: map[string]*held{}}
}

// folder folds one batch.
type folder struct {
	w       derived.Writer
	content func(journal.Hash) ([]byte, error)
	chain   *chain // nil until it is needed
	counts  counts // the same

	// Entries that the batch read or changed, by kind and id; End writes them, so that
	// a life within one batch is written once.
	entries map[string]*held
}

// decoded makes the messages and facts that the ledger reads, by type name.
var decoded = func() map[string]func() core.Message {
	m := map[string]func() core.Message{}
	for _, make := range []func() core.Message{
		func() core.Message { return &message.PegInChanged{} },
		func() core.Message { return &message.PegOutChanged{} },
		func() core.Message { return &message.PaymentChanged{} },
		func() core.Message { return &message.WalletChanged{} },
		func() core.Message { return &message.BitcoinTipChanged{} },
		func() core.Message { return &message.BitcoinLost{} },
		func() core.Message { return &message.PegHalted{} },
		func() core.Message { return &message.PegResumed{} },
		func() core.Message { return &message.PegAlarm{} },
		func() core.Message { return &message.BlockConnected{} },
		func() core.Message { return &message.BlockReverted{} },
		func() core.Message { return &message.HeadChanged{} },
		func() core.Message { return &message.BlockFinalized{} },
		func() core.Message { return &message.BitcoinFollowed{} },
		func() core.Message { return &message.NodeConfigured{} },
	} {
		m[make().Type()] = make
	}
	return m
}()

// messages are what the ledger reads of what actors were told, not of facts: the
// places of transactions in Bitcoin blocks, and the rules in force.
var messages = map[string]bool{(*message.BitcoinFollowed)(nil).Type(): true, (*message.NodeConfigured)(nil).Type(): true}

// Fold implements derived.Folder.
func (f *folder) Fold(e *journal.Event) error {
	at := moment{Time: uint64(max(e.Time, 0)), Sequence: e.Sequence}
	if e.Stored && messages[e.Type] {
		if err := f.take(at, e.Type, e.Schema, e.Message); err != nil {
			return err
		}
	}
	for i := range e.Outputs {
		o := &e.Outputs[i]
		if o.Kind != journal.KindFact || messages[o.Type] {
			continue
		}
		at.Output = uint32(i)
		if err := f.take(at, o.Type, o.Schema, o.Payload); err != nil {
			return err
		}
	}
	return nil
}

// take folds one message, unless it is none of the ledger's.
func (f *folder) take(at moment, typ string, schema uint32, data []byte) error {
	make, known := decoded[typ]
	if !known {
		return nil
	}
	m := make()
	if err := message.Decode(m, schema, data, nil); err != nil {
		return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("peg ledger: event %d: %s", at.Sequence, typ))
	}
	switch m := m.(type) {
	case *message.PegInChanged:
		return f.enter(at, Deposits, m.Txid[:], &entry{PegIn: m})
	case *message.PegOutChanged:
		return f.pegOut(at, m)
	case *message.PaymentChanged:
		if err := f.signed(at, m); err != nil {
			return err
		}
		return f.enter(at, Payments, m.Txid[:], &entry{Payment: m})
	case *message.WalletChanged:
		return f.wallet(at, m)
	case *message.BitcoinFollowed:
		return f.followed(m)
	case *message.BitcoinTipChanged:
		return f.tipChanged(at, m)
	case *message.BitcoinLost:
		return f.lost(at, m)
	case *message.PegAlarm:
		return f.alarm(at, m)
	default:
		return f.rules(at, m)
	}
}

// rules folds what changes the record of the chain alone.
func (f *folder) rules(at moment, m core.Message) error {
	c, err := f.ofChain()
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *message.PegHalted:
		c.HaltedSince, c.HaltReason = at.Time, m.Reason
	case *message.PegResumed:
		c.HaltedSince, c.HaltReason = 0, ""
	case *message.BlockConnected:
		c.connected(m)
	case *message.BlockReverted:
		c.reverted(m)
		return f.w.Delete(keyNumber(prefixHeight, m.Number))
	case *message.HeadChanged:
		c.Head = message.BlockID{Root: m.Root, Number: m.Number}
	case *message.BlockFinalized:
		c.Finalized = message.BlockID{Root: m.Root, Number: m.Number}
	case *message.NodeConfigured:
		return f.configured(c, m)
	}
	return nil
}

func (f *folder) configured(c *chain, m *message.NodeConfigured) error {
	c.Bitcoin, c.PayoutConfirmations = m.Bitcoin, uint64(m.PayoutConfirmations)
	if m.ChainSpec.None() {
		return nil
	}
	raw, err := f.content(journal.Hash(m.ChainSpec.Hash))
	if err != nil {
		return err
	}
	s, _, err := spec.Parse(raw)
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "peg ledger: chain specification of the journal")
	}
	c.Confirmations = uint64(s.Confirmations)
	if n := len(s.FederationKeys); n != len(c.Members) {
		c.Members = make([]memberSeen, n)
	}
	return nil
}

// signed notes which members' signatures a payment has that it had not before.
func (f *folder) signed(at moment, m *message.PaymentChanged) error {
	if m.Members == 0 {
		return nil
	}
	before, err := f.entry(Payments, m.Txid[:])
	if err != nil {
		return err
	}
	fresh := m.Members
	if before != nil {
		fresh &^= before.Payment.Members
	}
	c, err := f.ofChain()
	if err != nil || fresh == 0 {
		return err
	}
	for i := range c.Members {
		if fresh>>i&1 == 1 {
			c.Members[i] = memberSeen{Time: at.Time, Payments: c.Members[i].Payments + 1}
		}
	}
	return nil
}

// How many blocks and carriers the observed times are of.
const (
	keptTimes    = 64
	keptCarriers = 16
)

func (c *chain) connected(m *message.BlockConnected) {
	c.Times = lastOf(append(c.Times, blockTime{m.Number, m.Timestamp}), keptTimes)
	if m.Carrier {
		c.Carriers = lastOf(append(c.Carriers, m.Number), keptCarriers)
	}
	if m.Number == 0 {
		c.Finalized = message.BlockID{Root: m.Root}
	}
}

func (c *chain) reverted(m *message.BlockReverted) {
	for n := len(c.Times); n > 0 && c.Times[n-1].Number >= m.Number; n-- {
		c.Times = c.Times[:n-1]
	}
	for n := len(c.Carriers); n > 0 && c.Carriers[n-1] >= m.Number; n-- {
		c.Carriers = c.Carriers[:n-1]
	}
}

func lastOf[T any](list []T, n int) []T { return list[max(len(list)-n, 0):] }

// End implements derived.Folder.
func (f *folder) End() error {
	errs := []error{f.write()}
	if f.chain != nil {
		errs = append(errs, f.set(keyChain, f.chain))
	}
	if f.counts != nil {
		errs = append(errs, f.w.Set(keyCount, f.counts.encode()))
	}
	return errors.Join(errs...)
}

// ofChain returns the record of the chain, which End writes.
func (f *folder) ofChain() (*chain, error) {
	if f.chain != nil {
		return f.chain, nil
	}
	c := &chain{}
	if _, err := read(f.w, keyChain, c); err != nil {
		return nil, err
	}
	f.chain = c
	return c, nil
}

func (f *folder) set(key []byte, r record.Record) error {
	value, _ := record.Encode(r)
	return f.w.Set(key, value)
}

// read decodes the value of a key; ok is false when there is none.
func read(r derived.Reader, key []byte, into record.Record) (ok bool, err error) {
	value, err := r.Get(key)
	if err != nil || value == nil {
		return false, err
	}
	return true, decode(key, value, into)
}

func decode(key, value []byte, into record.Record) error {
	if err := record.Decode(value, into, nil); err != nil {
		return derived.Damaged(err, fmt.Sprintf("peg ledger: key %x", key))
	}
	return nil
}
