package p2p

import (
	"context"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	format "github.com/AnduroProject/alys-go/internal/protocol/peer"
)

// Execute executes one effect of the edge "peers". Reply takes the result of those that
// have one, from any goroutine.
func (n *Network) Execute(ctx context.Context, effect Message, reply func(Message)) {
	switch m := effect.(type) {
	case *message.PublishBlock:
		n.publishBlock(ctx, m)
	case *message.PublishApproval:
		n.publishApproval(ctx, m)
	case *message.PublishWork:
		n.publishWork(ctx, m)
	case *message.PublishSignatures:
		n.publishSignatures(ctx, m)
	case *message.FetchRange:
		n.fetchRange(m, reply)
	case *message.FetchBlocks:
		n.fetchBlocks(m)
	case *message.FetchApprovals:
		n.fetchApprovals(m)
	case *message.FetchSignatures:
		n.fetchSignatures(m)
	case *message.GuideConnections:
		n.guide(m)
		reply(&message.ConnectionsGuided{})
	case *message.DisconnectPeer:
		n.disconnect(m)
	default:
		n.log.Warn("effect is not known to the edge of peers", "type", effect.Type())
	}
}

// guide hands bans and address book to the host. A peer id that is none bans nobody.
func (n *Network) guide(m *message.GuideConnections) {
	bans := make([]host.Ban, 0, len(m.Bans))
	for _, b := range m.Bans {
		ban := host.Ban{}
		if b.Until != 0 {
			ban.Until = time.UnixMilli(b.Until)
		}
		if b.Peer != "" {
			id, err := peer.Decode(b.Peer)
			if err != nil {
				n.log.Warn("ban of what is no peer id", "peer", b.Peer, "error", err)
				continue
			}
			ban.Peer = id
		}
		if b.Address != "" {
			address, err := netip.ParseAddr(b.Address)
			if err != nil {
				n.log.Warn("ban of what is no IP address", "address", b.Address, "error", err)
				continue
			}
			ban.Address = address
		}
		bans = append(bans, ban)
	}
	known := make([]host.Known, 0, len(m.Known))
	for _, k := range m.Known {
		entry := host.Known{Address: k.Address, Member: k.HasAuthority}
		if k.Peer != "" {
			id, err := peer.Decode(k.Peer)
			if err != nil {
				n.log.Warn("address book has what is no peer id", "peer", k.Peer, "error", err)
				continue
			}
			entry.ID = id
		}
		known = append(known, entry)
	}
	n.host.Guide(bans, known)
}

// disconnect does not wait: a peer that takes no goodbye would hold up what is published
// after it, for seconds each time.
func (n *Network) disconnect(m *message.DisconnectPeer) {
	n.asks.always(func(context.Context) {
		id, err := peer.Decode(m.Peer)
		if err == nil {
			err = n.ours.Disconnect(id, format.GoodbyeScore, m.Reason)
		}
		if err != nil {
			n.log.Debug("peer is not disconnected", "peer", m.Peer, "error", err)
		}
	})
}
