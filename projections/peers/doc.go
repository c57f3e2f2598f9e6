// Package peers is the read model of peers: who was met, what each did, its score and its bans
// with their history. It folds what the journal has of peers into a store beside it.
//
//	b, err := peers.Open(j, peers.Options{Dir: dir})
//	go b.Run(ctx)
//	list, err := b.Peers(peers.Query{Connected: true})
//	one, err := b.Peer("12D3KooW…")
//	bans, err := b.Bans()
//
// # Guarantees
//
// Those of journal/derived: each event counts exactly once, the store may be deleted at any
// time, is built again beside the running node, and is never ahead of what is on disk.
// Scores are computed to the time asked for by the rules of internal/protocol/conduct.
// The store is bounded: [MaxKnown] peers that are not connected, [MaxHistory] changes of each.
//
// docs/formats/peers.md draws every key.
package peers
