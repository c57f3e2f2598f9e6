package peg

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// bitcoinDecimals is how many decimals of a bitcoin make a satoshi.
	bitcoinDecimals   = 8
	satoshiPerBitcoin = 100_000_000
	// maxBitcoins is how many bitcoins there will ever be, rounded up.
	maxBitcoins = 21_000_000
)

// ParseAmount reads an amount in bitcoins, such as "0.01", exactly, and returns satoshi.
// It has at most eight decimals and is at most all bitcoins that will ever exist.
func ParseAmount(text string) (satoshi uint64, err error) {
	whole, fraction, point := strings.Cut(text, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, fault.New(fault.Invalid, "%q is no amount in bitcoins: digits, and a point with decimals behind it, as in 0.01", shorten(text))
	}
	if len(fraction) > bitcoinDecimals {
		return 0, fault.New(fault.Invalid, "amount %s has more than %d decimals: a satoshi is not divided", shorten(text), bitcoinDecimals)
	}
	whole = strings.TrimLeft(whole, "0")
	tooMuch := fault.New(fault.Invalid, "amount %s is more than the %d bitcoins there will be", shorten(text), maxBitcoins)
	if len(whole) > len(strconv.Itoa(maxBitcoins)) {
		return 0, tooMuch
	}
	satoshi, err = strconv.ParseUint(whole+fraction+strings.Repeat("0", bitcoinDecimals-len(fraction)), 10, 64)
	if err != nil || satoshi > maxBitcoins*satoshiPerBitcoin {
		return 0, tooMuch
	}
	return satoshi, nil
}

func shorten(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// FormatAmount writes satoshi in bitcoins with all eight decimals.
func FormatAmount(satoshi uint64) string {
	return fmt.Sprintf("%d.%08d", satoshi/satoshiPerBitcoin, satoshi%satoshiPerBitcoin)
}

// Wei converts satoshi to the unit of the execution layer. (peg.md A5)
func Wei(satoshi uint64) *big.Int {
	return new(big.Int).Mul(new(big.Int).SetUint64(satoshi), big.NewInt(weiPerSatoshi))
}
