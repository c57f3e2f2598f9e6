// Package model says what a node has to believe, from the rules alone and as
// simply as possible: plain maps over all blocks there are, recursion from a
// block to its ancestors, nothing incremental, nothing forgotten.
//
// It is the second opinion of the reorganisation properties, so it shares no
// code with what it judges: neither the chain actor nor the package of its rules.
// It reads blocks and proofs by their encodings, and what signatures and
// execution mean is defined by the stand-ins that the simulated nodes use.
//
//	m := model.New(spec, genesis, true)
//	m.Add(block)                    // everything that exists
//	known := m.Nobody()
//	known.Learn(block)              // what one node was given
//	known.Approve(root, approval)
//	want := known.Judge()           // finalised block and possible heads
package model
