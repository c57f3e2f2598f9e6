package chain

import (
	"bytes"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Names of the actor, its neighbours and its edges.
const (
	ID         core.ID   = "chain"
	engine     core.ID   = "engine"
	miner      core.ID   = "miner"
	TimerEdge  core.Edge = "timer"
	SignerEdge core.Edge = "signer"
)

// armTimer asks for the start of our next slot after now (Unix milliseconds)
// and after every slot acted on. Expiring: a slot that a restart missed is gone.
func (x *turn) armTimer(now int64) {
	if !x.Config.Producing || !x.Config.HasAuthority {
		return
	}
	duration := x.rules.spec.SlotDuration
	slot := max(aura.SlotAt(uint64(now), duration), x.LastSlot) + 1
	n := uint64(len(x.rules.spec.Authorities))
	slot += (uint64(x.Config.Authority) + n - slot%n) % n
	x.Timer = x.nextRef()
	x.out.Effect(TimerEdge, core.Expiring, &message.StartTimer{At: int64(slot * duration)})
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

// execute sends blocks to the engine actor, oldest first.
func (x *turn) execute(batch []Executing) {
	if len(batch) == 0 {
		return
	}
	m := &message.ExecuteBlocks{Finalized: x.finalizedPayload()}
	for _, b := range batch {
		m.Blocks = append(m.Blocks, message.Block{Signed: b.Signed})
	}
	x.Executing = append(x.Executing, batch...)
	x.out.Send(engine, m)
}

// finalizedPayload is the payload hash that forkchoice calls name as finalised;
// zero until a proof of work made one. (C10, C15)
func (x *turn) finalizedPayload() common.Hash {
	if e := x.Entry(x.Finalized.Root); e != nil && e.Root != x.Genesis {
		return e.PayloadHash
	}
	return common.Hash{}
}

// tellMiner sends the miner actor what it may hand out work for. With reset it
// gets the whole branch above the finalised block.
func (x *turn) tellMiner(reset bool, connected []message.BlockID) {
	m := &message.ChainMoved{Reset: reset, Connected: connected}
	if reset {
		m.Connected = nil
		for e := x.Entry(x.Head.Root); e != nil && e.Number > x.Finalized.Number; e = x.Entry(e.Parent) {
			m.Connected = append(m.Connected, e.id())
		}
		for i, j := 0, len(m.Connected)-1; i < j; i, j = i+1, j-1 {
			m.Connected[i], m.Connected[j] = m.Connected[j], m.Connected[i]
		}
	}
	finalized, latest := x.Finalized, x.LatestPow
	m.Finalized, m.LatestPow = &finalized, &latest
	if e := x.Entry(latest.Root); e != nil && e.Carrier != nil {
		m.LatestBits = e.Carrier.Bits
	}
	if len(x.Work) > 0 {
		if h, err := block.DecodeAuxPowHeader(x.Work); err == nil {
			m.QueuedEnd = h.RangeEnd
		}
	}
	x.out.Send(miner, m)
}

func (x *turn) factConnected(e *Entry, b *block.Block) {
	x.out.Fact(&message.BlockConnected{
		Root: e.Root, Number: e.Number, Parent: e.Parent, Slot: e.Slot, PayloadHash: e.PayloadHash,
		StateRoot: e.StateRoot, Timestamp: e.Timestamp, Transactions: uint32(len(b.Payload.Transactions)),
		Fees: e.Fees, Signed: contentOf(e), Carrier: e.Carrier != nil,
	})
}

// factReconnected is factConnected for a block whose bytes are not at hand.
func (x *turn) factReconnected(e *Entry) {
	x.out.Fact(&message.BlockConnected{
		Root: e.Root, Number: e.Number, Parent: e.Parent, Slot: e.Slot, PayloadHash: e.PayloadHash,
		StateRoot: e.StateRoot, Timestamp: e.Timestamp, Fees: e.Fees, Signed: contentOf(e), Carrier: e.Carrier != nil,
	})
}

func (x *turn) factHead() {
	e := x.Entry(x.Head.Root)
	x.out.Fact(&message.HeadChanged{Root: e.Root, Number: e.Number, PayloadHash: e.PayloadHash, StateRoot: e.StateRoot})
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
