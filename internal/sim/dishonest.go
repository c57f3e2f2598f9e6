package sim

import (
	"math/big"
	"math/rand/v2"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// dishonest is a member that runs the real cores and does more, and less, with its
// key than they ask for.
type dishonest struct {
	m           *member
	equivocates bool // two blocks of one slot, to different members
	agreeable   bool // approves whatever it sees
	withholds   bool // keeps blocks and approvals to itself, or shows them to one
	forges      bool // approvals of others, bits without a signature, junk
	divides     bool // carriers of its own on branches that others have left
	boasts      bool // tells heads that it does not have, and answers with what is no branch
	rand        *rand.Rand
}

func newDishonest(m *member) *dishonest {
	r := m.w.rand.dishonest
	d := &dishonest{m: m, rand: r}
	for _, flag := range []*bool{&d.equivocates, &d.agreeable, &d.withholds, &d.forges, &d.divides, &d.boasts} {
		*flag = r.IntN(2) == 0
	}
	m.w.after(slot, "dishonest", m.index, d.act)
	return d
}

func (d *dishonest) silent() bool { return d.withholds && d.rand.IntN(2) == 0 }

// publishes reports whether it dealt with what the node wants published.
func (d *dishonest) publishes(m core.Message) bool {
	p := d.m.process
	switch m := m.(type) {
	case *message.PublishBlock:
		content, err := p.wholeContent(m.Signed)
		if err != nil {
			return false
		}
		b := d.m.w.blocks.addSigned(d.m.w, content)
		switch {
		case b == nil:
			return false
		case d.equivocates && d.rand.IntN(2) == 0:
			d.twins(b)
			return true
		case d.withholds && d.rand.IntN(3) == 0:
			d.show(content, func(to int) bool { return to == (d.m.index+1)%d.m.w.opt.Members })
			return true
		}
	case *message.PublishApproval:
		return d.silent()
	}
	return false
}

// received sees what the member is sent.
func (d *dishonest) received(blocks []record.Content) {
	if !d.agreeable {
		return
	}
	for _, c := range blocks {
		if _, root, err := d.m.w.work.Decode(c.Data); err == nil {
			d.approve(root)
		}
	}
}

func (d *dishonest) approve(root common.Hash) {
	a := standin.Approve(d.m.index, root)
	m := &message.ApprovalReceived{Root: root, Authority: a.Authority, Signature: a.Signature}
	d.m.w.net.broadcast(d.m.index, "approval", func(to *process) { to.gossipApproval(d.m.index, m) })
}

// show sends a block to some of the others.
func (d *dishonest) show(c record.Content, fit func(to int) bool) {
	for to := range d.m.w.members {
		if to != d.m.index && fit(to) {
			d.m.w.net.send(d.m.index, to, "block", func(p *process) { p.gossipBlock(d.m.index, c) })
		}
	}
}

// twins makes a second block of the same slot and shows each to some.
func (d *dishonest) twins(b *known) {
	w, parent := d.m.w, d.m.w.blocks.get(b.parent)
	if parent == nil {
		return
	}
	from := b.signed.Block
	twin := standin.Make(w.spec, standin.Plan{
		Parent: parent.signed, Timestamp: from.Payload.Timestamp, Slot: from.Slot, By: []int{d.m.index},
		Extra: "twin", Withdrawals: from.Payload.Withdrawals, Header: from.AuxPowHeader,
	})
	first := record.NewContent(b.signed.Encode())
	second := d.made(twin)
	sides := d.rand.Uint64()
	d.show(first, func(to int) bool { return sides>>to&1 == 0 || sides>>(to+16)&1 == 0 })
	d.show(second, func(to int) bool { return sides>>to&1 == 1 || sides>>(to+16)&1 == 0 })
}

// made makes a block known to the registry.
func (d *dishonest) made(s *block.Signed) record.Content {
	c := record.NewContent(s.Encode())
	d.m.w.blocks.addSigned(d.m.w, c)
	return c
}

// act is what it does once in a while by itself.
func (d *dishonest) act() {
	d.m.w.after(slot/2+d.rand.Int64N(2*slot), "dishonest", d.m.index, d.act)
	if d.m.process == nil {
		return
	}
	if d.forges {
		d.forge()
	}
	if d.divides && d.rand.IntN(3) == 0 {
		d.divide()
	}
}

// someEntry is a block of its own tree, near the head.
func (d *dishonest) someEntry() *chain.Entry {
	s := d.m.state()
	e := s.Entry(s.Head.Root)
	for back := d.rand.IntN(5); e != nil && back > 0; back-- {
		if parent := s.Entry(e.Parent); parent != nil {
			e = parent
		}
	}
	return e
}

// forge sends what only a liar would.
func (d *dishonest) forge() {
	w, e := d.m.w, d.someEntry()
	other := uint8(d.rand.IntN(w.opt.Members + 2))
	junk := standin.Sign(standin.Key(d.m.index), common.Hash{byte(d.rand.Uint32())})
	root := e.Root
	if d.rand.IntN(3) == 0 {
		root = common.Hash{byte(d.rand.Uint32()), byte(d.rand.Uint32())} // of no block
		junk = standin.Sign(standin.Key(d.m.index), root)
		other = uint8(d.m.index)
	}
	w.net.broadcast(d.m.index, "approval", func(to *process) {
		to.gossipApproval(d.m.index, &message.ApprovalReceived{Root: root, Authority: other, Signature: junk})
	})
	b := w.blocks.get(e.Root)
	if b == nil {
		return
	}
	fake := *b.signed
	switch d.rand.IntN(4) {
	case 0: // a bit without a signature
		fake.Approvals.Bits[0] |= 1 << d.rand.IntN(w.opt.Members)
	case 1: // bits of members that do not exist (C17)
		fake.Approvals = standin.Approvals(e.Root, d.m.index)
		fake.Approvals.Bits[1] |= 0x78
	case 2:
		fake.Block.Payload.StateRoot[0] ^= 1
		fake.Approvals = standin.Approvals(fake.Block.Root(), d.m.index)
	case 3:
		fake.Block.Payload.BlockNumber += 7
		fake.Approvals = standin.Approvals(fake.Block.Root(), d.m.index)
	}
	data := fake.Encode()
	if d.rand.IntN(5) == 0 {
		data = data[:d.rand.IntN(len(data))]
	}
	c := record.NewContent(data)
	w.blocks.addSigned(w, c)
	w.net.broadcast(d.m.index, "block", func(to *process) { to.gossipBlock(d.m.index, c) })
}

// divide makes a carrier on a block near the head, over a range of that branch.
func (d *dishonest) divide() {
	w, s, tip := d.m.w, d.m.state(), d.someEntry()
	parent := w.blocks.get(tip.Root)
	last := s.Entry(tip.LastCarrier)
	if parent == nil || last == nil || last.Carrier == nil {
		return
	}
	final := last.Root
	if last.Carrier.Height != 0 {
		final = last.Carrier.RangeEnd
	}
	var roots []common.Hash
	for e := tip; e != nil && e.Root != final; e = s.Entry(e.Parent) {
		roots = append([]common.Hash{e.Root}, roots...)
	}
	if len(roots) == 0 {
		return
	}
	roots = roots[:1+d.rand.IntN(len(roots))]
	header, err := standin.Header(w.spec, roots, w.spec.Bits, last.Number+1, recipient)
	if err != nil {
		return
	}
	credits, err := block.SplitFees(new(big.Int).SetBytes(tip.Fees), recipient, w.spec.Federation)
	if err != nil {
		return
	}
	now := w.slotNow()
	n := uint64(w.opt.Members)
	mine := now - (now+n-uint64(d.m.index))%n // the last slot that is its own
	if mine <= tip.Slot || mine <= parent.signed.Block.Payload.Timestamp || aura.Author(mine, w.opt.Members) != d.m.index {
		return
	}
	carrier := standin.Make(w.spec, standin.Plan{
		Parent: parent.signed, Timestamp: mine * slot / 1000, Slot: mine, By: []int{d.m.index},
		Extra: "divide", Withdrawals: credits, Header: header,
	})
	c := d.made(carrier)
	sides := d.rand.Uint64()
	d.show(c, func(to int) bool { return sides>>to&3 > 0 })
}

// boast is the head that it tells: its own, one that nobody has, or one long past.
func (d *dishonest) boast(head, finalized message.BlockID) (message.BlockID, message.BlockID) {
	if !d.boasts {
		return head, finalized
	}
	switch d.rand.IntN(4) {
	case 0:
		return message.BlockID{Root: common.Hash{2, byte(d.rand.Uint32())}, Number: head.Number + d.rand.Uint64N(500)}, finalized
	case 1:
		if e := d.someEntry(); e != nil {
			return message.BlockID{Root: e.Root, Number: e.Number}, finalized
		}
	}
	return head, finalized
}

// answers is what it makes of the blocks of a range that it is asked for.
func (d *dishonest) answers(blocks []record.Content) ([]record.Content, string) {
	if !d.boasts || len(blocks) == 0 {
		return blocks, ""
	}
	switch d.rand.IntN(4) {
	case 0:
		return nil, message.ActTimeout
	case 1:
		return blocks[:d.rand.IntN(len(blocks))], ""
	case 2:
		blocks = slices.Clone(blocks)
		d.rand.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
	}
	return blocks, ""
}
