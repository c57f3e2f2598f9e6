package sim

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// execute gives an effect to its edge. What an edge does it does later: no turn is
// made while another is being released.
func (p *process) execute(edge core.Edge, r actors.Request) {
	switch edge {
	case chain.TimerEdge: // the engine actor's too
		p.startTimer(r)
	case chain.SignerEdge:
		p.sign(r)
	case engine.Edge:
		p.engine.put(r)
	case chain.AnswerEdge: // the miner actor's too
		p.answer(r.Message)
	case bridge.BitcoinEdge:
		p.bitcoin(r)
	case bridge.SignerEdge:
		p.signPayout(r)
	case peersEdge:
		p.publish(r)
	case supervisor.ProcessEdge:
		p.stopProcess(r.Message)
	default:
		p.m.w.fail("turn", []*member{p.m}, "member %d: an effect %s for an edge %q that no node has", p.m.index, r.Message.Type(), edge)
	}
}

// peersEdge takes what goes to the other members.
const peersEdge core.Edge = "peers"

func (p *process) startTimer(r actors.Request) {
	m, ok := r.Message.(*message.StartTimer)
	if !ok {
		return
	}
	wait := int64(m.After)
	if m.At != 0 {
		wait = m.At - p.m.wall()
	}
	p.later(wait, "timer", func() {
		p.reply(r, &message.TimerFired{Due: m.At, Wall: p.m.wall(), Monotonic: p.m.w.now - p.started})
	})
}

// signer is what holds a member's key: every signature that left, in all its lives.
type signer struct {
	m       *member
	slots   map[uint64]common.Hash // block signed or approved, by slot
	ends    map[common.Hash]bool   // range ends of signed and approved carriers
	stated  map[common.Hash]bool   // range ends never to be approved
	through uint64                 // the last turn that a signature left for
}

func (p *process) sign(r actors.Request) {
	takes := 1 + p.m.w.rand.layer.Int64N(3)
	if c := p.m.w.opt.Costs; c != nil {
		takes = up(c.Sign)
	}
	p.later(takes, "signer", func() {
		key := standin.Key(p.m.index)
		p.m.signer.through = max(p.m.signer.through, r.Ref.Sequence)
		switch m := r.Message.(type) {
		case *message.SignBlock:
			p.signs(m.Slot, m.Root)
			p.reply(r, &message.BlockSigned{Root: m.Root, Signature: standin.Sign(key, m.Root)})
		case *message.SignApproval:
			p.signs(m.Slot, m.Root)
			p.reply(r, &message.ApprovalSigned{Root: m.Root, Signature: standin.Sign(key, m.Root)})
		case *message.SignStatement:
			p.m.signer.state(m.RangeEnd)
			p.reply(r, &message.StatementSigned{RangeEnd: m.RangeEnd, Signature: standin.Sign(key, aura.NeverApproveRoot(m.RangeEnd))})
		}
	})
}

// signs notes a signature, for which a member has listened before, unless its clock jumped
// meanwhile: only blocks of slots before its start were asked for in a life before this one.
func (p *process) signs(at uint64, root common.Hash) {
	since := p.m.w.now - p.started
	if p.m.honest() && p.steps == p.m.steps && int64(at) > p.wallAtStart/slot && since < int64(p.m.w.plan.listen)*slot {
		p.m.w.fail("listening", []*member{p.m}, "member %d signs %s of slot %d %.1f s after its start, and has to listen for %d slots",
			p.m.index, name(root), at, float64(since)/1000, p.m.w.plan.listen)
		return
	}
	p.m.signer.over(at, root)
}

// over notes a signature over a block, which may be its second in the slot.
func (s *signer) over(slot uint64, root common.Hash) {
	if !s.m.honest() {
		return
	}
	if before, ok := s.slots[slot]; ok && before != root {
		s.m.w.fail("double-signature", []*member{s.m}, "member %d signs %s and %s of slot %d", s.m.index, name(before), name(root), slot)
		return
	}
	s.slots[slot] = root
}

// approvedEnd notes that a carrier of a range end was approved, as the facts tell.
func (s *signer) approvedEnd(end common.Hash) {
	if s.stated[end] && !s.ends[end] {
		s.m.w.fail("statement", []*member{s.m}, "member %d approves a carrier of %s, after it stated never to", s.m.index, name(end))
	}
	s.ends[end] = true
}

// state notes a statement, which may come after an approval.
func (s *signer) state(end common.Hash) {
	s.stated[end] = true
	if s.m.honest() && s.ends[end] {
		s.m.w.fail("statement", []*member{s.m}, "member %d states never to approve %s, of which it signed a carrier", s.m.index, name(end))
	}
}

// ask puts a request of a connection before an actor. The answer, if one comes in
// this life, goes to then.
func (p *process) ask(to core.ID, m func(request uint64) core.Message, then func(core.Message)) {
	p.request++
	x := m(p.request)
	if !p.machine.Accepts(to, x) {
		return
	}
	p.requests[p.request] = then
	p.input(to, x)
}

func (p *process) answer(m core.Message) {
	var request uint64
	switch m := m.(type) {
	case *message.AuxBlock:
		request = m.Request
	case *message.AuxBlockJudged:
		request = m.Request
	case *message.SigningAnswer:
		request = m.Request
	case *message.OperatorAnswer:
		request = m.Request
	}
	then := p.requests[request]
	delete(p.requests, request)
	if then != nil {
		p.later(1, "answer", func() { then(m) })
	}
}

// exitRefused is the exit code of a node that refuses to go on for safety. (operator.md)
const exitRefused = 4

func (p *process) stopProcess(m core.Message) {
	stop, ok := m.(*message.StopProcess)
	if !ok {
		return
	}
	if !p.m.honest() && stop.Exit == exitRefused { // it signed beside its journal, and hears of it
		p.m.end(stopped, slot)
		return
	}
	p.m.w.fail("turn", []*member{p.m}, "member %d stops itself: %s", p.m.index, stop.Reason)
}
