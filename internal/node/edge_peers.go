package node

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// P2POptions are those of the network of nodes. Without Listen and Boot there is none.
type P2POptions struct {
	Listen   []string // multiaddrs: TCP and QUIC
	Boot     []string // multiaddrs, with or without peer id
	MDNS     bool
	MaxPeers int // 0 is the edge's default
	// ListenSlots is how many slots of a run a member listens before its first signature:
	// [message.NodeConfigured].
	ListenSlots uint32
}

// On reports whether this node talks to others.
func (o *P2POptions) On() bool { return len(o.Listen)+len(o.Boot) > 0 }

// peerKeyFile keeps the key of the peer id in the data directory.
const peerKeyFile = "peer.key"

// networkActor handles what is known of peers.
const networkActor core.ID = "network"

// peersEdge is where gossip and requests to peers leave. A node without peers lets
// them go; the meter of all edges counts them.
type peersEdge struct {
	network *p2p.Network
	opened  chan struct{} // closed when network is there; nil without peers
	synced  atomic.Bool   // as the chain actor said last
	looks   looks
}

func newPeersEdge(o *P2POptions) *peersEdge {
	if !o.On() {
		return &peersEdge{}
	}
	return &peersEdge{opened: make(chan struct{})}
}

// Execute implements actors.Executor.
func (e *peersEdge) Execute(ctx context.Context, r actors.Request) {
	if e.opened == nil {
		if m, ok := r.Message.(*message.GuideConnections); ok && m != nil {
			r.Reply(&message.ConnectionsGuided{})
		}
		return
	}
	select {
	case <-e.opened:
		e.network.Execute(ctx, r.Message, func(m p2p.Message) { r.Reply(m) })
	case <-ctx.Done():
	}
}

// fold learns whether this node is synced.
func (e *peersEdge) fold(f Fact) {
	if m, ok := f.Message.(*message.SyncedChanged); ok {
		e.synced.Store(m.Synced)
	}
}

// openPeers starts listening once the runtime takes messages.
func (n *Node) openPeers(ctx context.Context) error {
	if n.peers.opened == nil {
		return nil
	}
	key, err := host.Identity(filepath.Join(n.opt.DataDir, peerKeyFile))
	if err != nil {
		return err
	}
	c, genesis, err := n.Rules()
	if err != nil {
		return err
	}
	o := n.opt.P2P
	n.peers.network, err = p2p.Open(ctx, p2p.Options{
		Key: key, Listen: o.Listen, Boot: o.Boot, MDNS: o.MDNS, MaxPeers: o.MaxPeers, Agent: "alys/" + n.opt.Version,
		Chain: c, Genesis: block.Genesis(c, *genesis).Root(), Checks: n.memo, Work: n.judgeWork, Source: chainSource{n}, Prove: n.proveMember, Content: n.content,
		Deliver: n.deliver, Logger: n.log.With("edge", string(chain.PeersEdge)),
	})
	if err != nil {
		return err
	}
	n.openExchange()
	close(n.peers.opened)
	n.log.Info("listening for peers", "peer_id", n.peers.network.ID(), "addresses", n.peers.network.Addresses())
	return nil
}

// P2PStatus is what the edge of peers tells of itself.
type P2PStatus struct {
	PeerID    string   `json:"peer_id"`
	Addresses []string `json:"addresses"` // with the peer id
	// LargeBlocks is how many blocks of this run legacy peers did not get, for their gossip
	// has no room for them. (wire.md 9.2)
	LargeBlocks uint64 `json:"blocks_too_large_for_legacy"`
}

// status is nil for a node without peers, and until it listens.
func (e *peersEdge) status() *P2PStatus {
	if e.opened == nil {
		return nil
	}
	select {
	case <-e.opened:
		return &P2PStatus{PeerID: e.network.ID(), Addresses: e.network.Addresses(), LargeBlocks: e.network.LargeBlocks()}
	default:
		return nil
	}
}

// closePeers ends the connections of a node that ran.
func (n *Node) closePeers() {
	if n.peers.network == nil {
		return
	}
	if err := n.peers.network.Close(); err != nil {
		n.log.Warn("closing the connections to peers", "error", err)
	}
}

// deliver hands what peers say to the actor that handles it.
func (n *Node) deliver(ctx context.Context, m p2p.Message) error {
	n.members.fold(m)
	to, priority, overflow := networkActor, actors.Normal, actors.Block
	switch m.(type) {
	case *message.BlocksReceived:
		to = chain.ID
	case *message.ApprovalReceived:
		to = chain.ID
	case *message.QueueWork:
		to, priority, overflow = chain.ID, actors.Low, actors.Drop
	case *message.SignaturesReceived:
		to = bridge.ID
	}
	n.memo.Prepare(m)
	n.opt.Telemetry.Metrics.Received(m)
	return n.runtime.Submit(ctx, to, m, priority, overflow)
}

// chainSource gives peers what this node's journal has.
type chainSource struct{ n *Node }

// Status implements p2p.Source.
func (s chainSource) Status() (head, finalized message.BlockID, synced bool) {
	v := s.n.view.snapshot()
	return v.Head, v.Finalized, s.n.peers.synced.Load()
}

// judgeWork judges a proof's structure by the recent blocks of the head's branch.
// (consensus.md C8 c, g)
func (n *Node) judgeWork(h *block.AuxPowHeader) error {
	hashes, err := n.branch.between(h.RangeStart, h.RangeEnd, n.view.snapshot().Head.Number)
	if err != nil {
		return err
	}
	err = h.AuxPow.CheckStructure(auxpow.Commitment(hashes), h.ChainID)
	if defect, ok := errors.AsType[auxpow.Defect](err); ok && !defect.Certain() {
		// Perhaps the branch moved while it was read.
		return fault.Wrap(fault.CannotJudge, err, "proof of work")
	}
	return err
}

// between returns the blocks that a proof commits to: those of the range, or the block
// before it when it is empty.
func (b *branch) between(start, end common.Hash, head uint64) ([]common.Hash, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, last, found := uint64(0), uint64(0), 0
	for number, s := range b.recent {
		if number > head {
			continue
		}
		if s.root == start {
			first, found = number, found+1
		}
		if s.root == end {
			last, found = number, found+1
		}
	}
	if found < 2 || first == 0 {
		return nil, fault.New(fault.CannotJudge, "blocks %s to %s of a proof are not among the last of the head's branch", start, end)
	}
	if last < first {
		first, last = first-1, first-1
	}
	var out []common.Hash
	for number := first; number <= last; number++ {
		s, ok := b.recent[number]
		if !ok {
			return nil, fault.New(fault.CannotJudge, "block %d of a proof's range is not among the last of the head's branch", number)
		}
		out = append(out, s.root)
	}
	return out, nil
}
