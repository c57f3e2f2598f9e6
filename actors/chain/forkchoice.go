package chain

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// movement is what a turn did to the head's branch.
type movement struct {
	joined   []message.BlockID // connected blocks, oldest first
	reverted uint64
	ancestor message.BlockID // the last block of both branches
}

// settle draws the conclusions from what a turn learnt, once, at its end: what is
// final, which block is the head, what is to be executed. The order in which a
// turn learnt it does not matter, except that of two blocks of one height the
// first to reach its quorum wins.
func (x *turn) settle() {
	head, finalized := x.Head, x.Finalized
	if x.judgeExcluded(x.learnt); x.Conflict != nil {
		return
	}
	x.carryOut()
	late := x.lateFinality()
	x.letGo(late)
	var moved movement
	if tip := x.best(late); tip != nil {
		moved = x.switchTo(tip)
	}
	if late != nil {
		x.finalize(late)
	}
	if x.Head != head {
		x.factHead(&moved)
	}
	if x.Finalized != finalized {
		x.letGo(nil)
		x.refreshExcluded()
		x.prune()
		x.forgetVows()
	}
	if x.Conflict != nil {
		return
	}
	x.tellBridge(x.Head != head || x.Finalized != finalized)
	if x.Finalized != finalized || len(x.learnt) > 0 {
		x.endLocks()
	}
	if x.Head != head || x.Finalized != finalized {
		x.moveHead()
		x.dropStaleWork()
		x.tellMiner(moved.reverted > 0, moved.joined)
		x.orderPayments()
		x.decideAgain()
	} else if len(x.learnt) > 0 {
		x.decideAgain() // the parent of one that waits may be executed
	}
	x.scheduleBest()
	x.bound()
	x.executeNext()
}

// best returns the executed block that is to be the head, or nil when it is: the
// first to reach its quorum above the head's height (C10), and when a carrier that
// was learnt late finalises a block that the head's branch has not, the highest
// block above that, whatever the head's height; so too when an operator has this
// member keep to another branch.
func (x *turn) best(late *Entry) (tip *Entry) {
	floor, on := x.floor(late)
	x.ready.Reverse(func(r rank) bool {
		if r.number <= floor {
			return false
		}
		if e := x.Entry(r.root); e.Status == Executed && (on == nil || x.isAncestor(on, e)) {
			tip = e
		}
		return tip == nil
	})
	return tip
}

// switchTo makes an executed block the head: blocks above the fork are reverted,
// highest first, then its branch is connected, lowest first. In the common case
// nothing is reverted and few blocks are connected.
func (x *turn) switchTo(tip *Entry) (m movement) {
	var path []*Entry
	fork := tip
	for ; fork.Status != Connected; fork = x.Entry(fork.Parent) {
		path = append(path, fork)
	}
	m.ancestor = fork.id()
	for e := x.Entry(x.Head.Root); e.Root != fork.Root; e = x.Entry(e.Parent) {
		side := *e
		side.Status = Executed
		x.put(&side)
		x.out.Fact(&message.BlockReverted{Root: e.Root, Number: e.Number})
		m.reverted++
	}
	x.Head = fork.id()
	if carrier := x.Entry(fork.LastCarrier); carrier != nil {
		x.LatestPow = carrier.id()
	}
	for _, e := range slices.Backward(path) {
		m.joined = append(m.joined, x.connect(e))
	}
	return m
}

// connect puts an executed block on top of the head's branch.
func (x *turn) connect(e *Entry) message.BlockID {
	content := x.whole(e)
	next := e.taken(Connected)
	next.Signed = content.Hash
	next.Arrival, next.Reached, next.Excluded, next.Reported = 0, 0, false, false
	if !e.Body.None() && !x.hasQuorum(e) {
		next.Body = content
	}
	x.put(next)
	x.Head = next.id()
	x.factConnected(next, content, int(next.Transactions))
	if next.Carrier != nil {
		x.LatestPow = next.id()
		x.finalize(next)
	}
	return next.id()
}

// whole is the signed block with all approvals that are known, for peers that
// sync from us must find the quorum in the block itself; as it was stored when its
// bytes are not here any more.
func (x *turn) whole(e *Entry) record.Content {
	signed := x.bodies[e.Root]
	if signed == nil && len(e.Body.Data) > 0 {
		if stored, _, err := x.work.Decode(e.Body.Data); err == nil {
			signed = stored
		}
	}
	if signed == nil || signed.Approvals == e.Approvals {
		return e.content()
	}
	all := block.Signed{Block: signed.Block, Approvals: e.Approvals}
	return record.NewContent(all.Encode())
}

// prune forgets what the state need not hold once the finalised block moved:
// blocks under the window and side blocks that stand on those. Branches that
// leave the head's below the finalised block stay for the window, for a conflict
// of finality or an operator's decision is judged by them.
func (x *turn) prune() {
	lowest := x.lowestKept()
	var gone []*Entry
	x.heights.Scan(func(id message.BlockID) bool {
		if id.Number < lowest {
			gone = append(gone, x.Entry(id.Root))
		}
		return id.Number < lowest
	})
	for _, e := range gone {
		var standing []common.Hash
		x.children.Ascend(link{parent: e.Root}, func(l link) bool {
			if l.parent == e.Root && x.Entry(l.root).Status != Connected {
				standing = append(standing, l.root)
			}
			return l.parent == e.Root
		})
		for _, root := range standing {
			x.cut(root)
		}
		if e.Status == Connected {
			x.remove(e)
		} else {
			x.cut(e.Root)
		}
	}
	if len(gone) > 0 {
		x.pruneOrphans(lowest)
	}
}

// lowestKept is the height under which nothing is needed: the window below the
// finalised block, and at least the block that was final on its branch before
// it, for another branch may still begin at the finalised block.
func (s *State) lowestKept() uint64 {
	lowest := s.Finalized.Number - min(s.Finalized.Number, keepBelowFinalized)
	if before := s.finalBelow(s.Entry(s.Finalized.Root)); before != nil {
		lowest = min(lowest, before.Number)
	}
	return lowest
}
