package host

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Ban names a peer or an IP address that is not talked to. A zero Until is for ever.
type Ban struct {
	Peer    peer.ID
	Address netip.Addr
	Until   time.Time
}

// gater refuses connections: an address before a byte of a handshake, a peer as soon
// as it is known who it is.
type gater struct {
	now func() time.Time

	mu        sync.RWMutex
	peers     map[peer.ID]time.Time
	addresses map[netip.Addr]time.Time
}

func newGater() *gater { return &gater{now: time.Now} }

// set replaces the list of bans.
func (g *gater) set(bans []Ban) {
	peers, addresses := map[peer.ID]time.Time{}, map[netip.Addr]time.Time{}
	for _, b := range bans {
		if b.Peer != "" {
			peers[b.Peer] = b.Until
		}
		if b.Address.IsValid() {
			addresses[b.Address.Unmap()] = b.Until
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers, g.addresses = peers, addresses
}

func (g *gater) inForce(until time.Time, listed bool) bool {
	return listed && (until.IsZero() || g.now().Before(until))
}

func (g *gater) peerBanned(id peer.ID) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	until, listed := g.peers[id]
	return g.inForce(until, listed)
}

func (g *gater) addressBanned(a multiaddr.Multiaddr) bool {
	ip, ok := ipOf(a)
	if !ok {
		return false
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	until, listed := g.addresses[ip]
	return g.inForce(until, listed)
}

// ipOf returns the IP address that a multiaddr begins with.
func ipOf(a multiaddr.Multiaddr) (netip.Addr, bool) {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	out, ok := netip.AddrFromSlice(ip)
	return out.Unmap(), ok
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return !g.peerBanned(p) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gater) InterceptAddrDial(p peer.ID, a multiaddr.Multiaddr) bool {
	return !g.peerBanned(p) && !g.addressBanned(a)
}

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gater) InterceptAccept(a network.ConnMultiaddrs) bool {
	return !g.addressBanned(a.RemoteMultiaddr())
}

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return !g.peerBanned(p)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
