// Package rules decides what a block is worth: valid, invalid, or not to be judged
// yet. The rules are legacy's, in legacy's order, one function each, named by
// their number in consensus.md.
//
// # Usage
//
//	r := rules.Rules{Spec: chain, Verifier: committee, Judging: true}
//	parent, verdict := r.Check(signed, root, tree)
//	switch verdict.Grade {
//	case 0:                 // valid so far as structure goes; the execution layer has the last word
//	case fault.Invalid:     // refused for good, by verdict.Rule
//	case fault.CannotJudge: // ask again when verdict.Reason has changed
//	}
//	proof, verdict := r.CheckProof(header, parent, tree)  // work that waits to be carried
//	field := r.PegPart(&signed.Block, parent)             // what the bridge has to judge before we approve
//	verdict = r.CheckSigner(signed, root, tree)           // rules tighter than legacy's
//
// # Guarantees
//
//   - A verdict depends on the block and its ancestors alone: the latest carrier
//     and the finalised block of C8 and C5.9 are those of the nearest ancestor
//     carrier, the height of C9 is the block's number less one.
//   - A dependency that is missing never makes a block invalid.
//   - Where legacy aborts its process, the verdict is invalid. Nothing panics on
//     a block that package block has decoded.
//   - Historic exceptions and activation heights are data of the chain spec.
//
// # Layout
//
//	verdict.go   the three verdicts
//	ancestor.go  what is kept of a block for the rules on its descendants
//	check.go     C5: the order
//	structure.go C4, C5.1 to C5.5
//	carrier.go   C5.8, C5.9, C8, C9
//	fees.go      C6
//	peg.go       which blocks are for the bridge to judge
//	holes.go     C17: what is tighter for a signer, and from which height for all
package rules
