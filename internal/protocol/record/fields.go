package record

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Uint64 is an unsigned integer field.
func (f *Fields) Uint64(number int, v *uint64) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindUint64, Value: v})
		return
	}
	f.varintField(number, v)
}

// varintField is Uint64 without the description, so that a value on the stack stays there.
func (f *Fields) varintField(number int, v *uint64) {
	n := protowire.Number(number)
	if f.decoding {
		*v = 0
		if f.at(n, protowire.VarintType) {
			*v = f.varint(n)
		}
		return
	}
	if *v != 0 {
		f.buf = protowire.AppendTag(f.buf, n, protowire.VarintType)
		f.buf = protowire.AppendVarint(f.buf, *v)
	}
}

// Uint32 is an unsigned integer field of 32 bits.
func (f *Fields) Uint32(number int, v *uint32) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindUint32, Value: v})
		return
	}
	wide := uint64(*v)
	f.varintField(number, &wide)
	if f.decoding {
		if wide > math.MaxUint32 {
			f.fail("field %d: %d does not fit 32 bits", number, wide)
			wide = 0
		}
		*v = uint32(wide)
	}
}

// Uint8 is an unsigned integer field of 8 bits.
func (f *Fields) Uint8(number int, v *uint8) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindUint8, Value: v})
		return
	}
	wide := uint64(*v)
	f.varintField(number, &wide)
	if f.decoding {
		if wide > math.MaxUint8 {
			f.fail("field %d: %d does not fit 8 bits", number, wide)
			wide = 0
		}
		*v = uint8(wide)
	}
}

// Int64 is a signed integer field in zig-zag form.
func (f *Fields) Int64(number int, v *int64) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindInt64, Value: v})
		return
	}
	zigzag := protowire.EncodeZigZag(*v)
	f.varintField(number, &zigzag)
	if f.decoding {
		*v = protowire.DecodeZigZag(zigzag)
	}
}

// Bool is a truth value; false is absent.
func (f *Fields) Bool(number int, v *bool) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindBool, Value: v})
		return
	}
	var wide uint64
	if *v {
		wide = 1
	}
	f.varintField(number, &wide)
	if f.decoding {
		if wide > 1 {
			f.fail("field %d: %d is not a truth value", number, wide)
		}
		*v = wide == 1
	}
}

// Bytes is a byte string; empty is absent and decodes to nil.
func (f *Fields) Bytes(number int, v *[]byte) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindBytes, Value: v})
		return
	}
	f.bytesField(number, v)
}

// bytesField is Bytes without the description.
func (f *Fields) bytesField(number int, v *[]byte) {
	n := protowire.Number(number)
	if f.decoding {
		*v = nil
		if f.at(n, protowire.BytesType) {
			if *v = f.bytes(n); len(*v) == 0 {
				f.fail("field %d: empty bytes must be absent", number)
				return
			}
			f.single(n)
		}
		return
	}
	if len(*v) > 0 {
		f.buf = protowire.AppendTag(f.buf, n, protowire.BytesType)
		f.buf = protowire.AppendBytes(f.buf, *v)
	}
}

// String is a text field; empty is absent.
func (f *Fields) String(number int, v *string) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindString, Value: v})
		return
	}
	raw := []byte(nil)
	if !f.decoding {
		raw = []byte(*v)
	}
	f.bytesField(number, &raw)
	if f.decoding {
		*v = string(raw)
	}
}

// Fixed is a byte array of known length (a hash, an address, a key); all zero
// bytes are absent. Pass the array as a slice: f.Fixed(1, h[:]).
func (f *Fields) Fixed(number int, v []byte) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindFixed, Length: len(v), Value: &v[0]})
		return
	}
	f.fixedField(number, v)
}

// fixedField is Fixed without the description.
func (f *Fields) fixedField(number int, v []byte) {
	n := protowire.Number(number)
	if f.decoding {
		clear(v)
		if f.at(n, protowire.BytesType) {
			raw := f.bytes(n)
			if len(raw) != len(v) || zero(raw) {
				f.fail("field %d: %d bytes where %d, not all zero, are due", number, len(raw), len(v))
				return
			}
			copy(v, raw)
			f.single(n)
		}
		return
	}
	if !zero(v) {
		f.buf = protowire.AppendTag(f.buf, n, protowire.BytesType)
		f.buf = protowire.AppendBytes(f.buf, v)
	}
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// Content is a reference to bytes stored elsewhere under their SHA-256.
func (f *Fields) Content(number int, v *Content) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindContent, Value: v})
		return
	}
	f.fixedField(number, v.Hash[:])
	if !f.decoding {
		if !v.None() {
			f.contents = append(f.contents, *v)
		}
		return
	}
	v.Data = nil
	if f.err == nil && f.resolve != nil && !v.None() {
		v.Data, f.err = f.resolve(v.Hash)
	}
}

// List is a repeated field of nested records. T's pointer lists its fields.
func List[T any, P interface {
	*T
	Record
}](f *Fields, number int, v *[]T) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindList, Value: v, Nested: P(new(T))})
		return
	}
	n := protowire.Number(number)
	if !f.decoding {
		for i := range *v {
			f.buf = protowire.AppendTag(f.buf, n, protowire.BytesType)
			f.nested(P(&(*v)[i]))
		}
		return
	}
	*v = nil
	for f.at(n, protowire.BytesType) {
		raw := f.bytes(n)
		var item T
		f.decodeNested(raw, P(&item))
		*v = append(*v, item)
		f.advance()
	}
}

// Optional is a nested record that may be absent: nil is absent, an empty
// record is present with length zero.
func Optional[T any, P interface {
	*T
	Record
}](f *Fields, number int, v **T) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindOptional, Value: v, Nested: P(new(T))})
		return
	}
	n := protowire.Number(number)
	if !f.decoding {
		if *v != nil {
			f.buf = protowire.AppendTag(f.buf, n, protowire.BytesType)
			f.nested(P(*v))
		}
		return
	}
	*v = nil
	if f.at(n, protowire.BytesType) {
		raw := f.bytes(n)
		item := new(T)
		f.decodeNested(raw, P(item))
		*v = item
		f.single(n)
	}
}

// Uint64s is a repeated unsigned integer in packed form; empty is absent.
func (f *Fields) Uint64s(number int, v *[]uint64) {
	if f.describing != nil {
		f.describe(Described{Number: number, Kind: KindUint64s, Value: v})
		return
	}
	var raw []byte
	if !f.decoding {
		for _, x := range *v {
			raw = protowire.AppendVarint(raw, x)
		}
	}
	f.bytesField(number, &raw)
	if !f.decoding {
		return
	}
	*v = nil
	for len(raw) > 0 {
		x, n := protowire.ConsumeVarint(raw)
		if n < 0 || n != protowire.SizeVarint(x) {
			f.fail("field %d: broken packed integers", number)
			return
		}
		*v, raw = append(*v, x), raw[n:]
	}
}

func (f *Fields) nested(r Record) {
	inner := Fields{}
	r.Fields(&inner)
	f.buf = protowire.AppendBytes(f.buf, inner.buf)
	f.contents = append(f.contents, inner.contents...)
}

func (f *Fields) decodeNested(raw []byte, r Record) {
	if err := Decode(raw, r, f.resolve); err != nil && f.err == nil {
		f.err = err
		f.buf, f.next = nil, 0
	}
}
