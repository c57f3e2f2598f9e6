// Package own speaks the protocol of our nodes on a host of go-libp2p: sessions, requests
// and answers, large blocks. (docs/formats/peer-protocol.md)
//
// # Usage
//
//	n, err := own.New(own.Options{Host: h, Chain: chain, Genesis: root, Checks: memo, Source: source, ...})
//	n.Join(id) // when a peer turned out to support own.Session
//	end, err := n.Range(ctx, id, peer.Range{From: 17, Count: 256}, 5*time.Second, func(signed []byte) error { ... })
//	n.Publish(signed, root, raw) // a block that legacy's gossip cannot carry
//	err = n.Close()
//
// # Guarantees
//
//   - A peer is told of by Joined once its Hello was found good, with its proof of
//     authority verified; what follows is told of it until Ended.
//   - Whatever a peer sends, and at whatever speed: memory, goroutines and time are bounded
//     by the limits of the page, an answer holds one block at a time.
//   - Each answer is checked to be one to what was asked: counts, roots, hashes. What it
//     means is judged by the caller. A failed request names the peer's act, see [Fault].
//   - Nothing is served to who has no session, that is to peers of other chains.
//
// # Layout
//
// network.go the sessions as a whole, session.go one of them, serve.go and answers.go what
// is answered, ask.go what is asked, large.go blocks in parts, limits.go the bounds.
package own
