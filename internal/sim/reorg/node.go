package reorg

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/reorg/model"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// node is one machine of the real cores with a journal in memory, and edges that
// answer at once unless they are held.
type node struct {
	w       *world
	name    string
	role    Role
	config  *message.NodeConfigured
	machine *actors.Machine
	layer   *standin.Layer
	known   *model.Known
	stopped bool // the process ended itself for a conflict of finality

	events  []event
	content map[[32]byte][]byte
	snaps   []snap
	// releasedAt is the sequence of the last turn that anything left for the
	// outside: a crash loses no turn up to it.
	releasedAt uint64
	learnt     []learning // since releasedAt, for a crash that loses turns

	effects []effect // not executed yet
	held    map[core.Edge]bool
	timers  []timer
	mono    int64
	fetches []message.FetchBlocks
	aux     *message.AuxBlock

	// What the checks remember of the whole life of the node.
	fold     []common.Hash // the connected branch as facts tell it
	executed map[core.Ref][32]byte
	slots    map[uint64]common.Hash // roots signed, by slot
	locks    []lock
	final    message.BlockID
	head     message.BlockID
	excluded map[common.Hash]bool // tips reported by BranchExcluded
	reported []common.Hash        // the same, in order
	conflict *message.FinalityConflict
	decided  bool // an operator moved the finalised block in this life
}

type event struct {
	raw    []byte
	actor  core.ID
	cause  core.Ref
	stored bool
	typ    string
	schema uint32
	time   int64
	body   []byte
	facts  []core.Message // blocks connected and reverted
}

type snap struct {
	sequence uint64
	sections []snapshot.Section
}

type learning struct {
	sequence uint64
	before   *model.Known
}

type effect struct {
	ref     core.Ref
	actor   core.ID
	edge    core.Edge
	class   core.Class
	request core.Message
}

type timer struct {
	ref   core.Ref
	actor core.ID
	at    int64 // wall clock, as asked
	due   int64 // monotonic
}

func (w *world) newNode(i int, role Role) *node {
	n := &node{
		w: w, name: string(rune('a' + i)), role: role, layer: standin.NewLayer(), known: w.model.Nobody(),
		content: map[[32]byte][]byte{}, held: map[core.Edge]bool{}, executed: map[core.Ref][32]byte{},
		slots: map[uint64]common.Hash{}, excluded: map[common.Hash]bool{},
		config: &message.NodeConfigured{
			ChainSpec: record.NewContent(w.spec.Encode()), GenesisPayload: record.NewContent(standin.Genesis().Encode()),
			Producing: role.Producing, HasAuthority: role.Member >= 0, Authority: uint32(max(role.Member, 0)),
			Judging: true, Behaviour: cores.Behaviour, Software: standin.Software, BuildWaitMs: 5,
		},
	}
	n.machine = n.newMachine()
	n.input(actors.Input{Actor: core.Supervisor, Message: n.config})
	return n
}

func (n *node) newMachine() *actors.Machine {
	m, err := cores.NewMachine(n.id(), n.w.work)
	if err != nil {
		panic(err) // the list of cores is right or no program starts
	}
	return m
}

func (n *node) state() *chain.State { return n.machine.State(chain.ID).(*chain.State) }

// fail ends the scenario: a property does not hold.
func (n *node) fail(check, format string, args ...any) {
	panic(&Failure{Check: check, Node: n.name, Detail: fmt.Sprintf(format, args...)})
}

// input handles a message, everything it leads to, and the edges' answers.
func (n *node) input(in actors.Input) {
	if n.stopped {
		return
	}
	n.step(in)
	n.drain()
	n.run()
}

func (n *node) send(to core.ID, m core.Message) { n.input(actors.Input{Actor: to, Message: m}) }

func (n *node) drain() {
	for in, ok := n.machine.NextSend(); ok; in, ok = n.machine.NextSend() {
		n.step(in)
	}
}

// step makes one turn, writes it down, and takes its outputs.
func (n *node) step(in actors.Input) {
	in.Time = n.w.wall
	turn, err := n.machine.Step(in)
	if err != nil {
		n.fail("every input is a turn", "%s of %s: %v", in.Message.Type(), in.Actor, err)
	}
	n.w.stats.Turns++
	n.write(turn)
	if turn.Event.Outcome == journal.OutcomeFailed {
		n.fail("no input panics", "turn %d, %s of %s: %s", turn.Event.Sequence, in.Message.Type(), in.Actor, turn.Event.Note)
	}
	for i, o := range turn.Outputs {
		ref := core.Ref{Sequence: turn.Event.Sequence, Index: uint32(i)}
		switch o.Kind {
		case core.Fact:
			n.fact(o.Message)
			n.keepFact(o.Message)
		case core.Effect:
			n.asked(effect{ref, in.Actor, core.Edge(o.Target), o.Class, o.Message})
		}
	}
	n.afterTurn(in, turn)
}

// write appends the turn to the journal in memory.
func (n *node) write(turn actors.Turn) {
	e := turn.Event
	for _, c := range turn.Contents {
		n.content[c.Hash] = c.Data
	}
	for _, h := range e.Contents {
		if _, ok := n.content[h]; !ok {
			n.fail("contents are in the journal", "turn %d refers to %x, which no turn carried", e.Sequence, h[:4])
		}
	}
	n.events = append(n.events, event{
		raw: e.AppendTo(nil), actor: core.ID(e.Actor), cause: core.Ref(e.Cause), stored: e.Stored,
		typ: e.Type, schema: e.Schema, time: e.Time, body: bytes.Clone(e.Message),
	})
}

func (n *node) resolve(h [32]byte) ([]byte, error) {
	data, ok := n.content[h]
	if !ok {
		return nil, fmt.Errorf("content %x is in no journal", h[:4])
	}
	return data, nil
}

// learn notes what a crash that loses the next turns would take away again.
func (n *node) learn(change func(*model.Known)) {
	if len(n.held) > 0 {
		n.learnt = append(n.learnt, learning{n.machine.Sequence(), n.known.Clone()})
	}
	change(n.known)
}

// give is blocks that arrive, as the world has them or in another copy.
func (n *node) give(origin string, list []copyOf) {
	for len(list) > 0 && !n.stopped {
		batch := list[:min(len(list), 256)]
		list = list[len(batch):]
		m := &message.BlocksReceived{Origin: origin}
		n.learn(func(k *model.Known) {
			for _, c := range batch {
				m.Blocks = append(m.Blocks, message.Block{Signed: c.bytes})
				k.Learn(c.signed)
			}
		})
		n.send(chain.ID, m)
	}
}

// wait lets time pass on this node's clocks; timers that are wanted fire.
func (n *node) wait(ms int64, wanted func(timer) bool) {
	end := n.mono + ms
	start := n.w.wall
	for !n.stopped {
		next := -1
		for i, t := range n.timers {
			if t.due <= end && wanted(t) && (next < 0 || t.due < n.timers[next].due) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		t := n.timers[next]
		n.timers = slices.Delete(slices.Clone(n.timers), next, next+1)
		passed := max(t.due-n.mono, 0)
		n.mono += passed
		n.w.wall += passed
		n.input(actors.Input{Actor: t.actor, Cause: t.ref, Message: &message.TimerFired{Due: t.at, Wall: n.w.wall, Monotonic: n.mono}})
	}
	n.mono, n.w.wall = end, start
}
