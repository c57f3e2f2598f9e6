package spec

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
)

// Chain is a chain specification: the rules all members of one network share.
// It is read from legacy's camelCase JSON with [Parse]. (consensus.md C1)
type Chain struct {
	SlotDuration        uint64 // milliseconds
	Authorities         []aura.PublicKey
	Federation          []common.Address // fee addresses, in order
	FederationKeys      [][33]byte       // compressed secp256k1 keys, in order
	Bits                uint32           // compact target of genesis
	ChainID             uint32
	MaxBlocksWithoutPow uint64
	BitcoinStartHeight  uint32
	Retarget            Retarget
	IsValidator         bool
	Confirmations       uint32 // Bitcoin confirmations a peg-in needs
}

// Retarget holds the difficulty rule's parameters. (consensus.md C9)
type Retarget struct {
	Limit          uint32 // not used by any rule
	LowerLimit     uint32 // not used by any rule
	TargetTimespan uint64 // in blocks' seconds; Timespan/Spacing is the interval in blocks
	TargetSpacing  uint64
	NoRetargeting  bool
	MaxAdjustment  uint8 // percent
}
