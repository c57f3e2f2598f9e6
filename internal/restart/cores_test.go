package restart_test

import (
	"encoding/binary"

	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// put adds to an account and asks the bank to pay.
type put struct{ Account, Amount uint64 }

func (*put) Type() string   { return "put" }
func (*put) Schema() uint32 { return 1 }
func (p *put) Fields(f *record.Fields) {
	f.Uint64(1, &p.Account)
	f.Uint64(2, &p.Amount)
}

type pay struct{ Amount uint64 }

func (*pay) Type() string              { return "pay" }
func (*pay) Schema() uint32            { return 1 }
func (p *pay) Fields(f *record.Fields) { f.Uint64(1, &p.Amount) }

// book is a core of three behaviours: 1 adds amounts, 2 adds them twice and
// counts in each account's entry how often it did, 3 drops the counts again.
type book struct{ behaviour uint32 }

const bookID core.ID = "book"

func (book) ID() core.ID              { return bookID }
func (b book) NewState() core.State   { return &bookState{b.behaviour, new(btree.Map[uint64, account])} }
func (book) Messages() []core.Message { return []core.Message{&put{}} }
func (b book) Handle(s core.State, m core.Message, _ core.Turn, out *core.Out) {
	p, state := m.(*put), s.(*bookState)
	a, _ := state.accounts.Get(p.Account)
	a.balance += p.Amount
	if b.behaviour == 2 {
		a.balance += p.Amount
		a.puts++
	}
	state.accounts.Set(p.Account, a)
	out.Fact(&pay{a.balance})
	out.Effect("bank", core.UntilDone, &pay{p.Amount})
}

type account struct{ balance, puts uint64 }

type bookState struct {
	behaviour uint32
	accounts  *btree.Map[uint64, account]
}

func (s *bookState) Clone() core.State { return &bookState{s.behaviour, s.accounts.Copy()} }

func (s *bookState) Walk(yield func(key, value []byte) error) error {
	var err error
	s.accounts.Scan(func(id uint64, a account) bool {
		value := binary.BigEndian.AppendUint64(nil, a.balance)
		if s.behaviour == 2 {
			value = binary.BigEndian.AppendUint64(value, a.puts)
		}
		err = yield(binary.BigEndian.AppendUint64(nil, id), value)
		return err == nil
	})
	return err
}

func (s *bookState) Load(key, value []byte, _ record.Resolver) error {
	size := 8
	if s.behaviour == 2 {
		size = 16
	}
	if len(key) != 8 || len(value) != size {
		return fault.New(fault.Corrupt, "book of behaviour %d has no entry %x with %d bytes", s.behaviour, key, len(value))
	}
	a := account{balance: binary.BigEndian.Uint64(value)}
	if s.behaviour == 2 {
		a.puts = binary.BigEndian.Uint64(value[8:])
	}
	s.accounts.Set(binary.BigEndian.Uint64(key), a)
	return nil
}

// entries changes the value of each entry of a section.
func entries(change func(value []byte) []byte) func(snapshot.Section) snapshot.Section {
	return func(old snapshot.Section) snapshot.Section {
		return snapshot.Section{Name: old.Name, Walk: func(yield func(key, value []byte) error) error {
			return old.Walk(func(key, value []byte) error { return yield(key, change(value)) })
		}}
	}
}

var migrations = []actors.Migration{
	{From: 1, Sections: map[string]func(snapshot.Section) snapshot.Section{
		string(bookID): entries(func(v []byte) []byte { return append(v[:8:8], make([]byte, 8)...) }),
	}},
	{From: 2, Sections: map[string]func(snapshot.Section) snapshot.Section{
		string(bookID): entries(func(v []byte) []byte { return v[:8] }),
	}},
}

func program(behaviour uint32) restart.Program {
	return restart.Program{
		Behaviour:  behaviour,
		Migrations: migrations,
		Machine: func(id journal.ID) (*actors.Machine, error) {
			return actors.NewMachine(id, []core.Core{supervisor.New(), book{behaviour}}, []core.Message{&pay{}})
		},
	}
}
