// Package legacy asks legacy nodes for blocks by height, and answers them.
//
// # Usage
//
//	server := legacy.Serve(network, legacy.ServerOptions{Blocks: source.Blocks, Synced: synced})
//	defer server.Close()
//	n, err := legacy.Fetch(ctx, network, peer, legacy.Ask{From: head + 1, Count: 1024, MaxBytes: 8 << 20, Deadline: 5 * time.Second}, take)
//
// # Guarantees
//
//   - Nothing else is asked of a legacy node: it answers no status, ping or metadata and
//     keeps the stream, and a request for no blocks gets no answer. (wire.md 9.6, 9.7)
//   - An answer of one block is a whole answer: legacy builds of 2025 send no more. What
//     it says of the peer's head is nothing. (wire.md 9.6)
//   - Each chunk has its own deadline, in seconds, and a bound on its bytes.
//   - As a server: at most 1024 blocks, each below 1 MiB, closed cleanly. While this node
//     is behind it says so by a code; an empty answer would make the asker believe that
//     it is synced, and silence would hang it for ever. (wire.md 9.7, 5)
//   - A reader that is slow, and one that asks often, use up what is theirs only.
//
// # Layout
//
// One request and its answer take one stream; the bytes are package blockrange's.
package legacy
