package p2p

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/admit"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacy"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/rangecheck"
)

// Message is what actors and edges exchange.
type Message interface {
	record.Record
	Type() string
	Schema() uint32
}

// Source is what this node has for others.
type Source = own.Source

// Options of the network. Key, Chain, Checks, Source, Content and Deliver are required.
type Options struct {
	Key      crypto.PrivKey
	Listen   []string // multiaddrs
	Boot     []string // multiaddrs, with or without peer id
	MDNS     bool
	MaxPeers int
	Agent    string

	Chain   *spec.Chain
	Genesis common.Hash
	Checks  admit.Checks
	Work    func(*block.AuxPowHeader) error // as in [admit.Options]
	Source  Source
	// Prove returns the index of this node's authority and its proof for a peer id, ok being
	// false without one. Nil is a node without authority. (docs/formats/peer-protocol.md, Proof)
	Prove   func(genesis common.Hash, id string) (authority uint32, proof aura.Signature, ok bool)
	Content func(record.Content) ([]byte, error)
	// Deliver submits a message to the actor that handles its type. It may wait for
	// room in the inbox.
	Deliver func(context.Context, Message) error
	Clock   func() time.Time

	Logger *slog.Logger
}

// Network is the edge. Create it with [Open].
type Network struct {
	opt     Options
	host    *host.Host
	ours    *own.Network
	server  *legacy.Server // answers legacy
	asks    asks
	checker *rangecheck.Checker
	admit   *admit.Admitter
	told    *reports
	log     *slog.Logger

	mu     sync.Mutex
	legacy map[peer.ID]bool // connected peers, and whether they are legacy's
	counts counts

	stop    context.CancelFunc
	running sync.WaitGroup
}

// counts are what is shown of the edge.
type counts struct {
	largeBlocks atomic.Uint64 // that legacy's gossip could not carry
}

// Open starts listening and dialling.
func Open(ctx context.Context, o Options) (*Network, error) {
	if o.Chain == nil || o.Checks == nil || o.Source == nil || o.Content == nil || o.Deliver == nil {
		return nil, fault.New(fault.Invalid, "the network needs a chain, checks, a source of blocks and contents, and somebody to deliver to")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Network{opt: o, log: o.Logger, legacy: map[peer.ID]bool{}}
	var err error
	if n.admit, err = admit.New(admit.Options{Chain: o.Chain, Checks: o.Checks, Work: o.Work, Clock: o.Clock}); err != nil {
		return nil, err
	}
	n.told = newReports(o.Deliver, o.Logger)
	committee, err := aura.NewCommittee(o.Chain.Authorities)
	if err != nil {
		return nil, err
	}
	n.checker = rangecheck.New(committee, o.Checks)
	ctx, n.stop = context.WithCancel(ctx)
	n.asks.ctx = ctx
	n.running.Go(func() { n.told.run(ctx) })
	n.host, err = host.Open(ctx, host.Options{
		Key: o.Key, Listen: o.Listen, Boot: o.Boot, MDNS: o.MDNS, MaxPeers: o.MaxPeers, Agent: o.Agent,
		Judge: n.judge, Heard: n.heard, Joined: n.joined, Left: n.left, Protocols: n.openOurs, Logger: o.Logger,
	})
	if err != nil {
		n.stop()
		n.running.Wait()
		if n.ours != nil {
			err = errors.Join(err, n.ours.Close())
		}
		if n.server != nil {
			err = errors.Join(err, n.server.Close())
		}
		return nil, err
	}
	return n, nil
}

// Close ends all connections.
func (n *Network) Close() error {
	err := errors.Join(n.ours.Close(), n.server.Close()) // ours with a goodbye, so before the connections
	n.stop()
	err = errors.Join(err, n.host.Close())
	n.asks.wait()
	n.running.Wait()
	return err
}

// ID returns this node's peer id.
func (n *Network) ID() string { return n.host.ID().String() }

// Addresses returns where this node listens, with its peer id.
func (n *Network) Addresses() []string { return n.host.Addresses() }

// Listeners returns how many connected peers take gossip on a topic. What is published
// while nobody does is heard by nobody.
func (n *Network) Listeners(topic string) int { return n.host.Listeners(topic) }

// LargeBlocks is how many blocks were not published on legacy's gossip because its frame
// is too small for them. (wire.md 9.2, P10)
func (n *Network) LargeBlocks() uint64 { return n.counts.largeBlocks.Load() }

// joined takes a peer that can be talked to. One that speaks our protocol is told of
// when it has said who it is.
func (n *Network) joined(p host.Peer) {
	n.mu.Lock()
	n.legacy[p.ID] = p.Legacy
	n.mu.Unlock()
	if !p.Legacy {
		n.ours.Join(p.ID)
		return
	}
	n.told.connected(&message.PeerConnected{Peer: p.ID.String(), Address: p.Address, Inbound: p.Inbound, Legacy: p.Legacy, Agent: p.Agent})
}

func (n *Network) left(id peer.ID, reason string) {
	n.mu.Lock()
	delete(n.legacy, id)
	n.mu.Unlock()
	n.told.gone(id.String(), reason)
}

func (n *Network) isLegacy(id peer.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.legacy[id]
}

// judge is what the host asks before it forwards.
func (n *Network) judge(m *host.Message) host.Verdict {
	r := n.admit.Judge(admit.Heard{Topic: m.Topic, Data: m.Data, From: m.From.String(), Author: m.Author.String(), Legacy: n.isLegacy(m.From)})
	for _, act := range r.Acts {
		n.told.act(act.Peer, act.Kind, act.Detail)
	}
	m.Value = r.Message
	switch r.Verdict {
	case admit.Forward:
		return host.Accept
	case admit.Keep:
		return host.Keep
	case admit.Drop:
		return host.Ignore
	default:
		return host.Reject
	}
}

// heard hands an admitted message to its actor.
func (n *Network) heard(ctx context.Context, m *host.Message) {
	msg, ok := m.Value.(admit.Message)
	if !ok || msg == nil {
		return
	}
	n.deliver(ctx, msg)
}

func (n *Network) deliver(ctx context.Context, m Message) {
	if err := n.opt.Deliver(ctx, m); err != nil && !errors.Is(err, context.Canceled) {
		n.log.Warn("message of a peer is not handled", "type", m.Type(), "error", err)
	}
}
