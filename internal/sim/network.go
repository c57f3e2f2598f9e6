package sim

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// network carries messages between members. A message is lost when it is dropped,
// when a partition lies between the members as it leaves or arrives, and when the
// receiver is down.
type network struct {
	w     *world
	sides []int // members of different sides do not hear each other
	base  [][]int64
	links [][]*link // of a member's process, by peer
	calm  bool
}

func newNetwork(w *world) *network {
	n := &network{w: w, sides: make([]int, w.opt.Members)}
	for range w.opt.Members {
		row := make([]int64, w.opt.Members)
		for j := range row {
			row[j] = 5 + w.rand.net.Int64N(w.plan.latency)
			if c := w.opt.Costs; c != nil {
				row[j] = up(c.OneWay)
			}
		}
		n.base = append(n.base, row)
		n.links = append(n.links, make([]*link, w.opt.Members+len(w.plan.strangers)))
	}
	return n
}

// send has a message delivered, perhaps. deliver runs in the receiver's life of then.
func (n *network) send(from, to int, what string, deliver func(*process)) {
	r := n.w.rand.net
	copies := 1
	if !n.calm {
		if r.IntN(1000) < n.w.plan.drop {
			copies = 0
		} else if r.IntN(1000) < n.w.plan.duplicate {
			copies = 2
		}
	}
	for range copies {
		delay := n.delay(from, to)
		if !n.calm && r.IntN(100) < n.w.plan.late {
			delay += r.Int64N(3 * slot)
		}
		if n.sides[from] != n.sides[to] || n.links[from][to] == nil || n.links[from][to].dead() {
			continue
		}
		n.w.after(delay, what, to, func() {
			if p := n.w.members[to].process; p != nil && n.sides[from] == n.sides[to] {
				deliver(p)
			}
		})
	}
}

// delay is how long a message takes.
func (n *network) delay(from, to int) int64 {
	if n.w.opt.Costs != nil {
		return n.base[from][to]
	}
	return n.base[from][to] + n.w.rand.net.Int64N(n.base[from][to]+1)
}

// broadcast sends to all others.
func (n *network) broadcast(from int, what string, deliver func(*process)) {
	for to := range n.w.members {
		if to != from {
			n.send(from, to, what, deliver)
		}
	}
}

// split parts the members: sides[i] is the side of member i.
func (n *network) split(sides []int) {
	n.sides = sides
	n.crossed()
}

func (n *network) heal() { n.split(make([]int, len(n.sides))) }

// publish is the peers edge.
func (p *process) publish(r actors.Request) {
	m := r.Message
	switch m := m.(type) {
	case *message.FetchRange:
		p.fetchRange(r, m)
		return
	case *message.GuideConnections:
		p.peers.guide(m)
		p.later(1, "guided", func() { p.reply(r, &message.ConnectionsGuided{}) })
		return
	case *message.DisconnectPeer:
		p.later(1, "disconnect", func() { p.peers.disconnect(m) })
		return
	}
	if d := p.m.dishonest; d != nil && d.publishes(m) {
		return
	}
	p.gossip(m)
}

// gossip sends a message of the peers edge to all others, as a node does.
func (p *process) gossip(m core.Message) {
	w, from := p.m.w, p.m.index
	switch m := m.(type) {
	case *message.PublishBlock:
		c, err := p.wholeContent(m.Signed)
		if err != nil {
			w.fail("release", []*member{p.m}, "member %d publishes a block that its journal does not hold: %v", from, err)
			return
		}
		if b := w.blocks.addSigned(w, c); b != nil {
			w.roundBegins(b.root)
		}
		w.net.broadcast(from, "block", func(to *process) { to.gossipBlock(from, c) })
	case *message.PublishApproval:
		received := &message.ApprovalReceived{Root: m.Root, Authority: m.Authority, Signature: m.Signature}
		w.net.broadcast(from, "approval", func(to *process) { to.gossipApproval(from, received) })
	case *message.PublishWork:
		w.net.broadcast(from, "work", func(to *process) { to.input(chain.ID, &message.QueueWork{Header: m.Header}) })
	case *message.PublishSignatures:
		received := &message.SignaturesReceived{Payments: m.Payments}
		w.net.broadcast(from, "signatures", func(to *process) { to.input(bridge.ID, received) })
	case *message.FetchBlocks:
		p.fetch(m)
	case *message.FetchApprovals:
		p.fetchApprovals(m)
	}
}

func (p *process) wholeContent(c record.Content) (record.Content, error) {
	if c.Data != nil {
		return c, nil
	}
	data, err := p.content(c.Hash)
	return record.Content{Hash: c.Hash, Data: data}, err
}

// gossipBlock is a block that a peer sends unasked. The edge counts what it finds, and the
// cores get it all the same: they have to bear what an edge lets pass.
func (p *process) gossipBlock(from int, c record.Content) {
	w := p.m.w
	signed, root, err := w.work.Decode(c.Data)
	switch {
	case err != nil:
		p.peers.act(from, message.ActMalformed)
	case w.work.Verify(w.committee, signed.Approvals, root) != nil:
		p.peers.act(from, message.ActInvalidSignature)
	case p.peers.first(c.Hash):
		p.peers.act(from, message.ActBlock)
	}
	p.check(func() { p.receiveBlocks(chain.Gossip, from, c) })
}

// gossipApproval is an approval that a peer sends.
func (p *process) gossipApproval(from int, m *message.ApprovalReceived) {
	w := p.m.w
	a := aura.Approval{Authority: m.Authority, Signature: m.Signature}
	switch {
	case w.work.VerifyApproval(w.committee, a, m.Root) != nil:
		p.peers.act(from, message.ActInvalidSignature)
	case p.peers.first(m.Signature):
		p.peers.act(from, message.ActApproval)
	}
	p.check(func() { p.receiveApproval(m) })
}

// nobody is who sent what did not come from a peer.
const nobody = -1

func (p *process) receiveBlocks(origin string, from int, blocks ...record.Content) {
	m := &message.BlocksReceived{Origin: origin}
	if from != nobody {
		m.Peer = peerID(from)
	}
	for _, c := range blocks {
		m.Blocks = append(m.Blocks, message.Block{Signed: c})
		p.heardAuthor(c)
	}
	if d := p.m.dishonest; d != nil {
		d.received(blocks)
	}
	p.input(chain.ID, m)
}

// heardAuthor notes who signed a block that one member alone has signed.
func (p *process) heardAuthor(c record.Content) {
	w := p.m.w
	signed, root, err := w.work.Decode(c.Data)
	if err != nil || signed.Approvals.CountReal(w.opt.Members) != 1 || w.work.Verify(w.committee, signed.Approvals, root) != nil {
		return
	}
	for i := range w.opt.Members {
		if signed.Approvals.Has(i) {
			p.peers.heardSigned(i, root)
		}
	}
}

func (p *process) receiveApproval(m *message.ApprovalReceived) {
	if p.m.w.work.VerifyApproval(p.m.w.committee, aura.Approval{Authority: m.Authority, Signature: m.Signature}, m.Root) == nil {
		p.peers.heardSigned(int(m.Authority), m.Root)
	}
	p.input(chain.ID, m)
}

// Fetching: how many peers an edge asks, one after the other, and how many blocks
// one answer holds.
const (
	fetchPeers = 3
	fetchPause = 300
	fetchMost  = 24
)

// fetch asks peers for a block and those before it, until one has some.
func (p *process) fetch(m *message.FetchBlocks) {
	w := p.m.w
	order := w.net.askable(p)
	answered := false
	for try, peer := range order[:min(fetchPeers, len(order))] {
		p.later(int64(try)*fetchPause, "fetch", func() {
			if answered {
				return
			}
			w.net.send(p.m.index, peer, "request", func(at *process) {
				blocks := at.serve(m)
				if len(blocks) == 0 {
					return
				}
				w.net.send(peer, p.m.index, "answer", func(to *process) {
					if to == p {
						answered = true
						to.receiveBlocks(chain.Sync, peer, blocks...)
					}
				})
			})
		})
	}
}

// serve answers FetchBlocks from what this member's tree and journal hold: of the
// blocks asked for those nearest to the root, oldest first. Who lacks more finds that
// the oldest is an orphan, and asks on.
func (p *process) serve(m *message.FetchBlocks) []record.Content {
	if d := p.m.dishonest; d != nil && d.silent() {
		return nil
	}
	s := p.m.state()
	var hashes []common.Hash
	for e := s.Entry(m.Root); e != nil && e.Number >= m.From && e.Signed != (common.Hash{}); e = s.Entry(e.Parent) {
		hashes = append(hashes, e.Signed)
	}
	hashes = hashes[:min(len(hashes), fetchMost)]
	slices.Reverse(hashes)
	var blocks []record.Content
	for _, h := range hashes {
		data, err := p.content(h)
		if err != nil {
			return nil // its turn is not on disk yet
		}
		blocks = append(blocks, record.Content{Hash: h, Data: data})
	}
	return blocks
}
