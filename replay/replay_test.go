package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
	"github.com/AnduroProject/alys-go/snapshot"
)

// add is a message to the sum actor, relay one that sends it on.
type add struct{ N uint64 }

func (*add) Type() string              { return "add" }
func (*add) Schema() uint32            { return 1 }
func (a *add) Fields(f *record.Fields) { f.Uint64(1, &a.N) }

type relay struct{ N uint64 }

func (*relay) Type() string              { return "relay" }
func (*relay) Schema() uint32            { return 1 }
func (r *relay) Fields(f *record.Fields) { f.Uint64(1, &r.N) }

// sum adds numbers up and publishes the sum; skew is added to sums of a wrong
// version of it.
type sum struct{ skew uint64 }

func (sum) ID() core.ID          { return "sum" }
func (sum) NewState() core.State { return &sumState{} }
func (sum) Messages() []core.Message {
	return []core.Message{&add{}, &relay{}, &message.JournalIncident{}}
}
func (c sum) Handle(state core.State, m core.Message, _ core.Turn, out *core.Out) {
	s := state.(*sumState)
	switch m := m.(type) {
	case *relay:
		out.Send("sum", &add{N: m.N})
	case *message.JournalIncident: // what waits is added ten times
		s.Factor = 10
	case *add:
		s.Sum += m.N * max(s.Factor, 1)
		if s.Sum > 100 {
			s.Sum += c.skew
		}
		out.Fact(&add{N: s.Sum})
	}
}

type sumState struct{ Sum, Factor uint64 }

func (s *sumState) Fields(f *record.Fields) {
	f.Uint64(1, &s.Sum)
	f.Uint64(2, &s.Factor)
}
func (s *sumState) Clone() core.State { c := *s; return &c }
func (s *sumState) Walk(yield func(key, value []byte) error) error {
	value, _ := record.Encode(s)
	return yield(nil, value)
}
func (s *sumState) Load(_, value []byte, _ record.Resolver) error {
	return record.Decode(value, s, nil)
}

func machine(t *testing.T, id journal.ID, skew uint64) *actors.Machine {
	m, err := actors.NewMachine(id, []core.Core{supervisor.New(), sum{skew}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// journalOf records inputs with a machine; digest replaces the digests taken.
func journalOf(t *testing.T, fs vfs.FS, digest func(*message.SnapshotTaken)) *journal.Journal {
	j, err := journal.Open(journal.Options{FS: fs, Dir: "j", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	m := machine(t, j.ID(), 0)
	step := func(in actors.Input) {
		turn, err := m.Step(in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(turn.Event, turn.Contents); err != nil {
			t.Fatal(err)
		}
	}
	step(actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{Software: "test"}})
	for i := range uint64(30) {
		step(actors.Input{Actor: "sum", Message: &relay{N: i}, Time: int64(i)})
		for in, ok := m.NextSend(); ok; in, ok = m.NextSend() {
			step(in)
		}
		if i == 20 {
			step(actors.Input{Actor: core.Supervisor, Message: &message.SnapshotBegun{Reason: "turns"}})
			digests, err := snapshot.Digests(m.Freeze())
			if err != nil {
				t.Fatal(err)
			}
			taken := actors.TakenFrom(m.Sequence(), digests)
			digest(taken)
			step(actors.Input{Actor: core.Supervisor, Message: taken})
		}
	}
	if err := j.WaitDurable(context.Background(), j.Head().Sequence); err != nil {
		t.Fatal(err)
	}
	return j
}

func right(*message.SnapshotTaken) {}

func TestEqual(t *testing.T) {
	j := journalOf(t, vfs.NewMem(), right)
	report, err := replay.Run(context.Background(), j, machine(t, j.ID(), 0), replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Turns != 63 || report.Digests != 1 || report.Head != j.Head() {
		t.Errorf("report %+v", report)
	}
	part, err := replay.Run(context.Background(), j, machine(t, j.ID(), 0), replay.Options{To: 10})
	if err != nil || part.Sequence != 10 {
		t.Errorf("to 10: %+v, %v", part, err)
	}
}

// A core that answers differently is found at its first different turn, with
// what differs and what led to it.
func TestOtherBehaviour(t *testing.T) {
	j := journalOf(t, vfs.NewMem(), right)
	_, err := replay.Run(context.Background(), j, machine(t, j.ID(), 5), replay.Options{})
	var d *replay.Divergence
	if !errors.As(err, &d) || !fault.Is(err, fault.Corrupt) {
		t.Fatalf("error %v", err)
	}
	// 0+1+…+14 = 105 is the first sum above 100: the send of relay 14, which is
	// event 2+2*14+1.
	if d.Sequence != 31 || d.Actor != "sum" || d.Type != "add" || len(d.Causes) != 2 || d.Causes[1].Type != "relay" {
		t.Errorf("divergence %+v", d)
	}
	if len(d.Differences) != 1 || !strings.Contains(d.Differences[0].Field, "output 0") {
		t.Errorf("differences %+v", d.Differences)
	}
	for _, part := range []string{"sequence 31", "stored", "replayed", "caused by 30"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the text lacks %q:\n%v", part, err)
		}
	}
}

// A digest that the states do not have is found at the turn that recorded it.
func TestWrongDigest(t *testing.T) {
	j := journalOf(t, vfs.NewMem(), func(taken *message.SnapshotTaken) { taken.Digests[1].Digest[0] ^= 1 })
	_, err := replay.Run(context.Background(), j, machine(t, j.ID(), 0), replay.Options{})
	var d *replay.Divergence
	if !errors.As(err, &d) || d.Type != "snapshot_taken" || !strings.Contains(d.Differences[0].Field, "digest of sum after turn 44") {
		t.Fatalf("error %v", err)
	}
}

// From a snapshot's position only the tail is replayed.
func TestFromSnapshot(t *testing.T) {
	j := journalOf(t, vfs.NewMem(), right)
	first := machine(t, j.ID(), 0)
	report, err := replay.Run(context.Background(), j, first, replay.Options{To: 44})
	if err != nil {
		t.Fatal(err)
	}
	m := machine(t, j.ID(), 0)
	for _, s := range first.Freeze() {
		err := s.Walk(func(key, value []byte) error {
			return m.Load(s.Name, bytes.Clone(key), bytes.Clone(value), nil)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tail, err := replay.Run(context.Background(), j, m, replay.Options{After: report.Head.Hash})
	if err != nil || tail.Turns != 19 {
		t.Errorf("tail %+v, %v", tail, err)
	}
	_, err = replay.Run(context.Background(), j, first, replay.Options{After: journal.Hash{1}})
	var corrupt *journal.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Sequence != 45 {
		t.Errorf("wrong hash before the tail: %v", err)
	}
}

// An incident comes before the sends that the turns before it left, and nothing
// else does.
func TestIncidentOvertakesSends(t *testing.T) {
	for _, first := range []core.Message{&message.JournalIncident{Number: 1, Kind: "restore", After: 1}, &relay{N: 5}} {
		j, err := journal.Open(journal.Options{FS: vfs.NewMem(), Dir: "j", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		m := machine(t, j.ID(), 0)
		step := func(in actors.Input) {
			turn, err := m.Step(in)
			if err == nil {
				_, err = j.Append(turn.Event, turn.Contents)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		step(actors.Input{Actor: "sum", Message: &relay{N: 3}})
		step(actors.Input{Actor: "sum", Message: first})
		for in, ok := m.NextSend(); ok; in, ok = m.NextSend() {
			step(in)
		}
		if err := j.WaitDurable(context.Background(), j.Head().Sequence); err != nil {
			t.Fatal(err)
		}
		_, incident := first.(*message.JournalIncident)
		again := machine(t, j.ID(), 0)
		_, err = replay.Run(context.Background(), j, again, replay.Options{})
		var d *replay.Divergence
		if incident && (err != nil || again.State("sum").(*sumState).Sum != 30) {
			t.Errorf("after an incident: %v, %+v", err, again.State("sum"))
		}
		if !incident && (!errors.As(err, &d) || d.Sequence != 2) {
			t.Errorf("a message from outside before a send: %v", err)
		}
	}
}

// Inputs that no machine of this program can read are named.
func TestUnknownMessage(t *testing.T) {
	j := journalOf(t, vfs.NewMem(), right)
	other, err := actors.NewMachine(j.ID(), []core.Core{supervisor.New()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = replay.Run(context.Background(), j, other, replay.Options{})
	if err == nil || !strings.Contains(err.Error(), "event 2") || !strings.Contains(err.Error(), `"relay"`) {
		t.Errorf("error %v", err)
	}
	if fmt.Sprint(fault.Of(err)) != "invalid" {
		t.Errorf("grade %v", fault.Of(err))
	}
}
