package node

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// TestRangeOfProof finds the blocks that a proof commits to, and says when it cannot.
// (consensus.md C8 c)
func TestRangeOfProof(t *testing.T) {
	b := &branch{recent: map[uint64]stored{}}
	root := func(n uint64) common.Hash { return common.Hash{1, byte(n)} }
	for n := uint64(0); n < 10; n++ {
		b.recent[n] = stored{root: root(n)}
	}
	delete(b.recent, 4)
	for _, c := range []struct {
		name             string
		start, end, head uint64
		first, last      uint64
		known            bool
	}{
		{"a range", 5, 8, 9, 5, 8, true},
		{"one block", 7, 7, 9, 7, 7, true},
		{"an empty one: the block before it", 8, 7, 9, 7, 7, true},
		{"up to the head", 8, 9, 9, 8, 9, true},
		{"above the head: of a branch that was left", 8, 9, 8, 0, 0, false},
		{"with a block that is not at hand", 3, 6, 9, 0, 0, false},
		{"from genesis", 0, 2, 9, 0, 0, false},
		{"of nobody's block", 5, 20, 9, 0, 0, false},
	} {
		got, err := b.between(root(c.start), root(c.end), c.head)
		if !c.known {
			if !fault.Is(err, fault.CannotJudge) {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			continue
		}
		good := err == nil && len(got) == int(c.last-c.first)+1
		for i := range got {
			good = good && got[i] == root(c.first+uint64(i))
		}
		if !good {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// TestNoPeers lets everything go, and answers what waits for an answer.
func TestNoPeers(t *testing.T) {
	e := newPeersEdge(&P2POptions{})
	var got []core.Message
	for _, m := range []core.Message{&message.PublishWork{}, &message.GuideConnections{}} {
		e.Execute(t.Context(), actors.Request{Message: m, Reply: func(m core.Message) { got = append(got, m) }})
	}
	if len(got) != 1 {
		t.Fatalf("%d answers", len(got))
	}
	if _, ok := got[0].(*message.ConnectionsGuided); !ok {
		t.Errorf("answered by %T", got[0])
	}
}
