package network

import (
	"github.com/AnduroProject/alys-go/internal/protocol/conduct"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// note has the sync actor be told of a connected peer at the end of the turn.
func (x *turn) note(id string) {
	if !x.seen[id] {
		x.seen[id] = true
		x.list = append(x.list, id)
	}
}

// tell ends a turn: other actors and the edge learn what it changed.
func (x *turn) tell() {
	x.tellSync()
	if x.heads {
		x.out.Send(chain, &message.MemberHeads{Heads: x.memberHeads()})
	}
	x.guide()
}

func (x *turn) tellSync() {
	m := &message.PeersSeen{Gone: x.gone}
	for _, id := range x.list {
		p, ok := x.peers.Get(id)
		if !ok {
			continue
		}
		s, _ := x.standings.Get(p.Subject)
		p.Sent, _ = conduct.Decay(s.Score, s.At, x.Time)
		x.peers.Set(id, p)
		m.Peers = append(m.Peers, message.SyncPeer{
			Peer: id, Legacy: p.Legacy, Head: p.Head, Finalized: p.Finalized, Score: p.Sent, RttMs: p.RttMs,
		})
	}
	if len(m.Peers)+len(m.Gone) > 0 && x.sync != "" {
		x.out.Send(x.sync, m)
	}
}

// memberHeads are the heads of the members whose proven connections this node has, one for
// each: of a member with two connections the one that was told last. This node itself is none
// of them, whoever else holds its key.
func (x *turn) memberHeads() []message.MemberHead {
	newest := make([]Peer, x.Members)
	x.peers.Scan(func(_ string, p Peer) bool {
		switch {
		case !p.HasAuthority || p.Head == nil || x.HasAuthority && p.Authority == x.Authority:
		case p.HeadAt >= newest[p.Authority].HeadAt:
			newest[p.Authority] = p
		}
		return true
	})
	var heads []message.MemberHead
	for i, p := range newest {
		if p.HasAuthority {
			heads = append(heads, message.MemberHead{Authority: uint32(i), Head: p.Head, Finalized: p.Finalized})
		}
	}
	return heads
}
