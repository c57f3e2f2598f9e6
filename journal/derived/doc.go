// Package derived keeps on disk what is folded from a journal and nothing else: a
// database that may be deleted at any time and is then built again, behind the writer.
//
//	s, err := derived.Open(j, derived.Options{Dir: dir, Name: "peg ledger", Model: model})
//	go s.Run(ctx) // until ctx ends or the journal closes
//
//	err = s.View(func(r derived.Reader, at derived.Position) error { ... })
//
// # Guarantees
//
//  1. What a batch of events changes and the position after it are one batch of the
//     database: each event is folded exactly once, whatever crashes.
//  2. Only durable events are folded, so a store is never ahead of its journal. One
//     that is, or that belongs to another journal or another history of this one, is
//     thrown away and built again, with a warning.
//  3. A store that is to be built again is built beside the old one, which answers until
//     the new one is level; then the old one is removed. A store of another version is
//     kept until that of this program's is level, so that going back costs nothing.
//  4. A damaged or deleted database, and one whose disk fails, is named in the log,
//     removed and built again while the journal goes on. Until it is level it answers
//     with an error of grade Temporary that says how far it is.
//  5. The writer never waits for a store. Memory is bounded: one batch, the memtables,
//     a small cache.
//
// # Layout
//
// Options.Dir holds one directory a build, named VERSION-BUILD, of which the highest of
// this version that was level once is used. A database has no log of its own: what was
// not flushed at a crash is folded again. Keys that begin with 0 are the store's, all
// others the model's:
//
//	0 "position"   journal id, u64 sequence, chain hash
//	0 "level"      nothing; there since the store was level for the first time
package derived
