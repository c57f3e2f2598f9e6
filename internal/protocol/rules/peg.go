package rules

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

// RequestPegOut is the topic of a peg-out request's log. (C7)
var RequestPegOut = common.HexToHash("0xaa1c6070bc915de33c0fbc36ecf77b1e4fc1ebce832b2da62b6fe25f5a7dd5b0")

// CheckPeg is C7 and what C5.8 says of payments' signatures, so far as a node
// without a wallet and without Bitcoin can tell: it never answers "invalid". A
// block that mints nothing, proposes nothing on a parent whose bloom shows no
// request, and finalises no payment is valid. The verdict gates our approval;
// a block with its quorum is imported whatever it says.
func (r *Rules) CheckPeg(b *block.Block, parent *Ancestor) Verdict {
	return r.peg(b, parent).by("C7")
}

func (r *Rules) peg(b *block.Block, parent *Ancestor) Verdict {
	number, x := b.Payload.BlockNumber, r.Spec.Exceptions
	skipped := x.UncheckedProposalAt != 0 && number == x.UncheckedProposalAt
	switch {
	case len(b.Pegins) > 0:
		return cannotJudge("pegins", "%d deposits have to be looked up in Bitcoin", len(b.Pegins))
	case skipped:
	case b.PegoutProposal != nil:
		return cannotJudge("pegout_payment_proposal", "payment %s has to be compared with the wallet", b.PegoutProposal.TxHash())
	case !parent.NoRequests:
		return cannotJudge("pegout_payment_proposal", "the receipts of block %d may request payments", parent.Number)
	}
	if len(b.FinalizedPegouts) > 0 && number > x.UncheckedWorkUpTo {
		return cannotJudge("finalized_pegouts", "the signatures of %d payments have to be checked against the wallet", len(b.FinalizedPegouts))
	}
	return Verdict{}
}
