// Package host is this node's end of the peer-to-peer network: its key, its
// transports, its connections and its gossip.
//
// # Usage
//
//	key, err := host.Identity(file)
//	h, err := host.Open(ctx, host.Options{
//		Key: key, Listen: []string{"/ip4/0.0.0.0/tcp/55444"}, Boot: bootnode.Split(list),
//		Judge: judge, Heard: heard, Joined: joined, Left: left,
//	})
//	err = h.Publish(ctx, gossip.TopicApproveBlock, data)
//	err = h.Close()
//
// # Guarantees
//
//   - Nothing is forwarded that Judge did not accept, and nothing is published that
//     legacy could not read: other topics, and messages past its frame, are refused.
//     (wire.md 9.2, 9.7)
//   - A peer that does not answer identify gets its gossip all the same. (wire.md 9.7, 1)
//   - An address without a peer id is dialled: the id is read from a handshake first.
//     (wire.md 9.7, 2)
//   - Connections, streams and memory of peers are bounded; those of banned ones are
//     refused before they cost a handshake, where their address is what is banned.
//   - What was asked to be kept is dialled again, with a pause that doubles up to a
//     minute, as long as the host is open.
//
// # Layout
//
// Gossip runs on /meshsub/1.1.0 over yamux streams in noise over TCP, or over QUIC.
// The message id is that of the content. (wire.md 9.1, 9.3)
package host
