package host

import (
	"context"
	"errors"
	"strings"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/multiformats/go-multistream"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// waitingEvents is how many changes of connections may wait for [Options.Joined].
const waitingEvents = 1024

// maxAgent is how much of what a peer says of itself is kept, in bytes.
const maxAgent = 64

// introducer finds out what a peer speaks once it is connected.
type introducer struct {
	h       *Host
	updated event.Emitter
	joined  map[peer.ID]bool
}

// introduce follows connections until ctx ends.
func (h *Host) introduce(ctx context.Context) error {
	bus := h.net.EventBus()
	sub, err := bus.Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerIdentificationFailed), new(event.EvtPeerConnectednessChanged),
	}, eventbus.BufSize(waitingEvents))
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "following connections")
	}
	updated, err := bus.Emitter(new(event.EvtPeerProtocolsUpdated))
	if err != nil {
		return errors.Join(fault.Wrap(fault.Fatal, err, "following connections"), sub.Close())
	}
	i := &introducer{h: h, updated: updated, joined: map[peer.ID]bool{}}
	h.running.Go(func() {
		defer sub.Close()
		defer updated.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-sub.Out():
				if !ok {
					return
				}
				i.take(e)
			}
		}
	})
	return nil
}

func (i *introducer) take(e any) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		i.identified(e)
	case event.EvtPeerIdentificationFailed:
		i.silent(e)
	case event.EvtPeerConnectednessChanged:
		if i.joined[e.Peer] && !i.connected(e.Peer) {
			delete(i.joined, e.Peer)
			i.h.opt.Left(e.Peer, "disconnected")
		}
	}
}

func (i *introducer) connected(id peer.ID) bool {
	return i.h.net.Network().Connectedness(id) == network.Connected
}

// identified takes a peer that said what it speaks.
func (i *introducer) identified(e event.EvtPeerIdentificationCompleted) {
	if i.joined[e.Peer] || !i.connected(e.Peer) {
		return
	}
	ours, meshes := false, false
	for _, p := range e.Protocols {
		ours = ours || strings.HasPrefix(string(p), OwnPrefix)
		meshes = meshes || isMesh(p)
	}
	if !ours && !meshes {
		i.part(e.Peer, "it speaks neither our protocol nor gossip")
		return
	}
	i.join(e.Conn, !ours, clean(e.AgentVersion))
}

// silent takes a peer that answers no identify. Legacy does not, and gossip would wait
// for it for ever; so it is said here that the peer speaks what legacy speaks. A peer
// that could answer and did not is let go, and dialled again. (wire.md 9.7, 1)
func (i *introducer) silent(e event.EvtPeerIdentificationFailed) {
	if i.joined[e.Peer] || !i.connected(e.Peer) {
		return
	}
	if _, unsupported := errors.AsType[multistream.ErrNotSupported[protocol.ID]](e.Reason); !unsupported {
		i.part(e.Peer, "identify failed: "+e.Reason.Error())
		return
	}
	conns := i.h.net.Network().ConnsToPeer(e.Peer)
	if len(conns) == 0 {
		return
	}
	speaks := []protocol.ID{pubsub.GossipSubID_v11}
	err := i.h.net.Peerstore().AddProtocols(e.Peer, speaks...)
	if err == nil {
		err = i.updated.Emit(event.EvtPeerProtocolsUpdated{Peer: e.Peer, Added: speaks})
	}
	if err != nil {
		i.part(e.Peer, "gossip towards it cannot begin: "+err.Error())
		return
	}
	i.join(conns[0], true, "")
}

func (i *introducer) join(c network.Conn, legacy bool, agent string) {
	i.joined[c.RemotePeer()] = true
	i.h.opt.Joined(Peer{
		ID: c.RemotePeer(), Address: c.RemoteMultiaddr().String(), Inbound: c.Stat().Direction == network.DirInbound,
		Legacy: legacy, Agent: agent,
	})
}

// part ends the connections to a peer that is of no use.
func (i *introducer) part(id peer.ID, why string) {
	i.h.log.Debug("peer is let go", "peer", id.String(), "reason", why)
	_ = i.h.net.Network().ClosePeer(id) // it is gone, or on its way
}

func isMesh(p protocol.ID) bool {
	return strings.HasPrefix(string(p), "/meshsub/")
}

// clean bounds a text that a peer chose, and makes it fit for a log and a journal.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '�' {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxAgent {
		text = strings.ToValidUTF8(text[:maxAgent], "")
	}
	return text
}
