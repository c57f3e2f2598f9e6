package peer

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// MaxCount is how many blocks one request asks for at most, as in legacy's protocol. (wire.md 9.5)
const MaxCount = 1024

// Range asks for blocks of the head's branch by height, ascending. They come as Block, or as
// Header, and then End.
type Range struct {
	From     uint64
	Count    uint32 // 1 to 1024
	MaxBytes uint32 // of all blocks together; the first comes whatever its size. 0 is the server's bound
	Headers  bool   // without the transactions of payloads
}

// Kind implements Message.
func (*Range) Kind() Kind { return KindRange }

// Fields implements record.Record.
func (m *Range) Fields(f *record.Fields) {
	f.Uint64(1, &m.From)
	f.Uint32(2, &m.Count)
	f.Uint32(3, &m.MaxBytes)
	f.Bool(4, &m.Headers)
	if f.Decoding() && (m.Count == 0 || m.Count > MaxCount) {
		f.Fail("%d blocks asked for, 1 to %d are due", m.Count, MaxCount)
	}
}

// Descend asks for a block by root, of whatever branch, and for those below it, its parent
// first, down to a height. They come as Block, and then End.
type Descend struct {
	Root     common.Hash
	Lowest   uint64 // height of the last block wanted
	Count    uint32 // 1 to 1024
	MaxBytes uint32 // as in Range
}

// Kind implements Message.
func (*Descend) Kind() Kind { return KindDescend }

// Fields implements record.Record.
func (m *Descend) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Lowest)
	f.Uint32(3, &m.Count)
	f.Uint32(4, &m.MaxBytes)
	if f.Decoding() && (m.Count == 0 || m.Count > MaxCount) {
		f.Fail("%d blocks asked for, 1 to %d are due", m.Count, MaxCount)
	}
}

// Block is one signed block, MessagePack. (wire.md 9.4, B)
type Block struct {
	Signed []byte
}

// Kind implements Message.
func (*Block) Kind() Kind { return KindBlock }

// Fields implements record.Record.
func (m *Block) Fields(f *record.Fields) { f.Bytes(1, &m.Signed) }

// Why an answer ends.
const (
	EndComplete uint32 = 0 // all that was asked for was sent
	EndHead     uint32 = 1 // the server has nothing above
	EndBytes    uint32 = 2 // the bound of bytes was reached: ask on
	EndMissing  uint32 = 3 // the server does not have what comes next
	EndBusy     uint32 = 4 // too many requests: ask later, or another
)

// End is the last frame of an answer.
type End struct {
	Code   uint32
	Reason string // for people, at most 200 bytes
}

// Kind implements Message.
func (*End) Kind() Kind { return KindEnd }

// Fields implements record.Record.
func (m *End) Fields(f *record.Fields) {
	f.Uint32(1, &m.Code)
	f.String(2, &m.Reason)
	bounded(f, m.Reason, maxReason)
}

// MaxAsked is how many hashes one request names at most.
const MaxAsked = 64

// Contents asks for contents by SHA-256: of signed blocks and of execution payloads, which
// are public. Each comes as Content in the order asked for, and then End.
type Contents struct {
	Hashes []byte // 32 bytes each, 1 to 64
}

// Kind implements Message.
func (*Contents) Kind() Kind { return KindContents }

// Fields implements record.Record.
func (m *Contents) Fields(f *record.Fields) {
	f.Bytes(1, &m.Hashes)
	hashes(f, m.Hashes)
}

// Content is one content; one that the server does not have, or does not give, is empty.
type Content struct {
	Data []byte
}

// Kind implements Message.
func (*Content) Kind() Kind { return KindContent }

// Fields implements record.Record.
func (m *Content) Fields(f *record.Fields) { f.Bytes(1, &m.Data) }

// hashes refuses a list of hashes that is empty, cut or too long.
func hashes(f *record.Fields, list []byte) {
	if f.Decoding() && (len(list) == 0 || len(list)%32 != 0 || len(list) > 32*MaxAsked) {
		f.Fail("%d bytes where 1 to %d hashes of 32 are due", len(list), MaxAsked)
	}
}

// Hash returns hash i of a list of hashes.
func Hash(list []byte, i int) [32]byte { return [32]byte(list[32*i:]) }
