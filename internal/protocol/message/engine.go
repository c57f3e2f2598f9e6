package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// What the execution layer can say of a payload.
const (
	ExecutionValid   uint8 = 1
	ExecutionInvalid uint8 = 2
	ExecutionUnknown uint8 = 3 // it cannot judge yet
)

// ImportPayloads is an until-done effect: execute the payloads of these blocks in
// order. The head moves by [UpdateForkchoice] only. (C11)
type ImportPayloads struct {
	Blocks    []Block
	Finalized common.Hash // of behaviour 1, whose imports moved the head
}

// Type implements core.Message.
func (*ImportPayloads) Type() string { return "import_payloads" }

// Schema implements core.Message.
func (*ImportPayloads) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *ImportPayloads) Fields(f *record.Fields) {
	record.List(f, 1, &m.Blocks)
	f.Fixed(2, m.Finalized[:])
}

// PayloadsImported answers ImportPayloads.
type PayloadsImported struct {
	Results []Execution
}

// Type implements core.Message.
func (*PayloadsImported) Type() string { return "payloads_imported" }

// Schema implements core.Message.
func (*PayloadsImported) Schema() uint32 { return 3 }

// Fields implements record.Record.
func (m *PayloadsImported) Fields(f *record.Fields) {
	record.List(f, 1, &m.Results)
}

// BuildPayload is an expiring effect: build on Parent and fetch after WaitMs. (C12, C15)
type BuildPayload struct {
	Slot        uint64
	Parent      common.Hash
	Finalized   common.Hash
	Timestamp   uint64
	WaitMs      uint64
	Withdrawals []Withdrawal
}

// Type implements core.Message.
func (*BuildPayload) Type() string { return "build_payload" }

// Schema implements core.Message.
func (*BuildPayload) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *BuildPayload) Fields(f *record.Fields) {
	f.Uint64(1, &m.Slot)
	f.Fixed(2, m.Parent[:])
	f.Fixed(3, m.Finalized[:])
	f.Uint64(4, &m.Timestamp)
	f.Uint64(5, &m.WaitMs)
	record.List(f, 6, &m.Withdrawals)
}

// PayloadBuilt answers BuildPayload.
type PayloadBuilt struct {
	Payload record.Content // MessagePack (wire.md 9.4, X)
}

// Type implements core.Message.
func (*PayloadBuilt) Type() string { return "payload_built" }

// Schema implements core.Message.
func (*PayloadBuilt) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PayloadBuilt) Fields(f *record.Fields) {
	f.Content(1, &m.Payload)
}

// PayloadFailed answers BuildPayload when there is no payload.
type PayloadFailed struct {
	Grade  uint8
	Reason string
}

// Type implements core.Message.
func (*PayloadFailed) Type() string { return "payload_failed" }

// Schema implements core.Message.
func (*PayloadFailed) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PayloadFailed) Fields(f *record.Fields) {
	f.Uint8(1, &m.Grade)
	f.String(2, &m.Reason)
}
