package p2p_test

import (
	"bytes"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacytest"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// made is a block of the development chain's member with so many bytes of transactions.
func made(t testing.TB, chain *spec.Chain, slot uint64, transactions int) []byte {
	t.Helper()
	s := block.Genesis(chain, block.Payload{})
	s.Block.AuxPowHeader = nil
	s.Block.ParentHash[0], s.Block.Slot, s.Block.Payload.BlockNumber = 1, slot, slot
	for left := transactions; left > 0; left -= 1 << 15 {
		s.Block.Payload.Transactions = append(s.Block.Payload.Transactions, bytes.Repeat([]byte{byte(left >> 15)}, min(left, 1<<15)))
	}
	s.Approvals = aura.None()
	if err := s.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign(s.Root())}); err != nil {
		t.Fatal(err)
	}
	return s.Encode()
}

// TestLargeBlock publishes a block with a megabyte of calldata: our peer gets it, a legacy
// peer is sent nothing of it, lives, and gets the next one that its frame has room for. How
// many it missed is counted. (wire.md 9.2, P10)
func TestLargeBlock(t *testing.T) {
	chain := spec.Dev()
	old := standIn(t, legacytest.Options{})
	a := open(t, chain, old.Address())
	b := open(t, chain, a.Addresses()[0])
	wait(t, a, func(m *message.PeerConnected) bool { return m.Peer == old.ID().String() && m.Legacy })
	wait(t, a, func(m *message.PeerConnected) bool { return m.Peer == b.ID() && !m.Legacy })
	wait(t, b, func(m *message.PeerConnected) bool { return m.Peer == a.ID() && !m.Legacy })
	listening(t, a, 2)
	const slot = 1000
	for _, n := range []*node{a, b} {
		n.now.Store(int64(slot * chain.SlotDuration))
	}
	large, small := made(t, chain, slot, 1<<20), made(t, chain, slot+1, 1<<14)
	a.Execute(t.Context(), &message.PublishBlock{Signed: record.NewContent(large)}, noReply)
	got := func(raw []byte) func(m *message.BlocksReceived) bool {
		return func(m *message.BlocksReceived) bool {
			return len(m.Blocks) == 1 && bytes.Equal(m.Blocks[0].Signed.Data, raw)
		}
	}
	wait(t, b, got(large))
	a.Execute(t.Context(), &message.PublishBlock{Signed: record.NewContent(small)}, noReply)
	wait(t, b, got(small))
	until(t, "the small one reaches legacy", func() bool { return len(old.Heard()) > 0 })
	for _, m := range old.Heard() {
		if m.Topic != gossip.TopicConsensusBlock || !bytes.HasSuffix(m.Data, small) {
			t.Errorf("legacy heard %d bytes on %s", len(m.Data), m.Topic)
		}
	}
	if n := a.LargeBlocks(); n != 1 {
		t.Errorf("%d blocks were too large for legacy", n)
	}
	if err := old.Death(); err != nil {
		t.Errorf("legacy died: %v", err)
	}
}
