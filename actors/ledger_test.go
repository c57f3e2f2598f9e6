package actors_test

import (
	"encoding/binary"

	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// The ledger and the echo are two small cores that use every kind of output:
// the deterministic stand-in for the runtime's own tests.

type deposit struct {
	Account uint64
	Amount  uint64
	Body    record.Content
}

func (*deposit) Type() string   { return "deposit" }
func (*deposit) Schema() uint32 { return 1 }
func (d *deposit) Fields(f *record.Fields) {
	f.Uint64(1, &d.Account)
	f.Uint64(2, &d.Amount)
	f.Content(3, &d.Body)
}

type noted struct{ Total uint64 }

func (*noted) Type() string              { return "noted" }
func (*noted) Schema() uint32            { return 1 }
func (n *noted) Fields(f *record.Fields) { f.Uint64(1, &n.Total) }

type pay struct{ Account, Amount uint64 }

func (*pay) Type() string   { return "pay" }
func (*pay) Schema() uint32 { return 1 }
func (p *pay) Fields(f *record.Fields) {
	f.Uint64(1, &p.Account)
	f.Uint64(2, &p.Amount)
}

type paid struct{ Amount uint64 }

func (*paid) Type() string              { return "paid" }
func (*paid) Schema() uint32            { return 1 }
func (p *paid) Fields(f *record.Fields) { f.Uint64(1, &p.Amount) }

const (
	ledgerID core.ID = "ledger"
	echoID   core.ID = "echo"
)

// ledger keeps balances, publishes totals, asks for payments. An amount of 13
// panics after changing its state.
type ledger struct{}

func (ledger) ID() core.ID          { return ledgerID }
func (ledger) NewState() core.State { return newLedgerState() }
func (ledger) Messages() []core.Message {
	return []core.Message{&deposit{}, &paid{}, &core.Expired{}}
}

func (ledger) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	s := state.(*ledgerState)
	switch m := m.(type) {
	case *deposit:
		balance, _ := s.balances.Get(m.Account)
		s.balances.Set(m.Account, balance+m.Amount)
		s.total += m.Amount
		if m.Amount == 13 {
			panic("thirteen")
		}
		out.Fact(&noted{Total: s.total})
		out.Send(echoID, m)
		if m.Amount%2 == 0 {
			out.Effect("bank", core.UntilDone, &pay{m.Account, m.Amount})
		} else if m.Amount%3 == 0 {
			out.Effect("bank", core.Expiring, &pay{m.Account, m.Amount})
		}
	case *paid:
		s.paid += m.Amount
	case *core.Expired:
		s.expired++
	}
}

type ledgerState struct {
	balances             *btree.Map[uint64, uint64]
	total, paid, expired uint64
}

func newLedgerState() *ledgerState { return &ledgerState{balances: new(btree.Map[uint64, uint64])} }

func (s *ledgerState) Fields(f *record.Fields) {
	f.Uint64(1, &s.total)
	f.Uint64(2, &s.paid)
	f.Uint64(3, &s.expired)
}

func (s *ledgerState) Clone() core.State {
	c := *s
	c.balances = s.balances.Copy()
	return &c
}

func (s *ledgerState) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	if err := yield(nil, value); err != nil {
		return err
	}
	var err error
	s.balances.Scan(func(account, amount uint64) bool {
		err = yield(binary.BigEndian.AppendUint64(nil, account), binary.BigEndian.AppendUint64(nil, amount))
		return err == nil
	})
	return err
}

func (s *ledgerState) Load(key, value []byte, _ record.Resolver) error {
	switch {
	case len(key) == 0:
		return record.Decode(value, s, nil)
	case len(key) == 8 && len(value) == 8:
		s.balances.Set(binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(value))
		return nil
	default:
		return fault.New(fault.Corrupt, "ledger state has no entry %x", key)
	}
}

// echo counts what the ledger sends it and mixes the turn's seed in.
type echo struct{}

func (echo) ID() core.ID              { return echoID }
func (echo) NewState() core.State     { return &echoState{} }
func (echo) Messages() []core.Message { return []core.Message{&deposit{}} }
func (echo) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	s := state.(*echoState)
	seed := t.Seed()
	s.Count++
	s.Mix ^= binary.BigEndian.Uint64(seed[:])
	if m.(*deposit).Amount == 7 {
		out.Send("nobody", m) // a programming error: the turn must fail
	}
}

type echoState struct{ Count, Mix uint64 }

func (s *echoState) Fields(f *record.Fields) {
	f.Uint64(1, &s.Count)
	f.Uint64(2, &s.Mix)
}
func (s *echoState) Clone() core.State { c := *s; return &c }
func (s *echoState) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	return yield(nil, value)
}
func (s *echoState) Load(_, value []byte, _ record.Resolver) error {
	return record.Decode(value, s, nil)
}
