package chain

import (
	"bytes"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// A state of behaviour 1 had its stored blocks in a list beside the tree. As one of
// behaviour 2 it has the same blocks in the same order, and is canonical.
func TestFromBehaviour1(t *testing.T) {
	old := longChain(5)
	old.side(1, 3, 4, Stored)
	old.side(2, 3, 3, InFlight)
	body := func(n byte) record.Content { return record.NewContent(bytes.Repeat([]byte{n}, 10)) }
	bodies := map[[32]byte][]byte{}
	for i, n := range []uint64{4, 3} {
		c := body(byte(n))
		bodies[c.Hash] = c.Data
		old.candidates = append(old.candidates, Executing{Root: rootOf(1, n), Signed: c, HasFees: i == 0, Fees: []byte{7}})
	}
	c := body(2)
	bodies[c.Hash] = c.Data
	old.Executing[0].Signed = c
	old.Sent, old.Head = 1, message.BlockID{Root: rootOf(0, 5), Number: 5}

	s := newState()
	err := FromBehaviour1(old.Walk)(func(key, value []byte) error {
		return s.Load(bytes.Clone(key), bytes.Clone(value), func(h [32]byte) ([]byte, error) { return bodies[h], nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.candidates != nil || s.Arrivals != 2 || s.Head != old.Head || s.Sent != 1 || s.Len() != old.Len() || len(s.Executing) != 1 {
		t.Errorf("%d candidates, %d arrivals, head %v, %d entries, %d queued", len(s.candidates), s.Arrivals, s.Head, s.Len(), len(s.Executing))
	}
	if blocks, size := s.Waiting(); blocks != 2 || size != 20 {
		t.Errorf("%d stored of %d bytes", blocks, size)
	}
	first, second := s.Entry(rootOf(1, 4)), s.Entry(rootOf(1, 3))
	if first.Arrival != 1 || second.Arrival != 2 || !first.HasFees || second.HasFees || first.Body.Hash != body(4).Hash {
		t.Errorf("%+v and %+v", first, second)
	}
	if top := s.top(); top != 5 || s.flying.Len() != 1 {
		t.Errorf("top %d, %d in flight", top, s.flying.Len())
	}
	if e := s.Entry(rootOf(0, 5)); e.Arrival != 0 || !e.Body.None() || e.Root == (common.Hash{}) {
		t.Errorf("%+v", e)
	}
}
