package p2p_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/legacytest"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// until polls until f holds.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func standIn(t testing.TB, o legacytest.Options) *legacytest.Node {
	t.Helper()
	n, err := legacytest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// has reports whether a stand-in heard a message.
func has(n *legacytest.Node, data []byte) bool {
	for _, m := range n.Heard() {
		if bytes.Equal(m.Data, data) {
			return true
		}
	}
	return false
}

// approval is the nth recorded approval, as legacy sent it and as an effect of ours.
func approval(t testing.TB, n int) ([]byte, *message.PublishApproval) {
	t.Helper()
	data := recorded(t)[gossip.TopicApproveBlock][n]
	m, err := gossip.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	a := m.(*gossip.ApproveBlock)
	return data, &message.PublishApproval{Root: a.Root, Authority: a.Approval.Authority, Signature: a.Approval.Signature}
}

// listening waits until so many peers of a node listen on every topic.
func listening(t testing.TB, n interface{ Listeners(topic string) int }, peers int) {
	t.Helper()
	for _, topic := range gossip.Topics() {
		until(t, "peers listen on "+topic, func() bool { return n.Listeners(topic) >= peers })
	}
}

// TestLegacyPeer dials a bare address whose peer answers no identify: it is told of as
// legacy's, gossip flows both ways, and after a restart, with another id at the same
// address, again. (wire.md 9.7, 1 and 2)
func TestLegacyPeer(t *testing.T) {
	chain := fed3(t)
	old := standIn(t, legacytest.Options{})
	address := old.Address()
	ours := open(t, chain, address)
	wait(t, ours, func(m *message.PeerConnected) bool { return m.Peer == old.ID().String() && m.Legacy && !m.Inbound })

	sent, effect := approval(t, 0)
	listening(t, ours, 1)
	ours.Execute(t.Context(), effect, noReply)
	until(t, "our approval reaches legacy", func() bool { return has(old, sent) })
	sent, effect = approval(t, 1)
	listening(t, old, 1)
	if err := old.Publish(gossip.TopicApproveBlock, sent); err != nil {
		t.Fatal(err)
	}
	wait(t, ours, func(m *message.ApprovalReceived) bool {
		return m.Root == effect.Root && m.Signature == effect.Signature
	})

	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, ours, func(m *message.PeerGone) bool { return m.Peer == old.ID().String() })
	again := standIn(t, legacytest.Options{Listen: address})
	wait(t, ours, func(m *message.PeerConnected) bool { return m.Peer == again.ID().String() && m.Legacy })
	if err := old.Death(); err != nil {
		t.Errorf("legacy died: %v", err)
	}
}

// TestLegacyDialsUs takes an inbound connection of a peer that answers no identify.
func TestLegacyDialsUs(t *testing.T) {
	ours, theirs := open(t, fed3(t)), standIn(t, legacytest.Options{})
	if err := theirs.Connect(t.Context(), ours.Addresses()[0]); err != nil {
		t.Fatal(err)
	}
	wait(t, ours, func(m *message.PeerConnected) bool { return m.Peer == theirs.ID().String() && m.Legacy && m.Inbound })
	sent, effect := approval(t, 2)
	listening(t, ours, 1)
	ours.Execute(t.Context(), effect, noReply)
	until(t, "our approval reaches legacy", func() bool { return has(theirs, sent) })
}

// TestNothingMalformedLeaves has a hostile peer gossip what ends a legacy process, and
// then what is good: the legacy node behind us hears the good only and lives. What was
// sent is reported by kind. (wire.md 9.7, 6; P1)
func TestNothingMalformedLeaves(t *testing.T) {
	chain := fed3(t)
	hostile, behind := standIn(t, legacytest.Options{}), standIn(t, legacytest.Options{})
	ours := open(t, chain, hostile.Address(), behind.Address())
	for _, n := range []*legacytest.Node{hostile, behind} {
		wait(t, ours, func(m *message.PeerConnected) bool { return m.Peer == n.ID().String() })
	}
	listening(t, ours, 2)
	listening(t, hostile, 1)
	for _, bad := range hostileMessages(t) {
		if err := hostile.Publish(bad.topic, bad.data); err != nil {
			t.Fatalf("%s: %v", bad.name, err)
		}
		kind := bad.kind
		wait(t, ours, func(m *message.PeersReported) bool {
			for _, p := range m.Peers {
				for _, a := range p.Acts {
					if p.Peer == hostile.ID().String() && a.Kind == kind && a.Count > 0 {
						return true
					}
				}
			}
			return false
		})
	}
	good, want := approval(t, 3)
	if err := hostile.Publish(gossip.TopicApproveBlock, good); err != nil {
		t.Fatal(err)
	}
	wait(t, ours, func(m *message.ApprovalReceived) bool { return m.Root == want.Root && m.Signature == want.Signature })
	until(t, "what is good arrives behind us", func() bool { return has(behind, good) })
	for _, bad := range hostileMessages(t) {
		if has(behind, bad.data) {
			t.Errorf("%s was forwarded", bad.name)
		}
	}
	if err := behind.Death(); err != nil {
		t.Errorf("the legacy node behind us died: %v", err)
	}
}

type hostileMessage struct {
	name, topic, kind string
	data              []byte
}

// hostileMessages are few enough that a peer that sends them is not graylisted.
func hostileMessages(t testing.TB) []hostileMessage {
	t.Helper()
	m, err := gossip.Decode(recorded(t)[gossip.TopicQueuePow][0])
	if err != nil {
		t.Fatal(err)
	}
	without := *m.(*gossip.QueuePow).Header
	without.AuxPow = nil
	forged, _ := approval(t, 4)
	forged = bytes.Clone(forged)
	if i := bytes.LastIndex(forged, []byte("0x")); forged[i+40] == 'a' { // a digit of the signature
		forged[i+40] = 'b'
	} else {
		forged[i+40] = 'a'
	}
	return []hostileMessage{
		{"bytes that are no message", gossip.TopicConsensusBlock, message.ActMalformed, []byte("\x81\xaeConsensusBlock\xc0")},
		{"a proof of work without a proof", gossip.TopicQueuePow, message.ActInvalidWork, (&gossip.QueuePow{Header: &without}).Encode()},
		{"a forged approval", gossip.TopicApproveBlock, message.ActInvalidSignature, forged},
	}
}

// TestRangeOfLegacy asks a legacy peer for a range, and is asked by one: what it is sent
// of our chain it takes, and while we are behind it gets a code.
func TestRangeOfLegacy(t *testing.T) {
	chain := fed3(t)
	byHeight := map[uint64][]byte{}
	for _, data := range recorded(t)[gossip.TopicConsensusBlock] {
		b, err := block.Decode(data[16:])
		if err != nil {
			t.Fatal(err)
		}
		if n := b.Block.Payload.BlockNumber; byHeight[n] == nil {
			byHeight[n] = data[16:]
		}
	}
	from := uint64(60)
	for byHeight[from] == nil {
		from++
	}
	blocks := make([][]byte, from, 300)
	for height := from; byHeight[height] != nil; height++ {
		blocks = append(blocks, byHeight[height])
	}
	if len(blocks) < int(from)+20 {
		t.Fatalf("blocks %d to %d are recorded", from, len(blocks))
	}
	one, all := standIn(t, legacytest.Options{Blocks: blocks}), standIn(t, legacytest.Options{Blocks: blocks, Older: true})
	silent := standIn(t, legacytest.Options{Blocks: blocks, Silent: true})
	ours := open(t, chain, one.Address(), all.Address(), silent.Address())
	ask := func(n *legacytest.Node, from uint64) p2p.Message {
		wait(t, ours, func(m *message.PeerConnected) bool { return m.Peer == n.ID().String() && m.Legacy })
		answer := make(chan p2p.Message, 1)
		ours.Execute(t.Context(), &message.FetchRange{Peer: n.ID().String(), From: from, Count: 16, MaxBytes: 1 << 24, DeadlineMs: 3000, Legacy: true},
			func(m p2p.Message) { answer <- m })
		select {
		case m := <-answer:
			return m
		case <-time.After(time.Minute):
			t.Fatal("no answer")
			return nil
		}
	}
	for n, want := range map[*legacytest.Node]int{one: 1, all: 16} {
		m, ok := ask(n, from).(*message.RangeFetched)
		if !ok || len(m.Blocks) != want || m.Fault != "" || m.From != from {
			t.Errorf("%+v, want %d blocks", m, want)
			continue
		}
		for i := range m.Blocks {
			if !bytes.Equal(m.Blocks[i].Signed.Data, blocks[from+uint64(i)]) {
				t.Errorf("block %d is another", i)
			}
		}
	}
	if m, ok := ask(one, uint64(len(blocks))).(*message.RangeFailed); !ok || m.Fault != message.ActEmpty {
		t.Errorf("above its head: %+v", m)
	}
	if m, ok := ask(silent, from).(*message.RangeFailed); !ok || m.Fault != message.ActTimeout {
		t.Errorf("silence: %+v", m)
	}

	id, err := peer.Decode(ours.ID())
	if err != nil {
		t.Fatal(err)
	}
	if n, synced, err := one.Sync(t.Context(), id); err != nil || n != 0 || !synced {
		t.Errorf("from us, who are behind: %d blocks, %t, %v", n, synced, err)
	}
}
