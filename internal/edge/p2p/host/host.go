package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// OwnPrefix begins the names of our protocols: a peer that speaks one of them is ours.
const OwnPrefix = "/alys/"

// Peer is what a connection tells of a peer.
type Peer struct {
	ID      peer.ID
	Address string // multiaddr without the peer id
	Inbound bool
	Legacy  bool   // it answers no identify, or speaks no protocol of ours
	Agent   string // as it told in identify; empty for a peer that answers none
}

// Options of a host. Key and Judge are required.
type Options struct {
	Key    crypto.PrivKey
	Listen []string // multiaddrs: TCP and QUIC
	// Boot are multiaddrs that are dialled as long as the host is open, with or
	// without a peer id.
	Boot     []string
	MDNS     bool   // find peers on this network (wire.md 9.1)
	MaxPeers int    // beyond which nobody else is dialled, and the least useful are let go; 0 means 64
	Agent    string // what identify tells of this program

	// Judge says what becomes of a message before it is forwarded. It is called from
	// many goroutines.
	Judge func(*Message) Verdict
	// Heard takes each accepted message of others, in order for each topic. While it
	// does not return, further ones are kept up to a bound and then dropped.
	Heard func(context.Context, *Message)
	// Joined is told of each peer once it can be talked to, Left when the last
	// connection to one of them ended. They are called from one goroutine.
	Joined func(Peer)
	Left   func(id peer.ID, reason string)
	// Protocols begins to speak other protocols, before anybody can connect: what this host
	// speaks is what it is taken for.
	Protocols func(libp2phost.Host) error

	Logger *slog.Logger
}

func (o *Options) defaults() {
	if o.MaxPeers == 0 {
		o.MaxPeers = 64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Heard == nil {
		o.Heard = func(context.Context, *Message) {}
	}
	if o.Joined == nil {
		o.Joined = func(Peer) {}
	}
	if o.Left == nil {
		o.Left = func(peer.ID, string) {}
	}
}

// Host is the node's end of the network. Create it with [Open].
type Host struct {
	opt    Options
	net    libp2phost.Host
	gossip *pubsub.PubSub
	topics map[string]*pubsub.Topic
	gater  *gater
	dialer *dialer
	mdns   io.Closer // nil when it is off
	kept   chan *Message
	log    *slog.Logger

	stop    context.CancelFunc
	running sync.WaitGroup
}

// dialTimeout is what an upgrade of a connection may take. (wire.md 9.1)
const dialTimeout = 10 * time.Second

// Open starts listening, gossip and dialling. Errors: Invalid for an address that is
// none, Fatal when none of them can be listened on.
func Open(ctx context.Context, o Options) (*Host, error) {
	o.defaults()
	if o.Key == nil || o.Judge == nil {
		return nil, fault.New(fault.Invalid, "a host needs a key and a judge of messages")
	}
	listen, err := addresses(o.Listen)
	if err != nil {
		return nil, err
	}
	lastOpened.Store(o.Logger)
	h := &Host{opt: o, log: o.Logger, gater: newGater(), kept: make(chan *Message, waitingKept)}
	ctx, h.stop = context.WithCancel(ctx)
	if err := h.open(ctx, listen); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func addresses(texts []string) ([]multiaddr.Multiaddr, error) {
	out := make([]multiaddr.Multiaddr, len(texts))
	for i, text := range texts {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "address %q is no multiaddr such as /ip4/0.0.0.0/tcp/55444: %w", text, err)
		}
		out[i] = a
	}
	return out, nil
}

func (h *Host) open(ctx context.Context, listen []multiaddr.Multiaddr) error {
	limits, err := resources(h.opt.MaxPeers)
	if err != nil {
		return err
	}
	connections, err := connections(h.opt.MaxPeers)
	if err != nil {
		return err
	}
	h.net, err = libp2p.New(
		libp2p.Identity(h.opt.Key),
		libp2p.NoListenAddrs,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(quic.NewTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.UserAgent(h.opt.Agent),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(connections),
		libp2p.ConnectionGater(h.gater),
		libp2p.WithDialTimeout(dialTimeout),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.Ping(false),
	)
	if err != nil {
		return fault.New(fault.Fatal, "listening for peers on %v: %w", h.opt.Listen, err)
	}
	if err := h.openGossip(ctx); err != nil {
		return err
	}
	if err := h.introduce(ctx); err != nil {
		return err
	}
	if h.opt.Protocols != nil {
		if err := h.opt.Protocols(h.net); err != nil {
			return err
		}
	}
	if err := h.net.Network().Listen(listen...); err != nil && len(listen) > 0 {
		return fault.New(fault.Fatal, "listening for peers on %v: %w", h.opt.Listen, err)
	}
	if h.dialer, err = newDialer(h, h.opt.Boot); err != nil {
		return err
	}
	h.running.Go(func() { h.dialer.run(ctx) })
	if h.opt.MDNS {
		if h.mdns, err = h.listenLocally(); err != nil {
			// A machine without multicast has its boot addresses.
			h.log.Warn("peers of this network are not looked for", "error", err)
		}
	}
	return nil
}

// Close says goodbye to nobody: connections end, and what runs here. It is safe after
// a failed Open.
func (h *Host) Close() error {
	h.stop()
	var errs []error
	if h.mdns != nil {
		errs = append(errs, h.mdns.Close())
	}
	h.running.Wait()
	if h.net != nil {
		errs = append(errs, h.net.Close())
	}
	return errors.Join(errs...)
}

// Network returns the host of go-libp2p, on which other protocols are spoken.
func (h *Host) Network() libp2phost.Host { return h.net }

// ID returns this node's peer id.
func (h *Host) ID() peer.ID { return h.net.ID() }

// Addresses returns where this node listens, with its peer id.
func (h *Host) Addresses() []string {
	out := make([]string, 0, len(h.net.Addrs()))
	for _, a := range h.net.Addrs() {
		out = append(out, a.String()+"/p2p/"+h.net.ID().String())
	}
	return out
}

// Disconnect ends all connections to a peer.
func (h *Host) Disconnect(id peer.ID) error {
	return fault.Wrap(fault.Temporary, h.net.Network().ClosePeer(id), "disconnecting peer "+id.String())
}

// Protect keeps the connections of a libp2p host to a peer when others are let go: a
// member's. It may be called while the [Host] is being opened.
func Protect(h libp2phost.Host, id peer.ID) { h.ConnManager().Protect(id, memberTag) }

func unprotect(h libp2phost.Host, id peer.ID) { h.ConnManager().Unprotect(id, memberTag) }
