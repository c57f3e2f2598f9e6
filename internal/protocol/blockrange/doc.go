// Package blockrange encodes and decodes how legacy nodes ask each other for
// blocks by height: the blocks_by_range request and its answer.
//
// # Usage
//
//	data := blockrange.Request{Start: head + 1, Count: blockrange.MaxCount}.Encode()
//	blocks, err := blockrange.DecodeAnswer(answer)
//
//	request, err := blockrange.DecodeRequest(data)
//	answer, err = blockrange.AppendBlock(answer, signed)
//
//	chunk, rest, err := blockrange.DecodeChunk(received)
//	if errors.Is(err, blockrange.ErrShort) { ... } // wait for more, or the peer cut it
//
// # Guarantees
//
//   - What is encoded is byte for byte what legacy sends for the same blocks.
//   - Input of any shape ends in a value or an error graded [fault.Invalid]; memory
//     is bounded by [MaxBody] for each chunk, whatever its header claims.
//   - Blocks are decoded, not judged. Legacy sends one block and closes whatever the
//     count was, so fewer than asked for says nothing about the peer's head.
//     (wire.md 9.6)
//
// # Layout
//
// A request is the length of its body as a varint, then the body as a stream of
// snappy frames. An answer is any number of chunks: a code, a length, and a stream
// of frames of its own. The body of a request is two little-endian integers, that of
// a chunk the MessagePack of a signed block, or a text behind another code than
// [OK]. (wire.md 9.5)
package blockrange
