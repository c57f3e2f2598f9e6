package index

import (
	"context"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal/tree"
)

// verifyEvents is how often VerifyTree reports progress and looks at its context.
const verifyEvents = 4096

// VerifyTree hashes every event of the journal up to last, and compares every
// node that the index holds with what the events give. It returns the roots
// over the sizes asked for, in their order, which must ascend and be at most
// last. A node that differs is an error of grade Corrupt that names it; then
// the index is to be deleted, not the journal.
func (x *Index) VerifyTree(ctx context.Context, last uint64, sizes []uint64, progress func(done, total uint64)) (roots []tree.Hash, nodes uint64, err error) {
	var b tree.Builder
	stored := x.Source().Stored
	indexed := x.Position().Sequence
	var wrong error
	compare := func(level uint, index uint64, h tree.Hash) {
		if level < tree.StoredLevel || wrong != nil || b.Size() >= indexed {
			return
		}
		got, ok, err := stored(level, index)
		switch {
		case err != nil:
			wrong = err
		case !ok:
			wrong = x.wrongNode(level, index, "is missing")
		case got != h:
			wrong = x.wrongNode(level, index, "is "+got.String()+", the events give "+h.String())
		}
		nodes++
	}
	due := func() {
		for len(roots) < len(sizes) && sizes[len(roots)] <= b.Size() {
			roots = append(roots, b.Root())
		}
	}
	it := x.journal.Iterate(1, false)
	due()
	for b.Size() < last && it.Next() && wrong == nil {
		_, envelope, _ := it.Raw()
		b.Append(tree.Leaf(envelope), compare)
		due()
		if b.Size()%verifyEvents != 0 {
			continue
		}
		if progress != nil {
			progress(b.Size(), last)
		}
		if ctx.Err() != nil {
			wrong = fault.Wrap(fault.Temporary, ctx.Err(), "index: verifying the tree")
		}
	}
	if err := it.Close(); err != nil {
		return nil, nodes, err
	}
	if wrong == nil && b.Size() < last {
		wrong = fault.New(fault.Invalid, "index: the tree over %d events cannot be verified, the journal has %d", last, b.Size())
	}
	return roots, nodes, wrong
}

func (x *Index) wrongNode(level uint, index uint64, what string) error {
	return fault.New(fault.Corrupt, "index %s is damaged: the tree's node over the events %d to %d %s; delete the directory, it is built again",
		x.opt.Dir, index<<level+1, (index+1)<<level, what)
}
