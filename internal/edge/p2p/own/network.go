package own

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// The protocol ids. (docs/formats/peer-protocol.md, Transport)
const (
	Session    protocol.ID = "/alys/session/1"
	Range      protocol.ID = "/alys/range/1"
	Descend    protocol.ID = "/alys/descend/1"
	Content    protocol.ID = "/alys/content/1"
	Approvals  protocol.ID = "/alys/approvals/1"
	Signatures protocol.ID = "/alys/signatures/1"
	Large      protocol.ID = "/alys/block/1"
	Journal    protocol.ID = "/alys/journal/1"
	Checkpoint protocol.ID = "/alys/checkpoint/1"
)

// Source is what this node has for others. Its methods are called from many goroutines and
// answer without waiting for the sequencer.
type Source interface {
	// Status returns the head, the finalised block, and whether this node is synced.
	Status() (head, finalized message.BlockID, synced bool)
	// Blocks gives the signed blocks of the head's branch from a height on, ascending, until
	// each returns an error, which it returns, or the head is passed.
	Blocks(ctx context.Context, from uint64, each func(signed []byte) error) error
	// Descend gives the block of a root and its ancestors, the parent first, down to a height
	// or to one that it does not have, until each returns an error, which it returns.
	Descend(ctx context.Context, root common.Hash, lowest uint64, each func(signed []byte) error) error
	// Content returns a public content by its SHA-256, nil when there is none.
	Content(ctx context.Context, hash [32]byte) ([]byte, error)
	// Approvals returns the single approvals of a block that it knows.
	Approvals(ctx context.Context, root common.Hash) ([]aura.Approval, error)
	// Signatures returns the signatures of a payment that it knows, one for each member.
	Signatures(ctx context.Context, txid [32]byte) ([]message.PaymentSignatures, error)
	// Transaction returns a transaction that waits at the execution layer, by its hash, or nil.
	Transaction(hash common.Hash) []byte
}

// Options of the protocol. Host, Chain, Decode, Source and the functions are required.
type Options struct {
	Host    libp2phost.Host
	Chain   *spec.Chain
	Genesis common.Hash // root of block 0
	Agent   string
	Listen  func() string // what Hello tells of where this node can be dialled; nil tells nothing

	// Authority is the index of this node's authority, whose Proof is over
	// [peer.ProofRoot]. Nil without one.
	Authority *uint32
	Proof     aura.Signature

	Source Source
	Decode func(signed []byte) (*block.Signed, common.Hash, error)

	// Joined is told of a peer whose session stands; Ended that it stands no more, before the
	// connection is closed. Of a peer they are told in turns.
	Joined func(*message.PeerConnected)
	Ended  func(id libp2p.ID, reason string)
	// Told is told where a peer says it is, and Trip what a round trip took.
	Told func(id libp2p.ID, head, finalized message.BlockID)
	Trip func(id libp2p.ID, took time.Duration)
	// Act is told of the acts of peers, kinds as in package message.
	Act func(id libp2p.ID, kind, detail string)
	// Take judges a large block that arrived, without state, and hands it on; a block that
	// is refused is an error, and goes to nobody else.
	Take func(ctx context.Context, from libp2p.ID, signed *block.Signed, root common.Hash, raw []byte) error

	Beat    time.Duration // between two pings; 0 means 5 s
	Silence time.Duration // after which a session ends; 0 means 15 s
	// Patience is how long a peer may take for a request, for each write to it, and for a frame
	// in an exchange; 0 means 10 s.
	Patience time.Duration
	Logger   *slog.Logger
}

func (o *Options) defaults() {
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Beat == 0 {
		o.Beat = 5 * time.Second
	}
	if o.Silence == 0 {
		o.Silence = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = func() string { return "" }
	}
}

// Network is all sessions. Create it with [New].
type Network struct {
	opt       Options
	host      libp2phost.Host
	committee *aura.Committee
	spec      [32]byte
	log       *slog.Logger
	limits    *limits
	large     *largeBlocks

	telling  sync.Mutex // makes Joined and Ended of a peer alternate
	mu       sync.Mutex
	sessions map[libp2p.ID]*session
	changed  chan struct{} // closed and made again at each new session
	closed   bool

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

// statusEvery is how often peers are told at most that this node moved.
const statusEvery = 250 * time.Millisecond

// New begins to answer on a host.
func New(o Options) (*Network, error) {
	o.defaults()
	if o.Host == nil || o.Chain == nil || o.Decode == nil || o.Source == nil || o.Joined == nil || o.Ended == nil ||
		o.Told == nil || o.Trip == nil || o.Act == nil || o.Take == nil {
		return nil, fault.New(fault.Invalid, "the peers' protocol needs a host, a chain, a source, and somebody to tell")
	}
	committee, err := aura.NewCommittee(o.Chain.Authorities)
	if err != nil {
		return nil, err
	}
	n := &Network{
		opt: o, host: o.Host, committee: committee, spec: specHash(o.Chain), log: o.Logger, limits: newLimits(), large: newLargeBlocks(),
		sessions: map[libp2p.ID]*session{}, changed: make(chan struct{}),
	}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.host.SetStreamHandler(Session, n.accept)
	n.handleRequests()
	n.running.Go(n.watchStatus)
	return n, nil
}

// Close ends all sessions with a goodbye, and answers nobody any more.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	all := make([]*session, 0, len(n.sessions))
	for _, s := range n.sessions {
		all = append(all, s)
	}
	n.mu.Unlock()
	for _, p := range []protocol.ID{Session, Range, Descend, Content, Approvals, Signatures, Large, Journal, Checkpoint} {
		n.host.RemoveStreamHandler(p)
	}
	var ending sync.WaitGroup
	for _, s := range all {
		ending.Go(func() { s.end("this node stops", &peer.Goodbye{Code: peer.GoodbyeShutdown, Reason: "shutdown"}) })
	}
	ending.Wait()
	n.stop()
	n.running.Wait()
	return nil
}

// Join opens a session with a connected peer, or sees to it that the peer does, whose part it
// may be: otherwise the connection ends. It does not wait.
func (n *Network) Join(id libp2p.ID) {
	switch {
	case n.session(id) != nil:
	case opens(n.host.ID(), id):
		n.start(func() { n.open(id) })
	default:
		n.start(func() {
			if n.awaitSession(id, n.opt.Silence) == nil && n.ctx.Err() == nil {
				n.log.Debug("peer opens no session", "peer", id)
				_ = n.host.Network().ClosePeer(id) // it is gone, or of no use
			}
		})
	}
}

// start runs f as a part of the network, unless it is closed.
func (n *Network) start(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.running.Go(f)
	}
	return !n.closed
}

// opens reports whether the session of two peers is a's to open.
func opens(a, b libp2p.ID) bool { return a < b }

// Disconnect says goodbye to a peer and closes its connections.
func (n *Network) Disconnect(id libp2p.ID, code uint32, reason string) error {
	if s := n.session(id); s != nil {
		s.end(reason, &peer.Goodbye{Code: code, Reason: peer.Text(reason)})
		return nil
	}
	return fault.Wrap(fault.Temporary, n.host.Network().ClosePeer(id), "disconnecting peer "+id.String())
}

// Peers returns the peers with a session, members before all others: however many strangers
// are connected, whoever asks some of the first asks members.
func (n *Network) Peers() []libp2p.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]libp2p.ID, 0, len(n.sessions))
	var others []libp2p.ID
	for id, s := range n.sessions {
		if s.hello.HasAuthority {
			out = append(out, id)
		} else {
			others = append(others, id)
		}
	}
	return append(out, others...)
}

func (n *Network) session(id libp2p.ID) *session {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sessions[id]
}

// isMember reports whether a peer with a session proved to be a member.
func (n *Network) isMember(id libp2p.ID) bool {
	s := n.session(id)
	return s != nil && s.hello.HasAuthority
}

// awaitSession waits for a session with a peer. It returns nil when there is none.
func (n *Network) awaitSession(id libp2p.ID, patience time.Duration) *session {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		n.mu.Lock()
		s, changed := n.sessions[id], n.changed
		n.mu.Unlock()
		if s != nil {
			return s
		}
		select {
		case <-changed:
		case <-timeout.C:
			return nil
		case <-n.ctx.Done():
			return nil
		}
	}
}

// register makes a session the one with its peer, and tells of it; the one before it ends.
func (n *Network) register(s *session) bool {
	n.telling.Lock()
	defer n.telling.Unlock()
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return false
	}
	old := n.sessions[s.id]
	n.sessions[s.id] = s
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	if old != nil {
		old.replaced()
		n.opt.Ended(s.id, "it opened another session")
	}
	n.opt.Joined(s.introduction())
	return true
}

// forget tells of the end of a session, and reports whether s was the one with its peer,
// which has none now.
func (n *Network) forget(s *session, reason string) bool {
	n.telling.Lock()
	defer n.telling.Unlock()
	n.mu.Lock()
	current := n.sessions[s.id] == s
	if current {
		delete(n.sessions, s.id)
	}
	n.mu.Unlock()
	if current {
		n.opt.Ended(s.id, reason)
	}
	return current
}

// watchStatus tells all peers when this node moved.
func (n *Network) watchStatus() {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	var last peer.Status
	for {
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
		now := n.status()
		if now == last {
			continue
		}
		last = now
		n.mu.Lock()
		for _, s := range n.sessions {
			s.tell(now)
		}
		n.mu.Unlock()
	}
}

func (n *Network) status() (m peer.Status) {
	m.Head, m.Finalized, _ = n.opt.Source.Status()
	return m
}

// hello is what this node says of itself.
func (n *Network) hello() *peer.Hello {
	s := n.status()
	m := &peer.Hello{
		Version: peer.Version, ChainID: n.opt.Chain.ChainID, Genesis: n.opt.Genesis, Spec: n.spec, Agent: peer.Agent(n.opt.Agent),
		Head: s.Head, Finalized: s.Finalized, Listen: peer.Text(n.opt.Listen()),
	}
	if n.opt.Authority != nil {
		m.HasAuthority, m.Authority, m.Proof = true, *n.opt.Authority, n.opt.Proof
	}
	return m
}

// act tells of an act of a peer.
func (n *Network) act(id libp2p.ID, kind, detail string) { n.opt.Act(id, kind, peer.Text(detail)) }

// newStream opens a stream to a connected peer; it never dials.
func (n *Network) newStream(ctx context.Context, id libp2p.ID, p protocol.ID) (network.Stream, error) {
	ctx, done := context.WithTimeout(network.WithNoDial(ctx, "requests are made to connected peers"), n.opt.Patience)
	defer done()
	return n.host.NewStream(ctx, id, p)
}
