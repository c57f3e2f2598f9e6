// Package miner is the core that hands out merge-mining work and judges the
// proofs that come back. (consensus.md C13)
//
//	message            does
//	node_configured    takes chain id and retarget rule
//	chain_moved        keeps the list of blocks after the finalised one
//	create_aux_block   answers with a commitment to that list, or why there is none
//	submit_aux_block   checks target and structure, passes the proof to the chain actor
//
// The list starts after the finalised block and so never holds genesis: a proof
// over genesis could not be accepted by anybody.
package miner
