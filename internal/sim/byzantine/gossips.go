package main

import (
	"bytes"
	"crypto/rand"

	"github.com/ethereum/go-ethereum/common"
	pubsub "github.com/libp2p/go-libp2p-pubsub"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// spreads makes a behaviour that gossips a message so many times, each a little other.
func spreads(topic string, times int, data func(w *world, i int) []byte) func(a *attacker) error {
	return func(a *attacker) error {
		if err := a.gossips(); err != nil {
			return err
		}
		for i := range times {
			if err := a.publish(topic, data(a.world, i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// approval is a true one, of a block that the node may not know.
func approval(i int, by uint8) *gossip.ApproveBlock {
	root := common.Hash{0xaa, byte(i), byte(i >> 8)}
	return &gossip.ApproveBlock{Root: root, Approval: aura.Approval{Authority: by, Signature: aura.DevKey(uint64(by) + 1).Sign(root)}}
}

// next is a block on the head that the node knows, signed by a member after change.
func next(w *world, change func(*block.Block)) []byte {
	s := standin.Make(w.spec, standin.Plan{Parent: w.signed[knownLength], Change: change})
	if err := sign(s, int(s.Block.Slot%members)); err != nil {
		return nil
	}
	return (&gossip.ConsensusBlock{Signed: s}).Encode()
}

var gossiping = []behaviour{
	{"junk", "bytes that are no message", message.ActMalformed,
		spreads(gossip.TopicConsensusBlock, 4, func(_ *world, i int) []byte { return []byte{0x81, 0xae, byte(i), 0xc0} })},
	{"nobody", "bytes that are no message, by a peer that claims our protocol and never says hello", "", func(a *attacker) error {
		a.nobody = true
		return spreads(gossip.TopicConsensusBlock, 40, func(_ *world, i int) []byte { return []byte{0x81, 0xae, byte(i), 0xc0} })(a)
	}},
	{"truncated", "a block cut off in the middle", message.ActMalformed,
		spreads(gossip.TopicConsensusBlock, 4, func(w *world, i int) []byte {
			b := next(w, nil)
			return b[:len(b)/2+i]
		})},
	{"long-form", "an approval whose integer is not in its shortest form", message.ActMalformed,
		spreads(gossip.TopicApproveBlock, 4, func(_ *world, i int) []byte {
			b := approval(i, 1).Encode()
			return append(b[:len(b)-1], 0xcc, 1)
		})},
	{"wrong-topic", "an approval on the topic of blocks", message.ActMalformed,
		spreads(gossip.TopicConsensusBlock, 4, func(_ *world, i int) []byte { return approval(i, 1).Encode() })},
	{"no-proof", "a proof of work that has none: it ends a legacy process", message.ActInvalidWork,
		spreads(gossip.TopicQueuePow, 4, func(w *world, i int) []byte {
			return (&gossip.QueuePow{Header: &block.AuxPowHeader{RangeStart: w.signed[1].Block.Root(), RangeEnd: w.signed[2+i].Block.Root(), Bits: w.spec.Bits, ChainID: w.spec.ChainID, Height: 1}}).Encode()
		})},
	{"forged-approval", "an approval that its authority did not sign", message.ActInvalidSignature,
		spreads(gossip.TopicApproveBlock, 4, func(_ *world, i int) []byte {
			x := approval(i, 1)
			x.Approval.Authority = 2
			return x.Encode()
		})},
	{"no-such-authority", "an approval by authority 9 of 3", message.ActInvalidSignature,
		spreads(gossip.TopicApproveBlock, 4, func(_ *world, i int) []byte {
			x := approval(i, 1)
			x.Approval.Authority = 9
			return x.Encode()
		})},
	{"forged-block", "a block whose approvals are another's", message.ActInvalidSignature,
		spreads(gossip.TopicConsensusBlock, 4, func(w *world, i int) []byte {
			s := standin.Make(w.spec, standin.Plan{Parent: w.signed[knownLength], Change: func(b *block.Block) { b.Payload.ExtraData = []byte{byte(i)} }})
			s.Approvals = w.signed[knownLength].Approvals
			return (&gossip.ConsensusBlock{Signed: s}).Encode()
		})},
	{"future", "blocks of slots an hour ahead, signed by a member", message.ActFarSlot,
		spreads(gossip.TopicConsensusBlock, 12, func(w *world, i int) []byte {
			return next(w, func(b *block.Block) { b.Slot += 3600 + uint64(i)*members })
		})},
	{"invalid-block", "a block that the rules refuse, signed by a member", "",
		spreads(gossip.TopicConsensusBlock, 4, func(w *world, i int) []byte {
			return next(w, func(b *block.Block) { b.Payload.ParentHash = common.Hash{byte(i)} })
		})},
	{"oversized", "messages of 200 KiB", "",
		spreads(gossip.TopicConsensusBlock, 4, func(*world, int) []byte {
			b := make([]byte, 200<<10)
			_, _ = rand.Read(b)
			return b
		})},
	{"approvals", "five hundred true approvals of blocks that nobody has, by a member who has gone bad", message.ActApproval,
		spreads(gossip.TopicApproveBlock, 500, func(_ *world, i int) []byte { return approval(i, 2).Encode() })},
	{"flood", "three hundred proofs of work at once, all different and without a proof", message.ActInvalidWork,
		spreads(gossip.TopicQueuePow, 300, func(w *world, i int) []byte {
			return (&gossip.QueuePow{Header: &block.AuxPowHeader{RangeStart: common.Hash{1, byte(i)}, RangeEnd: common.Hash{2, byte(i >> 8)}, Bits: w.spec.Bits, ChainID: w.spec.ChainID, Height: uint64(i)}}).Encode()
		})},
	{"gossip-frames", "a gossip stream of garbage, again and again", "", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for range 20 {
			s, err := a.stream(pubsub.GossipSubID_v11)
			if err != nil {
				return nil
			}
			_, _ = s.Write(bytes.Repeat([]byte{0xff, 0xff, 0x7f, 0x12}, 4096))
		}
		return nil
	}},
}
