package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// SignApproval is an until-done effect: the BLS signature by which this member approves
// another member's block. It leaves only after the turn that recorded the approval,
// and its lock when the block is a carrier, is durable. (C5.10)
type SignApproval struct {
	Root   common.Hash
	Number uint64
	Slot   uint64
}

// Type implements core.Message.
func (*SignApproval) Type() string { return "sign_approval" }

// Schema implements core.Message.
func (*SignApproval) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignApproval) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Uint64(3, &m.Slot)
}

// ApprovalSigned answers SignApproval; SignRefused is the other answer.
type ApprovalSigned struct {
	Root      common.Hash
	Signature aura.Signature
}

// Type implements core.Message.
func (*ApprovalSigned) Type() string { return "approval_signed" }

// Schema implements core.Message.
func (*ApprovalSigned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ApprovalSigned) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Fixed(2, m.Signature[:])
}

// ApprovalMade is the fact that this member decided to approve a block of another, or a
// carrier of its own. With RangeEnd the block is a carrier, and the range end is locked
// from now on. (architecture.md 4, Approving)
type ApprovalMade struct {
	Root     common.Hash
	Number   uint64
	Slot     uint64
	RangeEnd common.Hash // zero when the block is no carrier
}

// Type implements core.Message.
func (*ApprovalMade) Type() string { return "approval_made" }

// Schema implements core.Message.
func (*ApprovalMade) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ApprovalMade) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Uint64(3, &m.Slot)
	f.Fixed(4, m.RangeEnd[:])
}

// ApprovalWithheld is the fact that this member does not approve a valid block, by one of
// its signer rules.
type ApprovalWithheld struct {
	Root   common.Hash
	Number uint64
	Grade  uint8  // fault.Grade: invalid, or cannot judge yet
	Rule   string // name of the signer rule
	Reason string
}

// Type implements core.Message.
func (*ApprovalWithheld) Type() string { return "approval_withheld" }

// Schema implements core.Message.
func (*ApprovalWithheld) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ApprovalWithheld) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Uint8(3, &m.Grade)
	f.String(4, &m.Rule)
	f.String(5, &m.Reason)
}

// RangeLocked is the fact that this member is locked on a range end before it signs the
// payments of the range, without having approved a carrier of it. (architecture.md 4,
// Approving)
type RangeLocked struct {
	RangeEnd common.Hash
	Number   uint64 // its height
	Payments uint32 // proposed in the range
}

// Type implements core.Message.
func (*RangeLocked) Type() string { return "range_locked" }

// Schema implements core.Message.
func (*RangeLocked) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *RangeLocked) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeEnd[:])
	f.Uint64(2, &m.Number)
	f.Uint32(3, &m.Payments)
}

// LockEnded is the fact that an approved range end binds this member no longer.
type LockEnded struct {
	RangeEnd common.Hash
	By       string      // "finality" or "operator"
	Carrier  common.Hash // the carrier that finalised a conflicting end; zero by an operator
	Reason   string
}

// Type implements core.Message.
func (*LockEnded) Type() string { return "lock_ended" }

// Schema implements core.Message.
func (*LockEnded) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *LockEnded) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeEnd[:])
	f.String(2, &m.By)
	f.Fixed(3, m.Carrier[:])
	f.String(4, &m.Reason)
}

// NeverApprove is an operator's order to state, signed, that this member never approved and
// never will approve a carrier of RangeEnd. Others need such statements to release a lock.
type NeverApprove struct {
	Request  uint64
	RangeEnd common.Hash
}

// Type implements core.Message.
func (*NeverApprove) Type() string { return "never_approve" }

// Schema implements core.Message.
func (*NeverApprove) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *NeverApprove) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Fixed(2, m.RangeEnd[:])
}

// SignStatement is an until-done effect: the BLS signature over aura.NeverApproveRoot(RangeEnd).
type SignStatement struct {
	RangeEnd common.Hash
}

// Type implements core.Message.
func (*SignStatement) Type() string { return "sign_statement" }

// Schema implements core.Message.
func (*SignStatement) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *SignStatement) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeEnd[:])
}

// StatementSigned answers SignStatement.
type StatementSigned struct {
	RangeEnd  common.Hash
	Signature aura.Signature
}

// Type implements core.Message.
func (*StatementSigned) Type() string { return "statement_signed" }

// Schema implements core.Message.
func (*StatementSigned) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *StatementSigned) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeEnd[:])
	f.Fixed(2, m.Signature[:])
}

// StatementMade is the fact that this member made the statement of NeverApprove.
type StatementMade struct {
	RangeEnd  common.Hash
	Authority uint32
	Signature aura.Signature
}

// Type implements core.Message.
func (*StatementMade) Type() string { return "statement_made" }

// Schema implements core.Message.
func (*StatementMade) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *StatementMade) Fields(f *record.Fields) {
	f.Fixed(1, m.RangeEnd[:])
	f.Uint32(2, &m.Authority)
	f.Fixed(3, m.Signature[:])
}

// Statement is one member's signed word that it never approves a carrier of a range end.
type Statement struct {
	Authority uint32
	Signature aura.Signature
}

// Fields implements record.Record.
func (m *Statement) Fields(f *record.Fields) {
	f.Uint32(1, &m.Authority)
	f.Fixed(2, m.Signature[:])
}

// ReleaseLock is an operator's order to end the lock on a range end, with the statements of
// n - Q + 1 members that they never approve it. (architecture.md 4, Approving)
type ReleaseLock struct {
	Request    uint64
	RangeEnd   common.Hash
	Statements []Statement
	Reason     string
}

// Type implements core.Message.
func (*ReleaseLock) Type() string { return "release_lock" }

// Schema implements core.Message.
func (*ReleaseLock) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ReleaseLock) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Fixed(2, m.RangeEnd[:])
	record.List(f, 3, &m.Statements)
	f.String(4, &m.Reason)
}

// OperatorAnswer is the connection-bound answer to an operator's order.
type OperatorAnswer struct {
	Request uint64
	Done    bool
	Reason  string // why not, when it is not done
	// Signature is that of a statement that was asked for; zero otherwise.
	Signature aura.Signature
}

// Type implements core.Message.
func (*OperatorAnswer) Type() string { return "operator_answer" }

// Schema implements core.Message.
func (*OperatorAnswer) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *OperatorAnswer) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Bool(2, &m.Done)
	f.String(3, &m.Reason)
	f.Fixed(4, m.Signature[:])
}
