// Package peg is the ledger of the peg: the life of each deposit, request and payment,
// the sums of the wallet, and what Bitcoin and the chain say about when the next step
// comes. It folds facts and nothing else into a store beside the journal.
//
//	l, err := peg.Open(j, peg.Options{Dir: dir})
//	go l.Run(ctx)
//	found, err := l.Get(peg.Question{ID: "d3b87f05…"})
//	page, err := l.List(peg.Query{Kind: peg.Deposits, State: "minted", Limit: 50})
//
// # Guarantees
//
// Those of journal/derived: each fact counts exactly once, the ledger may be deleted at
// any time, is built again beside the running node, and is never ahead of what is on
// disk. Every answer says up to which event it holds; any question can be asked as of an
// event or a time. A question costs a few reads, however many pegs there are; a list
// reads at most [MaxScan] entries a page and then gives a cursor.
//
// # What is estimated
//
// Steps that Bitcoin decides are estimated in Bitcoin blocks, and in minutes by the
// observed time between blocks; steps of the chain in its own blocks. Nothing is
// estimated that nobody can know, such as when a block with work is found for the first
// time.
//
// docs/formats/peg-ledger.md draws every key.
package peg
