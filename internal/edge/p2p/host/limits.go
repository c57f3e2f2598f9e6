package host

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// The connections of members of the federation are protected, and those of nodes that the
// operator named.
const (
	memberTag = "member"
	bootTag   = "boot"
)

// Bounds for each peer. Legacy opens a stream for each request and one for gossip, and
// leaves requests that nobody answers open; it closes a connection with more than 32
// requests itself. (wire.md 9.5)
const (
	peerStreams     = 128
	peerConnections = 8
	peerMemory      = 32 << 20
	perAddress      = 32 // connections from one IP address
)

// Bounds of the whole host beside those of peers.
const (
	systemMemory      = 256 << 20
	transientMemory   = 32 << 20
	transientStreams  = 2048
	transientConns    = 64
	streamsPerPeerAvg = 32
)

// resources returns the limits of go-libp2p's resource manager: connections, streams
// and memory, of a peer, of what is not yet a peer's, and of all together.
func resources(maxPeers int) (network.ResourceManager, error) {
	// Twice as many connections as peers: both ends may dial at the same time.
	conns := 2*maxPeers + transientConns
	// A quarter of everything is for what this side opens: strangers who take all that is for
	// those who come leave room to dial members, and to ask and gossip to them.
	inbound := func(all int) rcmgr.LimitVal { return rcmgr.LimitVal(all - all/4) }
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(conns), ConnsInbound: inbound(conns), ConnsOutbound: rcmgr.LimitVal(conns),
			FD:      rcmgr.LimitVal(conns),
			Streams: rcmgr.LimitVal(conns * streamsPerPeerAvg), StreamsInbound: inbound(conns * streamsPerPeerAvg), StreamsOutbound: rcmgr.LimitVal(conns * streamsPerPeerAvg),
			Memory: rcmgr.LimitVal64(systemMemory),
		},
		Transient: rcmgr.ResourceLimits{
			Conns: transientConns, ConnsInbound: inbound(transientConns), ConnsOutbound: transientConns, FD: transientConns,
			Streams: transientStreams, StreamsInbound: inbound(transientStreams), StreamsOutbound: transientStreams,
			Memory: transientMemory,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: peerConnections, ConnsInbound: peerConnections, ConnsOutbound: peerConnections, FD: peerConnections,
			Streams: peerStreams, StreamsInbound: peerStreams, StreamsOutbound: peerStreams,
			Memory: peerMemory,
		},
	}.Build(rcmgr.DefaultLimits.Scale(systemMemory, conns))
	manager, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet([]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perAddress}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perAddress}}))
	return manager, fault.Wrap(fault.Fatal, err, "limits of the network")
}

// connections returns what lets connections go when there are too many: the youngest
// are left alone, and members always.
func connections(maxPeers int) (*connmgr.BasicConnMgr, error) {
	m, err := connmgr.NewConnManager(maxPeers, maxPeers+max(maxPeers/4, 4), connmgr.WithGracePeriod(30*time.Second))
	return m, fault.Wrap(fault.Fatal, err, "manager of connections")
}
