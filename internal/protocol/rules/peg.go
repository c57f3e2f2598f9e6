package rules

import (
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// RequestPegOut is the topic of a peg-out request's log. (C7)
var RequestPegOut = common.HexToHash("0xaa1c6070bc915de33c0fbc36ecf77b1e4fc1ebce832b2da62b6fe25f5a7dd5b0")

// PegPart returns the first member of a block that only Bitcoin and the wallet at its
// parent can judge: deposits, a payment proposed or owed, the signatures of payments. It is
// empty for a block that mints nothing, proposes nothing on a parent whose bloom shows no
// request, and finalises no payment; requests may wait for longer once they may be passed
// over. The bridge's verdict on such a block gates our approval; one with its quorum is
// imported whatever it says. (C7, C5.8)
func (r *Rules) PegPart(b *block.Block, parent *Ancestor) string {
	number, x := b.Payload.BlockNumber, r.Spec.Exceptions
	switch {
	case len(b.Pegins) > 0:
		return "pegins"
	case x.UncheckedProposalAt != 0 && number == x.UncheckedProposalAt:
	case b.PegoutProposal != nil, !parent.NoRequests, spec.Active(r.Spec.Activations.StrictPegouts, number):
		return "pegout_payment_proposal"
	}
	if len(b.FinalizedPegouts) > 0 && number > x.UncheckedWorkUpTo {
		return "finalized_pegouts"
	}
	return ""
}
