package message

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// PegBlock is what the peg reads of a block: the whole of it on execution, all but
// Receipts when it is to be judged before. (consensus.md C7, C11)
type PegBlock struct {
	Root        common.Hash
	Parent      common.Hash
	Number      uint64
	PayloadHash common.Hash
	PegIns      []DepositID      // in the order of the block
	Proposal    []byte           // the unsigned payment, in Bitcoin's serialization; empty when there is none
	Payouts     []RawTransaction // the finalised payments, with witnesses, in the order of the block
	Carrier     bool             // has an AuxPoW header, whose range is
	RangeStart  common.Hash
	RangeEnd    common.Hash
	Withdrawals []Withdrawal   // of the payload, in its order
	FeeShares   []Withdrawal   // those that fees ask for, in order (C6)
	Receipts    record.Content // PegReceipts of the payload; none when no log is a request
}

// Fields implements record.Record.
func (m *PegBlock) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Fixed(2, m.Parent[:])
	f.Uint64(3, &m.Number)
	f.Fixed(4, m.PayloadHash[:])
	record.List(f, 5, &m.PegIns)
	f.Bytes(6, &m.Proposal)
	record.List(f, 7, &m.Payouts)
	f.Bool(8, &m.Carrier)
	f.Fixed(9, m.RangeStart[:])
	f.Fixed(10, m.RangeEnd[:])
	record.List(f, 11, &m.Withdrawals)
	record.List(f, 12, &m.FeeShares)
	f.Content(13, &m.Receipts)
}

// DepositID names a Bitcoin transaction in a block. Both hashes are in internal byte order.
type DepositID struct {
	Txid  chainhash.Hash
	Block chainhash.Hash
}

// Fields implements record.Record.
func (m *DepositID) Fields(f *record.Fields) {
	f.Fixed(1, m.Txid[:])
	f.Fixed(2, m.Block[:])
}

// RawTransaction is one Bitcoin transaction with its witnesses, if it has any.
type RawTransaction struct {
	Raw []byte
}

// Fields implements record.Record.
func (m *RawTransaction) Fields(f *record.Fields) {
	f.Bytes(1, &m.Raw)
}

// PegReceipts are the logs of a payload's receipts that may request a peg-out, in the
// order of transactions and logs: all whose first topic is RequestPegOut. They are
// stored by content. (peg.md A7)
type PegReceipts struct {
	Logs []PegLog
}

// Fields implements record.Record.
func (m *PegReceipts) Fields(f *record.Fields) {
	record.List(f, 1, &m.Logs)
}

// PegLog is one such log with what the rules read of its receipt.
type PegLog struct {
	Transaction common.Hash // of the execution layer
	Index       uint32      // of the log in its block
	HasTo       bool        // the transaction creates no contract: it calls
	To          common.Address
	Emitter     common.Address // the contract that logged
	Topics      []Topic
	Data        []byte
}

// Fields implements record.Record.
func (m *PegLog) Fields(f *record.Fields) {
	f.Fixed(1, m.Transaction[:])
	f.Uint32(2, &m.Index)
	f.Bool(3, &m.HasTo)
	f.Fixed(4, m.To[:])
	f.Fixed(5, m.Emitter[:])
	record.List(f, 6, &m.Topics)
	f.Bytes(7, &m.Data)
}

// Topic is one topic of a log.
type Topic struct {
	Value common.Hash
}

// Fields implements record.Record.
func (m *Topic) Fields(f *record.Fields) {
	f.Fixed(1, m.Value[:])
}

// FollowChain tells the bridge actor what the chain actor executed, parents before
// children, and where the head and the finalised block are now. Each executed block is
// told once. Connecting and reverting is the movement of the head alone. (C11)
type FollowChain struct {
	Blocks    []PegBlock
	Head      *BlockID
	Finalized *BlockID
	// Bare: the blocks lack what the peg reads of them. They were executed in turns that
	// the bridge was not told of: of an older behaviour, or in another node's journal.
	Bare bool
}

// Type implements core.Message.
func (*FollowChain) Type() string { return "follow_chain" }

// Schema implements core.Message.
func (*FollowChain) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FollowChain) Fields(f *record.Fields) {
	record.List(f, 1, &m.Blocks)
	record.Optional(f, 2, &m.Head)
	record.Optional(f, 3, &m.Finalized)
	f.Bool(4, &m.Bare)
}

// JudgePeg asks the bridge actor whether this member may approve a block. Its parent was
// told by FollowChain. The answer is PegJudged, and again when it changes.
type JudgePeg struct {
	Block *PegBlock
}

// Type implements core.Message.
func (*JudgePeg) Type() string { return "judge_peg" }

// Schema implements core.Message.
func (*JudgePeg) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *JudgePeg) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Block)
}

// PegJudged answers JudgePeg. Bitcoin being behind or away is CannotJudge, never Invalid.
type PegJudged struct {
	Root   common.Hash
	Grade  uint8  // zero is valid, else a fault.Grade
	Rule   string // C7, C5.8 or the name of a signer rule
	Reason string
}

// Type implements core.Message.
func (*PegJudged) Type() string { return "peg_judged" }

// Schema implements core.Message.
func (*PegJudged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegJudged) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint8(2, &m.Grade)
	f.String(3, &m.Rule)
	f.String(4, &m.Reason)
}

// PlanPeg asks the bridge actor for the peg's part of a block on the head.
type PlanPeg struct {
	Slot       uint64
	Parent     common.Hash // the head
	RangeStart common.Hash // of the AuxPoW header to be carried, or zero
	RangeEnd   common.Hash
	Room       uint32 // how many withdrawals the payload may have beside the fee shares
	// FeeShares are those of the header. A deposit for one of their accounts waits for
	// another block: legacy's check wants one withdrawal of the sum. (C6)
	FeeShares []Withdrawal
}

// Type implements core.Message.
func (*PlanPeg) Type() string { return "plan_peg" }

// Schema implements core.Message.
func (*PlanPeg) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PlanPeg) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.Fixed(2, m.Parent[:])
	f.Fixed(3, m.RangeStart[:])
	f.Fixed(4, m.RangeEnd[:])
	f.Uint32(5, &m.Room)
	record.List(f, 6, &m.FeeShares)
}

// PegPlanned answers PlanPeg. (peg.md A5, A8, A13)
type PegPlanned struct {
	Slot     uint64
	Parent   common.Hash
	PegIns   []DepositID
	Credits  []Withdrawal     // gwei, in ascending order of accounts
	Proposal []byte           // empty for none
	Payouts  []RawTransaction // one for each proposal of the range
	Unsigned string           // why the range's payments cannot be finalised yet: no header is carried
	Refused  string           // why no block can be built at all
}

// Type implements core.Message.
func (*PegPlanned) Type() string { return "peg_planned" }

// Schema implements core.Message.
func (*PegPlanned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PegPlanned) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.Fixed(2, m.Parent[:])
	record.List(f, 3, &m.PegIns)
	record.List(f, 4, &m.Credits)
	f.Bytes(5, &m.Proposal)
	record.List(f, 6, &m.Payouts)
	f.String(7, &m.Unsigned)
	f.String(8, &m.Refused)
}

// SignPayments has the bridge actor sign the payments proposed in a range, both ends
// included. The chain actor sends it when a proof of work for the range is queued, in the
// turn that locks the member on the range end or later. (peg.md A11; architecture.md 4,
// Approving)
type SignPayments struct {
	RangeStart common.Hash
	RangeEnd   common.Hash
}

// Type implements core.Message.
func (*SignPayments) Type() string { return "sign_payments" }

// Schema implements core.Message.
func (*SignPayments) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignPayments) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeStart[:])
	f.Fixed(2, m.RangeEnd[:])
}

// ResumePeg is an operator's order: the peg goes on after a halt. It is answered by
// OperatorAnswer.
type ResumePeg struct {
	Request uint64
	Reason  string
}

// Type implements core.Message.
func (*ResumePeg) Type() string { return "resume_peg" }

// Schema implements core.Message.
func (*ResumePeg) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ResumePeg) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.String(2, &m.Reason)
}
