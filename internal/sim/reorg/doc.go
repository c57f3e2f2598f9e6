// Package reorg proves by search that reorganisations are handled: it runs
// scenarios of blocks, approvals, proofs of work, crashes and restarts on the
// node's own cores, checks after every turn what must always hold, and in the end
// compares every node with an independent model and with a fresh node.
//
//	r, err := reorg.Generate(reorg.Seeded(7), 40, reorg.Options{})
//	if err != nil {
//		fmt.Print(reorg.Shrink(r.Scenario(), err.(*reorg.Failure).Check, reorg.Options{}, 500))
//	}
//
// A scenario is a list of actions in words, see [Action]; [Parse] reads them back.
// One seed gives one scenario and one course of it, byte for byte. docs/reorg-properties.md
// lists the properties and says how to keep a scenario that broke one.
//
// # Files
//
//	action.go    scenarios as text
//	generate.go  scenarios from choices: a seed's, or rapid's
//	world.go     blocks, with their names
//	node.go      one machine with a journal in memory
//	edges.go     what answers its effects
//	crash.go     stops, crashes, snapshots, replay
//	check.go     what holds after every turn
//	settle.go    what holds once all know everything
//	run.go       actions one by one
//	shrink.go    failing scenarios made small
//	journal.go   a scenario's journal on disk
//	model        what is right, by other means
package reorg
