package node

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	actorengine "github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
)

// player runs the machine of the node on an execution layer without a runtime: a
// scripted clock, one effect outstanding, so that its turns depend on the inputs and
// the answers of the execution layer alone.
type player struct {
	t       testing.TB
	machine *actors.Machine
	journal *journal.Journal
	edge    *engineEdge
	signer  *signerEdge
	config  *message.NodeConfigured
	wall    int64
	timers  []actors.Request
	effects []actors.Request
	turns   [][]byte // every event as it is stored
	// payloads are answers to requests to build: recorded in one run, repeated in the next.
	payloads []core.Message
	repeat   bool
}

// turnsStart is the wall clock of the first turn, Unix milliseconds.
const turnsStart = 1_700_000_000_000

func newPlayer(t testing.TB, c *spec.Chain, api engine.API) *player {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(journal.Options{Dir: t.TempDir(), CacheBytes: 4 << 20, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	work := memo.New()
	p := &player{t: t, journal: j, wall: turnsStart}
	content := func(c record.Content) ([]byte, error) {
		if c.Data != nil {
			return c.Data, nil
		}
		return j.Content(journal.Hash(c.Hash))
	}
	p.edge = &engineEdge{api: api, x: engine.NewExecutor(api), journal: j, memo: work, content: content, log: testLog(t), stop: func(err error) { t.Error(err) }}
	key := aura.DevKey(1)
	p.signer = &signerEdge{key: &key}
	if p.machine, err = NewMachine(journal.ID{7}, work); err != nil {
		t.Fatal(err)
	}
	genesis, err := engine.GenesisPayload(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		t.Fatal(err)
	}
	p.config = &message.NodeConfigured{
		ChainSpec: record.NewContent(c.Encode()), GenesisPayload: record.NewContent(genesis.Encode()),
		Producing: true, HasAuthority: true, Behaviour: Behaviour, Software: "test", BuildWaitMs: 50,
	}
	p.input(actors.Input{Actor: core.Supervisor, Message: p.config})
	return p
}

// input makes a turn of an input, of everything it leads to, and of the answers.
func (p *player) input(in actors.Input) {
	p.t.Helper()
	p.step(in)
	for len(p.effects) > 0 {
		r := p.effects[0]
		p.effects = p.effects[1:]
		if answer := p.execute(r); answer != nil {
			p.step(actors.Input{Actor: r.Actor, Message: answer, Cause: r.Ref})
		}
	}
}

func (p *player) step(in actors.Input) {
	p.t.Helper()
	for ok := true; ok; in, ok = p.machine.NextSend() {
		in.Time = p.wall
		turn, err := p.machine.Step(in)
		if err != nil {
			p.t.Fatal(err)
		}
		if turn.Event.Outcome == journal.OutcomeFailed {
			p.t.Fatalf("%s of %s failed: %s", in.Message.Type(), in.Actor, turn.Event.Note)
		}
		if _, err := p.journal.Append(turn.Event, turn.Contents); err != nil {
			p.t.Fatal(err)
		}
		p.turns = append(p.turns, turn.Event.AppendTo(nil))
		for i, o := range turn.Outputs {
			if m, refused := o.Message.(*message.BlockRefused); refused {
				p.t.Logf("refused %d %s: %s: %s", m.Number, m.Root, m.Field, m.Reason)
			}
			if o.Kind != core.Effect {
				continue
			}
			r := actors.Request{Ref: core.Ref{Sequence: turn.Event.Sequence, Index: uint32(i)}, Actor: in.Actor, Class: o.Class, Message: o.Message}
			if _, timer := o.Message.(*message.StartTimer); timer {
				p.timers = append(p.timers, r)
			} else if e := core.Edge(o.Target); e == actorengine.Edge || e == chain.SignerEdge {
				p.effects = append(p.effects, r)
			}
		}
	}
	if err := p.journal.WaitDurable(context.Background(), p.machine.Sequence()); err != nil {
		p.t.Fatal(err)
	}
}

// execute runs one effect to its answer.
func (p *player) execute(r actors.Request) (answer core.Message) {
	r.Reply = func(m core.Message) { answer = m }
	switch r.Message.(type) {
	case *message.BuildPayload:
		if p.repeat {
			answer, p.payloads = p.payloads[0], p.payloads[1:]
			return answer
		}
		p.edge.Execute(context.Background(), r)
		p.payloads = append(p.payloads, answer)
	case *message.ImportPayloads, *message.UpdateForkchoice:
		p.edge.Execute(context.Background(), r)
	default:
		p.signer.Execute(context.Background(), r)
	}
	return answer
}

// slot lets the clock reach the next slot timer, and fires it.
func (p *player) slot() {
	p.t.Helper()
	timers := p.timers
	p.timers = nil
	for _, r := range timers {
		m := r.Message.(*message.StartTimer)
		at := m.At
		if at == 0 {
			at = p.wall + int64(m.After)
		}
		p.wall = max(p.wall, at)
		p.input(actors.Input{Actor: r.Actor, Cause: r.Ref, Message: &message.TimerFired{Due: m.At, Wall: p.wall, Monotonic: p.wall - turnsStart}})
	}
}

// restart is another run of the node on the same state: what was pending is answered already.
func (p *player) restart() {
	p.t.Helper()
	timers := p.timers
	p.timers = nil
	p.input(actors.Input{Actor: core.Supervisor, Message: p.config})
	for _, r := range timers {
		p.input(actors.Input{Actor: r.Actor, Cause: r.Ref, Message: &core.Expired{Reason: "restart"}})
	}
}

func (p *player) receive(blocks ...*block.Signed) {
	p.t.Helper()
	m := &message.BlocksReceived{Origin: chain.Sync}
	for _, b := range blocks {
		m.Blocks = append(m.Blocks, message.Block{Signed: record.NewContent(b.Encode())})
	}
	p.wall += 1000
	p.input(actors.Input{Actor: chain.ID, Message: m})
}

func (p *player) state() *chain.State { return chainState(p.machine) }

// wantHead fails unless the node and its execution layer have this block as head.
func (p *player) wantHead(b *block.Signed) {
	p.t.Helper()
	if head := p.state().Head; head.Root != b.Block.Root() {
		p.t.Fatalf("the node's head is %s at %d, want %d", head.Root, head.Number, b.Block.Payload.BlockNumber)
	}
	p.wantLevel()
}

// wantLevel fails unless the execution layer has the node's head and finalised block.
func (p *player) wantLevel() {
	p.t.Helper()
	s := p.state()
	number, hash, err := p.edge.x.Head(context.Background())
	if want := s.Entry(s.Head.Root); err != nil || hash != want.PayloadHash {
		p.t.Fatalf("the execution layer's head is %s at %d (%v), the node's %s at %d", hash, number, err, want.PayloadHash, want.Number)
	}
}

func sameTurns(t testing.TB, a, b [][]byte) {
	t.Helper()
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatalf("turn %d differs:\n%x\n%x", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%d and %d turns", len(a), len(b))
	}
}

// testLog shows warnings of an edge when the test fails.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
