// Package msgpack reads and writes the part of MessagePack that legacy's
// consensus objects use, byte for byte and in bounded memory.
//
// # Usage
//
// Writing appends to a slice and cannot fail:
//
//	out := msgpack.AppendArray(nil, 2)
//	out = msgpack.AppendHex(out, root[:])
//	out = msgpack.AppendUint(out, slot)
//
// Reading walks the same shape. The first failure stays and every later call
// returns zero, so a decoder checks once, at the end:
//
//	r := msgpack.NewReader(data, limit)
//	r.Array(2, "approval")
//	r.Hex(root[:], "root")
//	slot := r.Uint64("slot")
//	err := r.End("approval")
//
// # Guarantees
//
//   - A value has one encoding: shortest integers, shortest headers, lower-case
//     hex, decimals without leading zeros. The reader refuses every other
//     spelling, so input that decodes without error re-encodes to itself.
//   - No slice is made for a claimed length before the length is checked against
//     what is left of the input. The largest growth from input to memory is that
//     of a list of empty witness items: one byte becomes one slice header.
//   - Decoded values never alias the input.
//   - Errors are graded [fault.Invalid] and name the field and its offset.
//
// # Layout
//
// Structures are arrays in field order, an absent value is nil, a present one is
// bare. Four spellings exist for byte strings, chosen by the field: bin; str with
// "0x" and hex; array of integers; and, for payload numbers, str with decimal
// digits. (consensus.md C2; wire.md 9.4)
package msgpack
