package peer

import (
	"crypto/sha256"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Header is a block up to the transactions of its payload, with the hashes that lead from
// there to its root, and its approvals: enough to check links, slots, heights, proofs of
// work and signatures of a chain without its transactions. (docs/formats/peer-protocol.md, Headers)
type Header struct {
	Front     []byte // of the block's bytes, whole chunks of 32
	Siblings  []byte // 32 bytes each, from the leaves upwards
	Depth     uint32 // levels of the block's tree above the leaves
	Bits      [2]byte
	Signature aura.Signature
}

const (
	leaf = 32
	// maxDepth is that of a block of block.MaxSize.
	maxDepth = 21
)

// Kind implements Message.
func (*Header) Kind() Kind { return KindHeader }

// Fields implements record.Record.
func (m *Header) Fields(f *record.Fields) {
	f.Bytes(1, &m.Front)
	f.Bytes(2, &m.Siblings)
	f.Uint32(3, &m.Depth)
	f.Fixed(4, m.Bits[:])
	f.Fixed(5, m.Signature[:])
	if f.Decoding() && (m.Depth > maxDepth || len(m.Front) == 0 || len(m.Front)%leaf != 0 || len(m.Siblings)%leaf != 0) {
		f.Fail("a header of %d bytes with %d bytes of hashes in a tree of depth %d", len(m.Front), len(m.Siblings), m.Depth)
	}
}

// NewHeader makes the header of a block.
func NewHeader(signed *block.Signed) (*Header, error) {
	data := signed.Block.Encode()
	_, front, err := block.DecodeFront(data)
	if err != nil {
		return nil, err
	}
	level := make([]byte, (len(data)+leaf-1)/leaf*leaf)
	copy(level, data)
	kept := (front + leaf - 1) / leaf
	m := &Header{Front: level[: kept*leaf : kept*leaf], Bits: signed.Approvals.Bits, Signature: signed.Approvals.Signature}
	m.Depth = uint32(bits.Len(uint(len(level)/leaf - 1)))
	zero := make([]byte, leaf) // the tree of zero chunks of the level's height
	for range m.Depth {
		if kept%2 == 1 {
			sibling := zero
			if len(level) > kept*leaf {
				sibling = level[kept*leaf : (kept+1)*leaf]
			}
			m.Siblings = append(m.Siblings, sibling...)
		}
		if len(level)/leaf%2 == 1 {
			level = append(level[:len(level):len(level)], zero...)
		}
		level, kept, zero = parents(level), (kept+1)/2, parents(append(zero, zero...))
	}
	return m, nil
}

// Open returns what a header says and the root it leads to. Of the block there are all
// fields up to the transactions of the payload; the rest is empty.
func (m *Header) Open() (*block.Block, common.Hash, error) {
	b, front, err := block.DecodeFront(m.Front)
	if err != nil {
		return nil, common.Hash{}, err
	}
	if (front+leaf-1)/leaf*leaf != len(m.Front) {
		return nil, common.Hash{}, fault.New(fault.Invalid, "peer: a header of %d bytes, of which %d are the block's", len(m.Front), front)
	}
	level, siblings := m.Front, m.Siblings
	for range m.Depth {
		if len(level)/leaf%2 == 1 {
			if len(siblings) == 0 {
				return nil, common.Hash{}, fault.New(fault.Invalid, "peer: a header with too few hashes")
			}
			level = append(level[:len(level):len(level)], siblings[:leaf]...)
			siblings = siblings[leaf:]
		}
		level = parents(level)
	}
	if len(level) != leaf || len(siblings) > 0 {
		return nil, common.Hash{}, fault.New(fault.Invalid, "peer: the hashes of a header do not lead to one root")
	}
	return b, common.Hash(level), nil
}

// Approvals returns the approvals of the header's block.
func (m *Header) Approvals() aura.Approvals {
	return aura.Approvals{Bits: m.Bits, Signature: m.Signature}
}

// parents hashes the nodes of a level, an even number, in pairs.
func parents(level []byte) []byte {
	out := make([]byte, 0, len(level)/2)
	for ; len(level) > 0; level = level[2*leaf:] {
		sum := sha256.Sum256(level[:2*leaf])
		out = append(out, sum[:]...)
	}
	return out
}
