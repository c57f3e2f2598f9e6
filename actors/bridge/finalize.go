package bridge

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// maxRange bounds the walk over a range; no chain proves more blocks at once.
const maxRange = 1 << 20

// proposing returns the blocks of a range that propose a payment, oldest first. Both ends
// are of the range. The error is graded CannotJudge when a block is not kept. (peg.md A13)
func (s *State) proposing(start, end common.Hash) ([]*Block, error) {
	var blocks []*Block
	root := end
	for range maxRange {
		b := s.Block(root)
		if b == nil {
			return nil, fault.New(fault.CannotJudge, "block %s of the range %s to %s is not kept; wait for the block, or for a later range", root, start, end)
		}
		if b.Payment != nil {
			blocks = append(blocks, b)
		}
		if root == start {
			slices.Reverse(blocks)
			return blocks, nil
		}
		root = b.Parent
	}
	return nil, fault.New(fault.CannotJudge, "the range %s to %s has more than %d blocks", start, end, maxRange)
}

// isUnder reports whether a block is another or an ancestor of it.
func (s *State) isUnder(b, tip *Block) bool {
	for tip != nil && tip.Number > b.Number {
		tip = s.Block(tip.Parent)
	}
	return tip != nil && tip.Root == b.Root
}

// finalized returns a payment with its witnesses, or why there are too few signatures yet.
// Which members' are taken is free, for the txid does not depend on it; the first in the
// order of keys are. (peg.md A12)
func (x *turn) finalized(p *Payment) (*wire.MsgTx, string) {
	f := x.rules.federation
	if len(p.Signatures) < f.Threshold {
		return nil, fmt.Sprintf("payment %s of block %d has the signatures of %d members of the %d it needs", p.Txid, p.Number, len(p.Signatures), f.Threshold)
	}
	list := make([][][64]byte, len(f.Keys))
	for _, s := range p.Signatures {
		list[s.Member] = values(s.Signatures)
	}
	tx, err := f.Finalize(p.tx, list)
	if err != nil {
		return nil, err.Error()
	}
	return tx, ""
}

func values(list []message.PayoutSignature) [][64]byte {
	v := make([][64]byte, len(list))
	for i := range list {
		v[i] = list[i].Value
	}
	return v
}

// payouts returns the finalised payments of a range for a carrier, or why they cannot be
// made yet. Legacy leaves out what it lacks, and then its own block is refused. (peg.md A13)
func (x *turn) payouts(start, end common.Hash) (list []message.RawTransaction, unsigned string) {
	blocks, err := x.proposing(start, end)
	if err != nil {
		return nil, err.Error()
	}
	for _, b := range blocks {
		p := x.Payment(b.Payment.TxHash())
		if p == nil {
			return nil, fmt.Sprintf("the payment of block %s at %d is not kept", b.Root, b.Number)
		}
		tx, reason := x.finalized(p)
		if tx == nil {
			return nil, reason
		}
		list = append(list, message.RawTransaction{Raw: signedBytes(tx)})
	}
	return list, ""
}
