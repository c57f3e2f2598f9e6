package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/projections/peers"
)

// PeersDir returns where the record of peers is. It may be deleted at any time.
func PeersDir(dataDir string) string { return filepath.Join(dataDir, "peers") }

// openRecord opens the record of peers. The node works without one: what keeps it from
// being used is a warning.
func (n *Node) openRecord() {
	if !n.config.Peers {
		return
	}
	r, err := peers.Open(n.journal, peers.Options{Dir: PeersDir(n.opt.DataDir), Logger: n.log})
	if err != nil {
		n.log.Warn("there is no record of peers in this run", "error", err)
		return
	}
	n.record = r
}

// peersRecord is the record of peers, or why there is none.
func (n *Node) peersRecord() (*peers.Store, error) {
	if !n.config.Peers {
		return nil, fault.New(fault.CannotJudge, "this node talks to no others: p2p-listen and p2p-bootnodes are empty")
	}
	if n.record == nil {
		return nil, fault.New(fault.Temporary, "there is no record of peers in this run; the log of the start says why")
	}
	return n.record, nil
}

// peersHandlers are what the control socket offers about peers.
func (n *Node) peersHandlers() admin.Peers {
	return admin.Peers{
		Answer: n.peersAnswer,
		Ban: func(ctx context.Context, peer, address string, seconds uint64, reason string) error {
			return refusal(n.BanPeer(ctx, peer, address, seconds, reason))
		},
		Unban: func(ctx context.Context, peer, address string) error { return refusal(n.UnbanPeer(ctx, peer, address)) },
	}
}

// peersAnswer answers a question about peers of the control socket, by its name there.
func (n *Node) peersAnswer(_ context.Context, question string, params json.RawMessage) (any, error) {
	r, err := n.peersRecord()
	if err != nil {
		return nil, err
	}
	switch question {
	case "peers":
		return answerTo(params, r.Peers)
	case "peer":
		return answerTo(params, func(id string) (*peers.Peer, error) { return PeerOf(r, id) })
	case "bans":
		return answerTo(params, func(struct{}) (*peers.Bans, error) { return r.Bans(0) })
	}
	return nil, fault.New(fault.Invalid, "there is no question %q about peers", clip(question))
}

// PeerOf returns what a record has of a peer; one that was never met is a CannotJudge error.
func PeerOf(r *peers.Store, id string) (*peers.Peer, error) {
	p, err := r.Peer(id, 0)
	if err == nil && p == nil {
		err = fault.New(fault.CannotJudge, "peer %s was never met, or is forgotten", clip(id))
	}
	return p, err
}

// CheckBan returns whom an operator means by a peer id or an IP address, in the one form that
// the network actor compares.
func CheckBan(id, address string) (string, string, error) {
	switch {
	case (id == "") == (address == ""):
		return "", "", fault.New(fault.Invalid, "name a peer id or an IP address, one of them")
	case id != "":
		p, err := peer.Decode(id)
		if err != nil {
			return "", "", fault.New(fault.Invalid, "%q is no peer id such as alys p2p peers shows: %w", clip(id), err)
		}
		return p.String(), "", nil
	}
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" {
		return "", "", fault.New(fault.Invalid, "%q is no IP address", clip(address))
	}
	return "", ip.Unmap().String(), nil
}

// BanPeer has this node not talk to a peer id or an IP address, for ever with 0 seconds: a
// turn of the journal with the reason given. ErrRefused: the network actor says no.
func (n *Node) BanPeer(ctx context.Context, id, address string, seconds uint64, reason string) error {
	if err := CheckReason(reason); err != nil {
		return err
	}
	id, address, err := CheckBan(id, address)
	if err != nil {
		return err
	}
	if err := n.askNetwork(ctx, func(request uint64) core.Message {
		return &message.BanPeer{Request: request, Peer: id, Address: address, Seconds: seconds, Reason: reason}
	}); err != nil {
		return err
	}
	n.log.Warn("banned by an operator", "peer", id, "address", address, "seconds", seconds, "reason", reason)
	return nil
}

// UnbanPeer ends a ban. ErrRefused: there is none.
func (n *Node) UnbanPeer(ctx context.Context, id, address string) error {
	id, address, err := CheckBan(id, address)
	if err != nil {
		return err
	}
	if err := n.askNetwork(ctx, func(request uint64) core.Message {
		return &message.UnbanPeer{Request: request, Peer: id, Address: address}
	}); err != nil {
		return err
	}
	n.log.Warn("a ban was ended by an operator", "peer", id, "address", address)
	return nil
}

func (n *Node) askNetwork(ctx context.Context, m func(request uint64) core.Message) error {
	answer, err := n.ask(ctx, networkActor, m)
	if err != nil {
		return err
	}
	judged, err := expected[*message.OperatorAnswer](answer)
	if err == nil && !judged.Done {
		err = refused("%s", judged.Reason)
	}
	return err
}

// peersGlance is the record's list for metrics, status and health, read at most once a
// second.
type peersGlance struct {
	mu   sync.Mutex
	at   time.Time
	last *peers.List
}

// peersNow returns the connected peers, nil while the record cannot tell. They belong to whoever
// asks first: nobody changes them.
func (n *Node) peersNow() *peers.List {
	if n.record == nil {
		return nil
	}
	g := &n.peersSeen
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.at.IsZero() || now.Sub(g.at) >= time.Second {
		g.at = now
		l, err := n.record.Peers(peers.Query{Connected: true, Limit: peers.MaxLimit})
		if err != nil {
			l = nil
		}
		g.last = l
	}
	return g.last
}

// PeersStatus is the network in `alys status`.
type PeersStatus struct {
	ID        string   `json:"id"`
	Addresses []string `json:"addresses"`
	Connected int      `json:"connected"`
	Members   int      `json:"members"` // distinct ones, this node not counted
	Legacy    int      `json:"legacy"`
	Known     int      `json:"known"`
	Quorum    int      `json:"quorum"` // members that it takes, this node counted
}

// peersStatus describes the network, nil for a node without one.
func (n *Node) peersStatus() *PeersStatus {
	if !n.config.Peers || n.peers.opened == nil {
		return nil
	}
	s := &PeersStatus{Addresses: []string{}, Quorum: aura.Quorum(len(n.rules.Authorities))}
	select {
	case <-n.peers.opened:
		s.ID, s.Addresses = n.peers.network.ID(), n.peers.network.Addresses()
	default:
	}
	if l := n.peersNow(); l != nil {
		s.Connected, s.Members, s.Legacy, s.Known = l.Connected, l.Members, l.Legacy, l.Known
	}
	return s
}

// peersProblems adds what is wrong with the network.
func (n *Node) peersProblems(p map[health.Code]string) {
	s := n.peersStatus()
	switch {
	case s == nil:
		return
	case s.Connected == 0:
		p[health.NoPeers] = "no peer is connected"
		return
	}
	members := s.Members
	if n.config.HasAuthority {
		members++
	}
	if members < s.Quorum && s.Legacy == 0 {
		p[health.FewMembers] = fmt.Sprintf("%d of %d members that a quorum needs are connected, this node counted", members, s.Quorum)
	}
}

// Peers implements rpc.Backend.
func (b *rpcBackend) Peers(q peers.Query) (*peers.List, error) {
	r, err := b.n.peersRecord()
	if err != nil {
		return nil, err
	}
	return r.Peers(q)
}

// Bans implements rpc.Backend.
func (b *rpcBackend) Bans() (*peers.Bans, error) {
	r, err := b.n.peersRecord()
	if err != nil {
		return nil, err
	}
	return r.Bans(0)
}
