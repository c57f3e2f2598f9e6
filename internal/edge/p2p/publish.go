package p2p

import (
	"context"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// publishBlock gossips a block that legacy's frame has room for. A larger one goes to
// our peers only. (wire.md 9.2, P10)
func (n *Network) publishBlock(ctx context.Context, m *message.PublishBlock) {
	raw, err := n.opt.Content(m.Signed)
	if err != nil {
		n.log.Error("own block is not published", "content", m.Signed.Hash, "error", err)
		return
	}
	signed, root, err := n.opt.Checks.Decode(raw)
	if err != nil {
		n.log.Error("own block is not published: it does not decode", "error", err)
		return
	}
	if err := sendable(signed.Block.AuxPowHeader, n.opt.Work); err != nil {
		n.log.Error("own block is not published", "block", root, "error", err)
		return
	}
	n.admit.Publishing(root)
	data := (&gossip.ConsensusBlock{Signed: signed}).Encode()
	if len(data) > gossip.MaxData {
		n.counts.largeBlocks.Add(1)
		n.log.Warn("block is too large for legacy peers: only ours get it", "block", root, "height", signed.Block.Payload.BlockNumber,
			"bytes", len(data), "limit", gossip.MaxData)
		if err := n.ours.Publish(signed, root, raw); err != nil {
			n.log.Error("own block is not published", "block", root, "error", err)
		}
		return
	}
	n.publish(ctx, gossip.TopicConsensusBlock, data)
}

func (n *Network) publishApproval(ctx context.Context, m *message.PublishApproval) {
	own := &gossip.ApproveBlock{Root: m.Root, Approval: aura.Approval{Signature: m.Signature, Authority: m.Authority}}
	n.publish(ctx, own.Topic(), own.Encode())
}

func (n *Network) publishWork(ctx context.Context, m *message.PublishWork) {
	h, err := block.DecodeAuxPowHeader(m.Header)
	if err == nil {
		err = sendable(h, n.opt.Work)
	}
	if err != nil {
		n.log.Error("proof of work is not published", "error", err)
		return
	}
	own := &gossip.QueuePow{Header: h}
	n.publish(ctx, own.Topic(), own.Encode())
}

// sendable refuses a header of work that would end a legacy process: one without a
// proof, or whose proof is not well formed. One whose range is unknown was judged by the
// core that publishes it. (wire.md P1; consensus.md C8 g)
func sendable(h *block.AuxPowHeader, work func(*block.AuxPowHeader) error) error {
	switch {
	case h == nil:
		return nil
	case h.AuxPow == nil:
		return fault.New(fault.Invalid, "header of work for %s without a proof: it would end legacy processes", h.RangeEnd)
	case work == nil:
		return nil
	}
	if err := work(h); fault.Is(err, fault.Invalid) {
		return err
	}
	return nil
}

func (n *Network) publishSignatures(ctx context.Context, m *message.PublishSignatures) {
	own := &gossip.PegoutSignatures{Entries: make([]gossip.PegoutEntry, len(m.Payments))}
	for i := range m.Payments {
		p, e := &m.Payments[i], &own.Entries[i]
		e.Txid, e.PublicKey, e.Signatures = p.Txid, p.Key, make([][64]byte, len(p.Signatures))
		for k := range p.Signatures {
			e.Signatures[k] = p.Signatures[k].Value
		}
	}
	if len(own.Entries) == 0 {
		return
	}
	n.publish(ctx, own.Topic(), own.Encode())
}

// publish gossips what decodes. What does not would end every legacy process that hears
// it, so it is looked at even when our own code made it. (wire.md 9.7, 6)
func (n *Network) publish(ctx context.Context, topic string, data []byte) {
	m, err := gossip.Decode(data)
	if err == nil && m.Topic() != topic {
		err = fault.New(fault.Invalid, "it is a message of %s", m.Topic())
	}
	if err == nil {
		err = n.host.Publish(ctx, topic, data)
	}
	if err != nil && ctx.Err() == nil {
		n.log.Warn("nothing is published", "topic", topic, "error", err)
	}
}
