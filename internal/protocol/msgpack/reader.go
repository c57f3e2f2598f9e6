package msgpack

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Reader decodes one value from a byte slice. After the first failure it stays
// failed: every method returns zero values. Its zero value reads empty input.
type Reader struct {
	data []byte
	off  int
	err  error
}

// NewReader returns a reader of data. Input longer than limit bytes is refused
// before anything of it is looked at.
func NewReader(data []byte, limit int) *Reader {
	r := &Reader{data: data}
	if len(data) > limit {
		r.err = fault.New(fault.Invalid, "msgpack: input of %d bytes, at most %d are accepted", len(data), limit)
	}
	return r
}

// Err returns the first failure.
func (r *Reader) Err() error { return r.err }

// Left returns the number of bytes not read yet.
func (r *Reader) Left() int { return len(r.data) - r.off }

// End returns the first failure, or an error if input is left over. what names
// the whole value.
func (r *Reader) End(what string) error {
	if r.err == nil && r.off != len(r.data) {
		r.Fail("%s: %d bytes follow its end", what, r.Left())
	}
	return r.err
}

// Fail marks the input as not acceptable; the first failure stays. Decoders use
// it for bounds that the encoding does not know.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		args = append([]any{r.off}, args...)
		r.err = fault.New(fault.Invalid, "msgpack: offset %d: "+format, args...)
	}
}

// Nil reads the absent value if it is next and reports whether it was.
func (r *Reader) Nil() bool {
	if r.err != nil || r.off >= len(r.data) || r.data[r.off] != codeNil {
		return false
	}
	r.off++
	return true
}

// take returns the next n bytes, which alias the input.
func (r *Reader) take(n int, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.Left() {
		r.Fail("%s: needs %d bytes, %d are left", what, n, r.Left())
		return nil
	}
	b := r.data[r.off : r.off+n]
	r.off += n
	return b
}

// code reads one format byte.
func (r *Reader) code(what string) (byte, bool) {
	b := r.take(1, what)
	if b == nil {
		return 0, false
	}
	return b[0], true
}

// size reads a big-endian length of 1, 2 or 4 bytes that must be above floor:
// below it a shorter header exists.
func (r *Reader) size(width int, floor uint64, what string) int {
	b := r.take(width, what)
	if b == nil {
		return 0
	}
	v := bigEndian(b)
	if v <= floor {
		r.Fail("%s: length %d is not in its shortest form", what, v)
		return 0
	}
	if v > math.MaxInt32 {
		r.Fail("%s: length %d, %d bytes are left", what, v, r.Left())
		return 0
	}
	return int(v)
}

func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	default:
		return binary.BigEndian.Uint64(b)
	}
}

// Array reads the header of a structure of exactly n fields.
func (r *Reader) Array(n int, what string) {
	if got := r.arrayLen(what); r.err == nil && got != n {
		r.Fail("%s: array of %d, want %d", what, got, n)
	}
}

// List reads the header of a list whose elements take at least least bytes each,
// and refuses a length the rest of the input cannot hold.
func (r *Reader) List(least int, what string) int {
	n := r.arrayLen(what)
	return r.fits(n, least, what)
}

// Map is [Reader.List] for the header of a map; least is for key and value.
func (r *Reader) Map(least int, what string) int {
	c, ok := r.code(what)
	if !ok {
		return 0
	}
	n := 0
	switch {
	case c&0xf0 == fixMap:
		n = int(c & 0x0f)
	case c == map16:
		n = r.size(2, 15, what)
	case c == map32:
		n = r.size(4, math.MaxUint16, what)
	default:
		r.Fail("%s: format 0x%02x, want a map", what, c)
	}
	return r.fits(n, least, what)
}

func (r *Reader) fits(n, least int, what string) int {
	if r.err != nil {
		return 0
	}
	if n > r.Left()/max(least, 1) {
		r.Fail("%s: %d elements do not fit in the %d bytes left", what, n, r.Left())
		return 0
	}
	return n
}

func (r *Reader) arrayLen(what string) int {
	c, ok := r.code(what)
	if !ok {
		return 0
	}
	switch {
	case c&0xf0 == fixArray:
		return int(c & 0x0f)
	case c == array16:
		return r.size(2, 15, what)
	case c == array32:
		return r.size(4, math.MaxUint16, what)
	}
	r.Fail("%s: format 0x%02x, want an array", what, c)
	return 0
}

// Uint64 reads an unsigned integer.
func (r *Reader) Uint64(what string) uint64 { return r.unsigned(math.MaxUint64, what) }

// Uint32 reads an unsigned integer below 2^32.
func (r *Reader) Uint32(what string) uint32 { return uint32(r.unsigned(math.MaxUint32, what)) }

// Uint8 reads an unsigned integer below 2^8.
func (r *Reader) Uint8(what string) uint8 { return uint8(r.unsigned(math.MaxUint8, what)) }

func (r *Reader) unsigned(limit uint64, what string) uint64 {
	c, ok := r.code(what)
	if !ok {
		return 0
	}
	v := r.unsignedAfter(c, what)
	if r.err == nil && v > limit {
		r.Fail("%s: %d is above %d", what, v, limit)
	}
	if r.err != nil {
		return 0
	}
	return v
}

func (r *Reader) unsignedAfter(c byte, what string) uint64 {
	width, floor := 0, uint64(0)
	switch {
	case c < 0x80:
		return uint64(c)
	case c == uint8c:
		width, floor = 1, 0x7f
	case c == uint16c:
		width, floor = 2, math.MaxUint8
	case c == uint32c:
		width, floor = 4, math.MaxUint16
	case c == uint64c:
		width, floor = 8, math.MaxUint32
	default:
		r.Fail("%s: format 0x%02x, want an unsigned integer", what, c)
		return 0
	}
	b := r.take(width, what)
	if b == nil {
		return 0
	}
	v := bigEndian(b)
	if v <= floor {
		r.Fail("%s: %d is not in its shortest form", what, v)
	}
	return v
}

// Int32 reads a signed integer of 32 bits.
func (r *Reader) Int32(what string) int32 {
	c, ok := r.code(what)
	if !ok {
		return 0
	}
	var v, above int64 // above: what the next shorter form reaches down to
	switch {
	case c >= negFix:
		return int32(int8(c))
	case c == int8c:
		if b := r.take(1, what); b != nil {
			v, above = int64(int8(b[0])), -32
		}
	case c == int16c:
		if b := r.take(2, what); b != nil {
			v, above = int64(int16(binary.BigEndian.Uint16(b))), math.MinInt8
		}
	case c == int32c:
		if b := r.take(4, what); b != nil {
			v, above = int64(int32(binary.BigEndian.Uint32(b))), math.MinInt16
		}
	default:
		u := r.unsignedAfter(c, what)
		if r.err == nil && u > math.MaxInt32 {
			r.Fail("%s: %d is above %d", what, u, math.MaxInt32)
		}
		if r.err != nil {
			return 0
		}
		return int32(u)
	}
	if r.err == nil && v >= above {
		r.Fail("%s: %d is not in its shortest form", what, v)
	}
	return int32(v)
}

// str returns the bytes of a str, which alias the input.
func (r *Reader) str(what string) []byte {
	c, ok := r.code(what)
	if !ok {
		return nil
	}
	n := 0
	switch {
	case c&0xe0 == fixStr:
		n = int(c & 0x1f)
	case c == str8:
		n = r.size(1, 31, what)
	case c == str16:
		n = r.size(2, math.MaxUint8, what)
	case c == str32:
		n = r.size(4, math.MaxUint16, what)
	default:
		r.Fail("%s: format 0x%02x, want a string", what, c)
	}
	return r.take(n, what)
}

// String reads a str of at most limit bytes.
func (r *Reader) String(limit int, what string) string {
	b := r.str(what)
	if len(b) > limit {
		r.Fail("%s: text of %d bytes, at most %d", what, len(b), limit)
		return ""
	}
	return string(b)
}

// Hex fills dst from a str of "0x" and exactly 2*len(dst) lower-case digits.
func (r *Reader) Hex(dst []byte, what string) {
	text := r.str(what)
	if r.err != nil {
		return
	}
	if len(text) != 2+2*len(dst) || text[0] != '0' || text[1] != 'x' {
		r.Fail("%s: text of %d characters, want 0x and %d digits", what, len(text), 2*len(dst))
		return
	}
	r.unhex(dst, text[2:], what)
}

// HexBytes reads a str of "0x" and lower-case digits for at most limit bytes.
// No bytes give nil.
func (r *Reader) HexBytes(limit int, what string) []byte {
	text := r.str(what)
	if r.err != nil {
		return nil
	}
	if len(text) < 2 || text[0] != '0' || text[1] != 'x' || len(text)%2 != 0 {
		r.Fail("%s: text of %d characters, want 0x and pairs of digits", what, len(text))
		return nil
	}
	n := len(text)/2 - 1
	if n > limit {
		r.Fail("%s: %d bytes, at most %d", what, n, limit)
		return nil
	}
	if n == 0 {
		return nil
	}
	dst := make([]byte, n)
	r.unhex(dst, text[2:], what)
	return dst
}

// nibbles maps lower-case hex digits to their value and all else to 0xff:
// upper case is a second spelling and therefore refused.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

func (r *Reader) unhex(dst, text []byte, what string) {
	for i := range dst {
		hi, lo := nibbles[text[2*i]], nibbles[text[2*i+1]]
		if hi|lo > 0x0f {
			r.Fail("%s: %q is not a pair of lower-case hex digits", what, text[2*i:2*i+2])
			return
		}
		dst[i] = hi<<4 | lo
	}
}

// digits reads a str of at most limit decimal digits without leading zeros.
func (r *Reader) digits(limit int, what string) []byte {
	text := r.str(what)
	if r.err != nil {
		return nil
	}
	if len(text) == 0 || len(text) > limit || (text[0] == '0' && len(text) > 1) {
		r.Fail("%s: text of %d characters, want a decimal number without leading zeros", what, len(text))
		return nil
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			r.Fail("%s: %q is not a decimal digit", what, c)
			return nil
		}
	}
	return text
}

// Decimal reads a str of decimal digits below 2^64.
func (r *Reader) Decimal(what string) uint64 {
	text := r.digits(20, what)
	v := uint64(0)
	for _, c := range text {
		d := uint64(c - '0')
		if v > (math.MaxUint64-d)/10 {
			r.Fail("%s: %s is above 64 bits", what, text)
			return 0
		}
		v = v*10 + d
	}
	return v
}

// Big reads a str of decimal digits below 2^256.
func (r *Reader) Big(what string) *big.Int {
	text := r.digits(78, what)
	v := new(big.Int)
	if text == nil {
		return v
	}
	v.SetString(string(text), 10)
	if v.BitLen() > 256 {
		r.Fail("%s: %s is above 256 bits", what, text)
	}
	return v
}

// bin returns the bytes of a bin, which alias the input.
func (r *Reader) bin(what string) []byte {
	c, ok := r.code(what)
	if !ok {
		return nil
	}
	n := 0
	switch c {
	case bin8:
		b := r.take(1, what)
		if b == nil {
			return nil
		}
		n = int(b[0])
	case bin16:
		n = r.size(2, math.MaxUint8, what)
	case bin32:
		n = r.size(4, math.MaxUint16, what)
	default:
		r.Fail("%s: format 0x%02x, want bin", what, c)
	}
	return r.take(n, what)
}

// Bin fills dst from a bin of exactly its length.
func (r *Reader) Bin(dst []byte, what string) {
	b := r.bin(what)
	if r.err == nil && len(b) != len(dst) {
		r.Fail("%s: %d bytes, want %d", what, len(b), len(dst))
		return
	}
	copy(dst, b)
}

// BinBytes reads a bin. No bytes give nil.
func (r *Reader) BinBytes(what string) []byte {
	b := r.bin(what)
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

// ByteArray reads an array of integers below 256, one per byte. No bytes give nil.
func (r *Reader) ByteArray(what string) []byte {
	n := r.List(1, what)
	if n == 0 {
		return nil
	}
	dst := make([]byte, n)
	for i := range dst {
		dst[i] = r.Uint8(what)
	}
	if r.err != nil {
		return nil
	}
	return dst
}

// ByteArrayOf fills dst from an array of exactly len(dst) integers below 256.
func (r *Reader) ByteArrayOf(dst []byte, what string) {
	r.Array(len(dst), what)
	for i := range dst {
		if r.err != nil {
			return
		}
		dst[i] = r.Uint8(what)
	}
}
