package sync

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Names of the actor, its neighbours and its edges.
const (
	ID        core.ID   = "sync"
	chain     core.ID   = "chain"
	network   core.ID   = "network"
	PeersEdge core.Edge = "peers"
	TimerEdge core.Edge = "timer"
)

// origin is what the chain actor calls blocks that come from here.
const origin = "sync"

// Sync is the core.
type Sync struct{}

// New returns the core.
func New() *Sync { return &Sync{} }

// ID implements core.Core.
func (*Sync) ID() core.ID { return ID }

// NewState implements core.Core.
func (*Sync) NewState() core.State { return newState() }

// Messages implements core.Core.
func (*Sync) Messages() []core.Message {
	return []core.Message{
		&message.NodeConfigured{}, &message.PeersSeen{}, &message.FollowSync{},
		&message.RangeFetched{}, &message.RangeFailed{}, &message.TimerFired{}, &core.Expired{},
	}
}

// turn is one turn of the sync actor.
type turn struct {
	*State
	core.Turn
	out    *core.Out
	handed uint32 // blocks handed on in this turn
}

// Handle implements core.Core.
func (*Sync) Handle(state core.State, m core.Message, t core.Turn, out *core.Out) {
	x := &turn{State: state.(*State), Turn: t, out: out}
	if c, ok := m.(*message.NodeConfigured); ok {
		x.nodeConfigured(c)
	}
	if !x.Active {
		return
	}
	x.passTime()
	switch m := m.(type) {
	case *message.PeersSeen:
		x.peersSeen(m)
	case *message.FollowSync:
		x.followSync(m)
	case *message.RangeFetched:
		x.rangeFetched(m)
	case *message.RangeFailed:
		x.rangeFailed(m)
	case *message.TimerFired:
		if x.Cause != x.Timer {
			return // of an earlier run
		}
		x.Now, x.Timer = max(x.Now, x.TimerAt), core.Ref{}
	case *core.Expired:
		if x.Cause == x.Timer {
			x.Timer = core.Ref{}
		}
		x.expired()
	}
	x.proceed()
}

// maxPass is the most that one turn takes time to have passed: a timer is set while anything
// is waited for, so that more is a step of the wall clock.
const maxPass = 2 * tickMs

// passTime counts time by turns, in which a step of the wall clock back would stand still for
// as long and a step ahead would make every answer late.
func (x *turn) passTime() {
	x.Now += min(max(x.Time-x.State.Last, 0), maxPass)
	x.State.Last = x.Time
}

// nodeConfigured begins a run: nobody is connected, and requests of an earlier run have no
// answer any more. What was fetched and not handed on stays.
func (x *turn) nodeConfigured(m *message.NodeConfigured) {
	c, _, err := spec.Parse(m.ChainSpec.Data)
	if err != nil {
		panic("chain spec: " + err.Error())
	}
	fresh := newState()
	kept := x.pointers
	x.peers, x.asks = fresh.peers, fresh.asks
	x.pointers = pointers{
		Active: m.Peers, Quorum: uint32(c.Quorum()), Member: m.HasAuthority,
		Head: kept.Head, Finalized: kept.Finalized, Backlog: kept.Backlog,
		Handed: kept.Handed, Proven: kept.Proven, HandedBy: kept.HandedBy,
		Now: 1, Moved: 1, Grew: 1, Last: x.Time,
	}
	if !x.Active || kept.Guide != "" {
		x.begin(x.Head)
		return
	}
	for _, s := range x.allSpans() {
		if s.Asked > 0 || len(s.Tried) > 0 {
			next := *s
			next.Asked, next.Tried = 0, nil
			x.spans.Set(next.From, &next)
		}
	}
}

// followSync takes where the chain actor is.
func (x *turn) followSync(m *message.FollowSync) {
	head, finalized := x.Head, x.Finalized
	if m.Head != nil {
		head = *m.Head
	}
	if m.Finalized != nil {
		finalized = *m.Finalized
	}
	if head != x.Head || m.Backlog != x.Backlog {
		x.Moved = x.Now
	}
	if head.Number > x.Head.Number {
		x.Grew, x.Attempts, x.Reason = x.Now, 0, ""
	}
	x.Head, x.Finalized, x.Backlog, x.Synced = head, finalized, m.Backlog, m.Synced
	switch {
	case x.Guide != "":
		if x.Head == x.Proven {
			x.Guide = "" // on its branch
		}
	case x.Head.Number > x.Handed.Number, x.Handed.Root == (common.Hash{}):
		x.begin(x.Head)
	case x.Backlog == 0 && x.spans.Len() == 0 && x.Head.Number >= x.Proven.Number:
		x.begin(x.Head) // what was handed on above it was not taken, or is of another branch
	}
}

// begin drops what is under way and goes on from a block.
func (x *turn) begin(from message.BlockID) {
	x.dropSpans()
	x.Handed, x.Proven, x.HandedBy, x.Guide = from, from, "", ""
}

// rangeFetched takes an answer.
func (x *turn) rangeFetched(m *message.RangeFetched) {
	a := x.answered()
	if a == nil {
		return
	}
	n := uint32(len(m.Blocks))
	if n == 0 || n > a.Count || m.From != a.From || m.Peer != a.Peer || m.Quorum > n {
		x.failed(a, "", "")
		return
	}
	x.State.Bytes += m.Bytes
	x.served(a, m)
	s, wanted := x.spans.Get(a.From)
	if !wanted || s.here() || s.Count < n {
		return
	}
	x.fill(s, m)
	if m.Fault != "" {
		x.blame(a.Peer, m.Fault, m.Detail)
		x.untrust(a.From+uint64(n), a.Peer)
	}
}

// rangeFailed takes an answer without blocks.
func (x *turn) rangeFailed(m *message.RangeFailed) {
	if a := x.answered(); a != nil {
		x.failed(a, m.Fault, m.Detail)
	}
}

// expired is the answer of an edge that gave a request up.
func (x *turn) expired() {
	if a := x.answered(); a != nil {
		x.failed(a, message.ActTimeout, "the request expired")
	}
}

// proceed draws the conclusions at the end of every turn.
func (x *turn) proceed() {
	x.giveUpLate()
	x.handOn()
	x.lookForStall()
	x.plan()
	x.tell()
	x.armTimer()
}

// tell publishes how far the download is.
func (x *turn) tell() {
	if x.handed == 0 {
		return
	}
	var flying uint32
	x.peers.Scan(func(_ string, p *Peer) bool {
		if p.Flying > 0 {
			flying++
		}
		return true
	})
	x.out.Fact(&message.SyncProgressed{
		Head: x.Head.Number, Handed: x.Handed.Number, Target: max(x.target(), x.Handed.Number), Peers: flying, Bytes: x.State.Bytes,
	})
}

func describe(id message.BlockID) string { return fmt.Sprintf("%s at %d", id.Root, id.Number) }
