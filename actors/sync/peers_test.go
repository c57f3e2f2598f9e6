package sync_test

import (
	"cmp"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// peer is a peer of the test and how it behaves.
type peer struct {
	name      string
	has       *branch
	tells     uint64 // height of the head that it tells, when not that of its branch
	legacy    bool
	member    int // authority + 1
	answer    func(w *world, p *peer, m *message.FetchRange) (blocks []made, fault string, ms int64)
	connected bool
	flaps     bool
	most      int // blocks in an answer; 0 for no limit
}

func (w *world) add(p *peer) *peer {
	w.peers[p.name] = p
	w.connect(p)
	return p
}

func (w *world) order() []*peer {
	var list []*peer
	for _, p := range w.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *peer) int { return cmp.Compare(a.name, b.name) })
	return list
}

func (w *world) connect(p *peer) {
	p.connected = true
	w.see(p)
	if p.flaps {
		w.after(1000+w.random.Int64N(8000), func() { w.disconnect(p) })
	}
}

func (w *world) see(p *peer) {
	seen := message.SyncPeer{Peer: p.name, Legacy: p.legacy, RttMs: 10}
	if p.member > 0 {
		seen.HasAuthority, seen.Authority = true, uint32(p.member-1)
	}
	if !p.legacy {
		head := p.has.head()
		if p.tells > 0 {
			head = message.BlockID{Root: common.Hash{9}, Number: p.tells}
		}
		seen.Head = &head
	}
	w.handle(&message.PeersSeen{Peers: []message.SyncPeer{seen}}, core.Ref{})
	w.drain()
}

func (w *world) disconnect(p *peer) {
	p.connected = false
	w.handle(&message.PeersSeen{Gone: []message.GonePeer{{Peer: p.name}}}, core.Ref{})
	w.after(1000+w.random.Int64N(5000), func() { w.connect(p) })
}

// serve has a peer answer a request, as the edge passes it on.
func (w *world) serve(ref core.Ref, m *message.FetchRange) {
	p := w.peers[m.Peer]
	if m.Count == 0 || m.Count > 1024 || m.From == 0 || m.Legacy != p.legacy {
		w.fail("asks %+v", m)
	}
	if !p.connected {
		w.reply(ref, 1, &message.RangeFailed{Peer: m.Peer, From: m.From, Fault: message.ActReset})
		return
	}
	blocks, fault, ms := p.answer(w, p, m)
	w.answer(ref, m, blocks, fault, ms)
}

// answer is what the edge makes of blocks: it checks heights, links and sizes.
func (w *world) answer(ref core.Ref, m *message.FetchRange, blocks []made, fault string, ms int64) {
	answer := &message.RangeFetched{Peer: m.Peer, From: m.From, Fault: fault, Ms: uint32(ms)}
	for i, b := range blocks {
		want := m.From + uint64(i)
		bad := ""
		switch {
		case uint32(i) >= m.Count:
			bad = message.ActUnwanted
		case b.number > want:
			bad = message.ActGap
		case b.number < want:
			bad = message.ActOrder
		case i > 0 && b.parent != blocks[i-1].root:
			bad = message.ActForged
		}
		if bad != "" {
			answer.Fault = bad
			break
		}
		if i == 0 {
			answer.Parent = b.parent
		}
		answer.Last = b.root
		answer.Blocks = append(answer.Blocks, message.Block{Signed: w.content(b)})
		answer.Bytes += uint64(b.size)
		if b.quorum {
			answer.Quorum, answer.Proven = uint32(i+1), b.root
		}
	}
	if len(answer.Blocks) == 0 {
		if answer.Fault == "" {
			answer.Fault = message.ActEmpty
		}
		w.reply(ref, ms, &message.RangeFailed{Peer: m.Peer, From: m.From, Fault: answer.Fault, Ms: uint32(ms)})
		return
	}
	w.reply(ref, ms, answer)
}

// part is what a branch has of a request.
func (p *peer) part(b *branch, m *message.FetchRange) []made {
	if m.From >= uint64(len(b.blocks)) {
		return nil
	}
	n := min(uint64(m.Count), uint64(len(b.blocks))-m.From)
	if p.most > 0 {
		n = min(n, uint64(p.most))
	}
	return b.blocks[m.From : m.From+n]
}

func honest(w *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks := p.part(p.has, m)
	return blocks, "", 5 + int64(len(blocks))/4 + w.random.Int64N(20)
}

func silent(_ *world, _ *peer, m *message.FetchRange) ([]made, string, int64) {
	return nil, message.ActTimeout, int64(m.DeadlineMs)
}

func drip(_ *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks := p.part(p.has, m)
	return blocks, "", int64(len(blocks)) * int64(m.DeadlineMs-1)
}

// forged answers with blocks that one member signed and that stand on nothing.
func forged(w *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	b := grow('F', nil, 0, m.From+uint64(m.Count), false)
	return b.blocks[m.From : m.From+uint64(m.Count)], "", 20
}

// grafted answers with blocks that one member signed on top of the federation's.
func grafted(w *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	n := min(uint64(m.Count), 60)
	b := grow('G', p.has, min(m.From-1, p.has.head().Number), m.From+n, false)
	return p.part(&branch{blocks: b.blocks}, &message.FetchRange{From: m.From, Count: uint32(n)}), "", 20
}

func gappy(_ *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks := slices.Clone(p.part(p.has, m))
	if len(blocks) > 2 {
		blocks = slices.Delete(blocks, len(blocks)/2, len(blocks)/2+1)
	}
	return blocks, "", 20
}

func disordered(_ *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks := slices.Clone(p.part(p.has, m))
	slices.Reverse(blocks)
	return blocks, "", 20
}

func generous(_ *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	return p.part(p.has, &message.FetchRange{From: m.From, Count: m.Count + 5}), "", 20
}

func single(w *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks := p.part(p.has, m)
	return blocks[:min(len(blocks), 1)], "", 5 + w.random.Int64N(5)
}

func lossy(w *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks, fault, ms := honest(w, p, m)
	switch w.random.IntN(4) {
	case 0:
		return nil, message.ActReset, ms
	case 1:
		return blocks[:w.random.IntN(len(blocks)+1)], message.ActReset, ms
	}
	return blocks, fault, ms
}
