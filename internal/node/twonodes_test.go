package node_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// A node that has nothing gets the chain of another one over a real connection, executes it,
// goes on after it was ended in the middle, and has what the other has.
func TestDownloadFromPeer(t *testing.T) {
	const blocks, middle = 300, 60
	c := spec.Dev()
	made := newBranch(t, c)
	made.every = 20
	for range blocks {
		made.blocks = append(made.blocks, made.next())
	}
	tip, final := made.at(blocks), made.at(int(made.carrier)-1)
	source := newRunningWith(t, c, listening)
	source.give(made.blocks...)
	source.await(tip, final)

	ended := make(chan struct{}, 1)
	r := newRunningWith(t, c, func(o *node.Options) {
		o.P2P.Boot = source.node.PeerAddresses()
		before := o.OnFact
		o.OnFact = func(f node.Fact) {
			before(f)
			if m, ok := f.Message.(*message.HeadChanged); ok && m.Number >= middle {
				select {
				case ended <- struct{}{}:
				default:
				}
			}
		}
	})
	<-ended
	r.stop()
	reached := heights(factsOf[*message.BlockConnected](r))
	r.start()
	first := r.node.Status().Head.Height
	if first < middle || first >= blocks {
		t.Errorf("it goes on at %d; it was to be ended between %d and %d", first, middle, blocks)
	}
	r.await(tip, final)
	connected := append(reached, heights(factsOf[*message.BlockConnected](r))...)
	slices.Sort(connected)
	if again := len(connected) - len(slices.Compact(slices.Clone(connected))); again > 0 {
		t.Errorf("%d blocks were connected twice", again)
	}
	source.stop()
	r.stop()
	equalReplay(t, r.dir)
	at := id(final).Number
	theirs, theirFinal := settledOf(t, source.dir, at)
	ours, ourFinal := settledOf(t, r.dir, at)
	if theirFinal != at || ourFinal != at || ours[at].Claim != theirs[at].Claim || !bytes.Equal(ours[at].Index, theirs[at].Index) {
		t.Errorf("at block %d the states differ: %+v, %+v with the peer (final to %d and %d)", at, ours[at].Claim, theirs[at].Claim, ourFinal, theirFinal)
	}
}

func heights(facts []*message.BlockConnected) (list []uint64) {
	for _, m := range facts {
		list = append(list, m.Number)
	}
	return list
}
