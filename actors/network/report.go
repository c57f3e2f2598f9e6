package network

import (
	"slices"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Scores are told as facts when they moved by so much, or when so many acts have gathered
// that moved nothing: at a bound of the score, or of no weight.
const (
	tellFall  = 1_000
	tellRise  = 5_000
	tellActs  = 1_000
	tellPeers = 1_000 // a change of score that the sync actor is told
)

func (x *turn) peersReported(m *message.PeersReported) {
	for i := range m.Peers {
		r := &m.Peers[i]
		if r.Peer == "" {
			continue
		}
		x.moved(r)
		x.charge(r.Peer, r.Acts)
	}
}

// moved takes what a connected peer told of its chain.
func (x *turn) moved(r *message.PeerReport) {
	p, ok := x.peers.Get(r.Peer)
	if !ok {
		return
	}
	if r.RttMs != 0 {
		p.RttMs = r.RttMs
	}
	if r.Head != nil || r.Finalized != nil {
		if r.Head != nil {
			p.Head, p.HeadAt = r.Head, x.Sequence
		}
		if r.Finalized != nil {
			p.Finalized = r.Finalized
		}
		x.heads = x.heads || p.HasAuthority
		x.note(r.Peer)
	}
	x.peers.Set(r.Peer, p)
}

func (x *turn) peerFault(m *message.PeerFault) {
	if m.Peer == "" {
		return
	}
	x.charge(m.Peer, []message.PeerAct{{Kind: m.Kind, Count: 1, Detail: m.Detail}})
}

// charge adds acts to the score of a peer, which need not be connected: it may have failed
// the handshake. Kinds that nobody knows weigh nothing and are not kept.
func (x *turn) charge(id string, acts []message.PeerAct) {
	p, connected := x.peers.Get(id)
	name := byPeer + id
	if connected {
		name = p.Subject
	}
	var s Standing
	known := false
	for _, a := range acts {
		w, ok := conduct.Of(a.Kind)
		if !ok || a.Count == 0 {
			continue
		}
		if !known {
			s, known = x.standing(name), true
		}
		s.Score = conduct.Add(s.Score, w, p.Legacy, a.Count)
		s.Untold = gather(s.Untold, a)
	}
	if !known {
		return
	}
	s.Seen = x.Time
	s = x.tellScore(id, s, false)
	x.standings.Set(name, s)
	if connected && abs(s.Score-p.Sent) >= tellPeers {
		x.note(id)
	}
	x.sentence(id, p, connected, name, s)
}

// gather adds an act to those of its kind, in a new list.
func gather(acts []message.PeerAct, a message.PeerAct) []message.PeerAct {
	a.Detail = clip(a.Detail)
	acts = slices.Clone(acts)
	i, found := slices.BinarySearchFunc(acts, a, func(x, y message.PeerAct) int { return strings.Compare(x.Kind, y.Kind) })
	if !found {
		return slices.Insert(acts, i, a)
	}
	acts[i].Count += min(a.Count, ^uint32(0)-acts[i].Count)
	if a.Detail != "" {
		acts[i].Detail = a.Detail
	}
	return acts
}

// tellScore publishes a score that has moved enough, or must be told now.
func (x *turn) tellScore(id string, s Standing, now bool) Standing {
	var sum uint64
	for _, a := range s.Untold {
		sum += uint64(a.Count)
	}
	switch {
	case sum == 0:
		return s
	case now, sum >= tellActs, s.Told-s.Score >= tellFall, s.Score-s.Told >= tellRise:
	default:
		return s
	}
	x.out.Fact(&message.PeerScored{Peer: id, Score: s.Score, Acts: s.Untold})
	s.Told, s.Untold = s.Score, nil
	return s
}

// sentence does what follows from a score. Members are told about and kept. (docs/peer-scores.md)
func (x *turn) sentence(id string, p Peer, connected bool, name string, s Standing) {
	switch {
	case s.HasAuthority || x.isMember(id):
	case s.Score <= conduct.BanAt:
		x.banByScore(id, p, connected, name, s)
	case connected && !p.Closing && s.Score <= conduct.DisconnectAt:
		p.Closing = true
		x.peers.Set(id, p)
		x.disconnect(id, "score")
	case connected && p.Closing && s.Score > conduct.ForgivenAt:
		p.Closing = false
		x.peers.Set(id, p)
	}
}

// isMember reports whether a peer id proved to be a member's, as whatever it is connected now.
func (x *turn) isMember(id string) bool {
	s, ok := x.standings.Get(byPeer + id)
	return ok && s.HasAuthority
}

func abs(v int64) int64 { return max(v, -v) }
