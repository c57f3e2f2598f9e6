package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// BlockConnected is the fact that a block became part of the head's branch:
// executed, with its quorum, its parent connected before it.
type BlockConnected struct {
	Root         common.Hash
	Number       uint64
	Parent       common.Hash
	Slot         uint64
	PayloadHash  common.Hash
	StateRoot    common.Hash
	Timestamp    uint64 // Unix seconds
	Transactions uint32
	Fees         []byte // fee accumulator after this block in wei, big endian (C6)
	Signed       record.Content
	Carrier      bool // has an AuxPoW header
}

// Type implements core.Message.
func (*BlockConnected) Type() string { return "block_connected" }

// Schema implements core.Message.
func (*BlockConnected) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BlockConnected) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Fixed(3, m.Parent[:])
	f.Uint64(4, &m.Slot)
	f.Fixed(5, m.PayloadHash[:])
	f.Fixed(6, m.StateRoot[:])
	f.Uint64(7, &m.Timestamp)
	f.Uint32(8, &m.Transactions)
	f.Bytes(9, &m.Fees)
	f.Content(10, &m.Signed)
	f.Bool(11, &m.Carrier)
}

// BlockReverted is the fact that a block left the head's branch.
type BlockReverted struct {
	Root   common.Hash
	Number uint64
}

// Type implements core.Message.
func (*BlockReverted) Type() string { return "block_reverted" }

// Schema implements core.Message.
func (*BlockReverted) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BlockReverted) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
}

// HeadChanged is the fact that ends the BlockReverted (highest first) and
// BlockConnected (lowest first) facts of the same turn.
type HeadChanged struct {
	Root        common.Hash
	Number      uint64
	PayloadHash common.Hash
	StateRoot   common.Hash
	Depth       uint64   // how many blocks were reverted
	Ancestor    *BlockID // the last block of both branches; nil when none was reverted
}

// Type implements core.Message.
func (*HeadChanged) Type() string { return "head_changed" }

// Schema implements core.Message.
func (*HeadChanged) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *HeadChanged) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Fixed(3, m.PayloadHash[:])
	f.Fixed(4, m.StateRoot[:])
	f.Uint64(5, &m.Depth)
	record.Optional(f, 6, &m.Ancestor)
}

// BlockFinalized is the fact that the range up to Root is final by the work in
// Carrier. (C10)
type BlockFinalized struct {
	Root          common.Hash
	Number        uint64
	PayloadHash   common.Hash
	Carrier       common.Hash
	CarrierNumber uint64
	Bits          uint32 // compact target as claimed by the carrier
}

// Type implements core.Message.
func (*BlockFinalized) Type() string { return "block_finalized" }

// Schema implements core.Message.
func (*BlockFinalized) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BlockFinalized) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Fixed(3, m.PayloadHash[:])
	f.Fixed(4, m.Carrier[:])
	f.Uint64(5, &m.CarrierNumber)
	f.Uint32(6, &m.Bits)
}

// BlockRefused is the fact that a block was not accepted.
type BlockRefused struct {
	Root   common.Hash
	Number uint64
	Grade  uint8  // fault.Grade
	Field  string // the part of the block that is wrong
	Reason string
	Origin string
}

// Type implements core.Message.
func (*BlockRefused) Type() string { return "block_refused" }

// Schema implements core.Message.
func (*BlockRefused) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BlockRefused) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Uint8(3, &m.Grade)
	f.String(4, &m.Field)
	f.String(5, &m.Reason)
	f.String(6, &m.Origin)
}

// SlotSkipped is the fact that a slot of ours passed without a block.
type SlotSkipped struct {
	Slot   uint64
	Reason string
}

// Type implements core.Message.
func (*SlotSkipped) Type() string { return "slot_skipped" }

// Schema implements core.Message.
func (*SlotSkipped) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SlotSkipped) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.String(2, &m.Reason)
}

// ClockStepped is the fact that the wall clock moved against the monotonic
// clock by more than the tolerance; production stops until they agree again.
type ClockStepped struct {
	OffsetMs int64
	Agreeing bool // true when production is on again
}

// Type implements core.Message.
func (*ClockStepped) Type() string { return "clock_stepped" }

// Schema implements core.Message.
func (*ClockStepped) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ClockStepped) Fields(f *record.Fields) {
	f.Int64(1, &m.OffsetMs)
	f.Bool(2, &m.Agreeing)
}

// WorkQueued is the fact that a proof waits for the next block to carry it.
type WorkQueued struct {
	RangeStart common.Hash
	RangeEnd   common.Hash
	Height     uint64
}

// Type implements core.Message.
func (*WorkQueued) Type() string { return "work_queued" }

// Schema implements core.Message.
func (*WorkQueued) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *WorkQueued) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeStart[:])
	f.Fixed(2, m.RangeEnd[:])
	f.Uint64(3, &m.Height)
}

// WorkDropped is the fact that a queued proof no longer fits the chain.
type WorkDropped struct {
	RangeStart common.Hash
	RangeEnd   common.Hash
	Reason     string
	Refused    bool // it was never queued
}

// Type implements core.Message.
func (*WorkDropped) Type() string { return "work_dropped" }

// Schema implements core.Message.
func (*WorkDropped) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *WorkDropped) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeStart[:])
	f.Fixed(2, m.RangeEnd[:])
	f.String(3, &m.Reason)
	f.Bool(4, &m.Refused)
}

// LegacyImported is the fact that an import ended with both sides equal.
type LegacyImported struct {
	Head      *BlockID
	LatestPow *BlockID
	Finalized *BlockID
	StateRoot common.Hash
	Fees      []byte
	Source    [32]byte
}

// Type implements core.Message.
func (*LegacyImported) Type() string { return "legacy_imported" }

// Schema implements core.Message.
func (*LegacyImported) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *LegacyImported) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Head)
	record.Optional(f, 2, &m.LatestPow)
	record.Optional(f, 3, &m.Finalized)
	f.Fixed(4, m.StateRoot[:])
	f.Bytes(5, &m.Fees)
	f.Fixed(6, m.Source[:])
}

// LegacyDiffers is the fact that an import ended with a difference.
type LegacyDiffers struct {
	Field  string
	Legacy string
	Ours   string
}

// Type implements core.Message.
func (*LegacyDiffers) Type() string { return "legacy_differs" }

// Schema implements core.Message.
func (*LegacyDiffers) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *LegacyDiffers) Fields(f *record.Fields) {
	f.String(1, &m.Field)
	f.String(2, &m.Legacy)
	f.String(3, &m.Ours)
}

// BlockProduced is the fact that this node made and signed a block.
type BlockProduced struct {
	Root         common.Hash
	Number       uint64
	Slot         uint64
	Transactions uint32
	Carrier      bool
	Signed       record.Content
}

// Type implements core.Message.
func (*BlockProduced) Type() string { return "block_produced" }

// Schema implements core.Message.
func (*BlockProduced) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BlockProduced) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Uint64(3, &m.Slot)
	f.Uint32(4, &m.Transactions)
	f.Bool(5, &m.Carrier)
	f.Content(6, &m.Signed)
}
