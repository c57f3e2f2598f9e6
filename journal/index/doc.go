// Package index finds events of a journal by what is in them, and keeps the
// nodes of the Merkle tree over them. It follows the journal behind the writer
// and holds nothing that the journal does not: it may be deleted at any time,
// and is then built again.
//
//	x, err := index.Open(j, index.Options{Dir: dir, Extract: keys})
//	go x.Run(ctx) // until ctx ends or the journal closes
//
//	found, err := x.Find(index.Query{All: []index.Any{{index.Actor("chain")}, {index.Fact("head_changed")}}})
//	for found.Next() {
//		use(found.Event())
//	}
//	err = found.Close()
//
// # Guarantees
//
//  1. Answers are complete and exact up to the last event that was durable when
//     Find was called, wherever the index stands: what it has not reached is
//     read from the journal itself, and so is everything when it is absent or
//     damaged. Every event found is compared with the query before it is given.
//  2. Postings, tree nodes and position of a run of events are written in one
//     batch: after a crash the index stands at an earlier position, never at a
//     later one, and no event is missing below it.
//  3. Only durable events are indexed, so the index is never ahead of the
//     journal. One that is, or that belongs to another journal or another
//     history of this one, is thrown away and built again, with a warning.
//  4. The writer never waits for the index. Memory is bounded: one batch, two
//     memtables, a small cache.
//  5. A damaged or deleted database, and one whose disk fails, is named in the
//     log, removed and built again while the journal goes on.
//
// # Layout
//
// The database has no log of its own: what was not flushed at a crash is read
// from the journal again.
//
//	'm' "format"                                   u32
//	'm' "extract"                                  u32, version of Options.Extract
//	'm' "position"                                 journal id, u64 sequence, chain hash
//	'p' kind length value block                    postings: u16 offsets of events in a block of 4096
//	't' level index                                node of the tree, from level 8 on
//
// docs/formats/index.md draws every byte.
package index
