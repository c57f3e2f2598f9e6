package node

import (
	"sync"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// view is what the node shows of the chain to readers, folded from facts after
// they are durable. Reading it costs the sequencer nothing.
type view struct {
	mu      sync.Mutex
	now     Chain
	onFact  func(Fact)
	changed chan struct{} // closed at the next fact that changes now
}

// Chain is the head's branch as readers see it.
type Chain struct {
	Head         message.BlockID `json:"-"`
	Finalized    message.BlockID `json:"-"`
	LatestPow    message.BlockID `json:"-"`
	HeadSlot     uint64          `json:"head_slot"`
	HeadTime     uint64          `json:"head_time"` // Unix seconds
	ChainID      uint32          `json:"chain_id"`
	WorkQueued   bool            `json:"work_queued"`
	Produced     uint64          `json:"blocks_produced"` // by this run
	Connected    uint64          `json:"blocks_connected"`
	Refused      uint64          `json:"blocks_refused"`
	SlotsSkipped uint64          `json:"slots_skipped"`
	LastSkip     string          `json:"last_skip,omitempty"`
	ClockStepped bool            `json:"clock_stepped"`
}

func (v *view) reset(s *chain.State) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changed = make(chan struct{})
	v.now = Chain{Head: s.Head, Finalized: s.Finalized, LatestPow: s.LatestPow, ClockStepped: s.Clock.Stepped, WorkQueued: len(s.Work) > 0}
	if c := s.Spec(); c != nil {
		v.now.ChainID = c.ChainID
	}
	if e := s.Entry(s.Head.Root); e != nil {
		v.now.HeadSlot, v.now.HeadTime = e.Slot, e.Timestamp
	}
}

func (v *view) fact(f Fact) {
	v.mu.Lock()
	v.fold(f.Message)
	close(v.changed)
	v.changed = make(chan struct{})
	v.mu.Unlock()
	if v.onFact != nil {
		v.onFact(f)
	}
}

func (v *view) fold(m core.Message) {
	c := &v.now
	switch m := m.(type) {
	case *message.BlockConnected:
		c.Connected++
		c.HeadSlot, c.HeadTime = m.Slot, m.Timestamp
		if m.Number == 0 { // genesis is final by itself (C3)
			c.Finalized = message.BlockID{Root: m.Root}
		}
		if m.Carrier {
			c.LatestPow = message.BlockID{Root: m.Root, Number: m.Number}
			c.WorkQueued = false
		}
	case *message.HeadChanged:
		c.Head = message.BlockID{Root: m.Root, Number: m.Number}
	case *message.BlockFinalized:
		c.Finalized = message.BlockID{Root: m.Root, Number: m.Number}
	case *message.BlockProduced:
		c.Produced++
	case *message.BlockRefused:
		c.Refused++
	case *message.SlotSkipped:
		c.SlotsSkipped++
		c.LastSkip = m.Reason
	case *message.WorkQueued:
		c.WorkQueued = true
	case *message.WorkDropped:
		c.WorkQueued = false
	case *message.ClockStepped:
		c.ClockStepped = !m.Agreeing
	}
}

func (v *view) snapshot() Chain {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}
