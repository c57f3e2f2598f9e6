package bridge

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// gweiPerSatoshi converts peg-ins to withdrawals. (peg.md A5)
const gweiPerSatoshi = 10

// maxSatoshi are all bitcoins there can be.
const maxSatoshi = 21_000_000 * 100_000_000

// beyond is more than any sum can be, satoshi or wei, so that no identity wraps.
const beyond = 1 << 62

// unbalanced returns which identity the sums of a wallet break, or that one has come to
// where it does not count any more; "" when all is well. (docs/formats/peg-totals.md)
func unbalanced(t *message.PegTotals) string {
	for _, sum := range []uint64{t.Deposited, t.Credited, t.Fetched, t.Coins, t.Paid, t.BitcoinFees, t.UserFees, t.Requested, t.Pending, t.Ignored, t.Dust, t.Stray, magnitude(t.PoolDrift), magnitude(t.Unbacked)} {
		if sum >= beyond {
			return fmt.Sprintf("a sum of %d is more than there can be", sum)
		}
	}
	switch {
	case t.Deposited+t.Fetched != t.Coins+t.Paid+t.Stray+t.BitcoinFees:
		return fmt.Sprintf("%d satoshi came in, %d are held or went out", t.Deposited+t.Fetched, t.Coins+t.Paid+t.Stray+t.BitcoinFees)
	case t.Requested != t.Paid+t.UserFees+t.Pending:
		return fmt.Sprintf("%d satoshi were asked for, %d are paid, deducted or owed", t.Requested, t.Paid+t.UserFees+t.Pending)
	case int64(t.UserFees)+t.PoolDrift != int64(t.BitcoinFees):
		return fmt.Sprintf("of %d satoshi of fees users bear %d and the pool %d", t.BitcoinFees, t.UserFees, t.PoolDrift)
	}
	return ""
}

// plus adds and stays at the largest value instead of wrapping. Real sums are far
// below it: all bitcoins are 2.1e15 satoshi. One that comes there is told. ([unbalanced])
func plus(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// minus subtracts and stays at zero instead of wrapping.
func minus(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// plusSigned adds or, with a negative sign, subtracts an amount and stays at the
// largest or smallest value instead of wrapping.
func plusSigned(sum int64, amount uint64, sign int) int64 {
	if amount > math.MaxInt64 {
		amount = math.MaxInt64
	}
	d := int64(amount)
	if sign < 0 {
		d = -d
	}
	if d > 0 && sum > math.MaxInt64-d {
		return math.MaxInt64
	}
	if d < 0 && sum < math.MinInt64-d {
		return math.MinInt64
	}
	return sum + d
}

// possible reports whether a transaction's outputs are amounts that Bitcoin has.
func possible(tx *wire.MsgTx) bool {
	var sum int64
	for _, out := range tx.TxOut {
		if out.Value < 0 || out.Value > maxSatoshi {
			return false
		}
		if sum += out.Value; sum > maxSatoshi {
			return false
		}
	}
	return true
}
