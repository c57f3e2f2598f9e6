package chain

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Names of the actor, its neighbours and its edges.
const (
	ID         core.ID   = "chain"
	engine     core.ID   = "engine"
	miner      core.ID   = "miner"
	bridge     core.ID   = "bridge"
	network    core.ID   = "network"
	download   core.ID   = "sync"
	TimerEdge  core.Edge = "timer"
	SignerEdge core.Edge = "signer"
	AnswerEdge core.Edge = "answer"
	// PeersEdge gossips and asks peers; all its effects are fire-and-forget.
	PeersEdge core.Edge = "peers"
	// ProcessEdge ends the process.
	ProcessEdge core.Edge = "process"
)

// readClock asks for the first look at the clocks of a run, when slots of ours are to be
// used or others to be asked for what is missing. The turn's time would not do for the
// first slot: it may be ahead of the wall clock for long.
func (x *turn) readClock() {
	if x.produces() || x.Config.Peers {
		x.Timer = x.nextRef()
		x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{After: 1})
	}
}

// armTimer asks for the start of our next slot after now (Unix milliseconds), and while
// this node talks to others for that of every slot: what was lost is asked for again then.
// Expiring: a slot that a restart missed is gone. The time depends on nothing
// but now, so a clock that was wrong once cannot put production off for long.
func (x *turn) armTimer(now int64) {
	duration := x.rules.spec.SlotDuration
	slot := x.slotAt(now) + 1
	if !x.Config.Peers {
		n := uint64(len(x.rules.spec.Authorities))
		slot += (uint64(x.Config.Authority) + n - slot%n) % n
	}
	x.Timer = x.nextRef()
	x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{At: int64(slot * duration)})
}

// slotAt is the slot of a Unix time in milliseconds; times before 1970 are in slot 0.
func (x *turn) slotAt(ms int64) uint64 {
	return aura.SlotAt(uint64(max(ms, 0)), x.rules.spec.SlotDuration)
}

// nextRef is the ref of the output that is emitted next.
func (x *turn) nextRef() core.Ref {
	return core.Ref{Sequence: x.Sequence, Index: uint32(len(x.out.List()))}
}

// sign asks for our signature of the block being built. Until-done: after a
// restart the same root is signed again, which is the same signature. It leaves
// only when the turn that recorded slot and root is durable, so this node never
// signs two blocks of one slot.
func (x *turn) sign(number uint64) {
	x.out.Effect(SignerEdge, core.UntilDone, &message.SignBlock{Root: x.Building.Root, Slot: x.Building.Slot, Number: number})
}

// finalizedPayload is the payload hash that forkchoice calls name as finalised;
// zero until a proof of work made one. (C10, C15)
func (x *turn) finalizedPayload() common.Hash {
	if e := x.Entry(x.Finalized.Root); e != nil && e.Root != x.Genesis {
		return e.PayloadHash
	}
	return common.Hash{}
}

// moveHead tells the engine actor which payload is the head and which is final.
func (x *turn) moveHead() {
	x.out.Send(engine, &message.MoveHead{Head: x.Entry(x.Head.Root).PayloadHash, Finalized: x.finalizedPayload()})
}

// tellMiner sends the miner actor what it may hand out work for. With reset it
// gets the whole branch above the block that is final by the branch's own last
// carrier, for the next range must start there (C8 b). After a reorganisation
// that may be below the finalised block, which never moves down.
func (x *turn) tellMiner(reset bool, connected []message.BlockID) {
	m := &message.ChainMoved{Reset: reset, Connected: connected}
	finalized, latest := x.Finalized, x.LatestPow
	if e := x.finalBelow(x.Entry(x.Head.Root)); e != nil {
		finalized = e.id()
	}
	if reset {
		m.Connected = nil
		for e := x.Entry(x.Head.Root); e != nil && e.Number > finalized.Number; e = x.Entry(e.Parent) {
			m.Connected = append(m.Connected, e.id())
		}
		slices.Reverse(m.Connected)
	}
	m.Finalized, m.LatestPow = &finalized, &latest
	if e := x.Entry(latest.Root); e != nil && e.Carrier != nil {
		m.LatestBits = e.Carrier.Bits
	}
	if h := x.queuedWork(); h != nil {
		m.QueuedEnd = h.RangeEnd
	}
	x.out.Send(miner, m)
}

func (x *turn) factConnected(e *Entry, signed record.Content, transactions int) {
	x.out.Fact(&message.BlockConnected{
		Root: e.Root, Number: e.Number, Parent: e.Parent, Slot: e.Slot, PayloadHash: e.PayloadHash,
		StateRoot: e.StateRoot, Timestamp: e.Timestamp, Transactions: uint32(transactions),
		Fees: e.Fees, Signed: signed, Carrier: e.Carrier != nil,
	})
}

func (x *turn) factHead(m *movement) {
	e := x.Entry(x.Head.Root)
	fact := &message.HeadChanged{Root: e.Root, Number: e.Number, PayloadHash: e.PayloadHash, StateRoot: e.StateRoot, Depth: m.reverted}
	if m.reverted > 0 {
		ancestor := m.ancestor
		fact.Ancestor = &ancestor
	}
	x.out.Fact(fact)
}

func (x *turn) refuse(id message.BlockID, origin string, no *refusal) {
	x.out.Fact(&message.BlockRefused{
		Root: id.Root, Number: id.Number, Grade: uint8(no.grade), Field: no.field, Reason: no.reason, Origin: origin,
	})
}

// legacyHead compares the end of an import with the legacy store's own records.
func (x *turn) legacyHead(m *message.LegacyHead) {
	head := x.Entry(x.Head.Root)
	differs := func(field, legacy, ours string) {
		x.out.Fact(&message.LegacyDiffers{Field: field, Legacy: legacy, Ours: ours})
	}
	switch {
	case m.Head == nil || m.LatestPow == nil:
		differs("head", "absent", describe(x.Head))
	case *m.Head != x.Head:
		differs("head", describe(*m.Head), describe(x.Head))
	case *m.LatestPow != x.LatestPow:
		differs("latest_pow_block", describe(*m.LatestPow), describe(x.LatestPow))
	case !bytes.Equal(m.Fees, head.Fees):
		differs("accumulated_fees", fmt.Sprintf("%x", m.Fees), fmt.Sprintf("%x", head.Fees))
	case m.Blocks != x.Head.Number+1:
		differs("blocks", fmt.Sprint(m.Blocks), fmt.Sprint(x.Head.Number+1))
	default:
		final := x.Finalized
		x.out.Fact(&message.LegacyImported{
			Head: m.Head, LatestPow: m.LatestPow, Finalized: &final,
			StateRoot: head.StateRoot, Fees: head.Fees, Source: m.Source,
		})
	}
}

func describe(id message.BlockID) string { return fmt.Sprintf("%s at %d", id.Root, id.Number) }
