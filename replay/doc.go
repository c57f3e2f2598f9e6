// Package replay re-runs a journal and compares.
//
//	report, err := replay.Run(ctx, j, machine, replay.Options{})
//
// Every turn after the machine's position is handled again by the same cores.
// Its event is encoded anew and must equal the stored bytes: facts, sends,
// effects, outcome, order. The hash chain is checked over the stored bytes on
// the way, and at each snapshot the digests of all states. The first difference
// is a [*Divergence], which names the turn, what differs and the chain of causes.
//
// Reading, hashing and decoding run ahead on one goroutine, handling and
// comparing on another; memory is bounded by a few batches.
package replay
