package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// rangeMost is how many blocks one answer holds.
const rangeMost = 256

// fetchRange is the peers edge asking one peer for blocks by height.
func (p *process) fetchRange(r actors.Request, m *message.FetchRange) {
	w, done := p.m.w, false
	begun := w.now
	finish := func(blocks []record.Content, fault string) {
		if !done {
			done = true
			p.reply(r, p.judgeRange(m, blocks, fault, uint32(w.now-begun)))
		}
	}
	peer := w.peerIndex(m.Peer)
	if peer < 0 || w.net.linked(p, peer) == nil {
		p.later(1, "range", func() { finish(nil, message.ActReset) })
		return
	}
	p.later(int64(m.DeadlineMs), "range", func() { finish(nil, message.ActTimeout) })
	w.net.ask(p, peer, func() ([]record.Content, string) {
		if peer >= len(w.members) {
			return w.strangers[peer-len(w.members)].serve(m)
		}
		at := w.members[peer].process
		if d := at.m.dishonest; d != nil {
			return d.answers(at.branch(m.From, m.Count))
		}
		return at.branch(m.From, m.Count), ""
	}, finish)
}

// ask sends a request over a connection and the answer back. One in so many is lost: the
// stream is reset, or nothing comes.
func (n *network) ask(p *process, peer int, serve func() ([]record.Content, string), then func([]record.Content, string)) {
	r, l := n.w.rand.net, n.links[p.m.index][peer]
	way := n.roundTrip(p.m.index, peer) / 2
	lost := !n.calm && r.IntN(1000) < n.w.plan.drop
	n.w.after(way, "request", peer, func() {
		if n.linked(p, peer) != l {
			return
		}
		blocks, fault := serve()
		if fault == message.ActTimeout || lost && r.IntN(2) == 0 {
			return
		}
		if lost {
			fault = message.ActReset
			blocks = blocks[:r.IntN(len(blocks)+1)]
		}
		p.later(way+int64(len(blocks)), "answer", func() {
			if n.linked(p, peer) == l {
				then(blocks, fault)
			}
		})
	})
}

// branch are the blocks of this member's branch from a height on, as its disk has them.
func (p *process) branch(from uint64, count uint32) []record.Content {
	s, count := p.m.state(), min(count, rangeMost)
	var hashes []common.Hash
	for e := s.Entry(p.peers.head.Root); e != nil && e.Number >= from && e.Number > 0; e = s.Entry(e.Parent) {
		if e.Number < from+uint64(count) {
			hashes = append(hashes, e.Signed)
		}
	}
	slices.Reverse(hashes)
	var blocks []record.Content
	for _, h := range hashes {
		data, err := p.content(h)
		if err != nil {
			break
		}
		blocks = append(blocks, record.Content{Hash: h, Data: data})
	}
	return blocks
}

// judgeRange checks of an answer what needs no state, as the edge does: the good blocks
// before the first bad one count.
func (p *process) judgeRange(m *message.FetchRange, blocks []record.Content, fault string, ms uint32) core.Message {
	answer := &message.RangeFetched{Peer: m.Peer, From: m.From, Fault: fault, Ms: ms}
	run := &rangeRun{w: p.m.w, want: m}
	for _, c := range blocks {
		if bad := run.next(c); bad != "" {
			answer.Fault = bad
			break
		}
		answer.Blocks = append(answer.Blocks, message.Block{Signed: c})
		answer.Bytes += uint64(len(c.Data))
	}
	if len(answer.Blocks) == 0 {
		if answer.Fault == "" {
			answer.Fault = message.ActEmpty
		}
		return &message.RangeFailed{Peer: m.Peer, From: m.From, Fault: answer.Fault, Ms: ms}
	}
	p.m.w.result.Ranges++
	answer.Parent, answer.Last, answer.Quorum = run.parent, run.last, run.quorum
	answer.Proven = run.proven
	return answer
}

// rangeRun is how far an answer is judged.
type rangeRun struct {
	w            *world
	want         *message.FetchRange
	count        uint64
	slot         uint64
	parent, last common.Hash
	quorum       uint32 // so many up to the last that has one
	proven       common.Hash
}

// next takes one block more, and says what is wrong with it.
func (g *rangeRun) next(c record.Content) string {
	signed, root, err := g.w.work.Decode(c.Data)
	if err != nil {
		return message.ActMalformed
	}
	b := &signed.Block
	switch {
	case g.count >= uint64(g.want.Count):
		return message.ActUnwanted
	case b.Payload.BlockNumber > g.want.From+g.count:
		return message.ActGap
	case b.Payload.BlockNumber < g.want.From+g.count, g.count > 0 && b.Slot <= g.slot:
		return message.ActOrder
	case g.count > 0 && b.ParentHash != g.last:
		return message.ActForged
	case g.w.work.Verify(g.w.committee, signed.Approvals, root) != nil:
		return message.ActInvalidSignature
	}
	n := g.w.opt.Members
	if signed.Approvals.CountReal(n) >= aura.Quorum(n) {
		g.quorum, g.proven = uint32(g.count)+1, root
	}
	if g.count == 0 {
		g.parent = b.ParentHash
	}
	g.count, g.slot, g.last = g.count+1, b.Slot, root
	return ""
}

// fetchApprovals asks peers for the approvals of a block that each has, one by one.
func (p *process) fetchApprovals(m *message.FetchApprovals) {
	w, order := p.m.w, p.m.w.net.askable(p)
	for _, peer := range order[:min(fetchPeers, len(order))] {
		w.net.send(p.m.index, peer, "request", func(at *process) {
			if d := at.m.dishonest; d != nil && d.silent() {
				return
			}
			for _, a := range at.approvals(m.Root) {
				w.net.send(peer, p.m.index, "answer", func(to *process) { to.gossipApproval(peer, a) })
			}
		})
	}
}

// approvals are the single ones that this member can give of a block: its own.
func (p *process) approvals(root common.Hash) []*message.ApprovalReceived {
	b := p.m.w.blocks.get(root)
	if b == nil || p.m.signer.slots[b.slot] != root {
		return nil
	}
	a := standin.Approve(p.m.index, root)
	return []*message.ApprovalReceived{{Root: root, Authority: a.Authority, Signature: a.Signature}}
}
