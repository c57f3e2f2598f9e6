// Package p2p is the edge to the network of nodes: it carries what cores publish and
// ask for to peers, and what peers say to cores once it is checked.
//
// # Usage
//
//	n, err := p2p.Open(ctx, p2p.Options{
//		Key: key, Listen: listen, Chain: chain, Genesis: root,
//		Checks: memo, Source: source, Content: content, Deliver: deliver,
//	})
//	n.Execute(ctx, effect, reply)
//	err = n.Close()
//
// # Guarantees
//
//   - Deliver gets messages that are decoded, authenticated and admitted, and of peers
//     PeerConnected first, then what is reported, then PeerGone. (architecture.md 1.8)
//   - Peers are reported at most once a second, whatever they do.
//   - Nothing is published that this node would refuse from others. (wire.md 9.7, P1)
//   - Execute never waits for a peer.
//
// # Layout
//
// host has the connections and gossip, admit the checks of gossip, own the protocol of our
// nodes.
package p2p
