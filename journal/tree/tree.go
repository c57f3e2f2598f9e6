package tree

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// StoredLevel is the lowest level that is worth storing: the node over 256
// events. Everything below is hashed from the events when a proof needs it, so
// that the tree costs a quarter of a byte an event.
const StoredLevel = 8

// Hash is a node of the tree.
type Hash = journal.Hash

// Leaf returns the hash of an event: SHA-256(0x00 || envelope).
func Leaf(envelope []byte) Hash {
	h := sha256.New()
	h.Write([]byte{rfc6962.RFC6962LeafHashPrefix})
	h.Write(envelope)
	var sum Hash
	h.Sum(sum[:0])
	return sum
}

// Node returns the hash of two subtrees: SHA-256(0x01 || left || right).
func Node(left, right Hash) Hash {
	var b [1 + 2*len(Hash{})]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+len(left):], right[:])
	return sha256.Sum256(b[:])
}

// EmptyRoot is the root of the tree without events: SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// Builder appends leaves to a tree. It holds one hash a level. The zero value
// is the empty tree.
type Builder struct {
	size uint64
	// spine has the complete subtree of each level whose bit is set in size.
	spine [64]Hash
}

// Size returns the number of leaves.
func (b *Builder) Size() uint64 { return b.size }

// Append adds a leaf. visit, if not nil, is called with every subtree above the
// leaf that is complete now, from the lower to the higher.
func (b *Builder) Append(leaf Hash, visit func(level uint, index uint64, h Hash)) {
	level, h := uint(0), leaf
	for ; b.size>>level&1 == 1; level++ {
		h = Node(b.spine[level], h)
		if visit != nil {
			visit(level+1, b.size>>(level+1), h)
		}
	}
	b.spine[level] = h
	b.size++
}

// Root returns the root over all leaves so far.
func (b *Builder) Root() Hash {
	if b.size == 0 {
		return EmptyRoot()
	}
	level := uint(bits.TrailingZeros64(b.size))
	root := b.spine[level]
	for level++; b.size>>level != 0; level++ {
		if b.size>>level&1 == 1 {
			root = Node(b.spine[level], root)
		}
	}
	return root
}

// Source finds nodes of a tree: stored ones where there are, the others from
// the events. It is for one goroutine.
type Source struct {
	// Stored returns a stored node of [StoredLevel] or above, false if it is
	// not there. Nil means that nothing is stored.
	Stored func(level uint, index uint64) (Hash, bool, error)
	// Leaves calls yield with the leaf hashes from first on, at most count.
	Leaves func(first, count uint64, yield func(Hash)) error

	made map[nodeID]Hash // nodes of StoredLevel and above that were not stored
}

type nodeID struct {
	level uint
	index uint64
}

// Node returns the complete subtree over the leaves index<<level up to, and not
// including, (index+1)<<level.
func (s *Source) Node(level uint, index uint64) (Hash, error) {
	if level < StoredLevel {
		return s.hash(level, index)
	}
	if s.Stored != nil {
		if h, ok, err := s.Stored(level, index); err != nil || ok {
			return h, err
		}
	}
	id := nodeID{level, index}
	if h, ok := s.made[id]; ok {
		return h, nil
	}
	h, err := s.make(level, index)
	if err != nil {
		return Hash{}, err
	}
	if s.made == nil {
		s.made = make(map[nodeID]Hash)
	}
	s.made[id] = h
	return h, nil
}

func (s *Source) make(level uint, index uint64) (Hash, error) {
	if level == StoredLevel {
		return s.hash(level, index)
	}
	left, err := s.Node(level-1, 2*index)
	if err != nil {
		return Hash{}, err
	}
	right, err := s.Node(level-1, 2*index+1)
	return Node(left, right), err
}

// hash makes a node of a low level from its leaves.
func (s *Source) hash(level uint, index uint64) (Hash, error) {
	var b Builder
	first, count := index<<level, uint64(1)<<level
	if err := s.Leaves(first, count, func(h Hash) { b.Append(h, nil) }); err != nil {
		return Hash{}, err
	}
	if b.size != count {
		return Hash{}, fault.New(fault.Corrupt, "tree: of the events %d to %d, %d are there", first+1, first+count, b.size)
	}
	return b.Root(), nil
}

// Builder returns the builder of a tree that has size leaves already.
func (s *Source) Builder(size uint64) (*Builder, error) {
	b := &Builder{size: size}
	for level := uint(0); size>>level != 0; level++ {
		if size>>level&1 == 0 {
			continue
		}
		h, err := s.Node(level, size>>level-1)
		if err != nil {
			return nil, err
		}
		b.spine[level] = h
	}
	return b, nil
}

// Root returns the root of the tree over the first size events.
func (s *Source) Root(size uint64) (Hash, error) {
	b, err := s.Builder(size)
	if err != nil {
		return Hash{}, err
	}
	return b.Root(), nil
}

// Inclusion returns the audit path of a leaf in the tree of the given size.
func (s *Source) Inclusion(index, size uint64) ([]Hash, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("tree: event %d in the tree of %d", index+1, size))
	}
	return s.path(nodes)
}

// Consistency returns the proof that the tree of size older is a prefix of the
// one of size newer.
func (s *Source) Consistency(older, newer uint64) ([]Hash, error) {
	nodes, err := proof.Consistency(older, newer)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, fmt.Sprintf("tree: from size %d to %d", older, newer))
	}
	return s.path(nodes)
}

func (s *Source) path(nodes proof.Nodes) ([]Hash, error) {
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		h, err := s.Node(id.Level, id.Index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h[:]
	}
	path, err := nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "tree")
	}
	out := make([]Hash, len(path))
	for i := range path {
		out[i] = Hash(path[i])
	}
	return out, nil
}

// VerifyInclusion checks that a leaf is number index of the tree with this root.
func VerifyInclusion(index, size uint64, leaf Hash, path []Hash, root Hash) error {
	if index >= size {
		return fault.New(fault.Corrupt, "event %d is not among the %d that the checkpoint covers", index+1, size)
	}
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], raw(path), root[:])
	return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("event %d is not proven to be in the tree of %d", index+1, size))
}

// VerifyConsistency checks that the tree of the older root is a prefix of that
// of the newer one.
func VerifyConsistency(older, newer uint64, path []Hash, olderRoot, newerRoot Hash) error {
	if older == 0 {
		if len(path) != 0 || olderRoot != EmptyRoot() {
			return fault.New(fault.Corrupt, "the proof from an empty tree has hashes or another root than the empty one")
		}
		return nil
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, older, newer, raw(path), olderRoot[:], newerRoot[:])
	return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("the tree of %d is not proven to be a prefix of that of %d", older, newer))
}

func raw(hashes []Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}
