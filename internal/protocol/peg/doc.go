// Package peg has the rules between the two chains: the federation's Bitcoin
// deposit address, what a Bitcoin transaction credits, and which outputs the
// receipts of a block require.
//
// # Usage
//
//	federation, err := peg.NewFederation(chain.FederationKeys)
//	address, err := federation.Address(&chaincfg.MainNetParams)
//	pays := bytes.Equal(out.PkScript, federation.ScriptPubKey)
//	credit, ok := federation.PegIn(tx)
//	outputs, err := peg.PegOuts(receipts)
//
// # Guarantees
//
//   - Deterministic: the same keys in the same order give the same script,
//     control block and address as legacy.
//   - Keys off the curve are errors graded [fault.Invalid]; nothing panics.
//   - The same transactions credit the same accounts, and the same receipts require
//     the same outputs, as with legacy, its defects included.
//
// # Layout
//
// The address is pay-to-taproot with an unspendable internal key and one leaf, a
// t-of-n script of CHECKSIG and CHECKSIGADD over the x-only keys in chain-spec
// order, t being two thirds of n rounded up. (peg.md A2; BIP 341, 342)
package peg
