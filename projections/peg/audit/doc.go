// Package audit checks from a journal alone what its node said of the peg. It trusts no
// read model and no state: it reads each event once and computes again.
//
//	report, err := audit.Run(ctx, j, audit.Options{})
//	for _, d := range report.Differences { ... }
//
// # What is checked
//
//  1. Each Bitcoin block that was followed: its hash is that of its header, the header
//     has the work that it claims, it follows the block before; each of its
//     transactions is in it by its Merkle branch.
//  2. Each deposit that was minted: its transaction is in the Bitcoin block that is named,
//     by such a proof, credits the account and the amount that are told, and is minted
//     once on a branch. One whose transaction was only fetched is counted as without proof.
//  3. Each payment that was finalised: its witnesses, with the signatures of exactly as
//     many members as are needed. One that spends what is not in the journal is counted
//     as not checked.
//  4. The sums at each block: the identities of docs/formats/peg-totals.md.
//
// What cannot be known from the journal: whether the headers are of Bitcoin's best chain.
// Compare the hash of the newest one, which the report names, with any Bitcoin node.
package audit
