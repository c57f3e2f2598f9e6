// Package message lists every message, fact, effect and effect result of the
// node: the payload schema of the journal.
//
// The types are shared so that actors need not import one another. A type's
// name stands in the journal for ever; a change of fields adds fields with new
// numbers and raises Schema. Hashes are 32 bytes in internal order, amounts are
// named by their unit, times are Unix milliseconds unless a name says seconds.
//
//	node.go    what configures and ends a run, snapshots
//	mark.go    where a journal can be re-executed from without what is before
//	chain.go   blocks, slots, approvals, work
//	facts.go   what the chain actor publishes
//	engine.go  the execution layer
//	miner.go   aux blocks
//	signing.go what holds and releases this node's signature
package message
