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
	Activations         Activations
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

// Activations are the heights from which rules tighter than legacy's decide what is
// valid. All members of a network agree on them; zero means never. What this node
// approves follows the tighter rules from the first block on. (consensus.md C17;
// architecture.md 4, Finality, and 8)
type Activations struct {
	// Finality is from where a carrier with a quorum finalises its range at
	// whatever height and time it is learnt.
	Finality uint64
	// ExactWithdrawals is from where a payload has no withdrawal beside those
	// that fees and peg-ins ask for.
	ExactWithdrawals uint64
	// UniquePegins is from where a Bitcoin transaction is minted once.
	UniquePegins uint64
	// ExactAuxHeader is from where bits, height and chain id of an AuxPoW header
	// must be those that the rules give.
	ExactAuxHeader uint64
	// RangeOnBranch is from where a range ends at an ancestor of its carrier.
	RangeOnBranch uint64
	// Author is from where a block has its slot's author among its approvals and
	// a slot above its parent's.
	Author uint64
	// SlotTimestamp is from where slot and payload timestamp agree exactly.
	SlotTimestamp uint64
	// BurnRecipient is from where the payload's fee recipient is 0x…dEaD.
	BurnRecipient uint64
	// StrictPegins is from where only outputs to the federation's own script are
	// deposits, and 20 raw bytes name an account whatever they spell. (peg.md A3)
	StrictPegins uint64
	// StrictPegouts is from where requests are logs of the bridge contract alone,
	// whoever calls it, payments cost the pool nothing, and requests that cannot be
	// paid wait. (peg.md A7, A8, A9)
	StrictPegouts uint64
}

// Active reports whether a rule with this activation height binds a block.
func Active(from, number uint64) bool { return from != 0 && number >= from }

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
