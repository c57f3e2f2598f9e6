package p2p_test

import (
	"bytes"
	"context"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peer"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// keys are of the three members of a chain.
var keys = []aura.SecretKey{aura.DevKey(1), aura.DevKey(2), aura.DevKey(3)}

func threeMembers() *spec.Chain {
	c := spec.Dev()
	c.Authorities = nil
	for _, k := range keys {
		c.Authorities = append(c.Authorities, k.PublicKey())
	}
	return c
}

// signedBlock is a block that members signed, with calldata of a size.
func signedBlock(t testing.TB, parent common.Hash, number, slot uint64, size int, members ...int) (*block.Signed, common.Hash) {
	t.Helper()
	s := &block.Signed{Approvals: aura.None(), Block: block.Block{ParentHash: parent, Slot: slot, Payload: block.Payload{
		BlockNumber: number, Timestamp: slot, BaseFeePerGas: big.NewInt(7)}}}
	for left := size; left > 0; left -= 100_000 {
		s.Block.Payload.Transactions = append(s.Block.Payload.Transactions, bytes.Repeat([]byte{byte(left), byte(left >> 8), 1, byte(left >> 16)}, min(left, 100_000)/4+1))
	}
	root := s.Root()
	for _, m := range members {
		if err := s.Approvals.Add(aura.Approval{Signature: keys[m].Sign(root), Authority: uint8(m)}); err != nil {
			t.Fatal(err)
		}
	}
	return s, root
}

// chainOf is a source with a chain of n blocks that a quorum signed.
type chainOf struct {
	noBlocks
	blocks    []*block.Signed
	roots     []common.Hash
	approvals []aura.Approval // of the last
}

func newChain(t testing.TB, n int, slot uint64) *chainOf {
	c := &chainOf{}
	parent := common.Hash{1}
	for i := range n {
		s, root := signedBlock(t, parent, uint64(i+1), slot+uint64(i), 0, 0, 1)
		c.blocks, c.roots, parent = append(c.blocks, s), append(c.roots, root), root
	}
	c.approvals = []aura.Approval{{Signature: keys[2].Sign(parent), Authority: 2}, {Signature: keys[0].Sign(common.Hash{5}), Authority: 1}}
	return c
}

func (c *chainOf) Status() (head, finalized message.BlockID, synced bool) {
	n := len(c.blocks)
	return message.BlockID{Root: c.roots[n-1], Number: uint64(n)}, message.BlockID{Root: c.roots[0], Number: 1}, true
}

func (c *chainOf) Blocks(_ context.Context, from uint64, each func([]byte) error) error {
	for i := max(from, 1) - 1; i < uint64(len(c.blocks)); i++ {
		if err := each(c.blocks[i].Encode()); err != nil {
			return err
		}
	}
	return nil
}

func (c *chainOf) Descend(_ context.Context, root common.Hash, lowest uint64, each func([]byte) error) error {
	for i := len(c.blocks) - 1; i >= 0 && uint64(i+1) >= lowest; i-- {
		if c.roots[i] != root {
			continue
		}
		if err := each(c.blocks[i].Encode()); err != nil {
			return err
		}
		root = c.blocks[i].Block.ParentHash
	}
	return nil
}

func (c *chainOf) Approvals(context.Context, common.Hash) ([]aura.Approval, error) {
	return c.approvals, nil
}

// ours opens a network of the chain of three members.
func ours(t testing.TB, source p2p.Source, member int, boot ...string) *node {
	t.Helper()
	key, err := host.Identity(filepath.Join(t.TempDir(), "peer.key"))
	if err != nil {
		t.Fatal(err)
	}
	n := new(node)
	n.Network, err = p2p.Open(context.Background(), p2p.Options{
		Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Boot: boot, Agent: "alys/test",
		Chain: threeMembers(), Genesis: common.Hash{1}, Checks: memo.New(), Source: source,
		Prove: func(genesis common.Hash, id string) (uint32, aura.Signature, bool) {
			if member < 0 {
				return 0, aura.Signature{}, false
			}
			return uint32(member), keys[member].Sign(peer.ProofRoot(genesis, uint32(member), id)), true
		},
		Content: func(c record.Content) ([]byte, error) { return c.Data, nil },
		Deliver: func(_ context.Context, m p2p.Message) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.delivered = append(n.delivered, m)
			return nil
		},
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

// A member with a chain and a node without: the node learns who the member is and where, and
// gets ranges, blocks by root and single approvals when it asks for them.
func TestOursAsk(t *testing.T) {
	source := newChain(t, 40, 1000)
	a := ours(t, source, 1)
	b := ours(t, noBlocks{}, -1, a.Addresses()...)
	m := wait(t, b, func(m *message.PeerConnected) bool { return m.Peer == a.ID() })
	if m.Legacy || !m.HasAuthority || m.Authority != 1 || m.Head.Number != 40 || m.Head.Root != source.roots[39] || m.Finalized.Number != 1 {
		t.Errorf("told: %+v", m)
	}
	wait(t, a, func(m *message.PeerConnected) bool { return m.Peer == b.ID() && !m.HasAuthority })

	answers := make(chan p2p.Message, 1)
	ask := func(m *message.FetchRange) p2p.Message {
		b.Execute(t.Context(), m, func(m p2p.Message) { answers <- m })
		select {
		case m := <-answers:
			return m
		case <-time.After(30 * time.Second):
			t.Fatal("a range is not answered")
			return nil
		}
	}
	r, ok := ask(&message.FetchRange{Peer: a.ID(), From: 11, Count: 20, MaxBytes: 1 << 20, DeadlineMs: 10_000}).(*message.RangeFetched)
	if !ok || len(r.Blocks) != 20 || r.Parent != source.roots[9] || r.Last != source.roots[29] || r.Quorum != 20 || r.Fault != "" {
		t.Errorf("a range: %+v", r)
	}
	if f, ok := ask(&message.FetchRange{Peer: a.ID(), From: 41, Count: 20, MaxBytes: 1 << 20, DeadlineMs: 10_000}).(*message.RangeFailed); !ok || f.Fault != message.ActEmpty {
		t.Errorf("a range above the head: %+v", f)
	}
	if f, ok := ask(&message.FetchRange{Peer: "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf", From: 1, Count: 1, DeadlineMs: 1000}).(*message.RangeFailed); !ok || f.Fault != message.ActReset {
		t.Errorf("a range of nobody: %+v", f)
	}

	b.Execute(t.Context(), &message.FetchBlocks{Root: source.roots[24], From: 21}, noReply)
	got := wait(t, b, func(*message.BlocksReceived) bool { return true })
	if got.Origin != "sync" || got.Peer != a.ID() || len(got.Blocks) != 5 || !bytes.Equal(got.Blocks[0].Signed.Data, source.blocks[20].Encode()) ||
		!bytes.Equal(got.Blocks[4].Signed.Data, source.blocks[24].Encode()) {
		t.Errorf("blocks by root: %d of %q by %s", len(got.Blocks), got.Origin, got.Peer)
	}

	b.Execute(t.Context(), &message.FetchApprovals{Root: source.roots[39], Number: 40}, noReply)
	wait(t, b, func(m *message.ApprovalReceived) bool { return m.Root == source.roots[39] && m.Authority == 2 })
	wait(t, b, func(m *message.PeersReported) bool { // the other one is by nobody who could have made it
		for _, act := range m.Peers[0].Acts {
			if act.Kind == message.ActInvalidSignature {
				return true
			}
		}
		return false
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.delivered {
		if m, ok := m.(*message.ApprovalReceived); ok && m.Authority != 2 {
			t.Errorf("delivered: %+v", m)
		}
	}
}

// A block with a megabyte of calldata goes from A by B to C, which are connected in a line, and
// is not published to legacy.
func TestLargeBlockAmongOurs(t *testing.T) {
	a := ours(t, newChain(t, 1, 1000), 0)
	b := ours(t, newChain(t, 1, 1000), 1, a.Addresses()...)
	c := ours(t, newChain(t, 1, 1000), 2, b.Addresses()...)
	for _, n := range []*node{a, c} {
		wait(t, b, func(m *message.PeerConnected) bool { return m.Peer == n.ID() })
		wait(t, n, func(m *message.PeerConnected) bool { return m.Peer == b.ID() })
	}
	now := uint64(time.Now().Unix()) // slots of a second
	signed, root := signedBlock(t, common.Hash{1}, 2, now, 1<<20, 0)
	raw := signed.Encode()
	a.Execute(t.Context(), &message.PublishBlock{Signed: record.NewContent(raw)}, noReply)
	for _, n := range []*node{b, c} {
		m := wait(t, n, func(*message.BlocksReceived) bool { return true })
		if m.Origin != "gossip" || len(m.Blocks) != 1 || !bytes.Equal(m.Blocks[0].Signed.Data, raw) {
			t.Errorf("block %s arrived as %d blocks of %s", root, len(m.Blocks), m.Origin)
		}
	}
	if a.LargeBlocks() != 1 {
		t.Errorf("%d blocks are counted as too large for legacy", a.LargeBlocks())
	}
	// One that no member signed goes nowhere.
	forged, bad := signedBlock(t, common.Hash{1}, 2, now+1, 1<<20, 0)
	forged.Approvals.Signature = keys[1].Sign(bad)
	if err := a.Ours().Publish(forged, bad, forged.Encode()); err != nil {
		t.Fatal(err)
	}
	wait(t, b, func(m *message.PeersReported) bool {
		for _, p := range m.Peers {
			for _, act := range p.Acts {
				if p.Peer == a.ID() && act.Kind == message.ActInvalidSignature {
					return true
				}
			}
		}
		return false
	})
	for _, n := range []*node{b, c} {
		n.mu.Lock()
		for _, m := range n.delivered {
			if m, ok := m.(*message.BlocksReceived); ok && !bytes.Equal(m.Blocks[0].Signed.Data, raw) {
				t.Error("a forged block is delivered")
			}
		}
		n.mu.Unlock()
	}
}
