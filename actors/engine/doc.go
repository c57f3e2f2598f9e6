// Package engine is the core before the execution layer: it keeps the order of
// what is executed and built, tells it the head, and tries again while it cannot
// judge yet.
//
// One batch of blocks is executed at a time. Each is one line of descent, so a
// refused block takes the rest of its batch with it. Executing moves no head: that
// is one call of its own, one at a time, of those that wait only the newest, and
// none that changes nothing. The call sequences themselves (consensus.md C11, C12,
// C15) are the edge's: one effect is one sequence, so that it can be repeated as a
// whole after a crash. The edge executes effects in the order they were asked.
//
//	message             idle, or the head is told      executing, or the head is being told or in a pause
//	node_configured     update_forkchoice (until-done) –
//	execute_blocks      import_payloads (until-done)   joins the queue
//	payloads_imported   –                              results to chain; next batch, or wait and retry
//	move_head           update_forkchoice if it differs replaces the one that waits; ends a pause if it differs
//	forkchoice_updated  –                              told; the newest if it differs; wait and retry
//	timer_fired         –                              import_payloads or update_forkchoice again
//	expired (timer)     –                              the same
//	build_block         build_payload (expiring)       build_failed to chain
//	payload_built       payload_ready to chain         the same
//	payload_failed      build_failed to chain          the same
//	expired (build)     build_failed to chain          the same
package engine
