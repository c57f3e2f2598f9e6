package msgpack

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
)

// The format bytes of the MessagePack specification that occur here.
const (
	fixMap   = 0x80
	fixArray = 0x90
	fixStr   = 0xa0
	codeNil  = 0xc0
	bin8     = 0xc4
	bin16    = 0xc5
	bin32    = 0xc6
	uint8c   = 0xcc
	uint16c  = 0xcd
	uint32c  = 0xce
	uint64c  = 0xcf
	int8c    = 0xd0
	int16c   = 0xd1
	int32c   = 0xd2
	int64c   = 0xd3
	str8     = 0xd9
	str16    = 0xda
	str32    = 0xdb
	array16  = 0xdc
	array32  = 0xdd
	map16    = 0xde
	map32    = 0xdf
	negFix   = 0xe0 // first of the negative fixints
)

// AppendNil appends the absent value.
func AppendNil(dst []byte) []byte { return append(dst, codeNil) }

// AppendArray appends the header of an array of n elements.
func AppendArray(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, fixArray|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, array16), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, array32), uint32(n))
	}
}

// AppendMap appends the header of a map of n entries.
func AppendMap(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, fixMap|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, map16), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, map32), uint32(n))
	}
}

// AppendUint appends v in its shortest form.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, uint8c, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, uint16c), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, uint32c), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, uint64c), v)
	}
}

// AppendInt appends v in its shortest form; values from zero up are written as
// [AppendUint] writes them.
func AppendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, int8c, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, int16c), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, int32c), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, int64c), uint64(v))
	}
}

// AppendBin appends b as bin.
func AppendBin(dst, b []byte) []byte {
	switch n := len(b); {
	case n <= math.MaxUint8:
		dst = append(dst, bin8, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, bin16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, bin32), uint32(n))
	}
	return append(dst, b...)
}

// AppendString appends s as str.
func AppendString(dst []byte, s string) []byte {
	return append(appendStrHeader(dst, len(s)), s...)
}

// AppendHex appends b as str: "0x" and lower-case hex.
func AppendHex(dst, b []byte) []byte {
	dst = append(appendStrHeader(dst, 2+2*len(b)), '0', 'x')
	return hex.AppendEncode(dst, b)
}

// AppendDecimal appends v as str of decimal digits.
func AppendDecimal(dst []byte, v uint64) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], v, 10)
	return append(appendStrHeader(dst, len(text)), text...)
}

// AppendBig is [AppendDecimal] for wide values. A nil v counts as zero; v must
// not be negative.
func AppendBig(dst []byte, v *big.Int) []byte {
	if v == nil {
		return AppendDecimal(dst, 0)
	}
	if v.IsUint64() {
		return AppendDecimal(dst, v.Uint64())
	}
	var digits [80]byte
	text := v.Append(digits[:0], 10)
	return append(appendStrHeader(dst, len(text)), text...)
}

// AppendByteArray appends b as an array of integers, one per byte, which is how
// legacy writes byte lists that are not marked as bin: witness items and
// compressed public keys.
func AppendByteArray(dst, b []byte) []byte {
	dst = AppendArray(dst, len(b))
	for _, c := range b {
		if c >= 0x80 {
			dst = append(dst, uint8c)
		}
		dst = append(dst, c)
	}
	return dst
}

func appendStrHeader(dst []byte, n int) []byte {
	switch {
	case n < 32:
		return append(dst, fixStr|byte(n))
	case n <= math.MaxUint8:
		return append(dst, str8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, str16), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, str32), uint32(n))
	}
}
