// Package engine is the edge to the execution layer: it executes payloads,
// builds them and moves the head of an execution client.
//
// # Usage
//
//	genesis, err := engine.ParseGenesis(data)
//	client, err := engine.OpenEmbedded(engine.EmbeddedOptions{Dir: dir, Genesis: genesis, Logger: logger})
//	defer client.Close()
//	x := engine.NewExecutor(client)
//	results, err := x.Import(ctx, payloads, finalized, finalized)
//	payload, err := x.Build(ctx, engine.BuildRequest{Parent: hash, Timestamp: seconds, Wait: time.Second})
//
// [API] is what a client offers, [Embedded] is go-ethereum in this process,
// and [Executor] runs the legacy call sequences of import (consensus.md C11),
// production (C12) and finality (C15) on any client.
//
// # Guarantees
//
//   - A payload is called invalid only when the client executed it and gave a
//     reason that concerns the payload. A client that is behind, away, closed
//     or in trouble with its disk gives CannotJudge or Temporary.
//   - Import is idempotent: payloads executed before give the same results.
//   - Every receipt is required; a missing one is never left out. Receipts with a
//     request to peg out are compared with the payload's receipts root. A client must
//     answer eth_getBlockReceipts by hash for blocks beside the head's branch too, as
//     go-ethereum does; one that does not cannot judge such a block.
//   - What Import reported executed survives kill -9 and a power cut: the
//     embedded client opens again with that head, or a later one, and with the
//     state of every block it has.
//   - The embedded client has no peers and opens no port unless told to.
//
// What go-ethereum cannot return from is caught where that is possible: a
// log.Crit or panic while a call of this package runs becomes a Corrupt error
// and the client refuses further calls. On a goroutine of go-ethereum's own it
// ends the process, like any crash. Its heartbeat goroutine (one for each
// opening) runs until the process ends.
//
// # Data directory
//
//	engine.json   format version, chain identifier, genesis hash, whether the
//	              database has been made; written before the database,
//	              compared at every opening
//	OPENING       present from the start of an opening to its success
//	geth/         go-ethereum's instance directory
//	  LOCK        held while open
//	  chaindata/  Pebble database: hash scheme, the state of every block
//	    ancient/  freezer: finalised blocks
//	  nodes/      go-ethereum's peer database, empty
//
// The directory holds nothing that cannot be rebuilt: remove it and import all
// payloads again. The reasons for the options are in
// docs/decisions/0012-embedded-execution-layer.md.
package engine
