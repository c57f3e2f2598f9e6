package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libp2ppeer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
)

var errGoodbye = errors.New("the node says goodbye")

// attacker is a peer without limits: whatever it is told to send, it sends.
type attacker struct {
	ctx     context.Context
	host    libp2phost.Host
	topics  map[string]*pubsub.Topic
	world   *world
	target  libp2ppeer.AddrInfo
	serve   func(s network.Stream, m *peer.Range) // answers ranges; nil closes
	hello   *peer.Hello
	nobody  bool // never says hello
	running sync.WaitGroup
}

// newAttacker makes a peer whose part it is to open sessions with the target: its id is
// the smaller one.
func newAttacker(ctx context.Context, w *world, target libp2ppeer.AddrInfo) (*attacker, error) {
	var key crypto.PrivKey
	for {
		k, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			return nil, err
		}
		if id, err := libp2ppeer.IDFromPrivateKey(k); err != nil {
			return nil, err
		} else if id < target.ID {
			key = k
			break
		}
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport), libp2p.Ping(false), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.UserAgent("byzantine"))
	if err != nil {
		return nil, err
	}
	head := message.BlockID{Root: w.signed[chainLength].Block.Root(), Number: chainLength}
	a := &attacker{ctx: ctx, host: h, topics: map[string]*pubsub.Topic{}, world: w, target: target, hello: &peer.Hello{
		Version: peer.Version, ChainID: w.spec.ChainID, Genesis: w.genesis, Agent: "byzantine", Head: head,
		Finalized: message.BlockID{Root: w.genesis},
	}}
	// The session's handler is never called: it makes identify say that we speak the protocol.
	h.SetStreamHandler(own.Session, func(s network.Stream) { _ = s.Reset() })
	h.SetStreamHandler(own.Range, a.answer)
	return a, nil
}

// Close ends it.
func (a *attacker) Close() error {
	err := a.host.Close()
	a.running.Wait()
	return err
}

// connect dials the node.
func (a *attacker) connect() error { return a.host.Connect(a.ctx, a.target) }

// gossips joins all topics, without looking at what it sends or hears.
func (a *attacker) gossips() error {
	g, err := pubsub.NewGossipSub(a.ctx, a.host, pubsub.WithMessageSignaturePolicy(pubsub.StrictSign), pubsub.WithFloodPublish(true),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return gossip.MessageID(m.GetData()) }), pubsub.WithMaxMessageSize(1<<20))
	if err != nil {
		return err
	}
	for _, name := range gossip.Topics() {
		if a.topics[name], err = g.Join(name); err != nil {
			return err
		}
		sub, err := a.topics[name].Subscribe()
		if err != nil {
			return err
		}
		a.running.Go(func() {
			for {
				if _, err := sub.Next(a.ctx); err != nil {
					return
				}
			}
		})
	}
	open := a.connect
	if !a.nobody {
		open = func() error { _, err := a.session(); return err }
	}
	if err := open(); err != nil {
		return err
	}
	for range 3000 { // the node says what it subscribes to
		if len(g.ListPeers(gossip.TopicApproveBlock)) > 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("the node does not subscribe to gossip")
}

// publish sends on a topic.
func (a *attacker) publish(topic string, data []byte) error {
	return a.topics[topic].Publish(a.ctx, data)
}

// stream opens one.
func (a *attacker) stream(p protocol.ID) (network.Stream, error) {
	ctx, done := context.WithTimeout(a.ctx, 5*time.Second)
	defer done()
	return a.host.NewStream(ctx, a.target.ID, p)
}

// session says hello and returns the stream once the node has said it too.
func (a *attacker) session() (network.Stream, error) {
	if err := a.connect(); err != nil {
		return nil, err
	}
	s, err := a.stream(own.Session)
	if err != nil {
		return nil, err
	}
	if _, err := s.Write(peer.AppendFrame(nil, a.hello)); err != nil {
		return nil, err
	}
	_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
	in := bufio.NewReader(s)
	m, err := peer.ReadFrame(in, peer.KindHello, peer.KindGoodbye)
	if err != nil {
		return nil, err
	}
	_ = s.SetReadDeadline(time.Time{})
	a.running.Go(func() { a.converse(s, in) })
	if _, ok := m.(*peer.Hello); !ok {
		return nil, errGoodbye
	}
	return s, nil
}

// converse answers pings, as whoever wants to stay does.
func (a *attacker) converse(s network.Stream, in *bufio.Reader) {
	for {
		m, err := peer.ReadFrame(in, peer.KindStatus, peer.KindPing, peer.KindPong, peer.KindGoodbye)
		if err != nil {
			return
		}
		if p, ok := m.(*peer.Ping); ok {
			if _, err := s.Write(peer.AppendFrame(nil, &peer.Pong{Number: p.Number})); err != nil {
				return
			}
		}
	}
}

// answer serves a range as the behaviour wants.
func (a *attacker) answer(s network.Stream) {
	m, err := peer.ReadFrame(bufio.NewReader(s), peer.KindRange)
	if err != nil || a.serve == nil {
		_ = s.Close()
		return
	}
	a.serve(s, m.(*peer.Range))
}

// give sends blocks and the end.
func give(s network.Stream, blocks [][]byte) {
	for _, b := range blocks {
		if _, err := s.Write(peer.AppendFrame(nil, &peer.Block{Signed: b})); err != nil {
			return
		}
	}
	_, _ = s.Write(peer.AppendFrame(nil, &peer.End{}))
	_ = s.Close()
}

// asked are the true blocks that a request names.
func (a *attacker) asked(m *peer.Range) [][]byte {
	if m.From == 0 || m.From > chainLength {
		return nil
	}
	return append([][]byte(nil), a.world.blocks[m.From-1:min(m.From-1+uint64(m.Count), chainLength)]...)
}
