package node_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// listening has a node listen for peers on this machine.
func listening(o *node.Options) { o.P2P.Listen = []string{"/ip4/127.0.0.1/tcp/0"} }

// served collects what a source gives.
func served(t *testing.T, walk func(each func([]byte) error) error) (list [][]byte) {
	t.Helper()
	if err := walk(func(signed []byte) error {
		list = append(list, bytes.Clone(signed))
		return nil
	}); err != nil {
		t.Error(err)
	}
	return list
}

func wantServed(t *testing.T, what string, got [][]byte, want ...*block.Signed) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d blocks, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i].Encode()) {
			t.Errorf("%s: block %d of the answer is another one", what, i)
		}
	}
}

// TestServesTheBranch gives peers the head's branch after a reorganisation, from memory and
// far below the head, blocks beside it by their roots, and nothing that is not public.
func TestServesTheBranch(t *testing.T) {
	c := spec.Dev()
	left := newBranch(t, c)
	left.extend(30, false)
	ours := left.fork(20, 1)
	ours.extend(60, false)
	r := newRunningWith(t, c, listening)
	r.give(left.blocks...)
	r.await(left.at(30), nil)
	r.give(ours.blocks[20:]...)
	r.await(ours.at(80), nil)

	for _, deep := range []bool{false, true} {
		if deep {
			r.node.ForgetRecent()
		}
		wantBlocks(t, r.node.PeerSource(), ours)
		wantDescent(t, r.node.PeerSource(), left, ours)
	}
	r.restart()
	wantBlocks(t, r.node.PeerSource(), ours)
	r.node.ForgetRecent()
	wantBlocks(t, r.node.PeerSource(), ours)
	more := ours.extend(3, false)
	r.give(more...)
	r.await(more[2], nil)
	wantBlocks(t, r.node.PeerSource(), ours) // most of them by the index, the last from memory
	wantPublic(t, r.node.PeerSource(), c, ours)
	wantSingles(t, r, ours.at(83))
}

func wantBlocks(t *testing.T, s p2p.Source, ours *branchOf) {
	t.Helper()
	ctx := t.Context()
	for _, from := range []int{1, 19, 20, 21, 30, 31, len(ours.blocks), len(ours.blocks) + 1} {
		got := served(t, func(each func([]byte) error) error { return s.Blocks(ctx, uint64(from), each) })
		wantServed(t, "from a height", got, ours.blocks[from-1:]...)
	}
	genesis := served(t, func(each func([]byte) error) error { return s.Blocks(ctx, 0, each) })
	if len(genesis) != len(ours.blocks)+1 {
		t.Fatalf("from genesis: %d blocks", len(genesis))
	}
	if b, err := block.Decode(genesis[0]); err != nil || b.Block.Root() != ours.at(1).Block.ParentHash {
		t.Errorf("genesis: %v", err)
	}
	enough, given := errors.New("enough"), 0
	if err := s.Blocks(ctx, 5, func([]byte) error {
		if given++; given == 40 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) || given != 40 {
		t.Errorf("an answer that is full: %d blocks, %v", given, err)
	}
	head, _, _ := s.Status()
	if head != id(ours.at(len(ours.blocks))) {
		t.Errorf("the head is told as %+v", head)
	}
}

func wantDescent(t *testing.T, s p2p.Source, left, ours *branchOf) {
	t.Helper()
	descend := func(root common.Hash, lowest uint64) [][]byte {
		return served(t, func(each func([]byte) error) error { return s.Descend(t.Context(), root, lowest, each) })
	}
	var want []*block.Signed
	for height := 30; height >= 18; height-- {
		want = append(want, left.at(height))
	}
	wantServed(t, "down a branch that was left", descend(id(left.at(30)).Root, 18), want...)
	want = nil
	for height := 80; height >= 1; height-- {
		want = append(want, ours.at(height))
	}
	wantServed(t, "down to genesis, which is not sent", descend(id(ours.at(80)).Root, 0), want...)
	wantServed(t, "one block", descend(id(ours.at(7)).Root, 7), ours.at(7))
	wantServed(t, "nobody's block", descend(common.Hash{7}, 0))
}

// wantPublic asks for contents of which some concern no peer.
func wantPublic(t *testing.T, s p2p.Source, c *spec.Chain, ours *branchOf) {
	t.Helper()
	signed := ours.at(3).Encode()
	if got, err := s.Content(t.Context(), sha256.Sum256(signed)); err != nil || !bytes.Equal(got, signed) {
		t.Errorf("a signed block: %d bytes, %v", len(got), err)
	}
	genesis := served(t, func(each func([]byte) error) error {
		err := s.Blocks(t.Context(), 0, func(signed []byte) error {
			_ = each(signed)
			return errEnough
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	b, err := block.Decode(genesis[0])
	if err != nil {
		t.Fatal(err)
	}
	payload := b.Block.Payload.Encode()
	if got, err := s.Content(t.Context(), sha256.Sum256(payload)); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("a payload: %d bytes, %v", len(got), err)
	}
	for what, hash := range map[string][32]byte{"the chain spec, which is no block": sha256.Sum256(c.Encode()), "nobody's": {1}} {
		if got, err := s.Content(t.Context(), hash); err != nil || got != nil {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
	}
}

var errEnough = errors.New("enough")

// wantSingles has a node hear a member's approval and asks for it.
func wantSingles(t *testing.T, r *running, of *block.Signed) {
	t.Helper()
	root := id(of).Root
	signature := aura.DevKey(1).Sign(root)
	if err := r.node.Deliver(t.Context(), &message.ApprovalReceived{Root: root, Signature: signature}); err != nil {
		t.Fatal(err)
	}
	s := r.node.PeerSource()
	until(t, "an approval that was heard is served", func() bool {
		got, err := s.Approvals(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		return len(got) == 1 && got[0] == aura.Approval{Signature: signature}
	})
	if got, err := s.Approvals(t.Context(), common.Hash{1}); err != nil || len(got) > 0 {
		t.Errorf("approvals of nobody's block: %d, %v", len(got), err)
	}
	if got, err := s.Signatures(t.Context(), [32]byte{1}); err != nil || len(got) > 0 {
		t.Errorf("signatures of nobody's payment: %d, %v", len(got), err)
	}
}
