package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// BlockID names a block by root and height.
type BlockID struct {
	Root   common.Hash
	Number uint64
}

// Fields implements record.Record.
func (m *BlockID) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
}

// StartTimer is an expiring effect: answer with TimerFired at At, or After later.
type StartTimer struct {
	At    int64  // Unix milliseconds by the wall clock; 0 when After counts
	After uint64 // milliseconds from now by the monotonic clock
}

// Type implements core.Message.
func (*StartTimer) Type() string { return "start_timer" }

// Schema implements core.Message.
func (*StartTimer) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *StartTimer) Fields(f *record.Fields) {
	f.Int64(1, &m.At)
	f.Uint64(2, &m.After)
}

// TimerFired answers StartTimer with the clocks read when it fired.
type TimerFired struct {
	Due       int64 // the At of the request
	Wall      int64 // wall clock, Unix milliseconds
	Monotonic int64 // milliseconds since the process started
}

// Type implements core.Message.
func (*TimerFired) Type() string { return "timer_fired" }

// Schema implements core.Message.
func (*TimerFired) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *TimerFired) Fields(f *record.Fields) {
	f.Int64(1, &m.Due)
	f.Int64(2, &m.Wall)
	f.Int64(3, &m.Monotonic)
}

// SignBlock is an until-done effect: the BLS signature over Root by the node's
// authority key. It leaves only after this turn is durable.
type SignBlock struct {
	Root   common.Hash
	Slot   uint64
	Number uint64
}

// Type implements core.Message.
func (*SignBlock) Type() string { return "sign_block" }

// Schema implements core.Message.
func (*SignBlock) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignBlock) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Slot)
	f.Uint64(3, &m.Number)
}

// BlockSigned answers SignBlock.
type BlockSigned struct {
	Root      common.Hash
	Signature aura.Signature
}

// Type implements core.Message.
func (*BlockSigned) Type() string { return "block_signed" }

// Schema implements core.Message.
func (*BlockSigned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BlockSigned) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Fixed(2, m.Signature[:])
}

// SignRefused answers SignBlock when the signer does not hold the key.
type SignRefused struct {
	Root   common.Hash
	Reason string
}

// Type implements core.Message.
func (*SignRefused) Type() string { return "sign_refused" }

// Schema implements core.Message.
func (*SignRefused) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignRefused) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.String(2, &m.Reason)
}

// BlocksReceived carries signed blocks from an edge, oldest first. Their content
// is the MessagePack form of wire.md 9.4, B. At most 256 blocks.
type BlocksReceived struct {
	Origin string // "gossip", "sync", "legacy"
	Blocks []Block
	Peer   string // who sent them, when one peer did; else empty
}

// Type implements core.Message.
func (*BlocksReceived) Type() string { return "blocks_received" }

// Schema implements core.Message.
func (*BlocksReceived) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *BlocksReceived) Fields(f *record.Fields) {
	f.String(1, &m.Origin)
	record.List(f, 2, &m.Blocks)
	f.String(3, &m.Peer)
}

// Block is one signed block by content. A store that records the fee accumulator
// of its blocks gives it for comparison.
type Block struct {
	Signed  record.Content
	HasFees bool
	Fees    []byte // accumulator after the block in wei, big endian, zero is empty (C6)
}

// Fields implements record.Record.
func (m *Block) Fields(f *record.Fields) {
	f.Content(1, &m.Signed)
	f.Bool(2, &m.HasFees)
	f.Bytes(3, &m.Fees)
}

// ApprovalReceived carries one authority's approval of a block. (wire.md 9.4)
type ApprovalReceived struct {
	Root      common.Hash
	Authority uint8
	Signature aura.Signature
}

// Type implements core.Message.
func (*ApprovalReceived) Type() string { return "approval_received" }

// Schema implements core.Message.
func (*ApprovalReceived) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ApprovalReceived) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint8(2, &m.Authority)
	f.Fixed(3, m.Signature[:])
}

// ExecuteBlocks asks the engine actor to execute blocks, oldest first. The head
// moves by [MoveHead] only.
type ExecuteBlocks struct {
	Blocks    []Block
	Finalized common.Hash // of behaviour 1, whose imports moved the head
}

// Type implements core.Message.
func (*ExecuteBlocks) Type() string { return "execute_blocks" }

// Schema implements core.Message.
func (*ExecuteBlocks) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ExecuteBlocks) Fields(f *record.Fields) {
	record.List(f, 1, &m.Blocks)
	f.Fixed(2, m.Finalized[:])
}

// BlocksExecuted answers ExecuteBlocks, one result per block run; a failure is
// the last.
type BlocksExecuted struct {
	Results []Execution
}

// Type implements core.Message.
func (*BlocksExecuted) Type() string { return "blocks_executed" }

// Schema implements core.Message.
func (*BlocksExecuted) Schema() uint32 { return 3 }

// Fields implements record.Record.
func (m *BlocksExecuted) Fields(f *record.Fields) {
	record.List(f, 1, &m.Results)
}

// Execution is what the execution layer said of one payload.
type Execution struct {
	PayloadHash common.Hash
	Status      uint8 // ExecutionValid, ExecutionInvalid, ExecutionUnknown
	Reason      string
	StateRoot   common.Hash
	GasUsed     []uint64 // per transaction, of its receipt
	// LatestValid is, with ExecutionInvalid, the newest valid payload below this
	// one; zero when the client does not say. (C15)
	LatestValid common.Hash
	// Receipts are the payload's [PegReceipts], of a valid one; none when no log is
	// a request.
	Receipts record.Content
}

// Fields implements record.Record.
func (m *Execution) Fields(f *record.Fields) {
	f.Fixed(1, m.PayloadHash[:])
	f.Uint8(2, &m.Status)
	f.String(3, &m.Reason)
	f.Fixed(4, m.StateRoot[:])
	f.Uint64s(5, &m.GasUsed)
	f.Fixed(6, m.LatestValid[:])
	f.Content(7, &m.Receipts)
}

// BuildBlock asks the engine actor for a payload on the head.
type BuildBlock struct {
	Slot        uint64
	Parent      common.Hash // payload hash
	Finalized   common.Hash // payload hash or zero
	Timestamp   uint64      // Unix seconds
	WaitMs      uint64
	Withdrawals []Withdrawal
}

// Type implements core.Message.
func (*BuildBlock) Type() string { return "build_block" }

// Schema implements core.Message.
func (*BuildBlock) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BuildBlock) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.Fixed(2, m.Parent[:])
	f.Fixed(3, m.Finalized[:])
	f.Uint64(4, &m.Timestamp)
	f.Uint64(5, &m.WaitMs)
	record.List(f, 6, &m.Withdrawals)
}

// Withdrawal is a credit by the consensus layer. Amount is in gwei. (C6)
type Withdrawal struct {
	Address common.Address
	Amount  uint64
}

// Fields implements record.Record.
func (m *Withdrawal) Fields(f *record.Fields) {
	f.Fixed(1, m.Address[:])
	f.Uint64(2, &m.Amount)
}

// PayloadReady answers BuildBlock.
type PayloadReady struct {
	Slot    uint64
	Parent  common.Hash
	Payload record.Content // MessagePack (wire.md 9.4, X)
}

// Type implements core.Message.
func (*PayloadReady) Type() string { return "payload_ready" }

// Schema implements core.Message.
func (*PayloadReady) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PayloadReady) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.Fixed(2, m.Parent[:])
	f.Content(3, &m.Payload)
}

// BuildFailed answers BuildBlock when there is no payload for the slot.
type BuildFailed struct {
	Slot   uint64
	Reason string
}

// Type implements core.Message.
func (*BuildFailed) Type() string { return "build_failed" }

// Schema implements core.Message.
func (*BuildFailed) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BuildFailed) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.String(2, &m.Reason)
}

// QueueWork hands the chain actor a proof that the miner actor has checked.
type QueueWork struct {
	Header []byte // AuxPoW header, MessagePack (wire.md 9.4, H)
	// Request is answered by WorkJudged; 0 for a proof that nobody waits for.
	Request uint64
}

// Type implements core.Message.
func (*QueueWork) Type() string { return "queue_work" }

// Schema implements core.Message.
func (*QueueWork) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *QueueWork) Fields(f *record.Fields) {
	f.Bytes(1, &m.Header)
	f.Uint64(2, &m.Request)
}

// ChainMoved tells the miner actor what the head's branch is now.
type ChainMoved struct {
	Reset      bool // Connected is the whole list above the finalised block
	Connected  []BlockID
	Finalized  *BlockID
	LatestPow  *BlockID
	LatestBits uint32
	QueuedEnd  common.Hash // range end of the proof that waits to be carried, or zero
}

// Type implements core.Message.
func (*ChainMoved) Type() string { return "chain_moved" }

// Schema implements core.Message.
func (*ChainMoved) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ChainMoved) Fields(f *record.Fields) {
	f.Bool(1, &m.Reset)
	record.List(f, 2, &m.Connected)
	record.Optional(f, 3, &m.Finalized)
	record.Optional(f, 4, &m.LatestPow)
	f.Uint32(5, &m.LatestBits)
	f.Fixed(6, m.QueuedEnd[:])
}

// LegacyHead ends an import: what the legacy store says of itself, to be
// compared with what the imported blocks led to. (C19)
type LegacyHead struct {
	Head      *BlockID
	LatestPow *BlockID
	Fees      []byte   // accumulator at the head in wei, big endian
	Rescan    uint32   // next Bitcoin height to scan is above it; 0 when not recorded
	Blocks    uint64   // on the head's branch, genesis included
	Abandoned uint64   // stored, not on the head's branch
	Source    [32]byte // SHA-256 over the store's files, names and sizes
}

// Type implements core.Message.
func (*LegacyHead) Type() string { return "legacy_head" }

// Schema implements core.Message.
func (*LegacyHead) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *LegacyHead) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Head)
	record.Optional(f, 2, &m.LatestPow)
	f.Bytes(3, &m.Fees)
	f.Uint32(4, &m.Rescan)
	f.Uint64(5, &m.Blocks)
	f.Uint64(6, &m.Abandoned)
	f.Fixed(7, m.Source[:])
}
