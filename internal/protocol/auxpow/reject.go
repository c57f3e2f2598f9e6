package auxpow

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// Reject names the check that handed-in work failed, for miners' software. Its
// text is stable: it stands in the journal and in RPC answers. The empty Reject
// is none.
type Reject string

// The checks, in the order they are made. (consensus.md C8 f, g; C13)
const (
	// UnknownWork: no such commitment was handed out.
	UnknownWork Reject = "unknown-work"
	// StaleWork: the range is final already, or left the head's branch.
	StaleWork Reject = "stale-work"
	// DuplicateWork: a proof over the same range waits to be carried.
	DuplicateWork Reject = "duplicate-work"
	// MalformedProof: the bytes are no proof in the Namecoin layout.
	MalformedProof Reject = "malformed-proof"
	// HighHash: the parent block's hash misses the target.
	HighHash Reject = "high-hash"
	// ParentChainID: the parent block's version names our own chain.
	ParentChainID Reject = "parent-chain-id"
	// LongChainBranch: the branch in the merge-mining tree is above 30 deep.
	LongChainBranch Reject = "chain-branch-too-long"
	// MerkleMismatch: the coinbase is not in the parent block.
	MerkleMismatch Reject = "merkle-root-mismatch"
	// MalformedCoinbase: output 2 does not commit to the root and there is no output 3.
	MalformedCoinbase Reject = "malformed-coinbase"
	// NoCommitment: outputs 2 and 3 are not 44 bytes with the merge-mining magic.
	NoCommitment Reject = "no-commitment"
	// OtherCommitment: the coinbase commits to another merge-mining root.
	OtherCommitment Reject = "other-commitment"
	// WrongTreeSize: the committed size is not 2 to the branch's length.
	WrongTreeSize Reject = "wrong-tree-size"
	// WrongSlot: our chain's place in the merge-mining tree is another.
	WrongSlot Reject = "wrong-slot"
	// RefusedByChain: the head's branch cannot carry the proof; the reason says why.
	RefusedByChain Reject = "refused-by-chain"
	// NoWork: there is nothing to mine now. It answers a request for work.
	NoWork Reject = "no-work"
)

// Rejects returns all checks in the order they are made. The caller may change it.
func Rejects() []Reject {
	return []Reject{
		UnknownWork, StaleWork, DuplicateWork, MalformedProof, HighHash, ParentChainID, LongChainBranch, MerkleMismatch,
		MalformedCoinbase, NoCommitment, OtherCommitment, WrongTreeSize, WrongSlot, RefusedByChain, NoWork,
	}
}

// byDefect is the check behind each structural defect.
var byDefect = map[Defect]Reject{
	ParentHasChainID:       ParentChainID,
	MerkleBranchTooLong:    LongChainBranch,
	MerkleRootIncorrect:    MerkleMismatch,
	CoinbaseInvalidOutputs: MalformedCoinbase,
	MissingHeader:          NoCommitment,
	MissingMerkleRoot:      OtherCommitment,
	InvalidMerkleSize:      WrongTreeSize,
	WrongIndex:             WrongSlot,
}

// Judge checks a proof against its commitment, chain id and compact target, target
// first, and returns the first check that fails with its reason; the empty Reject
// when all hold. (consensus.md C8 f, g)
func (a *AuxPow) Judge(commitment chainhash.Hash, chainID, bits uint32) (Reject, string) {
	if !a.CheckWork(bits) {
		return HighHash, fmt.Sprintf("hash %s of the parent block is above the target of bits %08x", a.ParentBlock.BlockHash(), bits)
	}
	if err := a.CheckStructure(commitment, chainID); err != nil {
		var defect Defect
		if !errors.As(err, &defect) {
			return MalformedProof, err.Error()
		}
		return byDefect[defect], err.Error()
	}
	return "", ""
}
