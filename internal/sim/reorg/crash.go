package reorg

import (
	"bytes"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// maxSnaps is how many snapshots a node keeps.
const maxSnaps = 8

func (n *node) snapshot() {
	n.snaps = append(n.snaps, snap{n.machine.Sequence(), n.machine.Freeze()})
	if len(n.snaps) > maxSnaps {
		n.snaps = n.snaps[1:]
	}
}

// crash ends the process: up to lose turns that nothing has left the node for are
// gone, and the layer's head is where it was when it last wrote.
func (n *node) crash(lose, from int) {
	if n.stopped {
		return
	}
	last := n.machine.Sequence()
	cut := max(last-min(uint64(max(lose, 0)), last), n.releasedAt)
	n.events = n.events[:cut]
	if cut < last {
		n.excluded = map[common.Hash]bool{} // may be said again
	}
	for i, l := range n.learnt {
		if l.sequence >= cut {
			n.known, n.learnt = l.before, n.learnt[:i]
			break
		}
	}
	for len(n.snaps) > 0 && n.snaps[len(n.snaps)-1].sequence > cut {
		n.snaps = n.snaps[:len(n.snaps)-1]
	}
	n.layer.Crash()
	n.restart(from)
}

// restart starts the next process from a snapshot, 1 the newest, 0 none, and the
// turns after it, which must come out as they were.
func (n *node) restart(from int) {
	n.w.stats.Restarts++
	n.rebuild(from)
	pending := n.machine.PendingEffects()
	n.timers, n.effects, n.mono, n.fetches, n.stopped = nil, nil, 0, nil, false
	n.refold()
	n.drain()
	n.level()
	n.step(actors.Input{Actor: core.Supervisor, Message: n.config})
	n.drain()
	for _, e := range pending {
		if e.Class == core.Expiring {
			n.step(actors.Input{Actor: e.Actor(), Message: &core.Expired{Reason: "restart"}, Cause: e.Ref})
			n.drain()
			continue
		}
		n.effects = append(n.effects, effect{e.Ref, e.Actor(), e.Edge, e.Class, e.Request})
	}
	n.run()
}

// rebuild makes the machine of the journal in memory: a snapshot and the turns
// after it, decoded from their bytes. Every turn must give the bytes that the
// live node wrote.
func (n *node) rebuild(from int) {
	m := n.newMachine()
	if at := len(n.snaps) - from; from > 0 && at >= 0 {
		n.load(m, n.snaps[at].sections)
	}
	n.replayInto(m)
	n.machine = m
}

func (n *node) load(m *actors.Machine, sections []snapshot.Section) {
	for _, s := range sections {
		err := s.Walk(func(key, value []byte) error {
			return m.Load(s.Name, bytes.Clone(key), bytes.Clone(value), n.resolve)
		})
		if err != nil {
			n.fail("snapshots load", "%s: %v", s.Name, err)
		}
	}
}

// replayInto handles the turns after the machine's position again.
func (n *node) replayInto(m *actors.Machine) {
	for _, e := range n.events[m.Sequence():] {
		in := actors.Input{Actor: e.actor, Cause: e.cause, Sent: !e.stored, Time: e.time}
		if e.stored {
			msg, err := m.DecodeMessage(e.typ, e.schema, e.body, n.resolve)
			if err != nil {
				n.fail("replay equals live", "turn %d, %s: %v", m.Sequence()+1, e.typ, err)
			}
			in.Message = msg
		} else if own, ok := m.NextSend(); ok {
			in.Message = own.Message
		} else {
			n.fail("replay equals live", "turn %d, %s: no send waits", m.Sequence()+1, e.typ)
		}
		turn, err := m.Step(in)
		if err != nil {
			n.fail("replay equals live", "turn %d, %s: %v", m.Sequence()+1, e.typ, err)
		}
		if got := turn.Event.AppendTo(nil); !bytes.Equal(got, e.raw) {
			n.fail("replay equals live", "turn %d, %s of %s, has other outputs: %s", turn.Event.Sequence, e.typ, e.actor, n.difference(turn.Event, e.raw))
		}
	}
}

// difference names the first output that replay and journal do not share.
func (n *node) difference(got *journal.Event, raw []byte) string {
	want, err := journal.DecodeEvent(raw, nil)
	if err != nil {
		return err.Error()
	}
	for i := range max(len(got.Outputs), len(want.Outputs)) {
		if i >= len(got.Outputs) {
			return "without " + want.Outputs[i].Type
		}
		if i >= len(want.Outputs) {
			return "with " + got.Outputs[i].Type
		}
		if a, b := got.Outputs[i], want.Outputs[i]; a.Type != b.Type || !bytes.Equal(a.Payload, b.Payload) {
			return a.Type + " instead of " + b.Type
		}
	}
	return "outcome or message differ"
}

// level feeds the layer what the journal has connected and the layer lost, as a
// node does before pending effects run.
func (n *node) level() {
	var line []message.Block
	for m := n.w.roots[n.state().Head.Root]; m != nil && m.parent != nil && !n.layer.Knows(m.signed.Block.Payload.BlockHash); m = m.parent {
		line = append([]message.Block{{Signed: m.bytes}}, line...)
	}
	if len(line) == 0 {
		return
	}
	limit := n.layer.Limit
	n.layer.Limit = -1
	if _, err := n.layer.Import(&message.ImportPayloads{Blocks: line}, n.w.work.Decode); err != nil {
		n.fail("the layer is brought level", "%v", err)
	}
	n.layer.Limit = limit
}

// digests compares the states of two machines that must be equal.
func (n *node) digests(check string, got, want *actors.Machine) {
	a, b := got.Freeze(), want.Freeze()
	for i := range a {
		x, err1 := snapshot.Digest(a[i])
		y, err2 := snapshot.Digest(b[i])
		if err1 != nil || err2 != nil || x != y {
			n.fail(check, "the state of %s differs (%v, %v)", a[i].Name, err1, err2)
		}
	}
}

// checkReplay re-runs the journal from genesis and from a snapshot.
func (n *node) checkReplay(from int) {
	m := n.newMachine()
	if at := len(n.snaps) - from; from > 0 && at >= 0 {
		n.load(m, n.snaps[at].sections)
	}
	n.replayInto(m)
	n.digests("replay equals live", m, n.machine)
}

// keepFact notes a fact that changes the branch with its turn.
func (n *node) keepFact(m core.Message) {
	switch m.(type) {
	case *message.BlockConnected, *message.BlockReverted:
		last := &n.events[len(n.events)-1]
		last.facts = append(last.facts, m)
	}
}

// refold is what the facts of the journal say of the branch, after a crash that
// lost turns.
func (n *node) refold() {
	n.fold = nil
	for _, e := range n.events {
		for _, fact := range e.facts {
			n.foldFact(fact)
		}
	}
	n.final, n.head = n.state().Finalized, n.state().Head
}
