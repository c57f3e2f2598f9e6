package actors_test

import (
	"context"
	"math/rand/v2"
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
)

// parcel is a message of any size, which asks for facts of that size each.
type parcel struct {
	Facts uint64
	Data  []byte
}

func (*parcel) Type() string   { return "parcel" }
func (*parcel) Schema() uint32 { return 1 }
func (p *parcel) Fields(f *record.Fields) {
	f.Uint64(1, &p.Facts)
	f.Bytes(2, &p.Data)
}

// porter publishes what it is given as often as it is told, and sends it on
// without that.
type porter struct{}

func (porter) ID() core.ID              { return "porter" }
func (porter) NewState() core.State     { return &echoState{} }
func (porter) Messages() []core.Message { return []core.Message{&parcel{}} }
func (porter) Handle(_ core.State, m core.Message, _ core.Turn, out *core.Out) {
	p := m.(*parcel)
	for i := range p.Facts {
		out.Fact(&parcel{Facts: i, Data: p.Data})
	}
	if p.Facts > 0 {
		out.Send("porter", &parcel{Data: p.Data[:min(len(p.Data), 10)]})
	}
}

func porterMachine(t *testing.T, id journal.ID) *actors.Machine {
	t.Helper()
	m, err := actors.NewMachine(id, []core.Core{supervisor.New(), porter{}}, []core.Message{&message.StopProcess{}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLargeTurns makes turns whose message and whose outputs are far larger
// than an event can hold in one piece: they are written, and replay gives the
// same bytes after a restart.
func TestLargeTurns(t *testing.T) {
	fs := vfs.NewMem()
	open := func() *journal.Journal {
		j, err := journal.Open(journal.Options{FS: fs, Dir: "journal", Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	m := porterMachine(t, j.ID())
	data := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
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
	for _, p := range []*parcel{{Data: data}, {Facts: 3, Data: data[:7<<20]}, {Facts: 2, Data: data[:70_000]}, {Facts: 400, Data: data[:200]}} {
		step(actors.Input{Actor: "porter", Message: p})
		for in, ok := m.NextSend(); ok; in, ok = m.NextSend() {
			step(in)
		}
	}
	head := j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open()
	defer j.Close()
	report, err := replay.Run(context.Background(), j, porterMachine(t, j.ID()), replay.Options{})
	if err != nil || report.Head != head || report.Turns != head.Sequence || report.Failed != 0 {
		t.Fatalf("%+v %v", report, err)
	}
	if report.Bytes > 1<<20 {
		t.Errorf("envelopes take %d bytes", report.Bytes)
	}
	if e, _, err := j.Event(3); err != nil || len(e.Outputs) != 4 || len(e.Outputs[2].Payload) < 7<<20 {
		t.Errorf("%v", err)
	}
	if r, err := j.Verify(context.Background(), 0, 0, nil); err != nil || r.Head != head {
		t.Errorf("%+v %v", r, err)
	}
}

// TestSubmitSize: what an edge should have refused is refused, counted, and
// leaves no turn.
func TestSubmitSize(t *testing.T) {
	r := boot(t, vfs.NewMem(), false)
	defer r.close(t)
	before := r.journal.Head()
	body := func(n int) record.Content { return record.NewContent(make([]byte, n)) }
	for _, c := range []struct {
		m  *deposit
		ok bool
	}{
		{&deposit{}, false},
		{&deposit{Account: 1}, true},
		{&deposit{Body: body(actors.MaxMessage - 1000)}, true},
		{&deposit{Body: body(actors.MaxMessage)}, false}, // the hash is in the message as well
		{&deposit{Account: 1, Body: body(actors.MaxMessage + 1)}, false},
	} {
		err := r.runtime.Submit(t.Context(), ledgerID, c.m, actors.Normal, actors.Reject)
		if c.ok != (err == nil) || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "16777216")) {
			t.Errorf("%d bytes of content: %v", len(c.m.Body.Data), err)
		}
	}
	if n := r.runtime.Counts().Unfit; n != 3 || r.journal.Head() != before {
		t.Errorf("%d counted, head %v, was %v", n, r.journal.Head(), before)
	}
}

// TestWildClock: whatever the clock says, times of turns never decrease.
func TestWildClock(t *testing.T) {
	fs := vfs.NewMem()
	j, err := journal.Open(journal.Options{FS: fs, Dir: "journal", Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	clock := func() int64 {
		switch rng.IntN(8) {
		case 0:
			return 0
		case 1:
			return -1 << 62
		default:
			return rng.Int64N(1 << 40)
		}
	}
	r := actors.NewRuntime(actors.Options{Journal: j, Machine: newMachine(t, j.ID()), Logger: silent, Clock: clock,
		Edges: map[core.Edge]actors.Executor{"bank": actors.ExecutorFunc(func(context.Context, actors.Request) {})}})
	if err := r.Start(t.Context(), actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{Software: "test"}}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for i := range uint64(300) {
		if err := r.Submit(ctx, ledgerID, &deposit{Account: 1, Amount: i%10 + 1}, actors.Normal, actors.Block); err != nil {
			t.Fatal(err)
		}
	}
	// A message in the inbox when the run ends is no turn.
	if err := j.WaitDurable(ctx, 300); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var last int64
	raised := 0
	it := j.Iterate(1, false)
	defer it.Close()
	for it.Next() {
		e, err := it.Event()
		if err != nil {
			t.Fatal(err)
		}
		if e.Time < last {
			t.Fatalf("event %d has time %d, the one before %d", e.Sequence, e.Time, last)
		}
		if e.Time == last {
			raised++
		}
		last = e.Time
	}
	if it.Err() != nil || raised < 100 {
		t.Fatalf("%v; the clock went back %d times only", it.Err(), raised)
	}
}

func BenchmarkSubmitSize(b *testing.B) {
	m := &deposit{Account: 1, Amount: 2, Body: record.NewContent(make([]byte, 64<<10))}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = record.Append(buf[:0], m)
	}
}
