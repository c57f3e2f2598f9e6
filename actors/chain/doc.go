// Package chain is the core that decides which blocks are ours: production on
// the slot, import with approvals, head, finality by AuxPoW. The rules are those
// of consensus.md C3–C12; a verdict on a block depends on the block and its
// ancestors only.
//
//	message            does
//	node_configured    genesis on the first run; asks for the clock when producing
//	timer_fired        one slot: produce, or say why not; arms the next
//	payload_ready      composes the block and asks for its signature
//	build_failed       the slot passes
//	sign_refused       the slot passes
//	block_signed       the block goes the way of every received block
//	blocks_received    each block: C5; with its quorum it is executed
//	approval_received  one approval more; with its quorum the block is executed
//	blocks_executed    fees, head, finality; tells the miner actor
//	queue_work         a checked proof waits for the next block
//	decide_branch      an operator has a branch followed that excludes the finalised block
//	legacy_head        compares the end of an import with the legacy store
//	journal_incident   nothing is signed from now on
//	allow_signing      an operator ends that; finality without us does, too
//	approval_signed    our approval joins its block and is gossiped
//	never_approve      an operator has this member state that it never approves a range end
//	statement_signed   the statement is made
//	release_lock       an operator ends a lock by the statements of others
//	peg_judged         the bridge's verdict: approves a block, or signs our own
//	peg_planned        the peg's part of our block: asks for its payload
//	member_heads       where connected members are: part of the synced rule
//	bitcoin_current    whether Bitcoin is followed to its tip: the other part
//	assume_synced      an operator ends a cold start
//	expired            nothing: the slot timer of an earlier run
//
// # Files
//
//	state.go      plain data and its snapshot form; upgrade.go from behaviour 1
//	entry.go      one block
//	tree.go       the blocks, with indexes derived from them
//	handle.go     one function per message
//	receive.go    what is received: stored, kept, or refused by package rules; bounds
//	orphans.go    blocks before their parent, and what is asked for
//	approvals.go  approvals, also before their block
//	ancestors.go  what package rules asks of the tree
//	forkchoice.go the end of every turn: head, reorganisation, pruning
//	finality.go   what is final, excluded branches, conflicts, decisions
//	queue.go      what waits for the execution layer, and its verdicts
//	execute.go    state root and fees of an executed block
//	produce.go    C12
//	compose.go    C12 with the peg's part: from the plan to the signature
//	peg.go        what the bridge actor is told and asked
//	policy.go     C17: what this member approves beside what is valid
//	approve.go    C5.10: one approval a slot
//	lock.go       the approval lock, statements, releases
//	vows.go       what this member bound itself to
//	singles.go    members' signatures one by one, and two of one slot
//	ask.go        approvals that are asked for again; whom a bad block is laid to
//	ownkey.go     our key in another's hands
//	synced.go     when this node is synced, and what that gates
//	signing.go    what holds our signature, and what releases it
//	sync_follow.go what the sync actor is told, and what is left to it
//	effects.go    what leaves, and in which order
package chain
