package chain

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
)

// maxWithdrawals is how many a payload can have. (C6; SSZ list of Capella)
const maxWithdrawals = 16

// feeShares are what a block on head with this header credits of the fees. (C6)
func (x *turn) feeShares(head *Entry, h *block.AuxPowHeader) ([]message.Withdrawal, error) {
	if h == nil {
		return nil, nil
	}
	shares, err := block.SplitFees(head.fees(), h.FeeRecipient, x.rules.spec.Federation)
	return withdrawals(shares), err
}

// plan asks the bridge actor for the peg's part of the block being built.
func (x *turn) plan(head *Entry, h *block.AuxPowHeader, shares []message.Withdrawal) {
	m := &message.PlanPeg{
		Slot: x.Building.Slot, Parent: head.Root, FeeShares: shares,
		Room: uint32(maxWithdrawals - min(len(shares), maxWithdrawals)),
	}
	if h != nil {
		m.RangeStart, m.RangeEnd = h.RangeStart, h.RangeEnd
	}
	x.out.Send(bridge, m)
}

// pegPlanned has the payload built once the peg's part is known. A header whose payments
// are not signed yet waits, and the block does without.
func (x *turn) pegPlanned(m *message.PegPlanned) {
	b, head := x.Building, x.Entry(x.Head.Root)
	if b == nil || !b.Planning || b.Slot != m.Slot || m.Parent != head.Root {
		return
	}
	next := *b
	next.Planning, next.PegIns, next.Proposal, next.Payouts = false, m.PegIns, m.Proposal, m.Payouts
	if len(b.Header) > 0 && m.Unsigned != "" {
		next.Header, next.Payouts = nil, nil
	}
	shares, no := x.unbuildable(&next, m)
	if no != "" {
		x.Building = nil
		x.skip(m.Slot, no)
		return
	}
	x.Building = &next
	x.out.Send(engine, &message.BuildBlock{
		Slot: next.Slot, Parent: head.PayloadHash, Finalized: x.finalizedPayload(),
		Timestamp: next.Timestamp, WaitMs: x.Config.BuildWaitMs,
		Withdrawals: append(shares, m.Credits...),
	})
}

// unbuildable returns the fee shares of the block being built, or why it cannot be.
func (x *turn) unbuildable(b *Building, m *message.PegPlanned) (shares []message.Withdrawal, no string) {
	head := x.Entry(x.Head.Root)
	if m.Refused != "" {
		return nil, m.Refused
	}
	if len(b.Header) == 0 {
		v := x.judge().CheckSpacing(&head.Ancestor, x)
		if !v.Valid() && m.Unsigned != "" {
			return nil, v.Reason + "; the proof that waits cannot be carried: " + m.Unsigned
		}
		return nil, v.Reason
	}
	shares, err := x.feeShares(head, mustHeader(b.Header))
	if err != nil {
		return nil, "fees at the head: " + err.Error()
	}
	return shares, ""
}

// mustHeader reads a header that this core encoded.
func mustHeader(data []byte) *block.AuxPowHeader {
	h, err := block.DecodeAuxPowHeader(data)
	if err != nil {
		panic("work of the block being built: " + err.Error())
	}
	return h
}

// payloadReady composes the block around the payload and has it judged and signed.
func (x *turn) payloadReady(m *message.PayloadReady) {
	b := x.Building
	if b == nil || b.Planning || b.Slot != m.Slot || len(b.Unsigned) > 0 {
		return
	}
	head := x.Entry(x.Head.Root)
	unsigned, no := x.compose(b, head, m.Payload.Data)
	if no != "" {
		x.Building = nil
		x.skip(m.Slot, no)
		return
	}
	next := *b
	next.Unsigned, next.Root = unsigned.Encode(), unsigned.Root()
	next.Judging = x.hasPegPart(unsigned, head)
	next.PegIns, next.Proposal, next.Payouts = nil, nil, nil
	x.Building = &next
	if next.Judging {
		x.askBridge(unsigned, next.Root, head)
		return
	}
	x.ownJudged(&next, rules.Verdict{})
}

// compose puts the block together and judges it as a signer does, but for the peg.
func (x *turn) compose(b *Building, head *Entry, payload []byte) (unsigned *block.Block, no string) {
	p, err := block.DecodePayload(payload)
	if err != nil || p.ParentHash != head.PayloadHash || p.BlockNumber != head.Number+1 || p.Timestamp != b.Timestamp {
		return nil, fmt.Sprintf("the payload does not stand on the head at %d", head.Number)
	}
	unsigned = &block.Block{ParentHash: head.Root, Slot: b.Slot, Payload: *p}
	if len(b.Header) > 0 {
		unsigned.AuxPowHeader = mustHeader(b.Header)
	}
	for _, d := range b.PegIns {
		unsigned.Pegins = append(unsigned.Pegins, block.Pegin{Txid: d.Txid, BlockHash: d.Block})
	}
	if len(b.Proposal) > 0 {
		unsigned.PegoutProposal = new(wire.MsgTx)
		if err := unsigned.PegoutProposal.DeserializeNoWitness(bytes.NewReader(b.Proposal)); err != nil {
			return nil, "the payment to propose: " + err.Error()
		}
	}
	for i, raw := range b.Payouts {
		tx := new(wire.MsgTx)
		if err := tx.Deserialize(bytes.NewReader(raw.Raw)); err != nil {
			return nil, fmt.Sprintf("payment %d of the range: %v", i, err)
		}
		unsigned.FinalizedPegouts = append(unsigned.FinalizedPegouts, tx)
	}
	// As it will be with our signature: the rules read who signed.
	signed := &block.Signed{Block: *unsigned, Approvals: aura.None()}
	signed.Approvals.Bits[x.Config.Authority/8] |= 1 << (x.Config.Authority % 8)
	if v := x.judge().CheckSigner(signed, unsigned.Root(), x); !v.Valid() {
		return nil, unapproved(v)
	}
	return unsigned, ""
}

func unapproved(v rules.Verdict) string {
	return fmt.Sprintf("our block would not be approved by %s: %s", v.Rule, v.Reason)
}

// ownJudged has our composed block signed if the bridge would approve it.
func (x *turn) ownJudged(b *Building, v rules.Verdict) {
	unsigned, err := block.DecodeBlock(b.Unsigned)
	if err != nil {
		panic("block being built: " + err.Error())
	}
	no := ""
	if !v.Valid() {
		no = unapproved(v)
	} else if parent := x.Entry(common.Hash(unsigned.ParentHash)); parent == nil || parent.Root != x.Head.Root {
		no = "the head moved while our block was judged"
	} else if no = x.gated(); no == "" {
		no = x.commitOwn(unsigned, b.Root, parent)
	}
	if no != "" {
		x.Building = nil
		x.skip(b.Slot, no)
		return
	}
	next := *b
	next.Judging = false
	x.Building = &next
	x.sign(unsigned.Payload.BlockNumber)
}
