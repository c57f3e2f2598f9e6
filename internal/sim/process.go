package sim

import (
	"bytes"
	"context"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// process is one life of a member: what a crash takes away.
type process struct {
	m         *member
	journal   *journal.Journal
	snapshots *snapshot.Store
	machine   *actors.Machine
	started   int64 // true time, for the monotonic clock

	wallAtStart int64
	steps       int     // of the member's clock until then
	worked      int64   // until when its processor is at work, microseconds
	rounds      []round // that are measured, oldest first

	waiting  []turn // handled, not yet given to the disk
	writing  []turn // the group under way
	group    uint64 // counts groups
	released uint64 // the last turn whose effects left

	engine   engineQueue
	peers    peersState
	snap     snapshooter
	requests map[uint64]func(core.Message) // connections that wait for an answer
	request  uint64
}

// turn is a handled turn that waits for the disk.
type turn struct {
	event    journal.Event
	contents []journal.Content
	by       core.ID
	outputs  []core.Output
	after    frozen // the states it left
}

func newProcess(m *member, j *journal.Journal, store *snapshot.Store, r restart.Recovered) *process {
	p := &process{
		m: m, journal: j, snapshots: store, machine: r.Machine, started: m.w.now, wallAtStart: m.wall(), steps: m.steps,
		released: r.Machine.Sequence(), requests: map[uint64]func(core.Message){},
	}
	p.engine.p, p.snap.p = p, p
	p.peers = newPeers(p)
	p.snap.begun = max(r.Snapshot, 1)
	return p
}

// begin is what a node does first: sends that a crash left, the configuration, the
// execution layer brought level, then what is pending. (actors.Runtime.Start)
func (p *process) begin() {
	pending := p.machine.PendingEffects()
	p.drain()
	p.step(actors.Input{Actor: core.Supervisor, Message: p.m.config()})
	p.drain()
	p.commitNow()
	if !p.current() || !p.level() {
		return
	}
	p.peers.begin()
	for _, e := range pending {
		x := actors.Request{Ref: e.Ref, Actor: e.Actor(), Class: e.Class, Message: e.Request}
		if e.Class == core.Expiring {
			p.reply(x, &core.Expired{Reason: "restart"})
			continue
		}
		p.execute(e.Edge, x)
	}
}

// current reports whether this life still goes on.
func (p *process) current() bool { return p.m.process == p && p.m.w.failure == nil }

// later schedules do unless the life has ended by then.
func (p *process) later(ms int64, what string, do func()) {
	p.m.w.after(ms, what, p.m.index, func() {
		if p.current() {
			do()
		}
	})
}

// input hands a message from outside to an actor.
func (p *process) input(to core.ID, m core.Message) {
	p.handle(actors.Input{Actor: to, Message: m})
}

// reply hands the result of an effect to the actor that asked for it.
func (p *process) reply(r actors.Request, result core.Message) {
	if r.Class.Pending() {
		p.handle(actors.Input{Actor: r.Actor, Message: result, Cause: r.Ref})
	}
}

// handle is the sequencer: the message, the sends it leads to, then the disk.
func (p *process) handle(in actors.Input) {
	p.step(in)
	p.drain()
	p.snap.due()
	p.commit()
}

func (p *process) drain() {
	for in, ok := p.machine.NextSend(); ok && p.m.w.failure == nil; in, ok = p.machine.NextSend() {
		p.step(in)
	}
}

// step makes one turn and keeps it for the disk. Everything the simulator hands
// over has to be a turn, and no turn fails: both are oracles.
func (p *process) step(in actors.Input) {
	if p.m.w.failure != nil {
		return
	}
	in.Time = p.m.wall()
	made, err := p.machine.Step(in)
	if err != nil {
		p.m.w.fail("turn", []*member{p.m}, "member %d: %s for %s is no turn: %v", p.m.index, in.Message.Type(), in.Actor, err)
		return
	}
	t := keep(in.Actor, made)
	t.after = freeze(p.machine)
	p.waiting = append(p.waiting, t)
	p.m.recent.add(p.m.w.now, made.Event.Sequence, in.Actor, in.Message, made.Event.Outcome, t.outputs)
	p.m.w.result.Turns++
	p.snap.count(made)
	if made.Event.Outcome == journal.OutcomeFailed {
		p.m.w.fail("turn", []*member{p.m}, "member %d: turn %d of %s fails at %s: %s",
			p.m.index, made.Event.Sequence, in.Actor, in.Message.Type(), made.Event.Note)
		return
	}
	p.m.w.oracle.bounded(p)
	if in.Actor == chain.ID {
		p.m.w.oracle.decides(p)
		p.roundsEnd()
	}
	if p.m.w.opt.EarlyRelease {
		p.release(p.waiting[len(p.waiting)-1])
	}
}

// keep copies a turn, which is valid only until the next one.
func keep(by core.ID, made actors.Turn) turn {
	t := turn{event: *made.Event, by: by, outputs: append([]core.Output(nil), made.Outputs...)}
	t.event.Message = bytes.Clone(made.Event.Message)
	t.event.Outputs = append([]journal.Output(nil), made.Event.Outputs...)
	for i := range t.event.Outputs {
		t.event.Outputs[i].Payload = bytes.Clone(t.event.Outputs[i].Payload)
	}
	t.event.Contents = append([]journal.Hash(nil), made.Event.Contents...)
	t.contents = append([]journal.Content(nil), made.Contents...)
	return t
}

// commit gives what waits to the disk, unless a group is under way: then it is the
// next one's. The group is on disk when its sync ends, and nothing leaves before.
func (p *process) commit() {
	if len(p.writing) > 0 || len(p.waiting) == 0 || !p.current() {
		return
	}
	p.take()
	group := p.group
	p.later(p.m.w.syncTime(), "synced", func() {
		if group == p.group && p.write() {
			p.synced()
		}
	})
}

// take makes what waits the group under way.
func (p *process) take() {
	p.writing, p.waiting = p.waiting, nil
	p.group++
	p.m.inFlight = nil
	for _, t := range p.writing {
		p.m.inFlight = append(p.m.inFlight, t.after)
	}
}

// write puts the group under way on disk. When the disk is to fail in the middle,
// each turn is a group of its own, so that which of them survive is not for the
// journal's goroutines to decide. A disk that fails ends the life.
func (p *process) write() bool {
	single := p.m.disk.isArmed()
	for i := range p.writing {
		t := &p.writing[i]
		head, err := p.journal.Append(&t.event, t.contents)
		if err == nil && (single || i == len(p.writing)-1) {
			err = p.journal.WaitDurable(context.Background(), head.Sequence)
		}
		if err != nil {
			p.diskFailed()
			return false
		}
		p.snap.placed(head)
		if single {
			p.m.durable = t.after
		}
	}
	p.m.durable, p.m.inFlight = p.writing[len(p.writing)-1].after, nil
	return true
}

// synced releases what the group asked for, and goes on with the next one.
func (p *process) synced() {
	group := p.writing
	p.writing = nil
	for _, t := range group {
		if !p.current() {
			return
		}
		if !p.m.w.opt.EarlyRelease {
			p.release(t)
		}
	}
	p.snap.write()
	p.commit()
}

// commitNow writes everything that waits, without time passing.
func (p *process) commitNow() {
	for p.current() && len(p.writing)+len(p.waiting) > 0 {
		if len(p.writing) == 0 {
			p.take()
		}
		p.group++ // the event that would have ended the group finds another
		if !p.write() {
			return
		}
		p.synced()
	}
}

// release lets facts and effects of a turn leave the process.
func (p *process) release(t turn) {
	p.released = t.event.Sequence
	for i, o := range t.outputs {
		if !p.current() {
			return
		}
		ref := core.Ref{Sequence: t.event.Sequence, Index: uint32(i)}
		switch o.Kind {
		case core.Fact:
			p.m.w.oracle.fact(p.m, ref, o.Message)
			p.peers.fact(o.Message)
		case core.Effect:
			p.execute(core.Edge(o.Target), actors.Request{Ref: ref, Actor: t.by, Class: o.Class, Message: o.Message})
		}
	}
	p.m.w.oracle.turnEnds(p.m, t.event.Sequence)
}

// diskFailed ends the life by what its disk did.
func (p *process) diskFailed() {
	how := failed
	if p.m.disk.cutHappened() {
		how = powered
	}
	p.m.end(how, p.m.w.plan.downtime(p.m.w.rand.disk))
}

// stopTurns are the last turns of a clean stop.
func (p *process) stopTurns() {
	p.step(actors.Input{Actor: core.Supervisor, Message: &message.NodeStopped{Reason: "stopped by the operator"}})
	p.drain()
	p.snap.begin("stop")
	p.commitNow()
	if x := p.snap.pending; x != nil && x.placed && p.current() {
		if manifest, err := p.snapshots.Write(x.position, x.sections); err == nil {
			p.step(actors.Input{Actor: core.Supervisor, Message: actors.TakenFrom(manifest.Sequence, manifest.Sections)})
		}
	}
}

// snapshooter takes snapshots as the node's runtime does: one turn marks where the
// states were frozen, another records their digests.
type snapshooter struct {
	p       *process
	begun   uint64 // sequence of the last, or of the start
	bytes   int
	pending *pendingSnapshot
}

type pendingSnapshot struct {
	position snapshot.Position
	sections []snapshot.Section
	placed   bool
}

func (s *snapshooter) count(made actors.Turn) {
	s.bytes += len(made.Event.Message)
	for _, c := range made.Contents {
		s.bytes += len(c.Data)
	}
}

func (s *snapshooter) due() {
	p := s.p
	if s.pending != nil || p.machine.Sequence()-s.begun < uint64(p.m.w.plan.snapshotTurns) {
		return
	}
	s.begin("turns")
}

func (s *snapshooter) begin(reason string) {
	p := s.p
	p.step(actors.Input{Actor: core.Supervisor, Message: &message.SnapshotBegun{Reason: reason}})
	s.begun, s.bytes = p.machine.Sequence(), 0
	s.pending = &pendingSnapshot{
		position: snapshot.Position{
			Journal: p.journal.ID(), Sequence: s.begun,
			Rules: snapshot.Rules{Behaviour: cores.Behaviour, Fingerprint: p.machine.Fingerprint(cores.Behaviour)},
		},
		sections: p.machine.Freeze(),
	}
}

// placed learns the chain hash of the turn at which the states were frozen.
func (s *snapshooter) placed(head journal.Head) {
	if s.pending != nil && head.Sequence == s.pending.position.Sequence {
		s.pending.position.Hash, s.pending.placed = head.Hash, true
	}
}

// write writes a snapshot whose turn is on disk, and has its digests recorded.
func (s *snapshooter) write() {
	if s.pending == nil || !s.pending.placed || !s.p.current() {
		return
	}
	x := s.pending
	s.p.later(s.p.m.w.rand.disk.Int64N(400), "snapshot", func() {
		manifest, err := s.p.snapshots.Write(x.position, x.sections)
		s.pending = nil
		if err != nil { // it costs time at the next start, not state
			return
		}
		s.p.handle(actors.Input{Actor: core.Supervisor, Message: actors.TakenFrom(manifest.Sequence, manifest.Sections)})
	})
	s.pending.placed = false
}
