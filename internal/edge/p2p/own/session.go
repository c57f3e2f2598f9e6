package own

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Bounds of sessions. (docs/formats/peer-protocol.md, Session)
const (
	helloTimeout   = 10 * time.Second
	goodbyeTimeout = time.Second
	framesASecond  = 20
	framesAtOnce   = 60
	answersWaiting = 16 // pongs that a peer does not take
)

// specHash is what Hello says of a chain's specification.
func specHash(c *spec.Chain) [32]byte { return sha256.Sum256(c.Encode()) }

// session is one long stream to a peer.
type session struct {
	n      *Network
	id     libp2p.ID
	stream network.Stream
	in     *bufio.Reader
	hello  *peer.Hello // the peer's

	writing sync.Mutex
	unread  chan struct{} // closed when nobody reads the stream any more
	pongs   chan uint64
	moved   chan struct{} // of one; status is to be told
	blocks  chan *large   // to be announced
	done    chan struct{}
	ended   sync.Once

	mu     sync.Mutex
	status peer.Status
	ping   uint64 // number of the one that is not answered
	sent   time.Time
	trip   time.Duration
}

// open opens the session with a peer.
func (n *Network) open(id libp2p.ID) {
	stream, err := n.newStream(n.ctx, id, Session)
	if err != nil {
		n.log.Debug("no session with a peer", "peer", id, "error", err)
		_ = n.host.Network().ClosePeer(id) // it is gone, or of no use
		return
	}
	n.run(stream)
}

// accept takes a session that a peer opens.
func (n *Network) accept(stream network.Stream) {
	id := stream.Conn().RemotePeer()
	if !opens(id, n.host.ID()) {
		n.act(id, message.ActProtocol, "opens a session that is not its to open")
		_ = stream.Reset()
		return
	}
	if !n.limits.session(id) { // a bad line brings it here, too
		n.act(id, message.ActSpam, "more sessions than the rate allows")
		_ = stream.Reset()
		return
	}
	if !n.start(func() { n.run(stream) }) {
		_ = stream.Reset()
	}
}

// run leads a session to its end.
func (n *Network) run(stream network.Stream) {
	s := &session{
		n: n, id: stream.Conn().RemotePeer(), stream: stream, in: bufio.NewReaderSize(stream, 4096),
		pongs: make(chan uint64, answersWaiting), moved: make(chan struct{}, 1), blocks: make(chan *large, blocksWaiting), done: make(chan struct{}),
		unread: make(chan struct{}),
	}
	if why, goodbye := s.greet(); why != "" {
		n.log.Info("no session with a peer", "peer", s.id, "address", stream.Conn().RemoteMultiaddr(), "reason", why)
		close(s.unread)
		s.end(why, goodbye)
		return
	}
	var writers sync.WaitGroup
	writers.Go(s.write)
	writers.Go(s.announce)
	why, goodbye := s.read()
	close(s.unread)
	s.end(why, goodbye)
	writers.Wait()
}

// greet exchanges Hello. It returns why there is no session.
func (s *session) greet() (why string, goodbye *peer.Goodbye) {
	_ = s.stream.SetReadDeadline(time.Now().Add(helloTimeout))
	first := opens(s.n.host.ID(), s.id)
	if first {
		if err := s.send(s.n.hello()); err != nil {
			return "its hello was not taken: " + err.Error(), nil
		}
	}
	m, err := peer.ReadFrame(s.in, peer.KindHello, peer.KindGoodbye)
	if err != nil {
		return s.broken("hello", err)
	}
	hello, ok := m.(*peer.Hello)
	if !ok {
		return "it says goodbye: " + m.(*peer.Goodbye).Reason, nil
	}
	if why, goodbye = s.judge(hello); why != "" {
		return why, goodbye
	}
	s.hello = hello
	s.status = peer.Status{Head: hello.Head, Finalized: hello.Finalized}
	if !s.n.register(s) {
		s.hello = nil
		return "this node stops", &peer.Goodbye{Code: peer.GoodbyeShutdown}
	}
	if !first {
		if err := s.send(s.n.hello()); err != nil {
			return "its hello was not taken: " + err.Error(), nil
		}
	}
	return "", nil
}

// judge says why a peer is not talked to.
func (s *session) judge(m *peer.Hello) (why string, goodbye *peer.Goodbye) {
	switch {
	case m.Genesis != s.n.opt.Genesis || m.ChainID != s.n.opt.Chain.ChainID:
		why = "it is of another network: genesis " + m.Genesis.Hex()
		s.n.act(s.id, message.ActWrongGenesis, why)
		return why, &peer.Goodbye{Code: peer.GoodbyeOtherNetwork, Reason: peer.Text("genesis here is " + s.n.opt.Genesis.Hex())}
	case m.Version == 0:
		s.n.act(s.id, message.ActProtocol, "version 0")
		return "it has version 0", &peer.Goodbye{Code: peer.GoodbyeFault, Reason: "version 0"}
	}
	if err := m.Proven(s.n.committee, string(s.id)); err != nil {
		s.n.act(s.id, message.ActFalseProof, err.Error())
		return err.Error(), &peer.Goodbye{Code: peer.GoodbyeFault, Reason: peer.Text(err.Error())}
	}
	if m.Spec != s.n.spec {
		s.n.log.Warn("peer has another chain spec of the same genesis", "peer", s.id, "agent", m.Agent)
	}
	return "", nil
}

// introduction is what is told of the peer.
func (s *session) introduction() *message.PeerConnected {
	conn, m := s.stream.Conn(), s.hello
	return &message.PeerConnected{
		Peer: s.id.String(), Address: conn.RemoteMultiaddr().String(), Inbound: conn.Stat().Direction == network.DirInbound,
		Agent: m.Agent, Protocol: m.Version, HasAuthority: m.HasAuthority, Authority: m.Authority,
		Head: &m.Head, Finalized: &m.Finalized, Listen: m.Listen,
	}
}

// read takes frames until the session ends, and returns why.
func (s *session) read() (why string, goodbye *peer.Goodbye) {
	bucket := rate.NewLimiter(framesASecond, framesAtOnce)
	for {
		_ = s.stream.SetReadDeadline(time.Now().Add(s.n.opt.Silence))
		m, err := peer.ReadFrame(s.in, peer.KindStatus, peer.KindPing, peer.KindPong, peer.KindGoodbye)
		if err != nil {
			return s.broken("session", err)
		}
		if !bucket.Allow() {
			s.n.act(s.id, message.ActFlood, "frames of a session")
			return "it floods its session", &peer.Goodbye{Code: peer.GoodbyeFault, Reason: "too many frames"}
		}
		switch m := m.(type) {
		case *peer.Goodbye:
			return "it says goodbye: " + m.Reason, nil
		case *peer.Ping:
			select {
			case s.pongs <- m.Number:
			default:
				return "it takes no answers", nil
			}
		case *peer.Pong:
			s.ponged(m.Number)
		case *peer.Status:
			s.mu.Lock()
			s.status = *m
			s.mu.Unlock()
			s.n.opt.Told(s.id, m.Head, m.Finalized)
		}
	}
}

// broken says why reading a stream of a session failed, and what follows.
func (s *session) broken(what string, err error) (why string, goodbye *peer.Goodbye) {
	switch {
	case fault.Is(err, fault.Invalid):
		s.n.act(s.id, message.ActProtocol, what+": "+err.Error())
		return what + ": " + err.Error(), &peer.Goodbye{Code: peer.GoodbyeFault, Reason: peer.Text(err.Error())}
	case late(err):
		return "it is silent", nil
	case errors.Is(err, io.EOF):
		return "it closed the session", nil
	default:
		return what + " ended: " + err.Error(), nil
	}
}

// write sends what is to be sent until the session ends.
func (s *session) write() {
	beat := time.NewTicker(s.n.opt.Beat)
	defer beat.Stop()
	number := uint64(0)
	for {
		var m peer.Message
		select {
		case <-s.done:
			return
		case x := <-s.pongs:
			m = &peer.Pong{Number: x}
		case <-s.moved:
			now := s.n.status()
			m = &now
		case <-beat.C:
			number++
			s.mu.Lock()
			s.ping, s.sent = number, time.Now()
			s.mu.Unlock()
			m = &peer.Ping{Number: number}
		}
		if err := s.send(m); err != nil {
			s.end("it takes nothing: "+err.Error(), nil)
			return
		}
	}
}

// tell has the peer told where this node is now.
func (s *session) tell(peer.Status) {
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// ponged takes the answer to a ping; another number is of no use to anybody.
func (s *session) ponged(number uint64) {
	s.mu.Lock()
	if number == 0 || number != s.ping {
		s.mu.Unlock()
		return
	}
	took := time.Since(s.sent)
	s.ping = 0
	if s.trip != 0 {
		took = (7*s.trip + took) / 8
	}
	s.trip = took
	s.mu.Unlock()
	s.n.opt.Trip(s.id, took)
}

func (s *session) send(m peer.Message) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.stream.SetWriteDeadline(time.Now().Add(s.n.opt.Patience))
	_, err := s.stream.Write(peer.AppendFrame(nil, m))
	return err
}

// end ends the session, once, and the connections to the peer.
func (s *session) end(reason string, goodbye *peer.Goodbye) {
	s.ended.Do(func() {
		close(s.done)
		if goodbye != nil && s.writing.TryLock() { // who is blocked in writing is not read
			_ = s.stream.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
			if _, err := s.stream.Write(peer.AppendFrame(nil, goodbye)); err == nil {
				_ = s.stream.CloseWrite()
				s.linger()
			}
			s.writing.Unlock()
		}
		if s.n.forget(s, reason) || s.hello == nil {
			_ = s.n.host.Network().ClosePeer(s.id) // it is gone already, or goes now
		}
		_ = s.stream.Reset()
	})
}

// linger gives a goodbye the time to arrive before the connection is closed under it: until
// the peer closes its side, or a second.
func (s *session) linger() {
	_ = s.stream.SetReadDeadline(time.Now().Add(goodbyeTimeout))
	select {
	case <-s.unread:
		_, _ = io.CopyN(io.Discard, s.stream, 64<<10)
	case <-time.After(goodbyeTimeout):
	}
}

// replaced ends a session whose peer opened another one: the connection stays.
func (s *session) replaced() {
	s.ended.Do(func() {
		close(s.done)
		_ = s.stream.Reset()
	})
}
