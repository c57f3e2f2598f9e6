package rules

import (
	"math/big"
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// c6Withdrawals is C5.6, once the parent is executed.
func c6Withdrawals(s *subject) Verdict {
	if s.fees == nil {
		return Verdict{}
	}
	return s.CheckFees(s.block, s.fees)
}

// CheckFees judges the withdrawals of a block by the fees that were accumulated
// after its parent: C6 for those who judge, and for all from the activation of
// exactWithdrawals on that there is none beside them.
func (r *Rules) CheckFees(b *block.Block, after *big.Int) Verdict {
	if r.Judging {
		if v := r.c6Shares(b, after); !v.Valid() {
			return v.by("C6")
		}
	}
	if spec.Active(r.Spec.Activations.ExactWithdrawals, b.Payload.BlockNumber) {
		return r.exactWithdrawals(b, after).by("C17 exactWithdrawals")
	}
	return Verdict{}
}

// c6Shares is the fee part of C6: a carrier credits the split of the fees. A
// peg-in may be merged into a fee's withdrawal and its amount is known to Bitcoin
// only, so a carrier with peg-ins must credit each fee address at least its share.
func (r *Rules) c6Shares(b *block.Block, after *big.Int) Verdict {
	if b.AuxPowHeader == nil {
		return Verdict{}
	}
	credits, err := block.SplitFees(after, b.AuxPowHeader.FeeRecipient, r.Spec.Federation)
	if err != nil {
		return invalid("execution_payload.withdrawals", "%v", err)
	}
	if len(b.Pegins) == 0 {
		if err := b.Payload.CheckWithdrawals(credits, nil); err != nil {
			return invalid("execution_payload.withdrawals", "%v", err)
		}
		return Verdict{}
	}
	for _, c := range effective(credits) {
		paid := slices.ContainsFunc(b.Payload.Withdrawals, func(w block.Withdrawal) bool {
			return w.Address == c.Address && w.Amount >= c.Amount
		})
		if !paid {
			return invalid("execution_payload.withdrawals", "%s gets less than its fee share of %d gwei", c.Address, c.Amount)
		}
	}
	return Verdict{}
}

// effective leaves of two credits to one address the later, which is the one that
// legacy asks for.
func effective(credits []block.Withdrawal) []block.Withdrawal {
	var list []block.Withdrawal
	for i, c := range credits {
		later := slices.ContainsFunc(credits[i+1:], func(o block.Withdrawal) bool { return o.Address == c.Address })
		if !later {
			list = append(list, c)
		}
	}
	return list
}

// exactWithdrawals allows no withdrawal beside the fee shares and one for each
// deposit. What a deposit is worth is the wallet's to know. (C17)
func (r *Rules) exactWithdrawals(b *block.Block, after *big.Int) Verdict {
	const field = "execution_payload.withdrawals"
	var shares []block.Withdrawal
	if h := b.AuxPowHeader; h != nil {
		var err error
		if shares, err = block.SplitFees(after, h.FeeRecipient, r.Spec.Federation); err != nil {
			return invalid(field, "%v", err)
		}
	}
	extra := 0
	for _, w := range b.Payload.Withdrawals {
		i := slices.IndexFunc(shares, func(c block.Withdrawal) bool {
			return c.Address == w.Address && (c.Amount == w.Amount || len(b.Pegins) > 0 && c.Amount <= w.Amount)
		})
		if i >= 0 {
			shares = slices.Delete(shares, i, i+1)
			continue
		}
		if extra++; extra > len(b.Pegins) {
			return invalid(field, "%d gwei to %s are neither a fee share nor one of %d deposits", w.Amount, w.Address, len(b.Pegins))
		}
	}
	return Verdict{}
}
