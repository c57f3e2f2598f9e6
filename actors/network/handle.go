package network

import (
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Names of the actor, its neighbours and its edges.
const (
	ID         core.ID   = "network"
	chain      core.ID   = "chain"
	PeersEdge  core.Edge = "peers"
	AnswerEdge core.Edge = "answer"
)

// Network is the core. Create it with [New].
type Network struct{ sync core.ID }

// New returns the core. The actor named sync is told whom it can ask; empty for none.
func New(sync core.ID) *Network { return &Network{sync} }

// ID implements core.Core.
func (*Network) ID() core.ID { return ID }

// NewState implements core.Core.
func (*Network) NewState() core.State { return newState() }

// Messages implements core.Core.
func (*Network) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.PeerConnected{}, &message.PeerGone{}, &message.PeersReported{}, &message.PeerFault{},
		&message.BanPeer{}, &message.UnbanPeer{}, &message.ConnectionsGuided{},
	}
}

// turn is one turn of the network actor: its state, what the turn may use, and what it has
// to tell when it ends.
type turn struct {
	*State
	core.Turn
	out  *core.Out
	sync core.ID

	seen  map[string]bool // connected peers of which the sync actor is to be told; looked up only
	list  []string        // the same, in the order they were met
	gone  []message.GonePeer
	heads bool // what members told has changed
}

// Handle implements core.Core.
func (n *Network) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	x := &turn{State: state.(*State), Turn: t, out: out, sync: n.sync, seen: make(map[string]bool)}
	if m, ok := m.(*message.NodeConfigured); ok {
		x.nodeConfigured(m)
		x.tell()
		return
	}
	if !x.Configured {
		return // nothing before the configuration has a meaning
	}
	x.endBans()
	switch m := m.(type) {
	case *message.PeerConnected:
		x.peerConnected(m)
	case *message.PeerGone:
		x.leave(m.Peer, clip(m.Reason))
	case *message.PeersReported:
		x.peersReported(m)
	case *message.PeerFault:
		x.peerFault(m)
	case *message.BanPeer:
		x.banPeer(m)
	case *message.UnbanPeer:
		x.unbanPeer(m)
	case *message.ConnectionsGuided:
		if x.Cause == x.Guiding {
			x.Guiding = core.Ref{}
		}
	}
	x.tell()
}

// nodeConfigured begins a run. Connections of the last one are gone; scores, bans and
// addresses stay.
func (x *turn) nodeConfigured(m *message.NodeConfigured) {
	c, _, err := spec.Parse(m.ChainSpec.Data)
	if err != nil {
		panic("chain spec: " + err.Error())
	}
	x.Configured, x.Peers = true, m.Peers
	x.Members = uint32(len(c.Authorities))
	x.HasAuthority, x.Authority = m.HasAuthority, m.Authority
	for id := range all(x.peers) {
		x.leave(id, "the node was restarted")
	}
	x.endBans()
	x.forgetAddresses()
	x.Guiding, x.GuidedAt = core.Ref{}, 0
	x.BookChanged, x.BansChanged = x.Peers, x.Peers
}

// clip cuts a text that somebody else wrote.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText]
}
