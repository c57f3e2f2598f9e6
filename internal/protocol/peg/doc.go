// Package peg has the rules between the two chains: the federation's Bitcoin
// deposit address, what a Bitcoin transaction credits, which outputs the receipts of
// a block require, and the transactions that pay them.
//
// # Usage
//
//	federation, err := peg.NewFederation(chain.FederationKeys)
//	address, err := federation.Address(&chaincfg.MainNetParams)
//	pays := bytes.Equal(out.PkScript, federation.ScriptPubKey)
//	credit, ok := federation.PegIn(tx)
//	requests, err := peg.Requests(logs, strict, peg.MinPegOut)
//	tx, carried, err := federation.Propose(coins, forced, peg.Outputs(requests), rate, strict)
//	err = federation.CheckProposal(outputs, tx, wallet.Unspent)
//	hashes, err := federation.SigHashes(tx, spent)
//	err = federation.CheckSigner(policy, outputs, tx, spent, coins)
//	final, err := federation.Finalize(tx, signatures)
//	err = federation.CheckWitnesses(final, spent)
//
// # Guarantees
//
//   - Deterministic: the same keys in the same order give the same script,
//     control block and address as legacy.
//   - Keys off the curve are errors graded [fault.Invalid]; nothing panics.
//   - The same transactions credit the same accounts, and the same receipts require
//     the same outputs, as with legacy, its defects included. Proposals and witnesses
//     get legacy's verdict, by its name ([Defect]).
//   - Which coins exist and which are spent is the caller's; nothing is looked up.
//
// # Layout
//
// The address is pay-to-taproot with an unspendable internal key and one leaf, a
// t-of-n script of CHECKSIG and CHECKSIGADD over the x-only keys in chain-spec
// order, t being two thirds of n rounded up. (peg.md A2; BIP 341, 342)
package peg
