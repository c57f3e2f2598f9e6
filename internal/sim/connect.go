package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	peers "github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// How connections behave, in milliseconds: a peer that says nothing for silence is
// gone, a head that changed is told after push, an unchanged one every beat, and the
// network actor hears once a report.
const (
	silence = 15 * slot
	push    = 250
	beat    = 5 * slot
	report  = slot
)

// peerID is the name of a peer of the federation: members first, then strangers.
func peerID(i int) string { return fmt.Sprintf("12D3KooWMember%02d", i) }

// address is the IP address of a peer.
func address(i int) string { return fmt.Sprintf("10.0.0.%d", i+1) }

// peerIndex is the peer of a name, -1 for none.
func (w *world) peerIndex(id string) int {
	for i := range len(w.members) + len(w.strangers) {
		if peerID(i) == id {
			return i
		}
	}
	return -1
}

// link is a connection between two processes, or between one and a stranger.
type link struct {
	ends   [2]*process // the second is nil when a stranger is there
	peers  [2]int
	parted int64 // since when nothing passes; 0 when it does
}

// dead reports whether a process at an end has ended.
func (l *link) dead() bool {
	return slices.ContainsFunc(l.ends[:], func(p *process) bool { return p != nil && !p.current() })
}

// linked returns the connection between a process and a peer that still carries
// something, or nil.
func (n *network) linked(p *process, peer int) *link {
	l := n.links[p.m.index][peer]
	if l == nil || l.ends[0] != p && l.ends[1] != p || l.dead() || l.parted != 0 {
		return nil
	}
	return l
}

// connected are the peers that a process can ask, members first.
func (n *network) connected(p *process) (list []int) {
	for peer := range n.links[p.m.index] {
		if n.linked(p, peer) != nil {
			list = append(list, peer)
		}
	}
	return list
}

// dial has a process connect to a peer, and try again until it is.
func (n *network) dial(p *process, peer int, wait int64) {
	if peer == p.m.index {
		return
	}
	p.later(wait, "dial", func() {
		switch l := n.links[p.m.index][peer]; {
		case l != nil && !l.dead():
			return // whoever loses it dials again
		case peer < len(n.w.members):
			to := n.w.members[peer].process
			if to != nil && n.sides[p.m.index] == n.sides[peer] {
				n.join(p, to)
				return
			}
		case !n.w.strangers[peer-len(n.w.members)].refuses(p):
			n.admit(p, peer)
			return
		}
		n.dial(p, peer, slot+n.w.rand.net.Int64N(2*slot))
	})
}

// join connects two processes, and tells both.
func (n *network) join(a, b *process) {
	l := &link{ends: [2]*process{a, b}, peers: [2]int{a.m.index, b.m.index}}
	n.links[a.m.index][b.m.index], n.links[b.m.index][a.m.index] = l, l
	a.peers.met(b.m.index, b.peers.head, b.peers.finalized, false)
	b.peers.met(a.m.index, a.peers.head, a.peers.finalized, true)
}

// admit connects a process and a stranger.
func (n *network) admit(p *process, peer int) {
	l := &link{ends: [2]*process{p, nil}, peers: [2]int{p.m.index, peer}}
	n.links[p.m.index][peer] = l
	s := n.w.strangers[peer-len(n.w.members)]
	p.peers.met(peer, s.head(p), s.finalized(p), true)
}

// drop ends a connection: the ends that live are told and dial again.
func (n *network) drop(l *link, reason string) {
	if n.links[l.peers[0]][l.peers[1]] != l {
		return // replaced by a newer one
	}
	n.links[l.peers[0]][l.peers[1]] = nil
	if l.ends[1] != nil {
		n.links[l.peers[1]][l.peers[0]] = nil
	}
	for i, p := range l.ends {
		if p == nil || !p.current() {
			continue
		}
		p.peers.lost(l.peers[1-i], reason)
		n.dial(p, l.peers[1-i], slot+n.w.rand.net.Int64N(2*slot))
	}
}

// ended is called when a process has: its peers see connections close, or, when the
// machine lost its power, nothing more.
func (n *network) ended(p *process, how ending) {
	for peer, l := range n.links[p.m.index] {
		if l == nil || l.ends[0] != p && l.ends[1] != p {
			continue
		}
		wait, reason := n.base[p.m.index][min(peer, len(n.base)-1)], "closed"
		if how == powered || l.parted != 0 {
			wait, reason = silence, "silent"
		}
		n.w.after(wait, "closed", peer, func() { n.drop(l, reason) })
	}
}

// crossed looks at connections after the sides have changed: those that nothing passes any
// more are given up after a while of silence.
func (n *network) crossed() {
	for a := range n.w.members {
		for b := range a {
			l := n.links[a][b]
			switch {
			case l == nil:
			case n.sides[a] == n.sides[b]:
				l.parted = 0
			case l.parted == 0:
				l.parted = n.w.now
				n.w.after(silence, "silence", a, func() { n.silent(l) })
			}
		}
	}
}

// silent gives a connection up unless something passed it meanwhile.
func (n *network) silent(l *link) {
	if l.parted != 0 && n.w.now-l.parted >= silence {
		n.drop(l, "silent")
	}
}

// peersState is what the peers edge of a process knows.
type peersState struct {
	p               *process
	head, finalized message.BlockID // that are on disk
	heard           map[int]*status // by peer; looked up, and walked by index
	pushing         bool
	reporting       bool
	bans            []message.PeerBan
	seen            map[any]bool
	signed          map[int][]common.Hash // blocks that members were heard to have signed, the latest
}

// status is what a peer told, and whether it has to be reported.
type status struct {
	head, finalized message.BlockID
	changed         bool
	acts            []message.PeerAct // by kind
}

// newPeers knows what the journal holds, and nobody.
func newPeers(p *process) peersState {
	s := p.machine.State(chain.ID).(*chain.State)
	return peersState{p: p, heard: map[int]*status{}, seen: map[any]bool{}, signed: map[int][]common.Hash{}, head: s.Head, finalized: s.Finalized}
}

// begin dials everybody.
func (e *peersState) begin() {
	p, w := e.p, e.p.m.w
	for peer := range len(w.members) + len(w.strangers) {
		w.net.dial(p, peer, 50+w.rand.net.Int64N(slot))
	}
	e.beat()
}

// met tells the network actor of a peer.
func (e *peersState) met(peer int, head, finalized message.BlockID, inbound bool) {
	w := e.p.m.w
	e.heard[peer] = &status{head: head, finalized: finalized}
	w.oracle.looksAround(e.p)
	e.input(&message.PeerConnected{
		Peer: peerID(peer), Address: "/ip4/" + address(peer) + "/tcp/55444", Inbound: inbound,
		Agent: "alys-sim", Protocol: 1, HasAuthority: peer < len(w.members), Authority: authority(peer, len(w.members)),
		Head: idOf(head), Finalized: idOf(finalized), Listen: "/ip4/" + address(peer) + "/tcp/55444",
	})
}

func authority(peer, members int) uint32 {
	if peer < members {
		return uint32(peer)
	}
	return 0
}

// idOf is nil for what a peer does not know yet: it is at its first start.
func idOf(b message.BlockID) *message.BlockID {
	if b.Root == (common.Hash{}) {
		return nil
	}
	return &b
}

// guide takes the network actor's word of who may not connect.
func (e *peersState) guide(m *message.GuideConnections) { e.bans = slices.Clone(m.Bans) }

// banned reports whether a peer is not talked to now.
func (e *peersState) banned(peer int) bool {
	return slices.ContainsFunc(e.bans, func(b message.PeerBan) bool {
		return (b.Peer == peerID(peer) || b.Address == address(peer)) && (b.Until == 0 || e.p.m.wall() < b.Until)
	})
}

// disconnect ends the connection to a peer.
func (e *peersState) disconnect(m *message.DisconnectPeer) {
	if peer := e.p.m.w.peerIndex(m.Peer); peer >= 0 {
		if l := e.p.m.w.net.linked(e.p, peer); l != nil {
			e.p.m.w.net.drop(l, m.Reason)
		}
	}
}

func (e *peersState) lost(peer int, reason string) {
	delete(e.heard, peer)
	e.input(&message.PeerGone{Peer: peerID(peer), Reason: reason})
}

// input hands something to the network actor.
func (e *peersState) input(m core.Message) {
	if e.p.current() {
		e.p.input(peers.ID, m)
	}
}

// fact takes where the head is from what is on disk.
func (e *peersState) fact(m core.Message) {
	switch f := m.(type) {
	case *message.HeadChanged:
		e.head = message.BlockID{Root: f.Root, Number: f.Number}
		e.p.m.w.oracle.looksAround(e.p)
	case *message.BlockFinalized:
		e.finalized = message.BlockID{Root: f.Root, Number: f.Number}
	default:
		return
	}
	if !e.pushing {
		e.pushing = true
		e.p.later(push, "status", func() {
			e.pushing = false
			e.tell()
		})
	}
}

// beat tells the head once in a while, whether it moved or not.
func (e *peersState) beat() {
	e.p.later(beat, "beat", func() {
		e.tell()
		e.beat()
	})
}

// tell tells all peers the head.
func (e *peersState) tell() {
	n, from := e.p.m.w.net, e.p.m.index
	for _, peer := range n.connected(e.p) {
		if peer >= len(n.w.members) {
			continue
		}
		head, finalized, l := e.head, e.finalized, n.links[from][peer]
		if d := e.p.m.dishonest; d != nil {
			head, finalized = d.boast(head, finalized)
		}
		n.w.after(n.base[from][peer], "status", peer, func() {
			if to := n.w.members[peer].process; to != nil && n.linked(to, from) == l {
				to.peers.hear(from, head, finalized)
			}
		})
	}
}

// hear takes what a peer tells and has it reported.
func (e *peersState) hear(peer int, head, finalized message.BlockID) {
	s := e.heard[peer]
	if s == nil || s.head == head && s.finalized == finalized {
		return
	}
	s.head, s.finalized, s.changed = head, finalized, true
	e.p.m.w.oracle.looksAround(e.p)
	e.reportSoon()
}

// act notes what a peer did, by kind.
func (e *peersState) act(peer int, kind string) {
	s := e.heard[peer]
	if s == nil {
		return
	}
	at, found := slices.BinarySearchFunc(s.acts, kind, func(a message.PeerAct, k string) int { return strings.Compare(a.Kind, k) })
	if !found {
		s.acts = slices.Insert(s.acts, at, message.PeerAct{Kind: kind})
	}
	s.acts[at].Count++
	e.reportSoon()
}

// heardSigned notes that a member signed a block.
func (e *peersState) heardSigned(member int, root common.Hash) {
	const kept = 16
	list := e.signed[member]
	e.signed[member] = append(list[max(0, len(list)-kept):len(list):len(list)], root)
}

// first reports whether something was not seen in this life before.
func (e *peersState) first(what any) bool {
	before := e.seen[what]
	e.seen[what] = true
	return !before
}

// reportSoon has what changed reported to the network actor, once a second at most.
func (e *peersState) reportSoon() {
	if e.reporting {
		return
	}
	e.reporting = true
	e.p.later(report, "report", func() {
		e.reporting = false
		e.report()
	})
}

func (e *peersState) report() {
	w, m := e.p.m.w, &message.PeersReported{}
	for peer := range len(w.members) + len(w.strangers) {
		s := e.heard[peer]
		if s == nil || !s.changed && len(s.acts) == 0 {
			continue
		}
		r := message.PeerReport{Peer: peerID(peer), RttMs: uint32(w.net.roundTrip(e.p.m.index, peer)), Acts: s.acts}
		if s.changed {
			r.Head, r.Finalized = idOf(s.head), idOf(s.finalized)
		}
		s.changed, s.acts = false, nil
		m.Peers = append(m.Peers, r)
	}
	slices.SortFunc(m.Peers, func(a, b message.PeerReport) int { return strings.Compare(a.Peer, b.Peer) })
	if len(m.Peers) > 0 {
		e.input(m)
	}
}

// askable are the members that a process is connected to, in an order drawn anew.
func (n *network) askable(p *process) []int {
	list := slices.DeleteFunc(n.connected(p), func(i int) bool { return i >= len(n.w.members) })
	n.w.rand.net.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func (n *network) roundTrip(a, b int) int64 {
	if b >= len(n.base) {
		return 10
	}
	return n.base[a][b] + n.base[b][a]
}
