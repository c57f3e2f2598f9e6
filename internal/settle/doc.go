// Package settle makes the state at a final block that all nodes of a chain agree on, keeps
// it in files for others to fetch, and fetches it from them.
//
//	made, err := settle.Make(chainState, bridgeState, number, contents)
//	err = store.Keep(made)                          // a running node, in the background
//	piece, err := store.Piece(hash, offset)          // for a peer that asks
//
//	f := &settle.Fetch{Peers: peers, Dir: dir} // a new node, resumable
//	index, err := f.State(ctx, agreed)
//	err = f.Blocks(ctx, agreed)
//	states, err := settle.Load(index, f.Part, behaviour, spec, payload)
//
// # Guarantees
//
//  1. What Make returns depends on the blocks up to the number alone: two journals of one
//     chain give the same bytes.
//  2. Nothing that a peer sent is used before it has the hash that was agreed on: parts by
//     SHA-256 from the index, the index by the statements, blocks by parent links from the
//     stated block down. A peer that sent something else is not asked again.
//  3. A fetch that is interrupted at any point goes on with what is there; what is there is
//     checked again.
//  4. Memory: at most one part and one run of blocks for each peer that is asked, each bounded.
//
// # Layout
//
//	make.go    the state at a block, and back
//	store.go   files of the states that are offered
//	peer.go    who is asked, and who is not asked again
//	parts.go   fetching a state
//	blocks.go  fetching the blocks below it
//
// docs/formats/checkpoint-statement.md describes the bytes.
package settle
