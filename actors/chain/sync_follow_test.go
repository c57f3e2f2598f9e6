package chain

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// A missing block far above the head is left to the sync actor, when there is one that
// can ask peers; a near one is asked for by root.
func TestFarBlocksAreLeftToSync(t *testing.T) {
	for _, c := range []struct {
		peers bool
		above uint64
		asked bool
	}{
		{true, leftToSync + 1, true}, {true, leftToSync + 2, false}, {false, leftToSync + 2, true},
	} {
		s := configured(longChain(10))
		s.Fetches = nil
		s.Config.Peers = c.peers
		x := newTurn(s)
		x.work = anySignature{}
		signed := &block.Signed{}
		signed.Block.ParentHash, signed.Block.Payload.BlockNumber = common.Hash{1}, s.Head.Number+c.above
		if no := x.keepOrphan(record.Content{Hash: common.Hash{2}, Data: make([]byte, 10)}, signed, common.Hash{2}, Gossip); no != nil {
			t.Fatal(no.reason)
		}
		asked := false
		for _, o := range x.out.List() {
			_, fetch := o.Message.(*message.FetchBlocks)
			asked = asked || fetch
		}
		if asked != c.asked || s.Orphans() != 1 {
			t.Errorf("peers %t, %d above the head: asked %t, %d kept", c.peers, c.above, asked, s.Orphans())
		}
	}
}

// The sync actor is told at the start of a run and when something of it changed, and only by a
// node that talks to others.
func TestSyncIsTold(t *testing.T) {
	s := configured(longChain(10))
	told := func(started bool) (list []*message.FollowSync) {
		x := newTurn(s)
		x.tellSync(started)
		for _, o := range x.out.List() {
			if m, ok := o.Message.(*message.FollowSync); ok && o.Target == string(download) {
				list = append(list, m)
			}
		}
		return list
	}
	if s.Config.Peers = false; len(told(true)) != 0 {
		t.Error("told without peers")
	}
	s.Config.Peers = true
	first := told(true)
	if len(first) != 1 || *first[0].Head != s.Head || *first[0].Finalized != s.Finalized || first[0].Backlog != 0 || first[0].Synced {
		t.Fatalf("%+v", first)
	}
	if len(told(false)) != 0 {
		t.Error("told although nothing changed")
	}
	s.Executing = []Executing{{}, {}}
	if m := told(false); len(m) != 1 || m[0].Backlog != 2 {
		t.Errorf("%+v", m)
	}
	s.Gate.Synced = true
	if m := told(false); len(m) != 1 || !m[0].Synced {
		t.Errorf("%+v", m)
	}
	if len(told(true)) != 1 {
		t.Error("a new run is not told")
	}
}
