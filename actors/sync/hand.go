package sync

import (
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

const (
	// maxBacklog is how many blocks the chain actor may have to execute when it is given more.
	maxBacklog = 1024
	// maxRun is how many blocks go in one message.
	maxRun = 256
	// maxUnproven is how many blocks are handed on above the last one with its quorum: a branch
	// grows on blocks with their quorum, so that no honest peer has many without.
	maxUnproven = 64
	// fewUnproven is how many an honest peer may give without a quorum that stand on
	// nothing known: its head changed while it answered.
	fewUnproven = 8
)

// handOn gives the chain actor the spans that are here, oldest first.
func (x *turn) handOn() {
	for x.Backlog+x.handed < maxBacklog {
		_, s, ok := x.spans.Min()
		if !ok || !s.here() {
			return
		}
		if s.Parent != x.Handed.Root {
			x.contradicted(s)
			continue
		}
		if !x.bounded(s) {
			continue
		}
		for blocks := s.Blocks; len(blocks) > 0; blocks = blocks[min(maxRun, len(blocks)):] {
			x.out.Send(chain, &message.BlocksReceived{Origin: origin, Blocks: blocks[:min(maxRun, len(blocks))], Peer: s.Peer})
		}
		x.spans.Delete(s.From)
		x.handed += s.Count
		x.Moved = x.Now
		x.Handed, x.HandedBy = message.BlockID{Root: s.Last, Number: s.end() - 1}, s.Peer
		if s.Quorum > 0 {
			x.Proven = message.BlockID{Root: s.Proven, Number: s.From + uint64(s.Quorum) - 1}
		}
	}
}

// bounded reports whether a span may be handed on: not with more blocks on top than a quorum
// is waited for.
func (x *turn) bounded(s *Span) bool {
	above := uint64(s.Count - s.Quorum)
	if s.Quorum == 0 {
		above += x.Handed.Number - x.Proven.Number
	}
	if above <= maxUnproven {
		return true
	}
	x.blame(s.Peer, message.ActForged, fmt.Sprintf("%d blocks up to height %d without a quorum", above, s.end()-1))
	x.again(s)
	if x.Handed != x.Proven {
		x.backToProven()
	}
	return false
}

// backToProven forgets what was handed on above the last block with its quorum.
func (x *turn) backToProven() {
	x.dropSpans()
	x.Handed, x.HandedBy = x.Proven, ""
}

// contradicted is a span that does not stand on what was handed on: see the table in the
// package comment.
func (x *turn) contradicted(s *Span) {
	what := fmt.Sprintf("block %d of it stands on %s, not on %s", s.From, s.Parent, x.Handed.Root)
	switch {
	case x.Handed != x.Proven:
		x.rest(x.HandedBy)
		x.backToProven()
	case s.Quorum == 0:
		if p := x.Peer(s.Peer); p != nil && p.Failures == 0 && s.Count <= fewUnproven {
			x.rest(s.Peer)
		} else {
			x.blame(s.Peer, message.ActForged, what)
		}
		x.again(s)
		if x.Guide == s.Peer {
			x.Guide = x.anotherGuide()
		}
	case x.Handed == x.Finalized:
		x.change(s.Peer, func(p *Peer) { p.Rest = x.Now + maxRestMs })
		x.begin(x.Head)
		x.stall(fmt.Sprintf("peer %s has another branch than the finalised block %s; it is followed by an operator's decision only", s.Peer, describe(x.Finalized)))
	default:
		x.leaveFor(s.Peer)
	}
}

// leaveFor goes back to the finalised block, from which one peer gives everything: answers of
// several could be of several branches.
func (x *turn) leaveFor(guide string) {
	x.begin(x.Finalized)
	x.Guide = guide
}

// anotherGuide goes back to the finalised block with the peer that tells the highest head
// and does not rest; without one it goes on from our head as before.
func (x *turn) anotherGuide() string {
	var best *Peer
	x.peers.Scan(func(_ string, p *Peer) bool {
		if p.Rest <= x.Now && p.height() > x.Head.Number && (best == nil || p.height() > best.height()) {
			best = p
		}
		return true
	})
	if best == nil {
		x.begin(x.Head)
		return ""
	}
	x.begin(x.Finalized)
	return best.Peer
}
