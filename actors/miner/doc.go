// Package miner is the core that hands out merge-mining work and judges the
// proofs that come back. (consensus.md C13)
//
//	message            does
//	node_configured    takes chain id and retarget rule
//	chain_moved        keeps the list of blocks after the finalised one
//	create_aux_block   answers with a commitment to that list, or why there is none
//	submit_aux_block   checks target and structure, passes the proof to the chain actor
//	work_judged        answers with what the chain actor made of it
//
// The list starts after the finalised block and so never holds genesis: a proof
// over genesis could not be accepted by anybody.
//
// Work is one for each range, whoever asks: nobody can push another's out of the
// state by asking often. It stays until its range can no longer be carried, however
// many wrong proofs of it are handed in, and is then remembered as stale.
package miner
