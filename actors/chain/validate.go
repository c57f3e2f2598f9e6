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
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
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

// refusedBy is a verdict as a refusal.
func refusedBy(v rules.Verdict) *refusal {
	return &refusal{field: v.Field, grade: v.Grade, reason: v.Reason, again: v.Grade != fault.Invalid}
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
	if b.ParentHash != (common.Hash{}) && b.Payload.BlockNumber <= x.Finalized.Number {
		return nil, cannotJudge("execution_payload.block_number", "is %d, not above the finalised block at %d", b.Payload.BlockNumber, x.Finalized.Number)
	}
	if len(x.Executing) >= maxExecuting {
		return nil, &refusal{
			field: "execution_payload", grade: fault.Temporary,
			reason: fmt.Sprintf("%d blocks wait for the execution layer", len(x.Executing)), again: true,
		}
	}
	parent := x.Entry(b.ParentHash)
	if parent != nil && parent.Status == Invalid {
		return nil, invalid("parent_hash", "parent %s was refused", b.ParentHash)
	}
	// Bits beyond the authorities are never verified and count for legacy (C17): they
	// are refused in what is imported, where no honest store has them.
	a, n := signed.Approvals, len(x.rules.spec.Authorities)
	if a.Count() != a.CountReal(n) && (origin == Legacy || origin == Own) {
		return nil, invalid("approvals", "bits beyond the %d authorities are set", n)
	}
	if _, v := x.judge().Check(signed, root, x); !v.Valid() {
		return nil, refusedBy(v)
	}
	return parent, nil
}

func (x *turn) newEntry(b *block.Block, a aura.Approvals, root common.Hash, parent *Entry) *Entry {
	var above *rules.Ancestor
	if parent != nil {
		above = &parent.Ancestor
	}
	return &Entry{
		Ancestor:  rules.NewAncestor(b, root, above, x),
		Timestamp: b.Payload.Timestamp, Approvals: a, Transactions: uint32(len(b.Payload.Transactions)),
	}
}
