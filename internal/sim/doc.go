// Package sim runs a whole federation in one goroutine: n members with the real
// cores in the real machine, the real journal and snapshots on disks in memory, one
// virtual clock, a network that delays, drops, duplicates and parts, and a plan of
// crashes, power cuts and failing disks. One seed is one run, exactly.
//
//	result, err := sim.Run(sim.Options{Seed: 7, Members: 4, Finality: 1})
//	if err != nil {
//		return err // a *[Violation]: which oracle, when, and the last turns of the members concerned
//	}
//	fmt.Println(result)
//
// # What is real and what is not
//
//	cores, machine   real: [cores.NewMachine], turns, sends, pending effects
//	journal          real, on a file system in memory that forgets what was not synced
//	snapshots        real, taken, lost and loaded like the node's
//	restart          real: [restart.Program], with every turn of the tail compared
//	release rule     ours, in order: a turn's effects leave when its group is on disk
//	clocks           virtual; each member's wall clock is off by a little, and may step
//	execution layer  a stand-in that forgets what it did not sync (package standin)
//	signatures       stand-ins: keyed hashes
//	proof of work    real, at a target that every second hash meets
//	connections      every member to every member, made, lost and made again, with heads told over them;
//	                 nothing passes without one. Blocks are fetched from what a member's journal holds
//	strangers        peers without an authority, who answer what is asked truly, in part, falsely or never
//
// # A run
//
// First comes the troubled phase: the seed draws how bad the network is, who
// crashes when and how, which disk operation fails, how the members are parted, when
// clocks step and execution layers are away. Then everything heals, and the calm
// phase must show progress. Members that never come back and dishonest members stay
// within what the federation tolerates: with quorum Q of n, at most 2Q - n - 1 are
// dishonest and at most min(2Q - n - 1, n - Q) fail at all. (architecture.md 4)
//
// # Oracles
//
//	agreement         the finalised blocks of honest members are on one branch
//	finality          no member reverts a block at or below its finalised one
//	branch            facts of connected and reverted blocks are one branch, step by step
//	lock              no approval of a carrier whose branch excludes an approved range end
//	statement         who stated to never approve a range end, does not
//	double-signature  one signature over blocks of a slot
//	production        a member begins a block only where, by what it was told, the federation is
//	listening         nothing is signed before a member has listened for its own key
//	ban               nobody who does what a node does is banned, and no member by its score
//	release           nothing leaves a member before the turn that asked for it is on disk
//	replay            a recovered machine has the states that the member had at that turn
//	turn              no turn fails, and no message that the simulator hands over is refused
//	bounded           states and queues stay within their bounds
//	progress          with a quorum connected, the finalised height grows within a bound
//	journal           journals open, and at the end every one of them is read from its beginning
//
// # Why one seed is one run
//
// All decisions are made on the goroutine of [Run], which takes one event after the
// other from a queue ordered by virtual time and then by the order in which events
// were put there. Randomness comes from generators seeded with the run's seed.
// Journals have identities made of the seed, for turns take seeds of their own from
// them. The journal's goroutines are given one group of turns at a time and waited for,
// so what is on disk when is decided here: a group that a crash meets is on disk wholly
// or not at all. Pebble's background work may be at another point of a file than in
// the run before, which no reader can tell. Nothing reads the wall clock or ranges
// over a map where the order could matter; [Result.Digest], over every event of the queue
// and the chain hashes of all journals, is compared between two runs by a test.
package sim
