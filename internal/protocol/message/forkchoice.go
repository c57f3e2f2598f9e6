package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// DecideBranch is an operator's decision to follow the quorum branch that ends in Root
// although it excludes the finalised block (architecture.md 4, Finality), or, with Keep, to
// keep to the branch of a block that stands on the finalised one, whatever other branch is
// longer, until finality passes the block.
type DecideBranch struct {
	Request uint64
	Root    common.Hash
	Reason  string
	Keep    bool
}

// Type implements core.Message.
func (*DecideBranch) Type() string { return "decide_branch" }

// Schema implements core.Message.
func (*DecideBranch) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *DecideBranch) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Fixed(2, m.Root[:])
	f.String(3, &m.Reason)
	f.Bool(4, &m.Keep)
}

// BranchKept is the fact that an operator has this member keep to the branch of a block: the
// head is on it as soon as a block of it with a quorum is executed, and no carrier beside it is
// approved. The finalised block as Root ends that.
type BranchKept struct {
	Root   common.Hash
	Number uint64
	Reason string
}

// Type implements core.Message.
func (*BranchKept) Type() string { return "branch_kept" }

// Schema implements core.Message.
func (*BranchKept) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BranchKept) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.String(3, &m.Reason)
}

// BranchDecided is the fact that an operator's decision moved the finalised block down to the
// common ancestor; the facts of the reorganisation are in the same turn.
type BranchDecided struct {
	Root      common.Hash // tip of the branch that is followed
	Number    uint64
	Abandoned *BlockID // the block that was final until now
	Ancestor  *BlockID // the last block of both branches
	Reason    string
}

// Type implements core.Message.
func (*BranchDecided) Type() string { return "branch_decided" }

// Schema implements core.Message.
func (*BranchDecided) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BranchDecided) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	record.Optional(f, 3, &m.Abandoned)
	record.Optional(f, 4, &m.Ancestor)
	f.String(5, &m.Reason)
}

// BranchExcluded is the fact that a branch with a quorum, longer than the head's, excludes
// the finalised block: it is not followed without an operator's decision.
type BranchExcluded struct {
	Root      common.Hash
	Number    uint64
	Finalized *BlockID
	Ancestor  *BlockID // the last block of both branches
}

// Type implements core.Message.
func (*BranchExcluded) Type() string { return "branch_excluded" }

// Schema implements core.Message.
func (*BranchExcluded) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BranchExcluded) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	record.Optional(f, 3, &m.Finalized)
	record.Optional(f, 4, &m.Ancestor)
}

// FinalityConflict is the fact that two carriers with quorums of real approvals finalise ranges
// of which none contains the other. The node stops: more members than the federation tolerates
// signed both. The signed blocks are the proofs.
type FinalityConflict struct {
	Ours         *BlockID // the finalised block
	OurCarrier   common.Hash
	OurProof     record.Content // the signed carrier
	Other        *BlockID       // the range end that conflicts
	OtherCarrier common.Hash
	OtherProof   record.Content
}

// Type implements core.Message.
func (*FinalityConflict) Type() string { return "finality_conflict" }

// Schema implements core.Message.
func (*FinalityConflict) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FinalityConflict) Fields(f *record.Fields) {
	record.Optional(f, 1, &m.Ours)
	f.Fixed(2, m.OurCarrier[:])
	f.Content(3, &m.OurProof)
	record.Optional(f, 4, &m.Other)
	f.Fixed(5, m.OtherCarrier[:])
	f.Content(6, &m.OtherProof)
}

// MoveHead tells the engine actor which payload is the head and which is final from now on.
type MoveHead struct {
	Head      common.Hash // payload hash
	Finalized common.Hash // payload hash, zero for none
}

// Type implements core.Message.
func (*MoveHead) Type() string { return "move_head" }

// Schema implements core.Message.
func (*MoveHead) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *MoveHead) Fields(f *record.Fields) {
	f.Fixed(1, m.Head[:])
	f.Fixed(2, m.Finalized[:])
}

// UpdateForkchoice is an until-done effect: make these payloads head, safe and finalised.
// (C11, C15)
type UpdateForkchoice struct {
	Head      common.Hash
	Safe      common.Hash // zero for none
	Finalized common.Hash // zero for none
}

// Type implements core.Message.
func (*UpdateForkchoice) Type() string { return "update_forkchoice" }

// Schema implements core.Message.
func (*UpdateForkchoice) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *UpdateForkchoice) Fields(f *record.Fields) {
	f.Fixed(1, m.Head[:])
	f.Fixed(2, m.Safe[:])
	f.Fixed(3, m.Finalized[:])
}

// ForkchoiceUpdated answers UpdateForkchoice.
type ForkchoiceUpdated struct {
	Status      uint8 // ExecutionValid, ExecutionInvalid, ExecutionUnknown
	Reason      string
	LatestValid common.Hash // zero when the client does not say
}

// Type implements core.Message.
func (*ForkchoiceUpdated) Type() string { return "forkchoice_updated" }

// Schema implements core.Message.
func (*ForkchoiceUpdated) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ForkchoiceUpdated) Fields(f *record.Fields) {
	f.Uint8(1, &m.Status)
	f.String(2, &m.Reason)
	f.Fixed(3, m.LatestValid[:])
}

// HeadRefused is the fact that the execution layer calls a head invalid whose payload it
// executed before: its data or its program is at fault. It is told again until it agrees.
type HeadRefused struct {
	Head        common.Hash // payload hash
	Finalized   common.Hash // payload hash, zero for none
	LatestValid common.Hash // zero when the client does not say
	Reason      string
}

// Type implements core.Message.
func (*HeadRefused) Type() string { return "head_refused" }

// Schema implements core.Message.
func (*HeadRefused) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *HeadRefused) Fields(f *record.Fields) {
	f.Fixed(1, m.Head[:])
	f.Fixed(2, m.Finalized[:])
	f.Fixed(3, m.LatestValid[:])
	f.String(4, &m.Reason)
}
