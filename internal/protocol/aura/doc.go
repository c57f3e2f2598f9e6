// Package aura holds the slot arithmetic and the BLS approvals of the authority
// set: who may propose when, and how many members stand behind a block.
//
// # Usage
//
//	committee, err := aura.NewCommittee(chain.Authorities)
//	approvals := aura.None()
//	err = approvals.Add(aura.Approval{Signature: key.Sign(root), Authority: 0})
//	err = committee.Verify(&approvals, root)
//	if approvals.CountReal(committee.Len()) >= committee.Quorum() { ... }
//
// # Guarantees
//
//   - Pure functions of their arguments; no clock and no random source.
//   - Keys are decompressed and validated once, in [NewCommittee]; a check of an
//     aggregate then costs one hash to the curve and two pairings, however many
//     members signed.
//   - Nothing panics on bad input: keys and signatures off the curve or outside
//     the subgroup are errors graded [fault.Invalid].
//
// # Layout
//
// Public keys are compressed G1 points of 48 bytes, signatures compressed G2
// points of 96 bytes, the message is the 32-byte block root, the suite is
// BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_. The approval bits are an SSZ
// bitlist of capacity 15 that is always 15 long, so its length mark is bit 15.
// (consensus.md C2, C4)
package aura
