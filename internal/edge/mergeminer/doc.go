// Package mergeminer finalises blocks of a development node without a Bitcoin
// miner: it makes Bitcoin parent blocks that commit to our chain and grinds
// their headers until the work suffices.
//
//	proof, err := mergeminer.Solve(ctx, commitment, chainID, bits, time.Now())
//	...
//	err := mergeminer.Run(ctx, mergeminer.Options{Client: node, FeeRecipient: address, Interval: 10 * time.Second})
//
// A proof has the smallest form that the rules allow (consensus.md C8): the
// parent block holds its coinbase alone, so both branches are empty, and our
// chain is the only leaf of the merge-mining tree. The parent block belongs to
// no Bitcoin chain: its previous hash is zero.
//
// Solve reads no clock and no random source: the same arguments give the same
// proof. It hashes on one processor and gives up only with its context.
package mergeminer
