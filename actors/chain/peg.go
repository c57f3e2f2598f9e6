package chain

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

// pegBlock is what the peg reads of a block on an executed parent.
func (x *turn) pegBlock(b *block.Block, root common.Hash, parent *Entry, receipts record.Content) message.PegBlock {
	m := message.PegBlock{
		Root: root, Parent: b.ParentHash, Number: b.Payload.BlockNumber, PayloadHash: b.Payload.BlockHash,
		Withdrawals: withdrawals(b.Payload.Withdrawals), Receipts: receipts,
	}
	for _, p := range b.Pegins {
		m.PegIns = append(m.PegIns, message.DepositID{Txid: p.Txid, Block: p.BlockHash})
	}
	if b.PegoutProposal != nil {
		m.Proposal = rawProposal(b.PegoutProposal)
	}
	for _, tx := range b.FinalizedPegouts {
		m.Payouts = append(m.Payouts, message.RawTransaction{Raw: rawPayout(tx)})
	}
	if h := b.AuxPowHeader; h != nil && parent != nil {
		m.Carrier, m.RangeStart, m.RangeEnd = true, h.RangeStart, h.RangeEnd
		if shares, err := block.SplitFees(parent.fees(), h.FeeRecipient, x.rules.spec.Federation); err == nil {
			m.FeeShares = withdrawals(shares)
		}
	}
	return m
}

// rawProposal is an unsigned payment without witnesses: with them, one that has no inputs
// would not be read back as what it is.
func rawProposal(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.SerializeNoWitness(&b) // a buffer takes everything
	return b.Bytes()
}

func rawPayout(tx *wire.MsgTx) []byte {
	var b bytes.Buffer
	_ = tx.Serialize(&b)
	return b.Bytes()
}

func withdrawals(list []block.Withdrawal) (out []message.Withdrawal) {
	for _, w := range list {
		out = append(out, message.Withdrawal{Address: w.Address, Amount: w.Amount})
	}
	return out
}

// follow keeps a block that this turn executed, for the bridge actor.
func (x *turn) follow(b *block.Block, e *Entry, receipts record.Content) {
	x.followed = append(x.followed, x.pegBlock(b, e.Root, x.Entry(e.Parent), receipts))
}

// tellBridge says what this turn executed and where the head and the finalised block are
// now. It comes before whatever is asked of the bridge in the same turn. (C11)
func (x *turn) tellBridge(moved bool) {
	if !moved && len(x.followed) == 0 {
		return
	}
	head, final := x.Head, x.Finalized
	x.out.Send(bridge, &message.FollowChain{Blocks: x.followed, Head: &head, Finalized: &final})
	x.followed, x.Followed = nil, true
}

// tellBare has the bridge begin with the finalised block when it was never told of any:
// this journal was begun by an older behaviour, or with the states of a node that was. What
// these blocks did to the wallet is not known any more.
func (x *turn) tellBare() {
	if x.Followed {
		return
	}
	x.Followed = true
	head, final := x.Head, x.Finalized
	m := &message.FollowChain{Head: &head, Finalized: &final, Bare: true}
	for e := x.Entry(head.Root); e != nil && e.Number >= final.Number; e = x.Entry(e.Parent) {
		m.Blocks = append(m.Blocks, message.PegBlock{Root: e.Root, Parent: e.Parent, Number: e.Number, PayloadHash: e.PayloadHash})
	}
	slices.Reverse(m.Blocks)
	x.out.Send(bridge, m)
}

// hasPegPart reports whether the bridge has to judge a block before it is approved.
func (x *turn) hasPegPart(b *block.Block, parent *Entry) bool {
	return x.judge().PegPart(b, &parent.Ancestor) != ""
}

// askBridge has the bridge actor judge a block on an executed parent.
func (x *turn) askBridge(b *block.Block, root common.Hash, parent *Entry) {
	m := x.pegBlock(b, root, parent, record.Content{})
	x.out.Send(bridge, &message.JudgePeg{Block: &m})
}

// pegJudged takes the bridge's verdict on a block that waits for it: our own before it is
// signed, or another's before it is approved. What else speaks against approving is asked
// again, for a verdict may come late.
func (x *turn) pegJudged(m *message.PegJudged) {
	v := rules.Verdict{Grade: fault.Grade(m.Grade), Rule: m.Rule, Reason: m.Reason}
	if b := x.Building; b != nil && b.Judging && b.Root == m.Root {
		x.ownJudged(b, v)
		return
	}
	i := slices.IndexFunc(x.Undecided, func(u Undecided) bool { return u.Root == m.Root })
	if i < 0 {
		return
	}
	u := x.Undecided[i]
	x.Undecided = slices.Delete(slices.Clone(x.Undecided), i, i+1)
	e := x.undecided(u.Root)
	if e == nil || x.Hold != nil {
		return
	}
	if x.mute() != "" {
		x.postpone(u)
		return
	}
	signed, _, err := x.work.Decode(e.Body.Data)
	if err != nil {
		return
	}
	if own := x.policy(e, signed); !own.Valid() {
		v = own
	}
	x.conclude(e, &signed.Block, v, u.Told)
}

// signDepth is how many blocks stand on a range end before its payments are signed. Blocks
// of one height race now and then; a member that locked itself on the one that loses needs
// statements of others to go on.
const signDepth = 1

// orderPayments has the bridge actor sign the payments of the queued proof's range, once
// this member is locked on the range end: payments of two ranges that exclude each other
// could both be spent. While the proof waits it is ordered again at each new head, so that
// signatures that were lost are published again. (peg.md A11; architecture.md 4, Approving;
// docs/decisions/0059-payment-lock.md)
func (x *turn) orderPayments() {
	h := x.queuedWork()
	if h == nil || x.Hold != nil || !x.Config.HasPegKey || x.mute() != "" {
		return
	}
	head := x.Entry(x.Head.Root)
	proof, v := x.judge().CheckProof(h, &head.Ancestor, x)
	if !v.Valid() || len(proof.Proposals) == 0 || x.lockedOn(head, h.RangeEnd) != "" {
		return
	}
	if proof.End.Number+signDepth > head.Number && x.judge().CheckSpacing(&head.Ancestor, x).Valid() {
		return // a block on it may come without the proof
	}
	if l := x.Lock(h.RangeEnd); l == nil || l.Ended {
		x.lock(h.RangeEnd, common.Hash{})
		x.out.Fact(&message.RangeLocked{RangeEnd: h.RangeEnd, Number: proof.End.Number, Payments: uint32(len(proof.Proposals))})
	}
	x.out.Send(bridge, &message.SignPayments{RangeStart: h.RangeStart, RangeEnd: h.RangeEnd})
}

// boundBy says how this member bound itself to a range end.
func boundBy(l *Lock) string {
	if l.Carrier == (common.Hash{}) {
		return "signed the payments of its range"
	}
	return fmt.Sprintf("approved it by carrier %s", l.Carrier)
}
