package auxpow

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

// Branch is a Merkle branch of a proof: the sibling hashes from the leaf up and
// a mask whose bit i says that sibling i stands on the left. Hashes are in
// internal byte order. (consensus.md C2, C8)
type Branch struct {
	Hashes   []chainhash.Hash
	SideMask uint32
}

// AuxPow proves that a Bitcoin miner committed to a range of our blocks: the
// parent block's coinbase transaction, its branch to the parent header, the
// branch of the merge-mining tree, and the parent header. BlockHash is carried
// on the wire and ignored by every rule. (consensus.md C2, C8)
type AuxPow struct {
	Coinbase         *wire.MsgTx
	BlockHash        chainhash.Hash
	CoinbaseBranch   Branch
	BlockchainBranch Branch
	ParentBlock      wire.BlockHeader
}
