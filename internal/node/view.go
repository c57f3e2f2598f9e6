package node

import (
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

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
	v.Approving = approvingOf(s)
	if s.Config != nil && s.Config.Peers {
		v.Synced = &heads.Synced{Synced: s.Gate.Synced, Needs: s.Gate.Needs, Members: s.Gate.Agreeing, Quorum: uint32(s.Spec().Quorum())}
	}
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

// approvingOf is what binds this member as a chain state has it.
func approvingOf(s *chain.State) (a heads.Approving) {
	if last := s.LastVote(); last != nil {
		a.LastSlot = last.Slot
	}
	for _, l := range s.OpenLocks() {
		shown := heads.Lock{RangeEnd: l.RangeEnd.Hex(), Number: l.Number}
		if l.Carrier != (common.Hash{}) {
			shown.Carrier = l.Carrier.Hex()
		}
		if e := s.Entry(l.Carrier); e != nil {
			shown.CarrierNumber, shown.Slot = e.Number, e.Slot
		}
		a.AddLock(shown)
	}
	for _, p := range s.Promises() {
		a.AddStatement(p.RangeEnd)
	}
	return a
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
