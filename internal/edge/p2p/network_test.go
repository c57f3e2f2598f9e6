package p2p_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../testdata/legacy"

// fed3 is the recorded chain of three legacy members.
func fed3(t testing.TB) *spec.Chain {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(legacyDir), "chains", "fed3", "chain.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := spec.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// recorded returns what a listening peer heard of the chain, by topic.
func recorded(t testing.TB) map[string][][]byte {
	t.Helper()
	lines, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", "fed3"), "gossip")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][]byte{}
	for _, line := range lines {
		var v struct{ Data string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(v.Data)
		if err != nil {
			t.Fatal(err)
		}
		m, err := gossip.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		out[m.Topic()] = append(out[m.Topic()], data)
	}
	return out
}

// noBlocks is a source of nothing.
type noBlocks struct{}

func (noBlocks) Status() (head, finalized message.BlockID, synced bool) {
	return message.BlockID{}, message.BlockID{}, false
}

func (noBlocks) Blocks(context.Context, uint64, func([]byte) error) error { return nil }

func (noBlocks) Descend(context.Context, common.Hash, uint64, func([]byte) error) error { return nil }

func (noBlocks) Content(context.Context, [32]byte) ([]byte, error) { return nil, nil }

func (noBlocks) Approvals(context.Context, common.Hash) ([]aura.Approval, error) { return nil, nil }

func (noBlocks) Signatures(context.Context, [32]byte) ([]message.PaymentSignatures, error) {
	return nil, nil
}

func (noBlocks) Transaction(common.Hash) []byte { return nil }

// node is a network with what it delivered.
type node struct {
	*p2p.Network
	now atomic.Int64 // Unix milliseconds of its clock

	mu        sync.Mutex
	delivered []p2p.Message
}

func open(t testing.TB, chain *spec.Chain, boot ...string) *node {
	t.Helper()
	key, err := host.Identity(filepath.Join(t.TempDir(), "peer.key"))
	if err != nil {
		t.Fatal(err)
	}
	n := new(node)
	n.now.Store(time.Now().UnixMilli())
	n.Network, err = p2p.Open(context.Background(), p2p.Options{
		Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}, Boot: boot, Agent: "alys/test",
		Chain: chain, Genesis: common.Hash{1}, Checks: memo.New(), Source: noBlocks{},
		Content: func(c record.Content) ([]byte, error) { return c.Data, nil },
		Deliver: func(_ context.Context, m p2p.Message) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.delivered = append(n.delivered, m)
			return nil
		},
		Clock: func() time.Time { return time.UnixMilli(n.now.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// wait returns the first message delivered for which f holds.
func wait[M p2p.Message](t testing.TB, n *node, f func(M) bool) M {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		n.mu.Lock()
		for _, m := range n.delivered {
			if m, ok := m.(M); ok && f(m) {
				n.mu.Unlock()
				return m
			}
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	t.Fatalf("no %T as wanted among %d messages", *new(M), len(n.delivered))
	return *new(M)
}

func noReply(p2p.Message) {}

// TestRecordedGossip has one node publish a message of each kind as legacy members sent
// it, and the other deliver it to its cores unchanged.
func TestRecordedGossip(t *testing.T) {
	chain, heard := fed3(t), recorded(t)
	a := open(t, chain)
	b := open(t, chain, a.Addresses()[0])
	wait(t, a, func(m *message.PeerConnected) bool { return m.Peer == b.ID() && m.Inbound })
	wait(t, b, func(m *message.PeerConnected) bool { return m.Peer == a.ID() && !m.Inbound })

	listening(t, a, 1)
	raw := heard[gossip.TopicConsensusBlock][0][16:]
	signed, err := block.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	b.now.Store(int64(signed.Block.Slot * chain.SlotDuration))
	a.Execute(t.Context(), &message.PublishBlock{Signed: record.NewContent(raw)}, noReply)
	got := wait(t, b, func(*message.BlocksReceived) bool { return true })
	if got.Origin != "gossip" || len(got.Blocks) != 1 || string(got.Blocks[0].Signed.Data) != string(raw) {
		t.Errorf("block arrived as %+v", got)
	}
	if got.Peer != a.ID() {
		t.Errorf("block is by %q, it was published by %s", got.Peer, a.ID())
	}

	m, err := gossip.Decode(heard[gossip.TopicApproveBlock][0])
	if err != nil {
		t.Fatal(err)
	}
	approval := m.(*gossip.ApproveBlock)
	a.Execute(t.Context(), &message.PublishApproval{Root: approval.Root, Authority: approval.Approval.Authority, Signature: approval.Approval.Signature}, noReply)
	wait(t, b, func(m *message.ApprovalReceived) bool {
		return m.Root == approval.Root && m.Authority == approval.Approval.Authority && m.Signature == approval.Approval.Signature
	})

	m, err = gossip.Decode(heard[gossip.TopicQueuePow][0])
	if err != nil {
		t.Fatal(err)
	}
	header := m.(*gossip.QueuePow).Header.Encode()
	a.Execute(t.Context(), &message.PublishWork{Header: header}, noReply)
	wait(t, b, func(m *message.QueueWork) bool { return string(m.Header) == string(header) })

	wait(t, b, func(m *message.PeersReported) bool {
		return len(m.Peers) == 1 && m.Peers[0].Peer == a.ID() && len(m.Peers[0].Acts) > 0
	})
}
