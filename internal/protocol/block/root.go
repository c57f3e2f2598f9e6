package block

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"
)

// chunk is the leaf size of the root's tree.
const chunk = 32

// zeroRoots[i] is the root of a tree of 2^i zero chunks: what stands in for the
// padding, so that nothing is hashed for it.
var zeroRoots = func() (roots [48][chunk]byte) {
	for i := 1; i < len(roots); i++ {
		var pair [2 * chunk]byte
		copy(pair[:], roots[i-1][:])
		copy(pair[chunk:], roots[i-1][:])
		roots[i] = sha256.Sum256(pair[:])
	}
	return roots
}()

// Root returns the block's name and signing root: the SSZ-style Merkle root of
// [Block.Encode], that is a SHA-256 tree over 32-byte chunks, zero padded to a
// power of two, without the length. (consensus.md C2)
func (b *Block) Root() common.Hash { return merkleRoot(b.Encode()) }

// Root returns the root of the block; approvals are not part of it.
func (s *Signed) Root() common.Hash { return s.Block.Root() }

// merkleRoot computes the root in place: level by level it writes the parents
// over the front of data.
func merkleRoot(data []byte) common.Hash {
	if len(data) == 0 {
		return common.Hash{}
	}
	if tail := len(data) % chunk; tail != 0 {
		var zeros [chunk]byte
		data = append(data, zeros[tail:]...)
	}
	for level, n := 0, len(data)/chunk; n > 1; level++ {
		parents := n / 2
		for i := range parents {
			sum := sha256.Sum256(data[2*chunk*i : 2*chunk*(i+1)])
			copy(data[chunk*i:], sum[:])
		}
		if n%2 == 1 {
			var pair [2 * chunk]byte
			copy(pair[:], data[chunk*(n-1):chunk*n])
			copy(pair[chunk:], zeroRoots[level][:])
			sum := sha256.Sum256(pair[:])
			copy(data[chunk*parents:], sum[:])
			parents++
		}
		n = parents
	}
	return common.Hash(data[:chunk])
}
