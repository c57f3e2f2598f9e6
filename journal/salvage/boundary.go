package salvage

import (
	"cmp"
	"encoding/binary"
	mathbits "math/bits"
	"slices"
)

// span is the place of one block in a table: its data, without the trailer.
type span struct{ from, to int }

// A table whose index is lost has no list of its blocks. But blocks follow each
// other without a gap, each with a checksum behind it, so the end of a block is
// found by computing the checksum byte by byte until it is what follows. When
// a block is damaged, where the next one starts is unknown as well; then
// resync finds a start and an end whose checksum agrees, for all pairs at once.

// resyncWindow is how many bytes are looked at together for a block behind
// damage. A block larger than half of it may be missed there.
const resyncWindow = 2 << 20

// resyncFirst is the first window, for a table of small blocks.
const resyncFirst = 160 << 10

// scanBlocks calls found for every block it can prove, in order, and lost for
// the bytes between them. found says whether the block makes sense: a checksum
// of 32 bits agrees by chance now and then. If only is set, nothing but a block
// of data makes sense.
func scanBlocks(data []byte, found func(s span, only bool) bool, lost func(from, to int)) {
	at := 0
	for at < len(data) {
		to := blockEnd(data, at, found)
		if to < 0 {
			next, ok := resync(data, at+1, found)
			if !ok {
				lost(at, len(data))
				return
			}
			lost(at, next.from)
			to = next.to
		}
		at = to + blockTrailer
	}
}

// blockEnd returns where the data of the block that starts at from ends, -1
// when no checksum behind it agrees.
func blockEnd(data []byte, from int, found func(s span, only bool) bool) int {
	crc := ^uint32(0)
	for e := from; e+blockTrailer <= len(data); e++ {
		// Byte e as the compression of a block that ends before it.
		crc = castagnoli[byte(crc)^data[e]] ^ crc>>8
		if !knownCompression(data[e]) || mask(^crc) != binary.LittleEndian.Uint32(data[e+1:]) {
			continue
		}
		if e > from && found(span{from, e}, false) {
			return e
		}
	}
	return -1
}

func knownCompression(b byte) bool {
	return b == compressionNone || b == compressionSnappy || b == compressionZstd
}

// resync returns the first block that starts at or after from and makes sense.
func resync(data []byte, from int, found func(s span, only bool) bool) (span, bool) {
	// Most blocks are small: a small window first saves most of the time.
	for size := resyncFirst; from < len(data); size = resyncWindow {
		window := data[from:min(from+size, len(data))]
		pairs := checksumPairs(window)
		slices.SortFunc(pairs, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
		for _, p := range pairs {
			if s := (span{from + p.from, from + p.to}); found(s, true) {
				return s, true
			}
		}
		if size == resyncWindow {
			from += resyncWindow / 2
		}
	}
	return span{}, false
}

// unshift[b] is the byte whose entry in the CRC table has b as its highest
// byte: shifting a zero byte into a CRC can be undone with it.
var unshift = func() (t [256]byte) {
	for i, v := range castagnoli {
		t[v>>24] = byte(i)
	}
	return t
}()

// back undoes the effect of one zero byte on a CRC register.
func back(r uint32) uint32 {
	i := unshift[r>>24]
	return (r^castagnoli[i])<<8 | uint32(i)
}

// checksumPairs returns every start and end in data between which the checksum
// is the one that follows the end.
//
// With P(x) the CRC register (from zero) of the first x bytes and M the linear
// map of one zero byte, the CRC of data[s:e] is ^(P(e) ^ M^(e-s)(P(s) ^ ^0)).
// That it is c means M^-e(P(e) ^ ^c) = M^-s(P(s) ^ ^0): one value of each end,
// one of each start, and equal values are pairs.
func checksumPairs(data []byte) []span {
	type mark struct {
		value uint32
		at    int32 // of a start, or ^at of an end
	}
	marks := make([]mark, 0, len(data)+len(data)/64)
	// basis[k] is M^-x of bit k.
	var basis [32]uint32
	for k := range basis {
		basis[k] = 1 << k
	}
	undo := func(v uint32) (out uint32) {
		for ; v != 0; v &= v - 1 {
			out ^= basis[mathbits.TrailingZeros32(v)]
		}
		return out
	}
	p := uint32(0)
	for x := range data {
		marks = append(marks, mark{undo(p ^ ^uint32(0)), int32(x)})
		p = castagnoli[byte(p)^data[x]] ^ p>>8
		for k := range basis {
			basis[k] = back(basis[k])
		}
		if knownCompression(data[x]) && x+blockTrailer <= len(data) {
			c := unmask(binary.LittleEndian.Uint32(data[x+1:]))
			marks = append(marks, mark{undo(p ^ ^c), ^int32(x)})
		}
	}
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.at, b.at)) })
	var out []span
	for i := 0; i < len(marks); {
		end := i
		for end < len(marks) && marks[end].value == marks[i].value {
			end++
		}
		for _, e := range marks[i:end] {
			for _, s := range marks[i:end] {
				if e.at < 0 && s.at >= 0 && s.at < ^e.at {
					out = append(out, span{int(s.at), int(^e.at)})
				}
			}
		}
		i = end
	}
	return out
}
