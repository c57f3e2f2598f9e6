// Package standin has what simulations use in the place of slow or real parts:
// an execution layer, signatures, and makers of blocks and proofs. Everything in
// it is deterministic and fast; the rules of blocks stay the real ones.
//
//	layer := standin.NewLayer()
//	genesis := block.Genesis(spec, *layer.Genesis())
//	b := standin.Make(spec, standin.Plan{Parent: genesis, By: []int{0, 1}})
//	core := chain.New(standin.NewWork())
//
// # What is real and what is not
//
//	blocks         real: encoding, root, slot, ranges, withdrawals
//	proof of work  real: coinbase, commitment and target are checked; the target of a
//	               development chain is met by every second hash
//	signatures     [Sign] hashes key and root; an aggregate is the exclusive or of its
//	               signatures. Whoever knows a public key can sign for it.
//	execution      [Layer] folds transactions and withdrawals into the state root; a
//	               transaction uses [TxGas] and pays what its bytes say (C6)
//
// So a journal that was written with stand-ins replays with [Work] and with
// nothing else: [Software] marks it.
package standin

// Software is how the NodeConfigured of a simulation begins its Software field.
// Whoever re-runs a journal takes [NewWork] by it. A node does not start on such
// a journal, for its signatures are nobody's.
const Software = "alys-sim"
