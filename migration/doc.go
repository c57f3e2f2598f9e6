// Package migration reads the store a legacy node left behind and hands its
// blocks to a node of ours.
//
// # Usage
//
//	layout, err := migration.FindLayout(dir)      // chain_db/ wallet/ chain.json genesis.json
//	store, err := migration.OpenStore(layout.ChainDB)
//	defer store.Close()
//	run, err := migration.New(store, chainSpec, genesisPayload, migration.Options{})
//	// the node calls run.Fact for every fact that it publishes
//	result, err := run.Run(ctx, node)
//	rows := migration.Compare(result.Actual(node.Balance), expected)
//
// [Import.Verify] does all of it that needs no node.
//
// # Guarantees
//
//   - The store's directory stays byte for byte what it was, also when the
//     import fails. Nothing is opened for writing and no lock is taken, so the
//     directory may be on a read-only file system. What LevelDB would write when
//     it opens is kept in memory.
//   - A damaged file is an error that names file and offset. LevelDB's own
//     recovery drops damaged records and goes on; here nothing is dropped.
//   - Every block on the branch of the head is decoded, encoded again and hashed
//     before it is handed over. What does not lead to the root it is stored
//     under, or not to genesis of the given chain, is an error that names height,
//     hash and field.
//   - A block is judged by the chain actor like any other: this package trusts
//     the store with nothing but the list of blocks.
//   - Memory: 36 bytes per block of the branch, the store's write-ahead logs, and
//     at most four batches of blocks.
//
// What this package cannot see is left to the chain actor: the approvals of a
// block (aggregation bits and signature are no part of its root), slots, proofs
// of work, and a fee record that stays plausible beside its neighbours. A store
// that lost the end of its log exactly between two records is an earlier state of
// itself: only its own head can be compared with.
//
// # Layout
//
// docs/formats/legacy-store.md describes the columns and values. (consensus.md C19)
package migration
