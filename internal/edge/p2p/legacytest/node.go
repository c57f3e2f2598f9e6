package legacytest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"

	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
)

// Options of a stand-in.
type Options struct {
	Listen string // multiaddr; empty is a free port of the loopback address
	// Blocks are signed blocks by height, the first one genesis.
	Blocks [][]byte
	// Older makes it answer with all blocks that were asked for. (wire.md 9.6)
	Older bool
	// Silent makes it take requests for blocks and never answer.
	Silent bool
}

// Message is one gossip message that it heard.
type Message struct {
	Topic  string
	Data   []byte
	From   peer.ID
	Author peer.ID
}

// Node is a stand-in. Create it with [Start].
type Node struct {
	opt    Options
	host   host.Host
	gossip *pubsub.PubSub
	topics map[string]*pubsub.Topic

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	blocks  [][]byte
	heard   []Message
	death   error
	asked   []Asked
	waiting map[network.Conn]int // requests that are never answered
}

// Start starts a stand-in.
func Start(o Options) (*Node, error) {
	if o.Listen == "" {
		o.Listen = "/ip4/127.0.0.1/tcp/0"
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(
		libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport), libp2p.Ping(false), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	)
	if err != nil {
		return nil, err
	}
	// Nobody is connected yet, so nobody has asked.
	h.RemoveStreamHandler(identify.ID)
	h.RemoveStreamHandler(identify.IDPush)
	n := &Node{opt: o, host: h, topics: map[string]*pubsub.Topic{}, blocks: o.Blocks, waiting: map[network.Conn]int{}}
	n.ctx, n.stop = context.WithCancel(context.Background())
	if err := n.start(o.Listen); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) start(listen string) error {
	if err := n.openGossip(); err != nil {
		return err
	}
	n.serve()
	at, err := multiaddr.NewMultiaddr(listen)
	if err != nil {
		return err
	}
	return n.host.Network().Listen(at)
}

// openGossip joins all topics with legacy's parameters. (wire.md 9.2, 9.3)
func (n *Node) openGossip() error {
	params := pubsub.DefaultGossipSubParams()
	params.HeartbeatInterval, params.HistoryLength, params.HistoryGossip = 10*time.Second, 5, 3
	params.HeartbeatInitialDelay = 100 * time.Millisecond
	var err error
	n.gossip, err = pubsub.NewGossipSub(n.ctx, n.host,
		pubsub.WithGossipSubProtocols([]protocol.ID{pubsub.GossipSubID_v11, pubsub.GossipSubID_v10}, pubsub.GossipSubDefaultFeatures),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return gossip.MessageID(m.GetData()) }),
		pubsub.WithMaxMessageSize(gossip.MaxLegacySize), pubsub.WithGossipSubParams(params),
		pubsub.WithFloodPublish(true), pubsub.WithSeenMessagesTTL(time.Minute),
	)
	if err != nil {
		return err
	}
	for _, name := range gossip.Topics() {
		topic, err := n.gossip.Join(name)
		if err != nil {
			return err
		}
		sub, err := topic.Subscribe(pubsub.WithBufferSize(1024))
		if err != nil {
			return err
		}
		n.topics[name] = topic
		n.running.Go(func() { n.hear(sub) })
	}
	return nil
}

// hear takes messages until one of them ends the process.
func (n *Node) hear(sub *pubsub.Subscription) {
	for {
		m, err := sub.Next(n.ctx)
		if err != nil {
			return
		}
		if m.ReceivedFrom == n.host.ID() {
			continue
		}
		n.mu.Lock()
		n.heard = append(n.heard, Message{m.GetTopic(), m.GetData(), m.ReceivedFrom, m.GetFrom()})
		n.mu.Unlock()
		if err := fatal(m.GetData()); err != nil {
			n.die(fmt.Errorf("%s on %s from %s: %w", m.ID, m.GetTopic(), m.ReceivedFrom, err))
			return
		}
	}
}

// die is the abort of the process.
func (n *Node) die(why error) {
	n.mu.Lock()
	first := n.death == nil
	if first {
		n.death = why
	}
	n.mu.Unlock()
	if first {
		n.stop()
		go n.host.Close() // it waits for streams that end here
	}
}

// Death says what ended the process, nil while it lives.
func (n *Node) Death() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.death
}

// Heard returns the messages of others, in order.
func (n *Node) Heard() []Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Message(nil), n.heard...)
}

// Publish gossips any bytes, such as no legacy node would make.
func (n *Node) Publish(topic string, data []byte) error {
	t := n.topics[topic]
	if t == nil {
		return fmt.Errorf("no topic %q", topic)
	}
	return t.Publish(n.ctx, data)
}

// Listeners returns how many connected peers take its messages on a topic.
func (n *Node) Listeners(topic string) int {
	if t := n.topics[topic]; t != nil {
		return len(t.ListPeers())
	}
	return 0
}

// ID returns the peer id of this run.
func (n *Node) ID() peer.ID { return n.host.ID() }

// Address returns where it listens, without a peer id, as in legacy's boot lists.
func (n *Node) Address() string {
	addrs := n.host.Network().ListenAddresses()
	if len(addrs) == 0 {
		return ""
	}
	return addrs[0].String()
}

// Connect dials an address that ends in a peer id.
func (n *Node) Connect(ctx context.Context, address string) error {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return err
	}
	return n.host.Connect(ctx, *info)
}

// Connected reports whether a peer id is connected.
func (n *Node) Connected(id string) bool {
	for _, p := range n.host.Network().Peers() {
		if strings.EqualFold(p.String(), id) {
			return true
		}
	}
	return false
}

// Close ends it.
func (n *Node) Close() error {
	n.stop()
	err := n.host.Close()
	n.running.Wait()
	return err
}
