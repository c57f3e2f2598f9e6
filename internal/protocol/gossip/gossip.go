package gossip

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/msgpack"
)

// The topics, as plain strings. Every node subscribes to all. (wire.md 9.3)
const (
	TopicConsensusBlock   = "consensus_block"
	TopicApproveBlock     = "approve_block"
	TopicQueuePow         = "queue_pow"
	TopicPegoutSignatures = "pegout_signatures"
)

// Topics returns all topics in a fixed order.
func Topics() []string {
	return []string{TopicConsensusBlock, TopicApproveBlock, TopicQueuePow, TopicPegoutSignatures}
}

// MaxLegacySize is the largest gossip frame legacy sends or takes, in bytes; a
// message must stay below it by the frame's own overhead. (wire.md 9.2)
const MaxLegacySize = 65536

// frameOverhead is what a frame takes beside a message's data, rounded up: author (40
// bytes), sequence number (10), the longest topic (19), signature (66), and the
// headers of data and message (8).
const frameOverhead = 160

// MaxData is the most data that a message in a legacy frame has.
const MaxData = MaxLegacySize - frameOverhead

// The names of the variants in the envelope. (wire.md 9.4)
const (
	variantConsensusBlock   = "ConsensusBlock"
	variantApproveBlock     = "ApproveBlock"
	variantQueuePow         = "QueuePow"
	variantPegoutSignatures = "PegoutSignatures"
)

// Message is one of the four gossip messages.
type Message interface {
	// Topic returns the topic the message is published on.
	Topic() string
	// Encode returns the message's bytes.
	Encode() []byte
	variant() string
	appendTo(dst []byte) []byte
}

// ConsensusBlock spreads a block with the approvals its sender knows.
type ConsensusBlock struct {
	Signed *block.Signed
}

// ApproveBlock spreads one authority's approval of a block.
type ApproveBlock struct {
	Root     common.Hash
	Approval aura.Approval
}

// QueuePow spreads a proof of work over a range of blocks.
type QueuePow struct {
	Header *block.AuxPowHeader
}

// PegoutSignatures spreads one member's signatures of the peg-out proposals of a
// range, one entry per proposal. It may be empty. Legacy sends the entries in
// arbitrary order; they keep the order they came in.
type PegoutSignatures struct {
	Entries []PegoutEntry
}

// PegoutEntry holds one member's signatures of one Bitcoin transaction.
type PegoutEntry struct {
	Txid       chainhash.Hash // internal byte order
	PublicKey  [33]byte       // the signer's compressed secp256k1 key
	Signatures [][64]byte     // Schnorr, one per input, in order
}

// Topic implements [Message].
func (*ConsensusBlock) Topic() string { return TopicConsensusBlock }

// Topic implements [Message].
func (*ApproveBlock) Topic() string { return TopicApproveBlock }

// Topic implements [Message].
func (*QueuePow) Topic() string { return TopicQueuePow }

// Topic implements [Message].
func (*PegoutSignatures) Topic() string { return TopicPegoutSignatures }

func (*ConsensusBlock) variant() string   { return variantConsensusBlock }
func (*ApproveBlock) variant() string     { return variantApproveBlock }
func (*QueuePow) variant() string         { return variantQueuePow }
func (*PegoutSignatures) variant() string { return variantPegoutSignatures }

// Encode implements [Message].
func (m *ConsensusBlock) Encode() []byte { return encode(m) }

// Encode implements [Message].
func (m *ApproveBlock) Encode() []byte { return encode(m) }

// Encode implements [Message].
func (m *QueuePow) Encode() []byte { return encode(m) }

// Encode implements [Message].
func (m *PegoutSignatures) Encode() []byte { return encode(m) }

func encode(m Message) []byte {
	return m.appendTo(msgpack.AppendString(msgpack.AppendMap(nil, 1), m.variant()))
}

func (m *ConsensusBlock) appendTo(dst []byte) []byte { return m.Signed.AppendTo(dst) }

func (m *ApproveBlock) appendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 2)
	dst = msgpack.AppendHex(dst, m.Root[:])
	dst = msgpack.AppendArray(dst, 2)
	dst = msgpack.AppendHex(dst, m.Approval.Signature[:])
	return msgpack.AppendUint(dst, uint64(m.Approval.Authority))
}

func (m *QueuePow) appendTo(dst []byte) []byte { return m.Header.AppendTo(dst) }

func (m *PegoutSignatures) appendTo(dst []byte) []byte {
	dst = msgpack.AppendMap(dst, len(m.Entries))
	for i := range m.Entries {
		e := &m.Entries[i]
		dst = msgpack.AppendBin(dst, e.Txid[:])
		dst = msgpack.AppendArray(dst, 2)
		dst = msgpack.AppendByteArray(dst, e.PublicKey[:])
		dst = msgpack.AppendArray(dst, len(e.Signatures))
		for k := range e.Signatures {
			dst = msgpack.AppendBin(dst, e.Signatures[k][:])
		}
	}
	return dst
}

// Fewest bytes an element of each list takes, for the check against what is left.
const (
	leastEntry     = 34 + 1 + 3 + 33 + 1
	leastSignature = 2 + 64
)

// Decode reads a gossip message of any variant. Every spelling but the canonical
// one, a txid that occurs twice and trailing bytes are refused.
func Decode(data []byte) (Message, error) {
	r := msgpack.NewReader(data, block.MaxSize)
	if n := r.Map(2, "gossip message"); n != 1 && r.Err() == nil {
		r.Fail("gossip message: map of %d entries, want 1", n)
	}
	var m Message
	switch name := r.String(32, "gossip message: variant"); name {
	case variantConsensusBlock:
		m = &ConsensusBlock{Signed: block.ReadSigned(r)}
	case variantApproveBlock:
		m = readApproval(r)
	case variantQueuePow:
		m = &QueuePow{Header: block.ReadAuxPowHeader(r)}
	case variantPegoutSignatures:
		m = readSignatures(r)
	default:
		r.Fail("gossip message: unknown variant %q", name)
	}
	if err := r.End("gossip message"); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "gossip message is refused")
	}
	return m, nil
}

func readApproval(r *msgpack.Reader) *ApproveBlock {
	m := new(ApproveBlock)
	r.Array(2, "approval")
	r.Hex(m.Root[:], "approval: block hash")
	r.Array(2, "approval: vote")
	r.Hex(m.Approval.Signature[:], "approval: signature")
	m.Approval.Authority = r.Uint8("approval: authority index")
	return m
}

func readSignatures(r *msgpack.Reader) *PegoutSignatures {
	m := new(PegoutSignatures)
	if n := r.Map(leastEntry, "pegout signatures"); n > 0 {
		m.Entries = make([]PegoutEntry, n)
	}
	seen := make(map[chainhash.Hash]bool, len(m.Entries))
	for i := range m.Entries {
		e := &m.Entries[i]
		r.Bin(e.Txid[:], "pegout signatures: txid")
		r.Array(2, "pegout signatures: entry")
		r.ByteArrayOf(e.PublicKey[:], "pegout signatures: public key")
		if n := r.List(leastSignature, "pegout signatures: list"); n > 0 {
			e.Signatures = make([][64]byte, n)
		}
		for k := range e.Signatures {
			r.Bin(e.Signatures[k][:], "pegout signatures: signature")
		}
		if seen[e.Txid] {
			r.Fail("pegout signatures: txid %s occurs twice", e.Txid)
		}
		if r.Err() != nil {
			return m
		}
		seen[e.Txid] = true
	}
	return m
}
