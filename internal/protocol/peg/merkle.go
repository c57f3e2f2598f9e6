package peg

import (
	"crypto/sha256"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// maxBranch bounds a Merkle branch: no Bitcoin block has more transactions than 32 bits
// count.
const maxBranch = 32

// bareInner is the size of an inner node of the Merkle tree before it is hashed. A
// transaction of that size without witnesses may be one. (BIP 54)
const bareInner = 64

// MerkleRoot returns the root over a block's transaction ids and whether the list has a
// pair that is twice the same: such a list has the root of a shorter one, and its block is
// not to be taken. (CVE-2012-2459)
func MerkleRoot(txids []chainhash.Hash) (root chainhash.Hash, mutated bool) {
	if len(txids) == 0 {
		return chainhash.Hash{}, false
	}
	level := append([]chainhash.Hash(nil), txids...)
	for len(level) > 1 {
		level, mutated = parents(level, mutated)
	}
	return level[0], mutated
}

// parents replaces a level of the tree by the one above it. The last node of an odd number
// is paired with itself.
func parents(level []chainhash.Hash, mutated bool) ([]chainhash.Hash, bool) {
	n := 0
	for i := 0; i < len(level); i += 2 {
		right := min(i+1, len(level)-1)
		mutated = mutated || right != i && level[i] == level[right]
		level[n] = pair(&level[i], &level[right])
		n++
	}
	return level[:n], mutated
}

func pair(left, right *chainhash.Hash) chainhash.Hash {
	var both [bareInner]byte
	copy(both[:], left[:])
	copy(both[len(left):], right[:])
	first := sha256.Sum256(both[:])
	return sha256.Sum256(first[:])
}

// MerkleBranch returns the hashes that lead from the transaction at an index to the root,
// lowest first. The index must be one of the list.
func MerkleBranch(txids []chainhash.Hash, index int) ([]chainhash.Hash, error) {
	if index < 0 || index >= len(txids) {
		return nil, fault.New(fault.Invalid, "Merkle branch of transaction %d of %d; ask for one that the block has", index, len(txids))
	}
	var branch []chainhash.Hash
	level := append([]chainhash.Hash(nil), txids...)
	for len(level) > 1 {
		branch = append(branch, level[min(index^1, len(level)-1)])
		level, _ = parents(level, false)
		index /= 2
	}
	return branch, nil
}

// CheckBranch checks that a transaction is in the block with a Merkle root, at an index.
// The index must be within the branch's reach, and not that of a node's copy, which stands
// where a level of the tree has no node of its own; the size is that of the transaction
// without witnesses, for one of 64 bytes may be an inner node. The error is graded Invalid.
func CheckBranch(txid chainhash.Hash, size int, index uint32, branch []chainhash.Hash, root chainhash.Hash) error {
	if len(branch) > maxBranch || uint64(index)>>len(branch) != 0 {
		return fault.New(fault.Invalid, "transaction %s at index %d with a Merkle branch of %d hashes: out of its reach; refuse it", txid, index, len(branch))
	}
	if size == bareInner {
		return fault.New(fault.Invalid, "transaction %s has %d bytes, as an inner node of the Merkle tree; refuse it", txid, size)
	}
	node := txid
	for level := range branch {
		sibling := &branch[level]
		switch right := index>>level&1 == 1; {
		case right && node == *sibling:
			return fault.New(fault.Invalid, "transaction %s at index %d is a copy at level %d of the Merkle tree; refuse it", txid, index, level)
		case right:
			node = pair(sibling, &node)
		default:
			node = pair(&node, sibling)
		}
	}
	if node != root {
		return fault.New(fault.Invalid, "transaction %s at index %d leads to the Merkle root %s, the block has %s; refuse it", txid, index, node, root)
	}
	return nil
}
