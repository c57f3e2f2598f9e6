package peer

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Bounds of compact blocks. A transaction uses 21,000 gas at least, so 16,384 of them fill
// 344 million gas.
const (
	MaxTransactions = 16384
	MaxSkeleton     = 4 << 20   // a block without the transactions of its payload, in bytes
	partBytes       = 256 << 10 // transactions of one frame, unless a single one is longer
)

// Announce names a block that the sender has just received or made and that legacy's gossip
// cannot carry. It is answered by Want or End. (wire.md P10)
type Announce struct {
	Root   common.Hash
	Number uint64
	Bytes  uint32 // of the signed block, MessagePack
}

// Kind implements Message.
func (*Announce) Kind() Kind { return KindAnnounce }

// Fields implements record.Record.
func (m *Announce) Fields(f *record.Fields) {
	f.Fixed(1, m.Root[:])
	f.Uint64(2, &m.Number)
	f.Uint32(3, &m.Bytes)
	if f.Decoding() && (m.Bytes == 0 || m.Bytes > MaxBlock) {
		f.Fail("a block of %d bytes, 1 to %d are due", m.Bytes, MaxBlock)
	}
}

// Want asks the sender of Announce for the block without transactions, or for transactions.
type Want struct {
	Skeleton bool
	Indexes  []uint64 // of transactions, ascending
}

// Kind implements Message.
func (*Want) Kind() Kind { return KindWant }

// Fields implements record.Record.
func (m *Want) Fields(f *record.Fields) {
	f.Bool(1, &m.Skeleton)
	f.Uint64s(2, &m.Indexes)
	if !f.Decoding() {
		return
	}
	if m.Skeleton == (len(m.Indexes) > 0) || len(m.Indexes) > MaxTransactions {
		f.Fail("%d transactions asked for, skeleton %t", len(m.Indexes), m.Skeleton)
	}
	for i, x := range m.Indexes {
		if x >= MaxTransactions || i > 0 && x <= m.Indexes[i-1] {
			f.Fail("transaction %d is asked for out of order", x)
			return
		}
	}
}

// Compact is a signed block whose payload has the hashes of its transactions instead of
// them.
type Compact struct {
	Skeleton []byte // the signed block without transactions, MessagePack
	Hashes   []byte // Keccak-256 of each transaction, in order
}

// Kind implements Message.
func (*Compact) Kind() Kind { return KindCompact }

// Fields implements record.Record.
func (m *Compact) Fields(f *record.Fields) {
	f.Bytes(1, &m.Skeleton)
	f.Bytes(2, &m.Hashes)
	if f.Decoding() && (len(m.Skeleton) > MaxSkeleton || len(m.Hashes)%32 != 0 || len(m.Hashes) > 32*MaxTransactions) {
		f.Fail("a skeleton of %d bytes and %d bytes of hashes", len(m.Skeleton), len(m.Hashes))
	}
}

// NewCompact makes the compact form of a block. The error is of a block beyond the bounds.
func NewCompact(signed *block.Signed) (*Compact, error) {
	bare := *signed
	bare.Block.Payload.Transactions = nil
	m := &Compact{Skeleton: bare.Encode()}
	list := signed.Block.Payload.Transactions
	if len(m.Skeleton) > MaxSkeleton || len(list) > MaxTransactions {
		return nil, fault.New(fault.Invalid, "peer: a block with %d transactions and %d bytes beside them has no compact form", len(list), len(m.Skeleton))
	}
	for _, tx := range list {
		m.Hashes = append(m.Hashes, crypto.Keccak256(tx)...)
	}
	return m, nil
}

// Parts are transactions in the order they were asked for, each behind its length as a
// varint. Several frames answer one Want.
type Parts struct {
	List []byte
}

// Kind implements Message.
func (*Parts) Kind() Kind { return KindParts }

// Fields implements record.Record.
func (m *Parts) Fields(f *record.Fields) {
	f.Bytes(1, &m.List)
	if f.Decoding() && len(m.List) == 0 {
		f.Fail("no transaction")
	}
}

// Split cuts transactions into frames, of which each is small unless one transaction is not.
// Indexes beyond the list are an error.
func Split(list [][]byte, indexes []uint64) (frames []*Parts, err error) {
	p := &Parts{}
	for _, i := range indexes {
		if i >= uint64(len(list)) {
			return nil, fault.New(fault.Invalid, "peer: transaction %d of %d is asked for", i, len(list))
		}
		tx := list[i]
		if len(p.List) > 0 && len(p.List)+len(tx) > partBytes {
			frames, p = append(frames, p), &Parts{}
		}
		p.List = binary.AppendUvarint(p.List, uint64(len(tx)))
		p.List = append(p.List, tx...)
	}
	if len(p.List) > 0 {
		frames = append(frames, p)
	}
	return frames, nil
}

// Puzzle is a block that is put together from its compact form.
type Puzzle struct {
	signed  *block.Signed
	hashes  []byte
	missing []uint64 // indexes, ascending
	root    common.Hash
	bytes   int // of the whole block
	room    int // for the transactions that are not there yet, in hex
}

// Open begins to put a block together, with those transactions that have returns by their
// hash. The announcement bounds it.
func (m *Compact) Open(a *Announce, have func(common.Hash) []byte) (*Puzzle, error) {
	signed, err := block.Decode(m.Skeleton)
	if err != nil {
		return nil, err
	}
	switch {
	case len(signed.Block.Payload.Transactions) > 0:
		return nil, fault.New(fault.Invalid, "peer: the skeleton of block %s has transactions", a.Root)
	case signed.Block.Payload.BlockNumber != a.Number:
		return nil, fault.New(fault.Invalid, "peer: block %s is announced at height %d and has height %d", a.Root, a.Number, signed.Block.Payload.BlockNumber)
	}
	n := len(m.Hashes) / 32
	p := &Puzzle{signed: signed, hashes: m.Hashes, root: a.Root, bytes: int(a.Bytes), room: int(a.Bytes) - len(m.Skeleton)}
	signed.Block.Payload.Transactions = make([][]byte, n)
	for i := range n {
		tx := []byte(nil)
		if have != nil {
			tx = have(Hash(m.Hashes, i))
		}
		if tx == nil || crypto.Keccak256Hash(tx) != Hash(m.Hashes, i) {
			p.missing = append(p.missing, uint64(i))
			continue
		}
		if err := p.put(i, tx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Missing returns the indexes of the transactions that are not there yet.
func (p *Puzzle) Missing() []uint64 { return p.missing }

// Take puts the next of the missing transactions in.
func (p *Puzzle) Take(m *Parts) error {
	for rest := m.List; len(rest) > 0; {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return fault.New(fault.Invalid, "peer: a transaction of block %s is cut", p.root)
		}
		tx := rest[used : used+int(n)]
		rest = rest[used+int(n):]
		if len(p.missing) == 0 {
			return fault.New(fault.Invalid, "peer: more transactions of block %s than were asked for", p.root)
		}
		i := int(p.missing[0])
		if crypto.Keccak256Hash(tx) != Hash(p.hashes, i) {
			return fault.New(fault.Invalid, "peer: transaction %d of block %s has another hash", i, p.root)
		}
		p.missing = p.missing[1:]
		if err := p.put(i, tx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Puzzle) put(i int, tx []byte) error {
	if p.room -= 2 * len(tx); p.room < 0 {
		return fault.New(fault.Invalid, "peer: block %s has more than the %d bytes announced", p.root, p.bytes)
	}
	p.signed.Block.Payload.Transactions[i] = tx
	return nil
}

// Block returns the whole block and its bytes. They are those that were announced: the root
// is, and so is the length.
func (p *Puzzle) Block() (*block.Signed, []byte, error) {
	if len(p.missing) > 0 {
		return nil, nil, fault.New(fault.CannotJudge, "peer: %d transactions of block %s are missing", len(p.missing), p.root)
	}
	data := p.signed.Encode()
	if len(data) != p.bytes {
		return nil, nil, fault.New(fault.Invalid, "peer: block %s has %d bytes, %d were announced", p.root, len(data), p.bytes)
	}
	if root := p.signed.Block.Root(); root != p.root {
		return nil, nil, fault.New(fault.Invalid, "peer: block %s was announced as %s", root, p.root)
	}
	return p.signed, data, nil
}
