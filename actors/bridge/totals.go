package bridge

import (
	"math"
	"math/bits"

	"github.com/btcsuite/btcd/wire"
)

// gweiPerSatoshi converts peg-ins to withdrawals. (peg.md A5)
const gweiPerSatoshi = 10

// maxSatoshi are all bitcoins there can be.
const maxSatoshi = 21_000_000 * 100_000_000

// plus adds and stays at the largest value instead of wrapping. Real sums are far
// below it: all bitcoins are 2.1e15 satoshi.
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
