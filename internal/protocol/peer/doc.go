// Package peer holds the byte formats of the protocol that nodes of this program speak
// with each other beside legacy's: frames, and the messages in them.
//
// # Usage
//
//	data := peer.AppendFrame(nil, &peer.Range{From: 17, Count: 256, MaxBytes: 4 << 20})
//	m, err := peer.ReadFrame(reader, peer.KindBlock, peer.KindEnd) // only what is due here
//	switch m := m.(type) {
//	case *peer.Block: ...
//	case *peer.End: ...
//	}
//
// # Guarantees
//
//   - A message that decodes re-encodes to the bytes it came in; every other spelling is
//     refused. Errors are graded Invalid, those of the reader keep their grade.
//   - Memory is bounded by what arrived and by the bound of the frame's kind, whatever a
//     frame claims to hold. Byte fields alias the frame they came in.
//   - Nothing is verified here but the form, apart from [Hello.Proven].
//
// # Layout
//
// A frame is the length of its body as a minimal unsigned LEB128 varint, then the body:
// one byte for the kind, then the message in the encoding of package record. Which
// messages follow each other on which protocol: docs/formats/peer-protocol.md.
package peer
