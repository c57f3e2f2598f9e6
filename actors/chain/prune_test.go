package chain

import (
	"encoding/binary"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

func rootOf(branch byte, number uint64) (h common.Hash) {
	binary.BigEndian.PutUint64(h[:], number+1)
	h[31] = branch
	return h
}

// longChain is a state of a connected branch 0 up to a height, with carriers
// whose ranges end at the block before them, and the last of them final.
func longChain(height uint64, carriers ...uint64) *State {
	s := newState()
	last := rootOf(0, 0)
	for n := uint64(0); n <= height; n++ {
		e := &Entry{Ancestor: rules.Ancestor{Root: rootOf(0, n), Number: n}, Status: Connected}
		if n > 0 {
			e.Parent = rootOf(0, n-1)
		} else {
			e.Carrier = &rules.Carrier{}
		}
		for _, c := range carriers {
			if c == n {
				e.Carrier, last = &rules.Carrier{RangeEnd: rootOf(0, n-1), Height: 1}, e.Root
				s.Finalized = message.BlockID{Root: rootOf(0, n-1), Number: n - 1}
			}
		}
		e.LastCarrier = last
		s.put(e)
		s.Head = e.id()
	}
	return s
}

func (s *State) side(branch byte, from, to uint64, status Status) {
	for n := from; n <= to; n++ {
		e := &Entry{Ancestor: rules.Ancestor{Root: rootOf(branch, n), Parent: rootOf(branch, n-1), Number: n}, Status: status}
		if n == from {
			e.Parent = rootOf(0, n-1)
		}
		s.put(e)
		switch status {
		case InFlight:
			s.Executing = append(s.Executing, Executing{Root: e.Root})
		}
	}
}

// What can still join the head's branch stays, with everything that its rules
// look at; the rest goes.
func TestPrune(t *testing.T) {
	for _, c := range []struct {
		name     string
		carriers []uint64
		lowest   uint64 // of what is kept
	}{
		{"first carrier", []uint64{6000}, 0},
		{"carriers close together", []uint64{5000, 5900, 6000}, 5999 - keepBelowFinalized},
		{"a branch may begin before the last carrier", []uint64{500, 1000, 6000}, 999},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := longChain(6010, c.carriers...)
			s.side(1, 5990, 6005, Executed) // begins below the finalised block
			if c.lowest > 1 {
				s.side(7, c.lowest-1, c.lowest+5, Executed) // begins below what is kept
			}
			s.side(2, 5998, 6003, Stored)
			s.side(3, 5997, 6004, InFlight)
			s.side(4, 6000, 6005, Executed) // begins at the finalised block
			s.side(5, 6001, 6002, Stored)
			s.side(6, 6002, 6003, InFlight)
			x := &turn{State: s, out: new(core.Out)}
			x.refreshExcluded()
			x.prune()
			if first := x.lowestKept(); first != c.lowest || s.Entry(rootOf(0, c.lowest)) == nil {
				t.Errorf("lowest kept is %d, want %d", first, c.lowest)
			}
			if c.lowest > 0 && s.Entry(rootOf(0, c.lowest-1)) != nil {
				t.Errorf("block %d is kept", c.lowest-1)
			}
			if x.finalBelow(s.Entry(s.Finalized.Root)) == nil {
				t.Error("what was final below the finalised block is gone")
			}
			if want := int(6010-c.lowest+1) + 16 + 6 + 8 + 6 + 2 + 2; s.Len() != want || s.heights.Len() != want {
				t.Errorf("%d entries, %d heights, want %d", s.Len(), s.heights.Len(), want)
			}
			for branch, excluded := range []bool{1: true, 2: true, 3: true, 4: false, 5: false, 6: false} {
				if e := s.Entry(rootOf(byte(branch), 6002)); e != nil && branch > 0 && e.Excluded != excluded {
					t.Errorf("branch %d: excluded %t", branch, e.Excluded)
				}
			}
			// What was in flight on an excluded branch is stored again.
			if waiting, _ := s.Waiting(); waiting != 6+8+2 || len(s.Executing) != 2 {
				t.Errorf("%d stored, %d queued", waiting, len(s.Executing))
			}
		})
	}
}

// A state is loaded only from its own entries.
func TestLoadRefuses(t *testing.T) {
	s := longChain(2)
	err := s.Walk(func(key, value []byte) error {
		if len(key) > 0 {
			key[len(key)-1] ^= 1
			if newState().Load(key, value, nil) == nil {
				t.Errorf("entry under %x is taken", key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if newState().Load([]byte("b"), []byte{0xff}, nil) == nil || newState().Load(nil, []byte{0xff}, nil) == nil {
		t.Error("garbage is taken")
	}
}

// BenchmarkClone is what every turn of the chain actor costs before it begins.
func BenchmarkClone(b *testing.B) {
	s := longChain(5000, 4000)
	b.ReportAllocs()
	for b.Loop() {
		c := s.Clone().(*State)
		c.put(&Entry{Ancestor: rules.Ancestor{Root: common.Hash{1}, Number: 5001}})
	}
}

func BenchmarkPrune(b *testing.B) {
	s := longChain(5000, 100, 4900)
	b.ReportAllocs()
	for b.Loop() {
		x := &turn{State: s.Clone().(*State), out: new(core.Out)}
		x.prune()
	}
}
