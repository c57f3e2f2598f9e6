package peg

import (
	"fmt"
	"math/big"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Broken names the identities that sums do not satisfy, with both sides; none for sums
// as they must be. (docs/formats/peg-totals.md)
func Broken(t *message.PegTotals) (broken []string) {
	sum := func(list ...uint64) *big.Int {
		s := new(big.Int)
		for _, v := range list {
			s.Add(s, new(big.Int).SetUint64(v))
		}
		return s
	}
	check := func(name string, left, right *big.Int) {
		if left.Cmp(right) != 0 {
			broken = append(broken, fmt.Sprintf("%s: %s is not %s", name, left, right))
		}
	}
	check("deposited + fetched = locked + paid + stray + bitcoin fees", sum(t.Deposited, t.Fetched), sum(t.Coins, t.Paid, t.Stray, t.BitcoinFees))
	check("requested = paid + user fees + pending", sum(t.Requested), sum(t.Paid, t.UserFees, t.Pending))
	check("user fees + drift = bitcoin fees", new(big.Int).Add(sum(t.UserFees), big.NewInt(t.PoolDrift)), sum(t.BitcoinFees))
	return broken
}

// Exact reports whether the identities of the sums hold.
func (t *Totals) Exact() bool {
	return len(Broken(&message.PegTotals{
		Deposited: t.Deposited, Fetched: t.Fetched, Coins: t.Locked, Paid: t.Paid, Stray: t.Stray, BitcoinFees: t.BitcoinFees,
		Requested: t.Requested, UserFees: t.UserFees, Pending: t.Pending, PoolDrift: t.Drift,
	})) == 0
}
