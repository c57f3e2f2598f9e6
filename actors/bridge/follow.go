package bridge

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// keepBelowFinalized is how many blocks below the finalised one stay: as many as the
// chain actor keeps, for an operator may have it leave a finalised block, and then
// another branch begins there.
const keepBelowFinalized = 4096

// followChain takes what the chain actor executed, then where its head and its
// finalised block are.
func (x *turn) followChain(m *message.FollowChain) {
	if m.Bare && len(m.Blocks) > 0 {
		x.Incomplete = fmt.Sprintf("the wallet begins after block %d, which this node executed before it followed the peg: "+
			"coins, deposits and requests up to there are unknown; import the chain again", m.Blocks[len(m.Blocks)-1].Number)
	}
	for i := range m.Blocks {
		x.execute(&m.Blocks[i])
		x.propose(&m.Blocks[i])
	}
	if m.Head != nil {
		x.moveHead(*m.Head)
	}
	if m.Finalized != nil && *m.Finalized != x.Finalized {
		x.finalize(*m.Finalized)
	}
	x.fetchUnknown()
	x.judgeAgain()
	x.signOrders()
	x.sendPayments(false)
}

// execute adds a block to the tree with the wallet after it. The first of all is the
// base.
func (x *turn) execute(m *message.PegBlock) {
	if x.Block(m.Root) != nil {
		return
	}
	b, err := x.read(m)
	if err != nil {
		panic(err.Error()) // the engine's edge made these bytes
	}
	if x.blocks.Len() == 0 {
		b.Wallet = x.derive(b, newWallet())
		x.Base, x.Head, x.Finalized, x.Before = b.id(), b.id(), b.id(), b.id()
		if b.Number != 0 && x.Incomplete == "" {
			x.Incomplete = fmt.Sprintf("the wallet begins at block %d: coins and deposits before it are unknown; import the chain again", b.Number)
		}
		x.putBlock(b)
		x.registerPayment(b)
		return
	}
	parent := x.Block(m.Parent)
	if parent == nil {
		x.alarm("tree", fmt.Sprintf("block %s at %d was executed on %s, which is not kept: its branch has no wallet", m.Root, m.Number, m.Parent), m.Root)
		return
	}
	b.Wallet = x.derive(b, parent.Wallet)
	if reason := unbalanced(&b.Wallet.Totals); reason != "" && unbalanced(&parent.Wallet.Totals) == "" {
		x.alarm("totals", fmt.Sprintf("the wallet after block %s at %d: %s; its sums do not tell what the federation holds and owes", b.Root, b.Number, reason), b.Root)
	}
	x.putBlock(b)
	x.registerPayment(b)
}

// moveHead reverts the blocks of the old head's branch, highest first, and connects
// those of the new one's, lowest first. (C11)
func (x *turn) moveHead(to message.BlockID) {
	from, head := x.Block(x.Head.Root), x.Block(to.Root)
	if from == nil || head == nil {
		if x.blocks.Len() > 0 {
			x.alarm("tree", fmt.Sprintf("the head moved to block %s at %d, which is not kept: the wallet stays at block %d", to.Root, to.Number, x.Head.Number), to.Root)
		}
		return
	}
	if strict := x.strictPegIns(head.Number + 1); strict != x.strictPegIns(from.Number+1) {
		defer x.readAgain()
	}
	reverted, connected := x.path(from, head)
	changed := len(reverted) > 0
	for _, b := range reverted {
		x.Head = message.BlockID{Root: b.Parent, Number: b.Number - 1}
		x.revert(b)
	}
	for i := len(connected) - 1; i >= 0; i-- {
		b := connected[i]
		parent := x.Block(b.Parent)
		x.Head = b.id()
		x.connect(b)
		if changed || b.Wallet != parent.Wallet {
			x.factWallet(b)
		}
		changed = false
	}
	if changed {
		x.factWallet(head)
	}
}

// path returns the blocks from one block down to its fork with another, and from the
// other down to there, the fork itself left out.
func (s *State) path(from, to *Block) (down, up []*Block) {
	for from.Root != to.Root {
		if from.Number >= to.Number {
			down = append(down, from)
			from = s.Block(from.Parent)
		} else {
			up = append(up, to)
			to = s.Block(to.Parent)
		}
		if from == nil || to == nil {
			panic("two blocks of the tree have no common ancestor")
		}
	}
	return down, up
}

func (x *turn) factWallet(b *Block) {
	totals := b.Wallet.Totals
	x.out.Fact(&message.WalletChanged{Root: b.Root, Number: b.Number, Totals: &totals})
}

// connect draws the conclusions from a block that came to the head's branch.
func (x *turn) connect(b *Block) {
	x.connectDeposits(b)
	x.connectPayments(b, x.Block(b.Parent))
}

// revert draws the conclusions from a block that left the head's branch.
func (x *turn) revert(b *Block) {
	x.revertPayments(b, x.Block(b.Parent))
	x.revertDeposits(b)
}

// conclude draws the conclusions from a block that became final.
func (x *turn) conclude(b *Block) {
	x.finalizeDeposits(b)
}

// finalize moves the finalised block, which may also go back: an operator can have the
// chain actor leave one.
func (x *turn) finalize(to message.BlockID) {
	b := x.Block(to.Root)
	if b == nil {
		if x.blocks.Len() > 0 && to.Number >= x.Base.Number { // below the base it is no news
			x.alarm("tree", fmt.Sprintf("block %s at %d became final and is not kept", to.Root, to.Number), to.Root)
		}
		return
	}
	var final []*Block
	for a := b; a != nil && a.Number > x.Finalized.Number; a = x.Block(a.Parent) {
		final = append(final, a)
	}
	if to.Number > x.Finalized.Number {
		x.Before = x.Finalized
	}
	x.Finalized = to
	for i := len(final) - 1; i >= 0; i-- {
		x.conclude(final[i])
	}
	x.raiseBase(b, keepBelowFinalized)
}

// ancestorAt returns the ancestor of a block at a height that is kept.
func (s *State) ancestorAt(b *Block, number uint64) *Block {
	var only *Block
	several := false
	s.heights.Ascend(message.BlockID{Number: number}, func(id message.BlockID) bool {
		if id.Number != number {
			return false
		}
		several = only != nil
		only = s.Block(id.Root)
		return !several
	})
	if only != nil && !several {
		return only
	}
	for b.Number > number {
		b = s.Block(b.Parent)
	}
	return b
}

// raiseBase drops what is below the window: the lowest block of the finalised branch
// in it is the new base, and what does not stand on it is gone.
func (x *turn) raiseBase(final *Block, keep uint64) {
	lowest := final.Number - min(final.Number, keep)
	lowest = min(lowest, x.Before.Number)
	if lowest <= x.Base.Number {
		return
	}
	base := x.ancestorAt(final, lowest)
	x.Base = base.id()
	var gone []*Block
	dropped := map[common.Hash]bool{} // looked up only
	level := base.Number              // the last at which a block was dropped
	x.heights.Scan(func(id message.BlockID) bool {
		b := x.Block(id.Root)
		if id.Number < base.Number || id.Number == base.Number && id != x.Base || id.Number > base.Number && dropped[b.Parent] {
			gone, dropped[id.Root], level = append(gone, b), true, id.Number
		}
		return id.Number <= level+1
	})
	for _, b := range gone {
		x.dropBlock(b)
	}
	x.releasePayments(gone)
	x.forgetDeposits(gone, base)
}
