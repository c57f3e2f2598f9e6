package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// CreateAuxBlock asks the miner actor for work. (C13)
type CreateAuxBlock struct {
	Request      uint64 // names the connection's request; answers carry it back
	FeeRecipient common.Address
}

// Type implements core.Message.
func (*CreateAuxBlock) Type() string { return "create_aux_block" }

// Schema implements core.Message.
func (*CreateAuxBlock) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *CreateAuxBlock) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Fixed(2, m.FeeRecipient[:])
}

// AuxBlock is the connection-bound answer to CreateAuxBlock.
type AuxBlock struct {
	Request       uint64
	Error         string   // why there is none
	Hash          [32]byte // commitment, internal order
	ChainID       uint32
	PreviousBlock common.Hash // latest PoW block
	Bits          uint32
	Height        uint64
	RangeStart    common.Hash
	RangeEnd      common.Hash
	Check         string // auxpow.Reject with Error
}

// Type implements core.Message.
func (*AuxBlock) Type() string { return "aux_block" }

// Schema implements core.Message.
func (*AuxBlock) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *AuxBlock) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.String(2, &m.Error)
	f.Fixed(3, m.Hash[:])
	f.Uint32(4, &m.ChainID)
	f.Fixed(5, m.PreviousBlock[:])
	f.Uint32(6, &m.Bits)
	f.Uint64(7, &m.Height)
	f.Fixed(8, m.RangeStart[:])
	f.Fixed(9, m.RangeEnd[:])
	f.String(10, &m.Check)
}

// SubmitAuxBlock hands in a proof for work that CreateAuxBlock gave out. (C13)
type SubmitAuxBlock struct {
	Request uint64
	Hash    [32]byte
	AuxPow  []byte // Namecoin layout (C8)
	// FeeRecipient, with HasRecipient, is who gets the fees: the proof does not say.
	// Without it that is who asked for the work first.
	HasRecipient bool
	FeeRecipient common.Address
}

// Type implements core.Message.
func (*SubmitAuxBlock) Type() string { return "submit_aux_block" }

// Schema implements core.Message.
func (*SubmitAuxBlock) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *SubmitAuxBlock) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Fixed(2, m.Hash[:])
	f.Bytes(3, &m.AuxPow)
	f.Bool(4, &m.HasRecipient)
	f.Fixed(5, m.FeeRecipient[:])
}

// AuxBlockJudged is the connection-bound answer to SubmitAuxBlock.
type AuxBlockJudged struct {
	Request  uint64
	Accepted bool
	Reason   string
	Check    string // auxpow.Reject, the check that failed
}

// Type implements core.Message.
func (*AuxBlockJudged) Type() string { return "aux_block_judged" }

// Schema implements core.Message.
func (*AuxBlockJudged) Schema() uint32 { return 2 }

// Fields implements record.Record.
func (m *AuxBlockJudged) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Bool(2, &m.Accepted)
	f.String(3, &m.Reason)
	f.String(4, &m.Check)
}

// WorkJudged tells the miner actor what became of a proof that it sent with a
// request: queued to be carried, or why not.
type WorkJudged struct {
	Request  uint64
	Accepted bool
	Check    string // auxpow.Reject, the check that failed
	Reason   string
}

// Type implements core.Message.
func (*WorkJudged) Type() string { return "work_judged" }

// Schema implements core.Message.
func (*WorkJudged) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *WorkJudged) Fields(f *record.Fields) {
	f.Uint64(1, &m.Request)
	f.Bool(2, &m.Accepted)
	f.String(3, &m.Check)
	f.String(4, &m.Reason)
}
