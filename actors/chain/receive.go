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

// blames reports whether what the root covers is at fault: every copy of the block
// is refused then. Approvals are beside it; another copy may have better ones.
func (r *refusal) blames() bool { return !r.again && r.field != "approvals" }

// refusedBy is a verdict as a refusal.
func refusedBy(v rules.Verdict) *refusal {
	return &refusal{field: v.Field, grade: v.Grade, reason: v.Reason, again: v.Grade != fault.Invalid}
}

// accept judges one signed block and stores it, and then what waited for it. It
// reports whether the block is known or kept.
func (x *turn) accept(b Executing, origin string) bool {
	e, waits := x.take(b, origin)
	if e != nil {
		x.adopt(e.Root)
	}
	return e != nil || waits
}

// take judges one signed block and stores it. It returns the entry, or nil when
// the block is refused or waits for its parent.
func (x *turn) take(b Executing, origin string) (e *Entry, waits bool) {
	signed, root, err := x.work.Decode(b.Signed.Data)
	if err != nil {
		x.refuse(message.BlockID{Number: x.Head.Number + 1}, origin, invalid("encoding", "%v", err))
		return nil, false
	}
	id := message.BlockID{Root: root, Number: signed.Block.Payload.BlockNumber}
	if known := x.Entry(root); known != nil {
		if known.Status == Invalid && origin == Legacy { // an import waits for an answer to each block
			x.refuse(id, origin, invalid("execution_payload", "it was refused before; the fact with its hash says why"))
		}
		return x.known(known, signed, b.Signed), false
	}
	if x.isOrphan(&signed.Block, origin) {
		no := x.keepOrphan(b.Signed, signed, root, origin)
		if no != nil {
			x.refuse(id, origin, no)
		}
		return nil, no == nil
	}
	parent, no := x.validate(signed, root, origin)
	if no != nil {
		x.refuse(id, origin, no)
		if no.blames() {
			x.faulty[root], x.atFault = true, root
			x.abandon(root)
		}
		return nil, false
	}
	return x.store(b, signed, root, parent, origin), false
}

// isOrphan reports whether a block may wait for its parent. An import has every
// parent, or its store is at fault.
func (x *turn) isOrphan(b *block.Block, origin string) bool {
	return b.ParentHash != (common.Hash{}) && x.Entry(b.ParentHash) == nil && (origin == Gossip || origin == Sync)
}

// store puts a valid block into the tree, with the approvals that came before it.
func (x *turn) store(b Executing, signed *block.Signed, root common.Hash, parent *Entry, origin string) *Entry {
	e := x.newEntry(&signed.Block, signed.Approvals, root, parent)
	e.Signed = common.Hash(b.Signed.Hash)
	e.Excluded = x.excludedOn(parent)
	x.Arrivals++
	e.Arrival = x.Arrivals
	unapproved := *e
	unapproved.Approvals = aura.None()
	x.approved(&unapproved, e.stored(b))
	x.fetched(root)
	if single, ok := only(signed.Approvals); ok && int(single.Authority) < len(x.rules.spec.Authorities) {
		x.heard(e, single)
	}
	x.takeEarly(root)
	if origin == Gossip || origin == Own || x.missed(x.Entry(root), origin) {
		x.considerApproval(x.Entry(root))
	}
	return x.Entry(root)
}

// missed reports whether a block that was asked for is one of now that waits for approvals:
// its gossip was lost, and it must not depend on that. What a download brings has them.
func (x *turn) missed(e *Entry, origin string) bool {
	turns := 2 * uint64(len(x.rules.spec.Authorities))
	return origin == Sync && x.Config.Peers && !x.hasQuorum(e) && e.Number > x.Head.Number && e.Slot+turns >= x.slotAt(x.Time)
}

// known takes the approvals of a block of the tree that the copy received has beyond
// ours. A block that was refused before is refused still, without a second fact.
func (x *turn) known(e *Entry, signed *block.Signed, content record.Content) *Entry {
	if e.Status == Invalid {
		return nil
	}
	all := x.combine(e.Approvals, signed.Approvals, e.Root)
	all = x.overlap(e, all, signed.Approvals)
	if all == e.Approvals {
		return e
	}
	next := *e
	next.Approvals = all
	if all == signed.Approvals {
		next.Signed = common.Hash(content.Hash)
		if !e.Body.None() {
			next.Body = content
		}
	}
	x.approved(e, &next)
	return x.Entry(e.Root)
}

// combine returns the approvals of two copies of a block: both, when one of them has
// a single signer that the other lacks; otherwise those of the copy with more, for an
// aggregate cannot be taken apart. Ours were verified, the other's are here.
func (x *turn) combine(ours, other aura.Approvals, root common.Hash) aura.Approvals {
	n := len(x.rules.spec.Authorities)
	whole, rest := ours, other
	more := other.CountReal(n) > ours.CountReal(n)
	if more {
		whole, rest = other, ours
	}
	single, ok := only(rest)
	adds := ok && int(single.Authority) < n && !whole.Has(int(single.Authority))
	if !more && !adds || x.work.Verify(x.rules.committee, other, root) != nil {
		return ours
	}
	if sum := whole; adds && x.work.Add(&sum, single) == nil {
		return sum
	}
	return whole
}

// only returns the approval of the single signer, if there is just one: then the
// aggregate is his signature.
func only(a aura.Approvals) (single aura.Approval, ok bool) {
	for i := range aura.MaxAuthorities {
		if a.Has(i) {
			single = aura.Approval{Signature: a.Signature, Authority: uint8(i)}
		}
	}
	return single, a.Count() == 1
}

// The bounds of stored blocks that are not executed: in all, and their bytes. The
// oldest of the member who has most of them goes first, with all that stands on it.
const (
	maxStored      = 4096
	maxStoredBytes = 64 << 20
)

// maxAside bounds executed and refused blocks off the head's branch. The lowest
// goes first, with all that stands on it.
const maxAside = 8192

// bound keeps what waits beside the head's branch within its bounds.
func (x *turn) bound() {
	for x.waiting.Len() > maxStored || x.waitingBytes > maxStoredBytes {
		most := 0
		for i, n := range x.waitingBy {
			if n > x.waitingBy[most] {
				most = i
			}
		}
		var oldest common.Hash
		x.waiting.Ascend(place{author: most}, func(p place) bool {
			oldest = p.root
			return false
		})
		x.cut(oldest)
	}
	for x.aside.Len()-x.waiting.Len()-x.flying.Len() > maxAside {
		var lowest common.Hash
		x.aside.Scan(func(id message.BlockID) bool {
			lowest = id.Root
			e := x.Entry(id.Root)
			return e.Root == x.Finalizer || e.Status == Stored || e.Status == InFlight
		})
		x.cut(lowest)
	}
}

// cut removes a side block and everything that stands on it.
func (x *turn) cut(root common.Hash) {
	gone := x.descendants(root)
	if e := x.Entry(root); e != nil {
		gone = append(gone, e)
	}
	cut := make(map[common.Hash]bool, len(gone)) // looked up only, never ranged over
	for _, e := range gone {
		cut[e.Root] = true
		x.remove(e)
	}
	x.unqueue(func(b Executing) bool { return cut[b.Root] })
}

// unqueue takes blocks out of the queue.
func (x *turn) unqueue(leaves func(Executing) bool) {
	if slices.ContainsFunc(x.Executing, leaves) {
		x.Executing = slices.DeleteFunc(slices.Clone(x.Executing), leaves)
	}
}

// validate is C5 up to the execution layer. The parent's entry is returned with
// a nil refusal.
func (x *turn) validate(signed *block.Signed, root common.Hash, origin string) (*Entry, *refusal) {
	b := &signed.Block
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
