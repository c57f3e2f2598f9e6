package node

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	protocol "github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/settle"
)

const (
	// exchangeWait is how long a peer has for one answer, and between two blocks.
	exchangeWait = 15 * time.Second
	// askRate is how many requests a second are made to one peer, well below what peers allow.
	askRate = 10
	// askBytes bounds the blocks of one answer.
	askBytes = 8 << 20
)

// openExchange begins to ask and to answer in messages of package checkpoint.
func (n *Node) openExchange() {
	ours := n.peers.network.Ours()
	n.exchange = exchangeOver(ours)
	ours.Handle(own.Checkpoint, func(_ context.Context, _ peer.ID, request []byte, send func([]byte) error) error {
		answer, err := n.answerCheckpoint(request)
		if err != nil {
			return err
		}
		return send(answer)
	})
}

// PeerAddresses returns where a running node listens for peers, with its peer id.
func (n *Node) PeerAddresses() []string { return n.peers.network.Addresses() }

func exchangeOver(ours *own.Network) exchange {
	return func(ctx context.Context, id string, request []byte) (answer []byte, err error) {
		to, err := peer.Decode(id)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "peer id")
		}
		_, err = ours.Ask(ctx, to, own.Checkpoint, request, 2*checkpoint.MaxMessage, exchangeWait, func(data []byte) error {
			if answer != nil {
				return fault.New(fault.Invalid, "peer %s answers twice", id)
			}
			answer = slices.Clone(data)
			return nil
		})
		if err == nil && answer == nil {
			err = fault.New(fault.Temporary, "peer %s answers nothing", id)
		}
		return answer, err
	}
}

// BeginFromPeers is [Begin] with the peers of a network, which it joins as a node that has
// no blocks yet.
func BeginFromPeers(ctx context.Context, o BeginOptions, net P2POptions, version string) (Begun, error) {
	if !net.On() {
		return Begun{}, fault.New(fault.Invalid, "a node begins at a checkpoint with peers only: name some with --p2p-boot")
	}
	if err := o.mayBegin(); err != nil {
		return Begun{}, err
	}
	b := &beginning{BeginOptions: o}
	if err := b.chain(); err != nil {
		return Begun{}, err
	}
	if err := o.keepPeerKey(); err != nil {
		return Begun{}, err
	}
	key, err := host.Identity(filepath.Join(filepath.Clean(o.DataDir)+fetchedSuffix, peerKeyFile))
	if err != nil {
		return Begun{}, err
	}
	guests := &guests{peers: map[string]*guest{}}
	checks := memo.New()
	checks.Prepare(&message.NodeConfigured{ChainSpec: b.spec, GenesisPayload: b.payload})
	network, err := p2p.Open(ctx, p2p.Options{
		Key: key, Listen: net.Listen, Boot: net.Boot, MDNS: net.MDNS, MaxPeers: net.MaxPeers, Agent: "alys/" + version,
		Chain: b.rules, Genesis: b.genesis, Checks: checks, Source: nothing{message.BlockID{Root: b.genesis}},
		Work:    func(*block.AuxPowHeader) error { return errNothing },
		Content: func(record.Content) ([]byte, error) { return nil, errNothing },
		Deliver: guests.deliver, Logger: o.Logger,
	})
	if err != nil {
		return Begun{}, err
	}
	guests.network = network
	o.Peers = guests.list
	begun, err := Begin(ctx, o)
	if failed := network.Close(); failed != nil {
		o.Logger.Warn("closing the connections to peers", "error", failed)
	}
	return begun, err
}

var errNothing = fault.New(fault.CannotJudge, "this node has no blocks yet")

// nothing is what a node without blocks has for others.
type nothing struct{ genesis message.BlockID }

func (s nothing) Status() (head, finalized message.BlockID, synced bool) {
	return s.genesis, s.genesis, false
}

func (nothing) Blocks(context.Context, uint64, func([]byte) error) error { return nil }

func (nothing) Descend(context.Context, common.Hash, uint64, func([]byte) error) error { return nil }

func (nothing) Content(context.Context, [32]byte) ([]byte, error) { return nil, nil }

func (nothing) Approvals(context.Context, common.Hash) ([]aura.Approval, error) { return nil, nil }

func (nothing) Signatures(context.Context, [32]byte) ([]message.PaymentSignatures, error) {
	return nil, nil
}

func (nothing) Transaction(common.Hash) []byte { return nil }

// guests are the connected peers that speak our protocol.
type guests struct {
	mu      sync.Mutex
	network *p2p.Network
	peers   map[string]*guest
}

// deliver keeps who is connected; what else peers say is for nodes with blocks.
func (g *guests) deliver(_ context.Context, m p2p.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m := m.(type) {
	case *message.PeerConnected:
		if !m.Legacy {
			g.peers[m.Peer] = &guest{id: m.Peer, of: g, pace: rate.NewLimiter(askRate, askRate)}
		}
	case *message.PeerGone:
		delete(g.peers, m.Peer)
	}
	return nil
}

func (g *guests) list() (list []settle.Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b settle.Peer) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// guest is one of them.
type guest struct {
	id   string
	of   *guests
	pace *rate.Limiter
}

// Name implements settle.Peer.
func (p *guest) Name() string { return p.id }

// Exchange implements settle.Peer.
func (p *guest) Exchange(ctx context.Context, request []byte) ([]byte, error) {
	if err := p.pace.Wait(ctx); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "asking peer "+p.id)
	}
	return exchangeOver(p.of.network.Ours())(ctx, p.id, request)
}

// Blocks implements settle.Peer.
func (p *guest) Blocks(ctx context.Context, from uint64, count uint32) (list [][]byte, err error) {
	if err := p.pace.Wait(ctx); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "asking peer "+p.id)
	}
	id, err := peer.Decode(p.id)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "peer id")
	}
	_, err = p.of.network.Ours().Range(ctx, id, protocol.Range{From: from, Count: count, MaxBytes: askBytes}, exchangeWait, func(signed []byte) error {
		list = append(list, slices.Clone(signed))
		return nil
	})
	if err != nil && len(list) == 0 {
		return nil, fmt.Errorf("blocks from %d: %w", from, err)
	}
	return list, nil
}
