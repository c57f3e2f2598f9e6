package node

import (
	"slices"
	"sync"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/projections/heads"
)

// view is the read model of the running node. Reading it costs the sequencer
// nothing.
type view struct {
	mu     sync.Mutex
	now    heads.View
	onFact []func(Fact) // in this order
}

// ViewOf returns the read model as a chain state has it, to be folded on.
func ViewOf(s *chain.State) heads.View {
	v := heads.View{
		Head: s.Head, Finalized: s.Finalized, LatestPow: s.LatestPow,
		ClockStepped: s.Clock.Stepped, WorkQueued: len(s.Work) > 0,
	}
	v.Signing.Take(s.Hold)
	if s.Conflict != nil {
		v.Fold(s.Conflict)
	}
	if m := s.ExcludedBranch(); m != nil {
		v.Fold(m)
	}
	if c := s.Spec(); c != nil {
		v.ChainID = c.ChainID
	}
	if e := s.Entry(s.Head.Root); e != nil {
		v.HeadSlot, v.HeadTime = e.Slot, e.Timestamp
		for ; e != nil; e = s.Entry(e.Parent) {
			if e.Carrier != nil || e.Root == s.Genesis {
				v.Carriers = append(v.Carriers, message.BlockID{Root: e.Root, Number: e.Number})
			}
		}
		slices.Reverse(v.Carriers)
	}
	return v
}

func (v *view) fact(f Fact) {
	v.mu.Lock()
	v.now.Fold(f.Message)
	v.mu.Unlock()
	for _, take := range v.onFact {
		take(f)
	}
}

func (v *view) snapshot() heads.View {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}
