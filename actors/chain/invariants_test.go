package chain_test

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// entries returns the blocks of a state by height and root, as a snapshot has them.
func entries(r *rig, s *chain.State) []*chain.Entry {
	var list []*chain.Entry
	err := s.Walk(func(key, value []byte) error {
		if len(key) == 0 || key[0] != 'b' {
			return nil
		}
		e := new(chain.Entry)
		list = append(list, e)
		return record.Decode(append([]byte(nil), value...), e, nil)
	})
	if err != nil {
		r.t.Fatalf("walk: %v", err)
	}
	return list
}

// checkInvariants fails unless what must hold after every turn holds.
func checkInvariants(r *rig) {
	s := r.state()
	queued := map[common.Hash]bool{}
	for _, b := range s.Executing {
		queued[b.Root] = true
	}
	connected := map[uint64]common.Hash{}
	for _, e := range entries(r, s) {
		if (e.Status == chain.InFlight) != queued[e.Root] || e.Status == chain.Stored && e.Body.None() {
			r.t.Fatalf("%s has status %d, queued %t, a body %t", r.name(e.Root), e.Status, queued[e.Root], !e.Body.None())
		}
		if ancestor := s.Entry(e.Parent); ancestor != nil && e.Status != chain.Connected {
			if excluded := ancestor.Excluded || ancestor.Status == chain.Connected && ancestor.Number < s.Finalized.Number; excluded != e.Excluded {
				r.t.Fatalf("%s is marked as excluded: %t", r.name(e.Root), e.Excluded)
			}
		}
		if e.Excluded && e.Status == chain.InFlight && s.Deciding == nil {
			r.t.Fatalf("%s is being executed on an excluded branch", r.name(e.Root))
		}
		if e.Status == chain.Connected {
			if other, ok := connected[e.Number]; ok {
				r.t.Fatalf("%s and %s are both connected at %d", r.name(e.Root), r.name(other), e.Number)
			}
			connected[e.Number] = e.Root
		}
	}
	if s.Hold != nil && s.Building != nil {
		r.t.Fatalf("slot %d is being built while signing is held", s.Building.Slot)
	}
	if len(s.Executing) > 0 && s.Sent == 0 && s.Conflict == nil {
		r.t.Fatalf("%d blocks are queued and nobody executes them", len(s.Executing))
	}
	checkBranch(r, s, connected)
}

// checkBranch follows the head's branch down to the lowest block kept.
func checkBranch(r *rig, s *chain.State, connected map[uint64]common.Hash) {
	steps, final := 0, false
	e := s.Entry(s.Head.Root)
	if last := s.Entry(e.LastCarrier); last == nil || last.Root != s.LatestPow.Root {
		r.t.Fatalf("the latest proof of work is %s, the head's branch says %s", r.name(s.LatestPow.Root), r.name(e.LastCarrier))
	}
	for e != nil {
		steps++
		final = final || e.Root == s.Finalized.Root
		if connected[e.Number] != e.Root {
			r.t.Fatalf("%s is below the head and not connected", r.name(e.Root))
		}
		if e.Parent == (common.Hash{}) {
			break
		}
		parent := s.Entry(e.Parent)
		if parent != nil && (parent.Number+1 != e.Number || parent.Timestamp >= e.Timestamp) {
			r.t.Fatalf("%s does not follow %s", r.name(e.Root), r.name(parent.Root))
		}
		e = parent
	}
	if steps != len(connected) || !final {
		r.t.Fatalf("%d blocks below the head, %d connected, finalised met: %t", steps, len(connected), final)
	}
}
