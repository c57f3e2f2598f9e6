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
	Exceptions          Exceptions
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

// Exceptions are the points where the shipped network's history breaks its own
// rules. Legacy has them in its code; here they are data of the chain, with
// legacy's values as the default. A new network sets the heights to zero.
// (consensus.md C16)
type Exceptions struct {
	// UnlinkedRangesUpTo is the last height of a range's first block at which
	// the range need not start right after the last finalized block.
	UnlinkedRangesUpTo uint64
	// UncheckedWorkUpTo is the last height at which neither the work target nor
	// the signatures of finalized peg-outs are enforced.
	UncheckedWorkUpTo uint64
	// UncheckedProposalAt is the height at which the peg-out proposal is not
	// checked; zero means none.
	UncheckedProposalAt uint64
	// OlderSlotDuration is the slot length in milliseconds that blocks may also
	// satisfy; zero means none.
	OlderSlotDuration uint64
	// MinPegoutSatoshi is the smallest peg-out that is paid, in satoshi.
	MinPegoutSatoshi uint64
}

// LegacyExceptions returns the values legacy has in its code.
func LegacyExceptions() Exceptions {
	return Exceptions{
		UnlinkedRangesUpTo:  53143,
		UncheckedWorkUpTo:   533683,
		UncheckedProposalAt: 70132,
		OlderSlotDuration:   aura.OlderSlotDuration,
		MinPegoutSatoshi:    1_000_000,
	}
}

// Quorum returns how many approvals import a block. (consensus.md C1)
func (c *Chain) Quorum() int { return aura.Quorum(len(c.Authorities)) }

// Threshold returns how many federation keys must sign a Bitcoin payment.
// (consensus.md C1; peg.md A2)
func (c *Chain) Threshold() int { return aura.Quorum(len(c.FederationKeys)) }
