// Package node puts the program together: journal, snapshots, cores, edges.
//
//	n, err := node.Open(ctx, node.Options{DataDir: dir, ChainSpec: spec, GenesisJSON: genesis, ...})
//	err = n.Run(ctx, nil) // until ctx ends or something is fatal
//	err = n.Close()
//
// Open recovers: newest good snapshot, then replay of the tail with every output
// compared. Run brings the execution layer level with the journal before the
// first message. Nothing leaves the process before that.
//
// # Data directory
//
//	journal/      the event log (docs/formats/journal.md), with its index
//	snapshots/    actor states (docs/formats/snapshot.md); can be deleted
//	execution/    the embedded execution layer; can be deleted, is fed again
//	genesis.json  the execution layer's genesis, as first given
//	note.key      secret key that signs checkpoints of the journal
//	checkpoint.note  the newest signed checkpoint
//	bitcoin/      the regtest chain of a development node
//	admin.sock    control socket while the node runs
package node
