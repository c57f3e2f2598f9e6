package host

import (
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/multiformats/go-multiaddr"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// listenLocally finds peers on this network by multicast DNS, under legacy's service
// name. (wire.md 9.1)
func (h *Host) listenLocally() (io.Closer, error) {
	s := mdns.NewMdnsService(h.net, mdns.ServiceName, found{h.dialer})
	if err := s.Start(); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "multicast DNS")
	}
	return s, nil
}

// found hands peers of this network to the dialer.
type found struct{ d *dialer }

// HandlePeerFound implements mdns.Notifee.
func (f found) HandlePeerFound(p peer.AddrInfo) {
	if p.ID == f.d.h.net.ID() {
		return
	}
	for _, a := range p.Addrs {
		if _, err := a.ValueForProtocol(multiaddr.P_IP4); err == nil {
			f.d.add(a, p.ID, fromLocal)
			return
		}
	}
}
