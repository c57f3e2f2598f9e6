// Package engine is the core before the execution layer: it keeps the order of
// what is executed and built, and tries again while the execution layer cannot
// judge yet.
//
// One batch of blocks is executed at a time. Each is one line of descent, so a
// refused block takes the rest of its batch with it. The call sequences themselves
// (consensus.md C11, C12, C15) are the edge's: one effect is one sequence, so
// that it can be repeated as a whole after a crash.
//
//	message            idle                         executing
//	node_configured    –                            –
//	execute_blocks     import_payloads (until-done) joins the queue
//	payloads_imported  –                            results to chain; next batch, or wait and retry
//	timer_fired        –                            import_payloads again
//	expired (timer)    –                            import_payloads again
//	build_block        build_payload (expiring)     build_failed to chain
//	payload_built      payload_ready to chain       the same
//	payload_failed     build_failed to chain        the same
//	expired (build)    build_failed to chain        the same
package engine
