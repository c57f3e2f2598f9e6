// Package sync is the core that brings missing blocks: it decides which heights are asked
// of which peer, and hands what arrives to the chain actor, oldest first and without a gap.
//
//	message          does
//	node_configured  connections of an earlier run are gone; with peers it works
//	peers_seen       who can be asked, and what each says to have
//	follow_sync      where the chain actor is, and how much it has to do
//	range_fetched    an answer takes its place; what it lacks is asked for again
//	range_failed     the peer rests; another is asked
//	timer_fired      looks again: late answers, a download that does not get on
//	expired          a request of an earlier run: its heights are asked for again
//
// # What it trusts
//
// The edge has checked of an answer what needs no state: heights without a gap, parents, slots
// and every aggregate signature. This core judges whether an answer stands on what was handed
// on before. A block with its quorum vouches for all below it, so that answers are worth what
// their last such block is: what a quorum vouches for is never given up for what it does not.
// What stands above the last such block is handed on too (the tip of a branch may still get its
// approvals) but at most [maxUnproven] blocks of it, and is forgotten when an answer contradicts it.
//
//	an answer does not stand on          and it has   then
//	blocks handed on without a quorum    -            back to the last with one; asked again
//	a block with a quorum                no quorum    its peer lied: another is asked
//	a block with a quorum                a quorum     a branch: one peer, the guide, gives everything above the finalised block
//	the finalised block                  a quorum     not this core's to decide: the peer rests, the chain actor hears it by gossip
//
// # Bounds
//
// At most [windowBlocks] blocks and [windowBytes] bytes are asked for or wait, one range in
// flight for a peer that is not known to be quick, and nothing is handed on while
// the chain actor has [maxBacklog] blocks to execute. Requests for blocks that a peer's head
// announces but gossip will bring anyway wait for graceMs.
//
// It is never stuck: while something is wanted a timer is set. A peer that does not answer in time
// loses its range to another; when nobody has what is missing, or the chain actor does not take
// what it was given, a fact says so and it begins again after a time that doubles, from the last head.
//
// # Files
//
//	state.go   plain data and its snapshot form
//	handle.go  one function per message
//	peers.go   who can be asked for what, how much, and who rests
//	spans.go   the heights that are wanted, asked for, or here
//	hand.go    what goes to the chain actor, and branches
//	plan.go    the next requests; the timer
package sync
