package actors_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/schema"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

// An order through three schemas: 2 adds a note, 3 counts in dozens. Each core of
// the till is the program of one schema.
type order1 struct{ Count uint64 }

func (*order1) Type() string              { return "order" }
func (*order1) Schema() uint32            { return 1 }
func (o *order1) Fields(f *record.Fields) { f.Uint64(1, &o.Count) }

type order2 struct {
	Count uint64
	Note  string
}

func (*order2) Type() string   { return "order" }
func (*order2) Schema() uint32 { return 2 }
func (o *order2) Fields(f *record.Fields) {
	f.Uint64(1, &o.Count)
	f.String(2, &o.Note)
}

type order3 struct {
	Note   string
	Dozens uint64
}

func (*order3) Type() string   { return "order" }
func (*order3) Schema() uint32 { return 3 }
func (o *order3) Fields(f *record.Fields) {
	f.String(2, &o.Note)
	f.Uint64(3, &o.Dozens)
}

var dozens = schema.New(schema.Step("order", 2, func(old *order2) *order3 {
	return &order3{Note: old.Note, Dozens: old.Count / 12}
}))

// till asks for each order once more, as an effect without a result yet.
type till struct{ order core.Message }

func (till) ID() core.ID                { return "till" }
func (till) NewState() core.State       { return &tillState{} }
func (c till) Messages() []core.Message { return []core.Message{c.order} }
func (till) Handle(s core.State, m core.Message, _ core.Turn, out *core.Out) {
	s.(*tillState).Orders++
	out.Effect("kitchen", core.UntilDone, m)
}

type tillState struct{ Orders uint64 }

func (s *tillState) Fields(f *record.Fields) { f.Uint64(1, &s.Orders) }
func (s *tillState) Clone() core.State       { c := *s; return &c }
func (s *tillState) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	return yield(nil, value)
}
func (s *tillState) Load(_, value []byte, _ record.Resolver) error {
	return record.Decode(value, s, nil)
}

func tillMachine(t *testing.T, id journal.ID, order core.Message, older *schema.Upcasters) *actors.Machine {
	t.Helper()
	m, err := actors.NewMachine(id, []core.Core{supervisor.New(), till{order}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Upcast(older)
	return m
}

// A journal of each schema is re-executed by its own program, decoded by every
// later one, also from a snapshot with work under way, and refused by name by
// every earlier one.
func TestSchemasOfJournals(t *testing.T) {
	programs := []core.Message{&order1{Count: 36}, &order2{Count: 36, Note: "hot"}, &order3{Note: "hot", Dozens: 3}}
	for i, order := range programs {
		j, err := journal.Open(journal.Options{FS: vfs.NewMem(), Dir: "j", Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		m := tillMachine(t, j.ID(), order, nil)
		turn, err := m.Step(actors.Input{Actor: "till", Message: order})
		if err == nil {
			_, err = j.Append(turn.Event, turn.Contents)
		}
		if err = errors.Join(err, j.WaitDurable(context.Background(), 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := replay.Run(context.Background(), j, tillMachine(t, j.ID(), order, nil), replay.Options{}); err != nil {
			t.Errorf("schema %d: %v", order.Schema(), err)
		}
		e, _, err := j.Event(1)
		if err != nil {
			t.Fatal(err)
		}
		for k, later := range programs {
			reader := tillMachine(t, j.ID(), later, dozens)
			got, err := reader.DecodeMessage(e.Type, e.Schema, e.Message, nil)
			if k < i {
				if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "use a newer program") {
					t.Errorf("schema %d read by %d: %v", order.Schema(), later.Schema(), err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("schema %d read by %d: %v", order.Schema(), later.Schema(), err)
			}
			checkOrder(t, got, i > 0)
			loadStates(t, m, reader)
			if pending := reader.PendingEffects(); len(pending) != 1 {
				t.Errorf("schema %d loaded by %d: %d effects", order.Schema(), later.Schema(), len(pending))
			} else {
				checkOrder(t, pending[0].Request, i > 0)
			}
		}
	}
}

func loadStates(t *testing.T, from, to *actors.Machine) {
	t.Helper()
	for _, s := range from.Freeze() {
		err := s.Walk(func(key, value []byte) error { return to.Load(s.Name, bytes.Clone(key), bytes.Clone(value), nil) })
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
}

func checkOrder(t *testing.T, m core.Message, note bool) {
	t.Helper()
	ok := false
	switch o := m.(type) {
	case *order1:
		ok = o.Count == 36
	case *order2:
		ok = o.Count == 36 && (o.Note == "hot") == note
	case *order3:
		ok = o.Dozens == 3 && (o.Note == "hot") == note
	}
	if !ok {
		t.Errorf("decoded %T %+v", m, m)
	}
}
