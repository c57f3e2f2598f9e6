package chain

import (
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Origins of received blocks.
const (
	Own    = "own"
	Gossip = "gossip"
	Sync   = "sync"
	Legacy = "legacy"
)

// maxCandidates bounds the stored blocks that wait for a quorum.
const maxCandidates = 512

// refusal is why a block is not accepted: which part, how badly, and the reason.
type refusal struct {
	field  string
	grade  fault.Grade
	reason string
	again  bool // the block is not at fault: it may be received again
}

func invalid(field, format string, args ...any) *refusal {
	return &refusal{field: field, grade: fault.Invalid, reason: fmt.Sprintf(format, args...)}
}

func cannotJudge(field, format string, args ...any) *refusal {
	return &refusal{field: field, grade: fault.CannotJudge, reason: fmt.Sprintf(format, args...), again: true}
}

// wrongSource refuses what the source of a block says of it.
func wrongSource(field, format string, args ...any) *refusal {
	no := invalid(field, format, args...)
	no.again = true
	return no
}

// receive judges one signed block and stores it. It returns the entry, or nil
// when the block is refused.
func (x *turn) receive(b Executing, origin string) *Entry {
	signed, root, err := x.work.Decode(b.Signed.Data)
	if err != nil {
		x.refuse(message.BlockID{Number: x.Head.Number + 1}, origin, invalid("encoding", "%v", err))
		return nil
	}
	id := message.BlockID{Root: root, Number: signed.Block.Payload.BlockNumber}
	if known := x.Entry(root); known != nil {
		if known.Status == Invalid && origin == Legacy { // an import waits for an answer to each block
			x.refuse(id, origin, invalid("execution_payload", "it was refused before; the fact with its hash says why"))
		}
		return x.known(known, signed, b.Signed)
	}
	parent, no := x.validate(signed, root, origin)
	if no != nil {
		x.refuse(id, origin, no)
		return nil
	}
	e := x.newEntry(&signed.Block, signed.Approvals, root, parent)
	e.Status = Stored
	e.Signed = common.Hash(b.Signed.Hash)
	x.put(e)
	b.Root = root
	x.Candidates = append(x.Candidates, b)
	if len(x.Candidates) > maxCandidates {
		x.dropCandidate(x.Candidates[0].Root)
	}
	return e
}

// known takes the approvals of a block that is stored and waits for its quorum,
// when the copy received has more of them. A block that was refused before is
// refused still, without a second fact.
func (x *turn) known(e *Entry, signed *block.Signed, content record.Content) *Entry {
	n := len(x.rules.spec.Authorities)
	switch {
	case e.Status == Invalid:
		return nil
	case e.Status != Stored || signed.Approvals.CountReal(n) <= e.Approvals.CountReal(n):
		return e
	case x.work.Verify(x.rules.committee, signed.Approvals, e.Root) != nil:
		return e
	}
	next := *e
	next.Approvals, next.Signed = signed.Approvals, common.Hash(content.Hash)
	x.put(&next)
	x.Candidates = slices.Clone(x.Candidates)
	for i := range x.Candidates {
		if x.Candidates[i].Root == e.Root {
			x.Candidates[i].Signed = content
		}
	}
	return &next
}

func (x *turn) dropCandidate(root common.Hash) {
	if e := x.Entry(root); e != nil && e.Status == Stored {
		x.remove(e)
	}
	if slices.ContainsFunc(x.Candidates, func(c Executing) bool { return c.Root == root }) {
		x.Candidates = slices.DeleteFunc(slices.Clone(x.Candidates), func(c Executing) bool { return c.Root == root })
	}
}

// validate is C5 up to the execution layer. The parent's entry is returned with
// a nil refusal.
func (x *turn) validate(signed *block.Signed, root common.Hash, origin string) (*Entry, *refusal) {
	b := &signed.Block
	if b.ParentHash == (common.Hash{}) {
		return nil, invalid("parent_hash", "only genesis has no parent")
	}
	if b.Payload.BlockNumber <= x.Finalized.Number {
		return nil, cannotJudge("execution_payload.block_number", "is %d, not above the finalised block at %d", b.Payload.BlockNumber, x.Finalized.Number)
	}
	if len(x.Executing) >= maxExecuting {
		return nil, &refusal{
			field: "execution_payload", grade: fault.Temporary,
			reason: fmt.Sprintf("%d blocks wait for the execution layer", len(x.Executing)), again: true,
		}
	}
	parent := x.Entry(b.ParentHash)
	if parent == nil {
		return nil, cannotJudge("parent_hash", "parent %s is not known", b.ParentHash)
	}
	if parent.Status == Invalid {
		return nil, invalid("parent_hash", "parent %s was refused", b.ParentHash)
	}
	if b.Payload.ParentHash != parent.PayloadHash {
		return nil, invalid("execution_payload.parent_hash", "is %s, the parent's payload is %s", b.Payload.ParentHash, parent.PayloadHash)
	}
	if b.Payload.BlockNumber != parent.Number+1 {
		return nil, invalid("execution_payload.block_number", "is %d on a parent at %d", b.Payload.BlockNumber, parent.Number)
	}
	if err := aura.CheckSlotWith(b.Slot, b.Payload.Timestamp, x.rules.spec.SlotDuration, x.rules.spec.Exceptions.OlderSlotDuration); err != nil {
		return nil, invalid("slot", "%v", err)
	}
	if no := x.checkApprovals(signed.Approvals, root, origin); no != nil {
		return nil, no
	}
	if no := x.checkWork(b, parent); no != nil {
		return nil, no
	}
	if x.Config.Judging && parent.executed() {
		return parent, x.checkFees(b, parent)
	}
	return parent, nil
}

// checkApprovals is the signature part of C5.5. Any non-empty set of authorities
// will do; the quorum decides later whether the block is executed. Bits beyond
// the authorities are never verified and count for legacy (C17): they are
// refused in what is imported, where no honest store has them.
func (x *turn) checkApprovals(a aura.Approvals, root common.Hash, origin string) *refusal {
	n := len(x.rules.spec.Authorities)
	if a.Count() != a.CountReal(n) && (origin == Legacy || origin == Own) {
		return invalid("approvals", "bits beyond the %d authorities are set", n)
	}
	if err := x.work.Verify(x.rules.committee, a, root); err != nil {
		return invalid("approvals", "%v", err)
	}
	return nil
}

// checkWork is C5.8 and C5.9.
func (x *turn) checkWork(b *block.Block, parent *Entry) *refusal {
	number := b.Payload.BlockNumber
	if b.AuxPowHeader != nil {
		proposals, no := x.checkCarrier(b.AuxPowHeader, parent, number)
		if no != nil {
			return no
		}
		return x.checkFinalizedPegouts(b, proposals)
	}
	if len(b.FinalizedPegouts) > 0 {
		return invalid("finalized_pegouts", "%d in a block without proof of work", len(b.FinalizedPegouts))
	}
	return x.checkSpacing(parent)
}

// checkSpacing is the limit of C5.9 for a block without proof of work on parent.
func (x *turn) checkSpacing(parent *Entry) *refusal {
	number, finalized := parent.Number+1, x.finalBelow(parent)
	if finalized == nil {
		return cannotJudge("auxpow_header", "the last finalised block below %d is not in the state", number)
	}
	if since := number - min(number, finalized.Number); since > x.rules.spec.MaxBlocksWithoutPow {
		return invalid("auxpow_header", "%d blocks without proof of work, at most %d", since, x.rules.spec.MaxBlocksWithoutPow)
	}
	return nil
}

// checkFinalizedPegouts compares the finalised peg-outs of a carrier with the
// proposals of its range: the count for everybody, order and txids for those
// who judge. (C5.8)
func (x *turn) checkFinalizedPegouts(b *block.Block, proposals []common.Hash) *refusal {
	if len(b.FinalizedPegouts) != len(proposals) {
		return invalid("finalized_pegouts", "%d, the range proposes %d", len(b.FinalizedPegouts), len(proposals))
	}
	if !x.Config.Judging {
		return nil
	}
	for i, tx := range b.FinalizedPegouts {
		if common.Hash(tx.TxHash()) != proposals[i] {
			return invalid("finalized_pegouts", "entry %d is %s, the range proposes another payment", i, tx.TxHash())
		}
	}
	if len(proposals) > 0 && b.Payload.BlockNumber > x.rules.spec.Exceptions.UncheckedWorkUpTo {
		return cannotJudge("finalized_pegouts", "the signatures of payments cannot be judged by this version")
	}
	return nil
}

// checkFees is the fee part of C6, for those who judge. A peg-in may be merged
// into a fee withdrawal; its amount is known to the bridge only, so a block with
// peg-ins must pay each fee address at least its share.
func (x *turn) checkFees(b *block.Block, parent *Entry) *refusal {
	if b.AuxPowHeader == nil {
		return nil
	}
	credits, err := block.SplitFees(parent.fees(), b.AuxPowHeader.FeeRecipient, x.rules.spec.Federation)
	if err != nil {
		return invalid("execution_payload.withdrawals", "%v", err)
	}
	if len(b.Pegins) == 0 {
		if err := b.Payload.CheckWithdrawals(credits, nil); err != nil {
			return invalid("execution_payload.withdrawals", "%v", err)
		}
		return nil
	}
	for _, c := range credits {
		paid := slices.ContainsFunc(b.Payload.Withdrawals, func(w block.Withdrawal) bool {
			return w.Address == c.Address && w.Amount >= c.Amount
		})
		if !paid {
			return invalid("execution_payload.withdrawals", "%s gets less than its fee share of %d gwei", c.Address, c.Amount)
		}
	}
	return nil
}

func (x *turn) newEntry(b *block.Block, a aura.Approvals, root common.Hash, parent *Entry) *Entry {
	e := &Entry{
		Root: root, Parent: b.ParentHash, Number: b.Payload.BlockNumber, Slot: b.Slot,
		Timestamp: b.Payload.Timestamp, PayloadHash: b.Payload.BlockHash, Approvals: a,
		Transactions: uint32(len(b.Payload.Transactions)),
	}
	if b.PegoutProposal != nil {
		e.Proposal = b.PegoutProposal.TxHash()
	}
	if parent != nil {
		e.LastCarrier = parent.LastCarrier
	}
	if h := b.AuxPowHeader; h != nil {
		e.Carrier = &Carrier{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd, Bits: h.Bits, Height: h.Height}
		e.LastCarrier = root
	}
	return e
}
