// Package tree is the RFC 6962 Merkle tree over a journal's events, and the
// proofs and signed checkpoints that let a stranger check a journal.
//
// Leaf n-1 is event n, and its data is the event's envelope as stored.
//
//	var b tree.Builder
//	b.Append(tree.Leaf(envelope), keep) // keep stores complete subtrees
//	root := b.Root()
//
//	s := &tree.Source{Stored: stored, Leaves: leaves}
//	p, err := s.Inclusion(index, size) // hashes from the event to the root
//
// # Guarantees
//
//  1. Root, Inclusion and Consistency are those of RFC 6962, section 2.1, with
//     SHA-256; a test holds them to another implementation and to vectors.
//  2. A [Source] needs stored nodes for speed only. Without any, it hashes the
//     events.
//  3. A [Proof] is checked with the bytes of the proof and a public key alone.
//     It has one encoding: a file with one byte changed is refused.
//  4. Decoding refuses what is too large, unknown or not in the one encoding,
//     with an error of grade Invalid.
//
// # Layout
//
//	tree.go        hashes, builder, roots and proofs from stored nodes
//	checkpoint.go  the signed note: origin, size, root
//	proof.go       the proof file
//
// docs/formats/proof.md draws checkpoint and proof.
package tree
