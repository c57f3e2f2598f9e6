package rules

import (
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Hole is one thing that legacy accepts and should not: what a signer of ours does
// about it from the first block on, and from which height it decides validity.
// (consensus.md C17; docs/decisions/0027-signer-policy.md has the same table)
type Hole struct {
	Name   string // of the signer rule
	Hole   string // what legacy accepts
	Signer string // what this node does
	Key    string // activation key in the chain spec, empty when there can be none
	Why    string // why there is no key
	Test   string // that shows it

	height func(*spec.Activations) uint64
	check  func(*subject) Verdict // nil when the rule reads more than a block and its ancestors
	late   bool                   // validity is decided with the fees
}

// Checked reports whether the rule reads a block and its ancestors alone, so that
// [Rules.CheckSigner] asks it.
func (h *Hole) Checked() bool { return h.check != nil }

// BurnRecipient is where the execution layer pays tips, to be minted again. (C6)
var BurnRecipient = common.HexToAddress("0x000000000000000000000000000000000000dEaD")

// Holes are all of C17 and of A3 to A13, and what follows from them. The bridge, which has
// names of its own for each of its refusals, decides those that need Bitcoin or the wallet.
var Holes = []Hole{
	{
		Name: "real-approvals", Hole: "quorum counts bits that belong to no member", Signer: "counts real, distinct members only, for imports too",
		Why: "approvals are no part of a block: it may come again with more", Test: "TestScripts",
	},
	{
		Name: "exact-withdrawals", Hole: "withdrawals beside the expected ones mint freely", Signer: "withholds unless fee shares and deposits account for each, which the bridge checks to the gwei",
		Key: "exactWithdrawals", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.ExactWithdrawals }, check: exactWithdrawals, late: true,
	},
	{
		Name: "unique-pegins", Hole: "a deposit may be minted twice", Signer: "withholds when a block names it twice; the bridge, when its branch minted it before",
		Key: "uniquePegins", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.UniquePegins }, check: uniquePegins,
	},
	{
		Name: "request-log", Hole: "a log of any contract, or of its creation, may request a peg-out", Signer: "the bridge judges payments by the requests: from `strictPegouts` on logs of the bridge contract alone, whoever called",
		Why: "what the wallet knows gates approval, never an import", Test: "TestJudgedByBridge",
	},
	{
		Name: "deposits", Hole: "an output that a miner can take, or that nobody can spend, is credited", Signer: "the bridge approves deposits that it followed to the required depth, once, each credit to the gwei; by the strict reading from `strictPegins` on",
		Why: "what the wallet knows gates approval, never an import", Test: "TestScripts",
	},
	{
		Name: "payments", Hole: "a payment may burn its coins as fees, repeat an input, spend again what is spent, keep the change back", Signer: "the bridge refuses each by name",
		Why: "what the wallet knows gates approval, never an import", Test: "TestPaymentHoles",
	},
	{
		Name: "payouts", Hole: "up to a height the signatures of finalised payments are not checked", Signer: "the bridge checks count, txids and witnesses of every block that is approved",
		Why: "what the wallet knows gates approval, never an import", Test: "TestCarrierHoles",
	},
	{
		Name: "payout-signatures", Hole: "whoever comes first fills the places for signatures", Signer: "the bridge takes those of members alone, and all of them",
		Why: "what a member signs is no property of a block", Test: "TestSignatureHoles",
	},
	{
		Name: "off-branch", Hole: "a payment signed on a branch that was left can still be spent", Signer: "the bridge approves and signs on another branch only what spends an input of it too",
		Why: "what a member signs is no property of a block", Test: "TestPayments",
	},
	{
		Name: "payment-lock", Hole: "payments of ranges that exclude each other are signed", Signer: "locks on the range end before it signs its payments",
		Why: "what a member signs is no property of a block", Test: "TestSignPayments",
	},
	{
		Name: "exact-aux-header", Hole: "bits, height and chain id of a proof's header are unchecked", Signer: "withholds unless they are those of C9, the last carrier and the chain",
		Key: "exactAuxHeader", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.ExactAuxHeader }, check: exactAuxHeader,
	},
	{
		Name: "first-recipient", Hole: "a proof does not commit to its fee recipient: a copy may name another", Signer: "queues and approves the recipient it saw first for a range",
		Why: "which copy is first is no property of a block", Test: "TestSignerPolicy",
	},
	{
		Name: "range-on-branch", Hole: "a range may end beside the carrier's branch", Signer: "withholds; such a carrier is valid and finalises nothing, as legacy's own next forkchoice call fails",
		Key: "rangeOnBranch", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.RangeOnBranch }, check: rangeOnBranch,
	},
	{
		Name: "range-forward", Hole: "a range that ends before it starts passes the check of gossip and poisons the queue", Signer: "never queues it: the walk of C5.8 is made at the door",
		Why: "the block that carries it is invalid for legacy too", Test: "TestCheckProof",
	},
	{
		Name: "finality", Hole: "a longer branch may replace finalised blocks", Signer: "withholds from every block that does not stand on the finalised one",
		Key: "finality", Test: "TestSignerPolicy", height: func(a *spec.Activations) uint64 { return a.Finality },
	},
	{
		Name: "author", Hole: "the author of a slot need not be its member", Signer: "withholds unless the slot's member approved it and the slot is above the parent's",
		Key: "author", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.Author }, check: author,
	},
	{
		Name: "slot-timestamp", Hole: "a slot may differ from the payload's time", Signer: "withholds unless the slot has a moment in the timestamp's second",
		Key: "slotTimestamp", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.SlotTimestamp }, check: slotTimestamp,
	},
	{
		Name: "burn-recipient", Hole: "the payload's fee recipient is unchecked: tips are paid twice", Signer: "withholds unless it is 0x…dEaD",
		Key: "burnRecipient", Test: "TestHoles", height: func(a *spec.Activations) uint64 { return a.BurnRecipient }, check: burnRecipient,
	},
	{
		Name: "one-per-slot", Hole: "a member may propose and approve several blocks of a slot", Signer: "approves one block of each slot, its own among them",
		Why: "each of the blocks is valid", Test: "TestSignerPolicy",
	},
	{
		Name: "clock", Hole: "the wall clock is not checked", Signer: "withholds from a slot above the next one by its own clock",
		Why: "a clock is no property of a block", Test: "TestSignerPolicy",
	},
	{
		Name: "lock", Hole: "a member may approve carriers of conflicting ranges", Signer: "never approves a carrier whose branch excludes a range end that it approved",
		Why: "what a member approved is no property of a block", Test: "TestLocks",
	},
}

// tight applies the rule of a hole to a block from its activation height on.
func (s *subject) tight(h *Hole) Verdict {
	if h.check == nil || h.late || !spec.Active(h.height(&s.Spec.Activations), s.number) {
		return Verdict{}
	}
	return h.check(s).by("C17 " + h.Key)
}

// CheckSigner judges a block that [Rules.Check] found valid by the tighter rules,
// active or not. "Invalid" here means that this node does not approve it; the
// rule is the name of a hole.
func (r *Rules) CheckSigner(signed *block.Signed, root common.Hash, tree Ancestors) Verdict {
	s := r.subject(signed, root, tree)
	if s.parent == nil {
		return c53Parent(s).by("C5.3")
	}
	if v := c8Proof(s); !v.Valid() {
		return v.by("C8")
	}
	if s.fees != nil { // a member judges it, whatever it was configured for
		if v := s.c6Shares(s.block, s.fees); !v.Valid() {
			return v.by("C6")
		}
	}
	var open Verdict
	for i := range Holes {
		h := &Holes[i]
		if h.check == nil {
			continue
		}
		switch v := h.check(s).by(h.Name); v.Grade {
		case 0:
		case fault.CannotJudge:
			open = v
		default:
			return v
		}
	}
	return open
}

// exactWithdrawals needs the parent's fees; when they are known [Rules.CheckFees]
// decides validity by it.
func exactWithdrawals(s *subject) Verdict {
	if s.block.AuxPowHeader != nil && s.fees == nil {
		return cannotJudge("execution_payload.withdrawals", "the parent is not executed")
	}
	return s.exactWithdrawals(s.block, s.fees)
}

func uniquePegins(s *subject) Verdict {
	seen := make(map[chainhash.Hash]bool, len(s.block.Pegins))
	for i, p := range s.block.Pegins {
		if seen[p.Txid] {
			return invalid("pegins", "entry %d mints %s again", i, p.Txid)
		}
		seen[p.Txid] = true
	}
	return Verdict{}
}

func exactAuxHeader(s *subject) Verdict {
	h := s.block.AuxPowHeader
	switch {
	case h == nil:
	case h.ChainID != s.Spec.ChainID:
		return invalid("auxpow_header.chain_id", "is %d on chain %d", h.ChainID, s.Spec.ChainID)
	case h.Bits != s.proof.Bits:
		return invalid("auxpow_header.bits", "are %08x, the rules give %08x", h.Bits, s.proof.Bits)
	case h.Height != s.proof.Last.Number+1:
		return invalid("auxpow_header.height", "is %d with the last carrier at %d", h.Height, s.proof.Last.Number)
	}
	return Verdict{}
}

func rangeOnBranch(s *subject) Verdict {
	if s.proof == nil {
		return Verdict{}
	}
	return s.proof.onBranch(s.parent)
}

// author wants the slot's member among the approvals: as its proposer, for
// nothing else says who made a block. Without it the same block may come again.
func author(s *subject) Verdict {
	if s.block.Slot <= s.parent.Slot {
		return invalid("slot", "%d is not above the parent's %d", s.block.Slot, s.parent.Slot)
	}
	member := aura.Author(s.block.Slot, len(s.Spec.Authorities))
	if !s.signed.Approvals.Has(member) {
		return cannotJudge("approvals", "slot %d is member %d's, whose approval is missing", s.block.Slot, member)
	}
	return Verdict{}
}

func slotTimestamp(s *subject) Verdict {
	const second = 1000
	begin := s.block.Payload.Timestamp
	if begin > ^uint64(0)/second-1 {
		return invalid("execution_payload.timestamp", "is %d, after any slot", begin)
	}
	begin *= second
	first, last := aura.SlotAt(begin, s.Spec.SlotDuration), aura.SlotAt(begin+second-1, s.Spec.SlotDuration)
	if s.block.Slot < first || s.block.Slot > last {
		return invalid("slot", "is %d, the payload's second has slots %d to %d", s.block.Slot, first, last)
	}
	return Verdict{}
}

func burnRecipient(s *subject) Verdict {
	if r := s.block.Payload.FeeRecipient; r != BurnRecipient {
		return invalid("execution_payload.fee_recipient", "is %s, not %s", r, BurnRecipient)
	}
	return Verdict{}
}
