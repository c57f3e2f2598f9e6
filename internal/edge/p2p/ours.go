package p2p

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/admit"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacy"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/own"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// openOurs begins to speak the protocol of our nodes, and to answer legacy's requests.
func (n *Network) openOurs(h libp2phost.Host) error {
	o := own.Options{
		Host: h, Chain: n.opt.Chain, Genesis: n.opt.Genesis, Agent: n.opt.Agent, Source: n.opt.Source, Decode: n.opt.Checks.Decode,
		Joined: func(m *message.PeerConnected) { n.greeted(h, m) }, Ended: func(id peer.ID, reason string) { n.told.gone(id.String(), reason) },
		Told: func(id peer.ID, head, finalized message.BlockID) {
			n.told.update(id.String(), func(r *message.PeerReport) { r.Head, r.Finalized = &head, &finalized })
		},
		Trip: func(id peer.ID, took time.Duration) {
			n.told.update(id.String(), func(r *message.PeerReport) { r.RttMs = uint32(max(took.Milliseconds(), 1)) })
		},
		Act:  func(id peer.ID, kind, detail string) { n.told.act(id.String(), kind, detail) },
		Take: n.takeLarge, Logger: n.log,
	}
	if n.opt.Prove != nil {
		if authority, proof, ok := n.opt.Prove(n.opt.Genesis, string(h.ID())); ok {
			o.Authority, o.Proof = &authority, proof
		}
	}
	var err error
	if n.ours, err = own.New(o); err != nil {
		return err
	}
	n.server = legacy.Serve(h, legacy.ServerOptions{
		Blocks: n.opt.Source.Blocks,
		Synced: func() bool {
			_, _, synced := n.opt.Source.Status()
			return synced
		},
		Report: func(id peer.ID, kind, detail string) { n.told.act(id.String(), kind, detail) },
		Logger: n.log,
	})
	return nil
}

// Ours returns the protocol of our nodes, for requests of other formats.
func (n *Network) Ours() *own.Network { return n.ours }

// greeted takes a peer of ours that said who it is. Members are kept when others are let go.
func (n *Network) greeted(h libp2phost.Host, m *message.PeerConnected) {
	if id, err := peer.Decode(m.Peer); err == nil && m.HasAuthority {
		host.Protect(h, id)
	}
	n.told.connected(m)
}

// takeLarge judges a block that came in parts. An error keeps it from being passed on.
func (n *Network) takeLarge(ctx context.Context, from peer.ID, _ *block.Signed, root common.Hash, raw []byte) error {
	r := n.admit.JudgeBlock(raw, from.String())
	for _, act := range r.Acts {
		n.told.act(act.Peer, act.Kind, act.Detail)
	}
	if r.Message != nil && (r.Verdict == admit.Forward || r.Verdict == admit.Keep) {
		n.deliver(ctx, r.Message)
	}
	if r.Verdict != admit.Forward {
		return fault.New(fault.CannotJudge, "block %s is not passed on", root)
	}
	return nil
}
