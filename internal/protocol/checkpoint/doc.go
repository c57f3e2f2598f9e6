// Package checkpoint holds what members state of a final block, so that a new node can
// begin there, and what nodes say to each other of statements and of their journals.
//
//	data, err := checkpoint.EncodeIndex(index)     // what the state at a block is made of
//	s := checkpoint.Sign(claim, authority, key)           // a member's word for it
//	agreed := checkpoint.Agreed(list, genesis, committee)
//	request := checkpoint.Pack(&checkpoint.AskPart{Hash: h})
//	m, err := checkpoint.Unpack(answer)
//
// # Guarantees
//
//  1. A statement is signed over a hash that no block can have: its preimage begins with a
//     text and is not 64 bytes long. Nothing signed here is an approval, and no approval is
//     a statement.
//  2. Agreed counts each authority once, and only signatures that verify.
//  3. Decoding accepts the one encoding, is bounded, and fails with grade Invalid.
//
// # Layout
//
//	statement.go  statements and their quorum
//	index.go      the parts of a state
//	notekey.go    which authority a journal's note key belongs to
//	exchange.go   requests and answers
//
// docs/formats/checkpoint-statement.md and docs/formats/witness.md describe the bytes.
package checkpoint
