package auxpow

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Defect is the reason a proof's structure is refused. Its text is legacy's name
// of the error; errors of [AuxPow.CheckStructure] have it in their chain.
type Defect string

// The defects, in the order they are looked for. (consensus.md C8 g)
const (
	ParentHasChainID       Defect = "ParentHasChainId"       // the parent's version names our own chain
	MerkleBranchTooLong    Defect = "MerkleBranchTooLong"    // chain branch above 30
	MerkleRootIncorrect    Defect = "MerkleRootIncorrect"    // the coinbase is not in the parent block
	CoinbaseInvalidOutputs Defect = "CoinbaseInvalidOutputs" // output 2 does not commit and there is no output 3
	MissingHeader          Defect = "MissingHeader"          // not 44 bytes, or not the merge-mining magic
	MissingMerkleRoot      Defect = "MissingMerkleRoot"      // commits to another root
	InvalidMerkleSize      Defect = "InvalidMerkleSize"      // tree size is not 2 to the branch length
	WrongIndex             Defect = "WrongIndex"             // our chain's place in the tree is another
)

// Error returns the legacy name.
func (d Defect) Error() string { return string(d) }

// Certain reports whether a proof with this defect is well formed for no commitment at
// all. The others may say only that the commitment asked for is not the proof's.
func (d Defect) Certain() bool {
	switch d {
	case ParentHasChainID, MerkleBranchTooLong, MerkleRootIncorrect, InvalidMerkleSize, WrongIndex:
		return true
	}
	return false
}

// maxChainBranch is the longest branch of a merge-mining tree.
const maxChainBranch = 30

// commitmentSize is the script of a commitment: magic, root, size, nonce.
const commitmentSize = 4 + 32 + 4 + 4

// magic precedes the merge-mining root in the coinbase: 0xfa 0xbe "mm".
var magic = []byte{0xfa, 0xbe, 'm', 'm'}

// Commitment returns what a miner commits to for a range of blocks: SHA-256d of
// their roots, concatenated oldest first. (consensus.md C8 d)
func Commitment(hashes []common.Hash) chainhash.Hash {
	h := sha256.New()
	for i := range hashes {
		h.Write(hashes[i][:])
	}
	var first [32]byte
	return sha256.Sum256(h.Sum(first[:0]))
}

// fold walks a branch from a leaf up. The mask's shift is taken modulo 32, so bit
// 0 is used again at level 32: coinbase branches of 33 and more exist in the
// vectors. (consensus.md C13)
func (b *Branch) fold(leaf chainhash.Hash) chainhash.Hash {
	var pair [2 * chainhash.HashSize]byte
	for i := range b.Hashes {
		left, right := &leaf, &b.Hashes[i]
		if b.SideMask>>(i%32)&1 != 0 {
			left, right = right, left
		}
		copy(pair[:32], left[:])
		copy(pair[32:], right[:])
		leaf = chainhash.DoubleHashH(pair[:])
	}
	return leaf
}

// CheckStructure checks that the parent block's coinbase commits to the
// commitment at the place chainID has in the merge-mining tree. The error is
// graded Invalid and wraps a [Defect]. Whether the work suffices is the business
// of [AuxPow.CheckWork]. (consensus.md C8 g)
func (a *AuxPow) CheckStructure(commitment chainhash.Hash, chainID uint32) error {
	if defect := a.defect(commitment, chainID); defect != "" {
		return fault.New(fault.Invalid, "auxpow of parent block %s for commitment %x, chain id %d: %w; refuse the proof",
			a.ParentBlock.BlockHash(), commitment[:], chainID, defect)
	}
	return nil
}

func (a *AuxPow) defect(commitment chainhash.Hash, chainID uint32) Defect {
	if uint32(a.ParentBlock.Version)>>16 == chainID {
		return ParentHasChainID
	}
	depth := len(a.BlockchainBranch.Hashes)
	if depth > maxChainBranch {
		return MerkleBranchTooLong
	}
	root := a.BlockchainBranch.fold(commitment)
	if a.CoinbaseBranch.fold(a.Coinbase.TxHash()) != a.ParentBlock.MerkleRoot {
		return MerkleRootIncorrect
	}
	script, defect := commitmentScript(a.Coinbase, root)
	if defect != "" {
		return defect
	}
	size := uint32(1) << depth
	if binary.LittleEndian.Uint32(script[36:]) != size {
		return InvalidMerkleSize
	}
	if a.BlockchainBranch.SideMask != treeSlot(binary.LittleEndian.Uint32(script[40:]), chainID, size) {
		return WrongIndex
	}
	return ""
}

// commitmentScript returns the script that commits to root: output 2, or else
// output 3, whose defect is then the one reported.
func commitmentScript(coinbase *wire.MsgTx, root chainhash.Hash) ([]byte, Defect) {
	var defect Defect
	for i := 2; i < 4; i++ {
		if i >= len(coinbase.TxOut) {
			return nil, CoinbaseInvalidOutputs
		}
		script := coinbase.TxOut[i].PkScript
		switch {
		case len(script) != commitmentSize || !bytes.Equal(script[:4], magic):
			defect = MissingHeader
		case !bytes.Equal(script[4:36], root[:]):
			defect = MissingMerkleRoot
		default:
			return script, ""
		}
	}
	return nil, defect
}

// treeSlot is the place of a chain in a merge-mining tree of size leaves, a power
// of two, by Namecoin's generator.
func treeSlot(nonce, chainID, size uint32) uint32 {
	x := (nonce*1103515245 + 12345) % size
	x += chainID
	return (x*1103515245 + 12345) % size
}
