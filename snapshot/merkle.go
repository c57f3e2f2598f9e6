package snapshot

import "crypto/sha256"

// Domain separation: a hash of one kind can never be read as one of another.
const (
	chunkLeaf   = 0x00 // RFC 6962 section 2.1
	innerNode   = 0x01 // RFC 6962 section 2.1
	sectionLeaf = 0x02
)

// merkle computes the root of RFC 6962 section 2.1 over leaf hashes as they
// come, in memory of the logarithm of their number. The zero value is empty.
type merkle struct {
	count  uint64
	levels [64]Hash // levels[i] is a full subtree of 2^i leaves if bit i of count is set
}

func (m *merkle) add(leaf Hash) {
	level := 0
	for ; m.count>>level&1 == 1; level++ {
		leaf = join(m.levels[level], leaf)
	}
	m.levels[level] = leaf
	m.count++
}

func (m *merkle) root() Hash {
	if m.count == 0 {
		return sha256.Sum256(nil)
	}
	var root Hash
	started := false
	for level := range m.levels {
		if m.count>>level&1 == 0 {
			continue
		}
		if started {
			root = join(m.levels[level], root)
		} else {
			root, started = m.levels[level], true
		}
	}
	return root
}

func join(left, right Hash) Hash {
	var in [65]byte
	in[0] = innerNode
	copy(in[1:], left[:])
	copy(in[33:], right[:])
	return sha256.Sum256(in[:])
}
