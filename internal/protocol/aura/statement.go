package aura

import (
	"crypto/sha256"

	"github.com/ethereum/go-ethereum/common"
)

// statementDomain separates statements from block roots, which are hashes of 64
// bytes: nothing that a member signs as a block can be read as a statement.
const statementDomain = "Alys statement: I never approve a carrier of this range end\n"

// NeverApproveRoot is what a member signs to state that it never approved and
// never will approve a carrier whose range ends at this block: SHA-256 over a
// text and the block's root. (architecture.md 4, Approving; docs/formats/approval-lock.md)
func NeverApproveRoot(rangeEnd common.Hash) common.Hash {
	return sha256.Sum256(append([]byte(statementDomain), rangeEnd[:]...))
}
