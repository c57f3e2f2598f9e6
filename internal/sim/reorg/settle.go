package reorg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// shuffled is up to how many blocks everybody learns them in an order of his
// own: what waits for a parent is bounded.
const shuffled = 200

// settle gives every node what it does not have, in an order of its own, lets
// everything that is under way come to its end, and checks the result.
func (w *world) settle() {
	for range 3 { // approvals that nodes make meanwhile are news to the others
		news := false
		for i, n := range w.nodes {
			n.held, n.layer.Limit = map[core.Edge]bool{}, -1
			n.run()
			news = n.learnAll(i) || news
			n.quiet()
		}
		if !news {
			break
		}
	}
	for _, n := range w.nodes {
		n.check()
	}
}

// news is a block or an approval.
type news struct {
	root     common.Hash
	copy     *copyOf
	approval aura.Approval
}

// learnAll gives the node what it was not given yet.
func (n *node) learnAll(order int) bool {
	var list []news
	for _, m := range n.w.order {
		if m.number() > 0 || m.parent != nil {
			if c := m.copy(); !n.known.HasBlock(m.root) || len(n.w.order) > shuffled && m.truth.Wrong == "" {
				list = append(list, news{root: m.root, copy: &c})
			}
		}
		for _, a := range n.w.approvals[m.root] {
			if !n.known.HasApproval(m.root, int(a.Authority)) {
				list = append(list, news{root: m.root, approval: a})
			}
		}
	}
	if len(n.w.order) <= shuffled {
		switch order % 3 {
		case 1:
			slices.Reverse(list)
		case 2:
			r := rand.New(rand.NewPCG(uint64(len(n.w.order)), uint64(order)))
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
	var run []copyOf
	for _, item := range list {
		if item.copy != nil {
			run = append(run, *item.copy)
			continue
		}
		n.give(chain.Gossip, run)
		run = nil
		n.approve(item.root, item.approval)
	}
	n.give(chain.Gossip, run)
	return len(list) > 0
}

// quiet waits until nothing is under way: effects, tries of the engine actor,
// questions to peers. Slots of our own do not begin meanwhile.
func (n *node) quiet() {
	for range 64 {
		n.run()
		slot := n.state().Timer
		again := func(t timer) bool { return t.ref != slot }
		if !slices.ContainsFunc(n.timers, again) && len(n.fetches) == 0 {
			return
		}
		n.answer()
		n.wait(60_000, again)
	}
	if !n.stopped {
		n.fail("what is under way comes to an end", "%d timers and %d questions to peers after an hour", len(n.timers), len(n.fetches))
	}
}

// check compares a node that knows everything with the model.
func (n *node) check() {
	if n.stopped {
		n.checkStopped()
		return
	}
	n.checkChoice()
	n.checkMiner()
	n.checkLayer()
	n.checkFresh()
	n.checkReplay(int(n.machine.Sequence()) % (maxSnaps + 1))
}

// checkStopped: a node ends itself for a conflict only, and again when started.
func (n *node) checkStopped() {
	if n.conflict == nil {
		n.fail("nodes go on", "the process was asked to stop without a conflict of finality")
	}
	n.restart(0)
	if !n.stopped {
		n.fail("a conflict of finality stays", "the node goes on after a restart")
	}
}

// checkChoice: finalised block and head are those of the model.
func (n *node) checkChoice() {
	s := n.state()
	from := n.w.network.Activation
	heads, height := n.known.Heads(s.Finalized.Root)
	switch from {
	case 0:
	case 1:
		v := n.known.Judge()
		if v.Conflict { // nothing that it needs to see that is below the window of what is kept
			n.fail("a conflict of finality stops the node", "%s is final by %s and %s by %s, and it goes on",
				n.w.name(v.One), n.w.name(v.OneBy), n.w.name(v.Other), n.w.name(v.OtherBy))
		}
		if n.decided {
			break
		}
		if s.Finalized.Root != v.Finalised {
			n.fail("convergence", "%s is final, it should be %s by %s", n.w.name(s.Finalized.Root), n.w.name(v.Finalised), n.w.name(v.Carrier))
		}
	default:
		for _, b := range n.known.Quorum() {
			// An end beside what became final before the activation height waits for an operator.
			if b.Header != nil && b.Number >= from && b.Header.RangeEnd != s.Finalized.Root && n.w.model.Above(b.Header.RangeEnd, s.Finalized.Root) {
				n.fail("convergence", "%s is final, not the range end %s of %s above it", n.w.name(s.Finalized.Root), n.w.name(b.Header.RangeEnd), n.w.name(b.Root))
			}
		}
	}
	if !slices.Contains(heads, s.Head.Root) {
		n.fail("convergence", "the head is %s at %d, it should be %s at %d", n.w.name(s.Head.Root), s.Head.Number, n.w.name(heads[0]), height)
	}
}

// checkMiner: the work that the miner actor hands out begins after the block that
// is final on the head's branch and ends at the head.
func (n *node) checkMiner() {
	s, m := n.state(), n.machine.State(miner.ID).(*miner.State)
	var want []byte
	head := n.w.model.Block(s.Head.Root)
	last := n.w.model.Block(head.LastCarrier)
	final := last.Root
	if last.Header != nil && last.Header.Height > 0 {
		final = last.Header.RangeEnd
	}
	base := n.w.model.Block(final)
	for _, b := range n.w.model.Path(s.Head.Root) {
		if b.Number > base.Number {
			want = append(binary.BigEndian.AppendUint64(want, b.Number), b.Root[:]...)
		}
	}
	if got := openBlocks(m); !bytes.Equal(got, want) {
		n.fail("the miner's range is the branch's", "%d bytes of open blocks, want %d from %d to %d", len(got), len(want), base.Number+1, head.Number)
	}
	if m.LatestPow != s.LatestPow || m.Finalized.Root != final {
		n.fail("the miner's range is the branch's", "it begins after %s by %s, want %s by %s", n.w.name(m.Finalized.Root), n.w.name(m.LatestPow.Root), n.w.name(final), n.w.name(s.LatestPow.Root))
	}
}

// openBlocks are heights and roots of the miner actor's range.
func openBlocks(m *miner.State) (open []byte) {
	_ = m.Walk(func(key, value []byte) error {
		if len(key) == 8 {
			open = append(append(open, key...), value...)
		}
		return nil
	})
	return open
}

// checkLayer: the execution layer is at the head and knows what is final.
func (n *node) checkLayer() {
	s := n.state()
	head, finalized := n.layer.Head()
	if want := n.w.roots[s.Head.Root].signed.Block.Payload.BlockHash; head != want {
		n.fail("the execution layer follows", "its head is %s, ours %s", n.w.name(n.w.payload(head)), n.w.name(s.Head.Root))
	}
	if want := n.w.roots[s.Finalized.Root]; want.parent != nil && finalized != want.signed.Block.Payload.BlockHash {
		n.fail("the execution layer follows", "its finalised block is %s, ours %s", n.w.name(n.w.payload(finalized)), want.name)
	}
}

// checkFresh: what is derived from blocks equals what a fresh node derives that
// is given nothing but the canonical chain.
func (n *node) checkFresh() {
	s := n.state()
	fresh := n.w.newNode('z'-'a', Role{Member: -1})
	path := n.w.model.Path(s.Head.Root)
	var line []copyOf
	for _, b := range path {
		m := n.w.roots[b.Root]
		whole := *m.signed
		whole.Approvals = standin.Approvals(b.Root, n.known.By(b.Root)...)
		line = append(line, copyOf{&whole, record.NewContent(whole.Encode())})
	}
	fresh.give(chain.Sync, line)
	f := fresh.state()
	if f.Head != s.Head || f.LatestPow != s.LatestPow {
		n.fail("state of a reorganisation equals a replay of its chain", "head %s and latest proof of work %s, replayed %s and %s",
			n.w.name(s.Head.Root), n.w.name(s.LatestPow.Root), n.w.name(f.Head.Root), n.w.name(f.LatestPow.Root))
	}
	for _, b := range path {
		n.sameEntry(s.Entry(b.Root), f.Entry(b.Root), b.Number > s.Finalized.Number)
	}
	mine, theirs := n.machine.State(miner.ID).(*miner.State), fresh.machine.State(miner.ID).(*miner.State)
	if !bytes.Equal(openBlocks(mine), openBlocks(theirs)) || mine.LatestPow != theirs.LatestPow || mine.LatestBits != theirs.LatestBits || mine.Finalized != theirs.Finalized {
		n.fail("state of a reorganisation equals a replay of its chain", "the miner actor's range differs")
	}
}

// sameEntry compares all of an entry that depends on the block and its ancestors.
func (n *node) sameEntry(a, b *chain.Entry, needed bool) {
	if a == nil || b == nil {
		if needed && a != b {
			n.fail("state of a reorganisation equals a replay of its chain", "a block above the finalised one is not in the state")
		}
		return
	}
	if one, two := derived(a), derived(b); one != two {
		n.fail("state of a reorganisation equals a replay of its chain", "%s is %s, replayed %s", n.w.name(a.Root), one, two)
	}
}

// derived is all of an entry that depends on the block and its ancestors, not on
// when it came or by whom it was approved.
func derived(e *chain.Entry) string {
	carrier := ""
	if e.Carrier != nil {
		carrier = fmt.Sprintf("%+v", *e.Carrier)
	}
	return fmt.Sprintf("%x on %x at %d, slot %d, time %d, payload %x, state %x, status %d, fees %x, proposal %x, carrier %s, last carrier %x, %d transactions",
		e.Root, e.Parent, e.Number, e.Slot, e.Timestamp, e.PayloadHash, e.StateRoot, e.Status, e.Fees, e.Proposal, carrier, e.LastCarrier, e.Transactions)
}
