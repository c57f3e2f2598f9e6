package sync

import (
	"cmp"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// How much is asked of a peer at once: firstSize blocks, twice as many after each full answer
// within quickMs up to maxSize, half after a failure or more than slowMs, at least minSize.
// (wire.md 9.5: at most 1024)
const (
	firstSize = 32
	minSize   = 4
	maxSize   = 1024
	quickMs   = 1500
	slowMs    = 5000
)

// A peer of ours that has shown to be quick has twoFlying requests at once, so that one is on
// its way while another is served; a legacy peer that gives one block an answer has
// singlesFlying.
const (
	twoFlying     = 2
	quickSize     = 128
	singlesFlying = 8
)

// How long a peer rests: after a failure restMs, twice as long after each further one up to
// maxRestMs; emptyRestMs when it has nothing more and does no wrong.
const (
	restMs      = 1000
	maxRestMs   = 60_000
	emptyRestMs = 10_000
)

// praiseBlocks is how many blocks a peer has to serve to be praised.
const praiseBlocks = 256

// Peer returns what is known of a peer, or nil.
func (s *State) Peer(name string) *Peer {
	p, _ := s.peers.Get(name)
	return p
}

// change replaces the entry of a peer, if it is known.
func (x *turn) change(name string, how func(p *Peer)) {
	if old, ok := x.peers.Get(name); ok {
		next := *old
		how(&next)
		x.peers.Set(name, &next)
	}
}

// peersSeen takes who can be asked.
func (x *turn) peersSeen(m *message.PeersSeen) {
	for _, g := range m.Gone {
		x.peers.Delete(g.Peer)
		x.leaveAsks(func(a *Ask) bool { return a.Peer == g.Peer })
		if x.Guide == g.Peer {
			x.Guide = x.anotherGuide()
		}
	}
	for i := range m.Peers {
		seen := &m.Peers[i]
		next := Peer{Size: firstSize}
		old := x.Peer(seen.Peer)
		if old != nil {
			next = *old
			if grown(old.Head, seen.Head) && old.Failures == 0 {
				next.Rest = 0 // it may have what it had not
			}
		}
		if !x.Untaken && (old == nil || grown(old.Head, seen.Head) && next.Rest <= x.Now) {
			x.RetryAt = min(x.RetryAt, x.Now) // somebody who may help
		}
		next.SyncPeer = *seen
		x.peers.Set(seen.Peer, &next)
	}
}

func grown(old, now *message.BlockID) bool {
	return now != nil && (old == nil || now.Number > old.Number)
}

// height is the head that a peer tells; 0 for none.
func (p *Peer) height() uint64 {
	if p.Legacy || p.Head == nil {
		return 0
	}
	return p.Head.Number
}

// ahead is the highest head that a peer tells who is not at rest.
func (x *turn) ahead() (highest uint64) {
	x.peers.Scan(func(_ string, p *Peer) bool {
		if p.Rest <= x.Now {
			highest = max(highest, p.height())
		}
		return true
	})
	return highest
}

// target is the highest height that a quorum of members tell, ourselves included; with fewer
// members connected, the one that most peers tell.
func (s *State) target() uint64 {
	var members, all []uint64
	byAuthority := map[uint32]int{} // index into members; looked up only
	s.peers.Scan(func(_ string, p *Peer) bool {
		height := p.height()
		if height == 0 {
			return true
		}
		all = append(all, height)
		if !p.HasAuthority {
			return true
		}
		if i, again := byAuthority[p.Authority]; again {
			members[i] = max(members[i], height)
		} else {
			byAuthority[p.Authority] = len(members)
			members = append(members, height)
		}
		return true
	})
	if s.Member {
		members = append(members, s.Head.Number)
	}
	heights, at := members, int(s.Quorum)
	if len(members) < at || at == 0 {
		heights, at = all, len(all)/2+1
	}
	if len(heights) == 0 {
		return 0
	}
	slices.SortFunc(heights, func(a, b uint64) int { return cmp.Compare(b, a) })
	return heights[at-1]
}

// Target is [State.target] for readers.
func (s *State) Target() uint64 { return s.target() }

// limit is how many requests a peer may have at once.
func (p *Peer) limit() uint32 {
	switch {
	case p.Legacy && p.Single:
		return singlesFlying
	case !p.Legacy && p.Size >= quickSize:
		return twoFlying
	}
	return 1
}

// most is how many blocks a peer is asked for at once.
func (p *Peer) most() uint32 {
	if p.Single {
		return 1
	}
	return p.Size
}

// choose returns who is asked for a height, or nil: who has it, does not rest and has a request
// free; first who has fewest under way, failed least and was asked longest ago. Who failed
// to give the span already is asked when nobody else can be.
func (x *turn) choose(from, known uint64, tried []TriedPeer) (best *Peer) {
	var again *Peer
	x.peers.Scan(func(_ string, p *Peer) bool {
		if x.Guide != "" && p.Peer != x.Guide || p.Rest > x.Now || p.Flying >= p.limit() || x.upTo(p, known) < from {
			return true
		}
		to := &best
		if slices.Contains(tried, TriedPeer{p.Peer}) {
			to = &again
		}
		if *to == nil || better(p, *to) {
			*to = p
		}
		return true
	})
	if best == nil {
		return again
	}
	return best
}

// upTo is the height up to which a peer can be asked, when known is the height up to which
// blocks are known to exist.
func (x *turn) upTo(p *Peer, known uint64) uint64 {
	if p.Legacy {
		return max(p.Guess, known)
	}
	if x.Guide != "" {
		return p.height()
	}
	return min(p.height(), known)
}

func better(p, q *Peer) bool {
	good := func(p *Peer) int {
		if p.Score < 0 {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(p.Flying, q.Flying), cmp.Compare(p.Failures, q.Failures), cmp.Compare(good(p), good(q)),
		cmp.Compare(p.Last, q.Last), cmp.Compare(p.RttMs, q.RttMs), cmp.Compare(p.Peer, q.Peer),
	) < 0
}

// served adapts a peer's size to its answer, and praises it for what it gave.
func (x *turn) served(a *Ask, m *message.RangeFetched) {
	n := uint32(len(m.Blocks))
	x.change(a.Peer, func(p *Peer) {
		switch {
		case p.Legacy && n == 1 && a.Count > 1:
			p.Single = true
		case n == a.Count && m.Ms <= quickMs && n >= p.Size:
			p.Size = min(2*p.Size, maxSize)
		case m.Ms > slowMs:
			p.Size = max(n/2, minSize)
		case n < a.Count && m.Fault == "" && p.height() >= a.From+uint64(a.Count)-1:
			p.Size = max(n, 1) // so many fit into its answer
		}
		if p.Legacy {
			p.Guess = max(p.Guess, a.From+uint64(n)-1+uint64(max(p.most(), singlesFlying)))
		}
		if m.Fault == "" {
			p.Failures, p.Rest = 0, 0
		}
		p.Served += n
		if p.Served >= praiseBlocks {
			p.Served = 0
			x.out.Send(network, &message.PeerFault{Peer: p.Peer, Kind: message.ActRange})
		}
	})
}

// failed is a request without a block. A peer that tells no head, or a lower one, may have nothing there.
func (x *turn) failed(a *Ask, kind, detail string) {
	if s, ok := x.spans.Get(a.From); ok && !a.Left {
		next := *s
		next.Asked -= min(next.Asked, 1)
		next.Tried = append(next.Tried[:len(next.Tried):len(next.Tried)], TriedPeer{a.Peer})
		x.spans.Set(next.From, &next)
	}
	p := x.Peer(a.Peer)
	switch {
	case p == nil:
	case kind == "":
		x.rest(a.Peer)
	case kind == message.ActEmpty && (p.Legacy || p.height() < a.From):
		x.change(a.Peer, func(p *Peer) {
			p.Guess, p.Rest = min(p.Guess, a.From-1), x.Now+emptyRestMs
		})
	case kind == message.ActEmpty && p.Failures == 0:
		x.rest(a.Peer) // its head may just have moved
	case kind == message.ActEmpty:
		x.blame(a.Peer, message.ActStaleHead, detail)
	default:
		x.blame(a.Peer, kind, detail)
	}
	if x.Guide == a.Peer && (p == nil || x.Peer(a.Peer).Rest > x.Now) {
		x.Guide = x.anotherGuide()
	}
}

// rest has a peer not asked for a while.
func (x *turn) rest(peer string) {
	x.change(peer, func(p *Peer) {
		p.Rest = x.Now + min(int64(restMs)<<min(p.Failures, 10), maxRestMs)
		p.Failures++
		p.Size = max(p.Size/2, minSize)
	})
}

// blame tells the network actor what a peer did, and has it rest.
func (x *turn) blame(peer, kind, detail string) {
	if x.Peer(peer) == nil {
		return
	}
	x.out.Send(network, &message.PeerFault{Peer: peer, Kind: kind, Detail: detail})
	x.rest(peer)
}
