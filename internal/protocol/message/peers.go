package message

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// PublishBlock is a fire-and-forget effect: gossip a signed block. (wire.md 9.4)
type PublishBlock struct {
	Signed record.Content
}

// Type implements core.Message.
func (*PublishBlock) Type() string { return "publish_block" }

// Schema implements core.Message.
func (*PublishBlock) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PublishBlock) Fields(f *record.Fields) {
	f.Content(1, &m.Signed)
}

// PublishApproval is a fire-and-forget effect: gossip this member's approval. (wire.md 9.4)
type PublishApproval struct {
	Root      common.Hash
	Authority uint8
	Signature aura.Signature
}

// Type implements core.Message.
func (*PublishApproval) Type() string { return "publish_approval" }

// Schema implements core.Message.
func (*PublishApproval) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PublishApproval) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint8(2, &m.Authority)
	f.Fixed(3, m.Signature[:])
}

// PublishWork is a fire-and-forget effect: gossip a proof that waits to be carried. (C13)
type PublishWork struct {
	Header []byte // AuxPoW header, MessagePack
}

// Type implements core.Message.
func (*PublishWork) Type() string { return "publish_work" }

// Schema implements core.Message.
func (*PublishWork) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *PublishWork) Fields(f *record.Fields) {
	f.Bytes(1, &m.Header)
}

// FetchBlocks is a fire-and-forget effect: ask peers for a block and those before it down to
// From. What they send comes as BlocksReceived of origin "sync".
type FetchBlocks struct {
	Root common.Hash
	From uint64 // lowest height wanted
}

// Type implements core.Message.
func (*FetchBlocks) Type() string { return "fetch_blocks" }

// Schema implements core.Message.
func (*FetchBlocks) Schema() uint32 { return 1 }

// Fields implements record.Record.
func (m *FetchBlocks) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.From)
}
