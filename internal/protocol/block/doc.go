// Package block holds consensus blocks: their bytes, their root, their genesis
// and the rules on the fees and withdrawals in them.
//
// # Usage
//
//	signed, err := block.Decode(data)       // from gossip, sync or the store
//	root := signed.Block.Root()             // what parents name and members sign
//	err = committee.Verify(&signed.Approvals, root)
//	data = signed.Encode()
//
// # Guarantees
//
//   - The bytes are those of legacy's encoder, so roots and signatures agree.
//   - Decode is strict: what it accepts re-encodes to the same bytes. Input of
//     any shape ends in a value or an error graded [fault.Invalid]; memory is
//     bounded by the input's length, see package msgpack.
//   - A decoded block aliases nothing of its input.
//   - Pure functions throughout: no clock, no random source, no map order.
//
// # Layout
//
// docs/formats/consensus-block.md draws the encoding field by field. In short:
// structures are MessagePack arrays, sidechain hashes and payload bytes are hex
// text, payload integers decimal text, Bitcoin values binary. (consensus.md C2;
// wire.md 9.4)
package block
