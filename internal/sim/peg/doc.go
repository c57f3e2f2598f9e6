// Package peg proves by search that the bridge actor keeps the federation's money: it
// draws deposits, requests, blocks, reorganisations of both chains, signatures, lies and
// crashes, runs them through bridge cores beside a simulated Bitcoin, and checks after
// every action what must always hold.
//
//	r, err := peg.Run(peg.Seeded(7), 60)
//	if err != nil {
//		fmt.Println(r.Script(), err)
//	}
//
// A run is a function of its choices: one seed gives one run, byte for byte, and its
// script says what happened.
//
// # What is simulated
//
//   - Bitcoin, one for all members: blocks with real headers and Merkle trees, a mempool,
//     reorganisations, and the rule that an output is spent once, by signatures that btcd's
//     script engine accepts. Members see it late.
//   - The chain: a tree of blocks; one is executed once enough members approve it, which
//     asks each honest member's bridge core. Heads move between executed branches as long
//     as they have what is final. Some blocks lie.
//   - Signers that sign whatever they are asked to, and a thief who broadcasts each payment
//     as soon as he knows signatures enough, on whichever branch it is.
//   - Of four members one is dishonest: it approves and signs everything.
//
// # What must hold
//
// See check.go and docs/peg-properties.md; each check has a name, which a [Failure] has.
//
// # Files
//
//	bitcoin.go  the Bitcoin network
//	node.go     one bridge core with its journal and its edges
//	chain.go    the tree of blocks and who approves them
//	lies.go     blocks that no honest member may approve
//	action.go   what is drawn
//	users.go    deposits and burns
//	run.go      a run and its counts
//	model.go    wallets computed by other means
//	check.go    what holds after every action
//	rivals.go   payments on different branches
//	settle.go   what holds once everybody knows everything
package peg
