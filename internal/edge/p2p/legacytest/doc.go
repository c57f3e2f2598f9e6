// Package legacytest is a stand-in for a legacy node, for tests: it speaks what legacy
// speaks on the wire, does what legacy does behind it, and dies of what legacy dies of.
//
// # Usage
//
//	n, err := legacytest.Start(legacytest.Options{Blocks: blocks})
//	defer n.Close()
//	other := n.Address()                    // without a peer id, as in boot lists
//	err = n.Connect(ctx, addressOfOurs)
//	err = n.Publish(gossip.TopicApproveBlock, data)
//	received, synced, err := n.Sync(ctx, id) // as legacy asks
//	heard, death := n.Heard(), n.Death()
//
// # What it does as legacy does
//
//   - A new Ed25519 key at every start; TCP with noise and yamux only. (wire.md 9.1)
//   - It answers no identify and no ping. (wire.md 9.6, 9.7)
//   - It forwards gossip before it looks, goes by the variant inside, and ends when one
//     does not decode, when a proof of work lacks its proof, or when the proof is not
//     well formed: its connections close and [Node.Death] says why. (wire.md P1)
//   - It answers blocks_by_range only, with one block and a close whatever the count, or
//     with all as older builds do. Status, ping and metadata get no answer, their streams
//     stay and count towards the 32 of a connection, the 33rd of which closes it.
//   - It believes that it is synced when fewer than 1024 blocks come. (wire.md P4)
//
// # What it does not
//
// It has no execution layer and judges no block; it has no QUIC and no multicast DNS.
package legacytest
