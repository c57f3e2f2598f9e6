// Package record encodes the small structured values of the journal: messages,
// facts, effects, snapshot entries.
//
// A record lists its fields once, in ascending field number, and the same list
// both encodes and decodes it:
//
//	type Tick struct {
//		Slot uint64
//		Wall int64
//	}
//
//	func (t *Tick) Fields(f *record.Fields) {
//		f.Uint64(1, &t.Slot)
//		f.Int64(2, &t.Wall)
//	}
//
//	data, contents := record.Encode(&t)
//	err := record.Decode(data, &t, nil)
//
// The bytes are Protocol Buffers wire format restricted to one canonical form:
// fields ascend, zero values are absent, varints are minimal, nothing unknown
// is kept. So equal values have equal bytes, bytes that decode re-encode to
// themselves, and any Protocol Buffers tool can read them. A reader of an older
// schema refuses a field it does not know; the schema version beside every
// record says so before that.
//
// # Content
//
// A field of type [Content] holds bytes that may be large (a block, a payload).
// Its encoding is the SHA-256 of the bytes only; [Encode] hands the bytes
// themselves to the caller, who stores each once under its hash, and [Decode]
// asks a [Resolver] for them.
package record
