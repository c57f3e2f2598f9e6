// Package journal is an append-only, hash-chained log of events on Pebble.
//
// An event is one turn of an event-sourced program: the message that was
// handled, what came of it, and what it asked of others. The journal gives it a
// place, makes it durable together with thousands of others by one sync, and
// hands it back, forwards or backwards. It knows nothing of the actors whose
// messages it keeps.
//
//	j, err := journal.Open(journal.Options{Dir: dir, OnDurable: release})
//	head, err := j.Append(&event, contents) // ordered, not durable yet
//	err = j.WaitDurable(ctx, head.Sequence) // or be told by OnDurable
//
//	it := j.Iterate(1, false)
//	for it.Next() {
//		event, err := it.Event()
//	}
//	err = it.Close()
//
// # Guarantees
//
//  1. Sequences start at 1 and have no gaps; times never decrease.
//  2. What [Journal.Durable] names, or OnDurable was called for, survives a
//     crash of the process, the kernel or the power supply. Events become
//     durable in order, so after a crash the journal is a prefix of what was
//     appended that holds at least those.
//  3. OnDurable is called in order, after the batch and the head file are
//     synced, and before a [Journal.WaitDurable] that waits for it returns.
//  4. Readers see durable events only. A content object can be seen a moment
//     before the event that brings it.
//  5. The first failed write ends appending for good: its error has grade
//     Fatal, every later Append returns it, and nothing after it is released.
//  6. Opening refuses a journal that ends before an event it acknowledged, and
//     one whose last events do not chain; [Journal.Verify] finds any other
//     change of any byte of any event or content, and names it.
//
// # Layout
//
// A journal is a directory:
//
//	LOCK       held by the process that has the journal open
//	HEAD       the last acknowledged event, in two slots written by turns
//	pebble/    the database
//	archive/   segments of the oldest events, once [Journal.Archive] moved them there
//
// The database has one key range a kind:
//
//	'c' hash                content object      32 bytes of SHA-256 -> codec, length, data
//	'e' sequence            event               8 bytes big-endian -> envelope, 32 bytes of hash
//	'm' "id", "format"     metadata
//	'm' "archive"           what left the database
//	'm' "incident/" number breaks in the history       4 bytes big-endian -> record
//
// A message of more than [InlineMax] bytes, and outputs that together have more,
// are content objects themselves, so that no turn is too large to be written.
// Readers put the event together again, or say what is missing.
//
// The hash of event n is SHA-256(hash of event n-1 || envelope of event n), and
// that of event 0 is [Origin]. How events are grouped into batches never
// affects a hash. docs/formats/journal.md draws every byte, and
// docs/decisions/0011-journal-head-file.md says why the head file exists,
// docs/decisions/0018-journal-recovery.md what opening does in each case.
//
// # Fatal errors of the database
//
// Pebble ends the process when it cannot go on, or panics while it holds locks.
// Here it does neither: the goroutine that met the failure is parked for ever,
// the journal's sticky error says what happened, and calls that would wait for
// that goroutine return it. The database of such a journal is not closed; its
// directory stays locked until the process ends.
package journal
