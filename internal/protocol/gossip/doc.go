// Package gossip encodes and decodes what legacy nodes tell each other without
// being asked: blocks, approvals, proofs of work and peg-out signatures.
//
// # Usage
//
//	message, err := gossip.Decode(data)
//	switch m := message.(type) {
//	case *gossip.ConsensusBlock: ...
//	case *gossip.ApproveBlock: ...
//	case *gossip.QueuePow: ...
//	case *gossip.PegoutSignatures: ...
//	}
//	publish(message.Topic(), message.Encode())
//	id := gossip.MessageID(data)
//
// # Guarantees
//
//   - Decoding is strict: what it accepts re-encodes to the same bytes, so a
//     message that passes can be forwarded as it came and legacy can read it. A
//     message legacy cannot read ends its process. (wire.md 9.7)
//   - Input of any shape ends in a message or an error graded [fault.Invalid];
//     memory is bounded by the input's length.
//   - Nothing is verified here but the form.
//
// # Layout
//
// A message is a MessagePack map of one entry: the variant's name and its value.
// The topic it travels on repeats the variant; receivers go by the name inside.
// (wire.md 9.3, 9.4)
package gossip
