// Package witness keeps what a node saw of the signed checkpoints of other members' journals,
// and what they signed of its own.
//
//	b, err := witness.Open(witness.Options{Dir: dir, Genesis: root, Committee: c, Signer: s, Key: key})
//	request := b.Question(authority)
//	cosigned, err := b.Observe(authority, request, answer) // cosigned goes back to the member
//	err = b.Take(cosigned, origin, ours)                   // a member signed one of ours
//
// # Guarantees
//
//  1. A checkpoint is cosigned only when it is shown to continue the one that was cosigned
//     before, and after that it is on disk: this node never signs two histories of one origin,
//     whatever crashes.
//  2. Two signed checkpoints that contradict each other are kept as evidence that anybody can check with
//     the owner's key alone, and told of until an operator moves it away.
//  3. One file a member: what is kept is bounded by their number, evidence by maxEvidence.
//
// # Layout
//
//	witness.go  the book
//	judge.go    whether a checkpoint continues another
//
// docs/formats/witness.md describes files and messages.
package witness
