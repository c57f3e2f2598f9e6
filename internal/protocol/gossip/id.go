package gossip

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// MessageID is legacy's identifier of a gossip message with the given data: the
// SipHash-1-3 of the data's length and the data under a key of zeros, in decimal. The
// sender is not in it, so within the time the network remembers ids the same data
// cannot be sent again. (wire.md 9.3)
func MessageID(data []byte) string {
	h := sipHash{0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573}
	h.word(uint64(len(data)))
	rest := data
	for ; len(rest) >= 8; rest = rest[8:] {
		h.word(binary.LittleEndian.Uint64(rest))
	}
	var last [8]byte
	copy(last[:], rest)
	last[7] = byte(len(data) + 8)
	h.word(binary.LittleEndian.Uint64(last[:]))
	h[2] ^= 0xff
	for range 3 {
		h.round()
	}
	return strconv.FormatUint(h[0]^h[1]^h[2]^h[3], 10)
}

// sipHash is the state of SipHash. (Aumasson and Bernstein, "SipHash: a fast
// short-input PRF", section 2)
type sipHash [4]uint64

func (h *sipHash) word(m uint64) {
	h[3] ^= m
	h.round()
	h[0] ^= m
}

func (h *sipHash) round() {
	h[0] += h[1]
	h[1] = bits.RotateLeft64(h[1], 13) ^ h[0]
	h[0] = bits.RotateLeft64(h[0], 32)
	h[2] += h[3]
	h[3] = bits.RotateLeft64(h[3], 16) ^ h[2]
	h[0] += h[3]
	h[3] = bits.RotateLeft64(h[3], 21) ^ h[0]
	h[2] += h[1]
	h[1] = bits.RotateLeft64(h[1], 17) ^ h[2]
	h[2] = bits.RotateLeft64(h[2], 32)
}
