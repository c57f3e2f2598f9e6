package auxpow

import (
	"math/big"
	"math/bits"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// targetBits is the width of a target.
const targetBits = 256

var maxTarget = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), targetBits), big.NewInt(1))

// CheckTarget decodes compact bits as the work check does: a shift of 256 bits or
// more, from exponent 35 up, starts again at zero. A mantissa above 0x7fffff
// gives zero, which no work meets. (consensus.md C9)
func CheckTarget(bits uint32) *big.Int {
	mantissa, shift := compact(bits)
	return truncate(new(big.Int).Lsh(mantissa, shift%targetBits))
}

// RetargetTarget decodes compact bits as the retarget does: bits shifted out of
// 256 are lost. It differs from [CheckTarget] from exponent 35 up.
// (consensus.md C9)
func RetargetTarget(bits uint32) *big.Int {
	mantissa, shift := compact(bits)
	if shift >= targetBits {
		return new(big.Int)
	}
	return truncate(new(big.Int).Lsh(mantissa, shift))
}

// compact splits compact bits in mantissa and left shift.
func compact(bits uint32) (mantissa *big.Int, shift uint) {
	m, exponent := bits&0xffffff, uint(bits>>24)
	if exponent <= 3 {
		m >>= 8 * (3 - exponent)
	} else {
		shift = 8 * (exponent - 3)
	}
	if m > 0x7fffff {
		m = 0
	}
	return big.NewInt(int64(m)), shift
}

func truncate(v *big.Int) *big.Int { return v.And(v, maxTarget) }

// CompactFromTarget encodes a target of 0 to 2^256-1 as Bitcoin's compact bits,
// rounding down. Values outside count as the nearer end. (consensus.md C9)
func CompactFromTarget(target *big.Int) uint32 {
	if target.Sign() <= 0 {
		return 0
	}
	if target.Cmp(maxTarget) > 0 {
		target = maxTarget
	}
	size := uint(target.BitLen()+7) / 8
	var m uint32
	if size <= 3 {
		m = uint32(target.Uint64()) << (8 * (3 - size))
	} else {
		m = uint32(new(big.Int).Rsh(target, 8*(size-3)).Uint64())
	}
	// Bit 23 is the sign of the compact form.
	if m&0x800000 != 0 {
		m >>= 8
		size++
	}
	return m | uint32(size)<<24
}

// CheckWork reports whether SHA-256d of the parent header, read little-endian,
// is at most the target of bits. (consensus.md C8 f)
func (a *AuxPow) CheckWork(bits uint32) bool {
	hash := a.ParentBlock.BlockHash()
	var be [32]byte
	for i := range hash {
		be[31-i] = hash[i]
	}
	return new(big.Int).SetBytes(be[:]).Cmp(CheckTarget(bits)) <= 0
}

// NextBits returns the compact target the next proof must meet, for the latest
// block with work (the bits its header claims, and its height) and the height of
// the local head. Heights are measured, not seconds. A last height above the next
// block's and parameters that would divide by zero are errors. (consensus.md C9)
func NextBits(p spec.Retarget, lastBits uint32, lastHeight, headHeight uint64) (uint32, error) {
	if p.NoRetargeting {
		return lastBits, nil
	}
	interval, err := p.Interval()
	if err != nil {
		return 0, err
	}
	next := headHeight + 1
	if next == 0 || lastHeight > next {
		return 0, fault.New(fault.Invalid, "retarget: latest block with work is at height %d, the head at %d; roll the head forward first", lastHeight, headHeight)
	}
	passed := next - lastHeight
	if headHeight%interval != 0 && passed <= interval {
		return lastBits, nil
	}
	percent := adjustment(max(passed, 1), p.TargetSpacing, p.MaxAdjustment)
	target := RetargetTarget(lastBits)
	target.Quo(target, big.NewInt(100))
	target.Mul(target, new(big.Int).SetUint64(percent))
	return CompactFromTarget(target), nil
}

// adjustment returns the new target in percent of the old one: passed per
// spacing, rounded half to even, at most most percent below 100, and at most 100
// plus most above it. (consensus.md C9)
func adjustment(passed, spacing uint64, most uint8) uint64 {
	limit := 100 + uint64(most)
	hi, lo := bits.Mul64(passed, 100)
	if hi >= spacing {
		return limit
	}
	percent, rest := bits.Div64(hi, lo, spacing)
	if percent > limit {
		return limit
	}
	if up := spacing - rest; rest > up || (rest == up && percent%2 == 1) {
		percent++
	}
	switch {
	case percent < 100:
		return min(percent, uint64(most))
	case percent > 100:
		return min(percent, limit)
	default:
		return percent
	}
}
