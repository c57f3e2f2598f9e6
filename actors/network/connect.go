package network

import (
	"iter"

	"github.com/tidwall/btree"

	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// all iterates over a map as it is now: the loop may change it.
func all[T any](m *btree.Map[string, T]) iter.Seq2[string, T] {
	frozen := m.Copy()
	return func(yield func(string, T) bool) { frozen.Scan(yield) }
}

// peerConnected takes a peer in, or has the edge close the connection.
func (x *turn) peerConnected(m *message.PeerConnected) {
	if m.Peer == "" {
		return
	}
	x.leave(m.Peer, "connected anew")
	p := Peer{
		Subject: subject(m.Peer, m.Legacy, m.Address), Address: clip(m.Address), Listen: clip(m.Listen), Inbound: m.Inbound, Legacy: m.Legacy,
		HasAuthority: m.HasAuthority && m.Authority < x.Members, Authority: m.Authority,
		Head: m.Head, Finalized: m.Finalized, HeadAt: x.Sequence, Since: x.Time,
	}
	if !p.HasAuthority {
		p.Authority = 0
	}
	s := x.standing(p.Subject)
	s.HasAuthority = s.HasAuthority || p.HasAuthority
	x.standings.Set(p.Subject, s)
	if p.HasAuthority {
		x.pardon(m.Peer)
	}
	switch _, banned := x.banOf(m.Peer, p.Address); {
	case banned:
		x.disconnect(m.Peer, "banned")
		return
	case x.peers.Len() >= maxPeers && !p.HasAuthority:
		x.disconnect(m.Peer, "too many peers")
		return
	}
	p.Sent = s.Score
	x.peers.Set(m.Peer, p)
	x.note(m.Peer)
	x.heads = x.heads || p.HasAuthority
	x.enter(m.Peer, p)
	x.out.Fact(&message.PeerJoined{
		Peer: m.Peer, Address: p.Address, Inbound: p.Inbound, Legacy: p.Legacy, Agent: clip(m.Agent),
		HasAuthority: p.HasAuthority, Authority: p.Authority, Score: s.Score,
	})
}

// leave takes a peer out; nothing follows when it is not there.
func (x *turn) leave(id, reason string) {
	p, ok := x.peers.Get(id)
	if !ok {
		return
	}
	s := x.standing(p.Subject)
	s = x.tellScore(id, s, true)
	s.Seen = x.Time
	x.standings.Set(p.Subject, s)
	x.peers.Delete(id)
	x.refresh(id, p)
	x.gone = append(x.gone, message.GonePeer{Peer: id})
	x.heads = x.heads || p.HasAuthority
	x.out.Fact(&message.PeerLeft{Peer: id, Reason: reason, Score: s.Score})
	if s.Score == 0 && s.Strikes == 0 && !s.HasAuthority {
		x.standings.Delete(p.Subject) // nothing is worth remembering
	}
}

// standing returns the reputation of a subject with its score as it is now.
func (x *turn) standing(subject string) Standing {
	s, ok := x.standings.Get(subject)
	if !ok {
		x.makeRoom()
		return Standing{At: x.Time, Seen: x.Time}
	}
	s.Score, s.At = conduct.Decay(s.Score, s.At, x.Time)
	return s
}

// makeRoom forgets the reputation of who has not been seen longest, when there are too
// many. Those of members and of connected peers stay: the bound is far above maxPeers.
func (x *turn) makeRoom() {
	if x.standings.Len() < maxStandings {
		return
	}
	connected := make(map[string]bool, x.peers.Len()) // looked up only
	x.peers.Scan(func(_ string, p Peer) bool {
		connected[p.Subject] = true
		return true
	})
	var oldest string
	var seen int64
	x.standings.Scan(func(name string, s Standing) bool {
		if !connected[name] && !s.HasAuthority && (oldest == "" || s.Seen < seen) {
			oldest, seen = name, s.Seen
		}
		return true
	})
	if oldest != "" {
		x.standings.Delete(oldest)
	}
}
