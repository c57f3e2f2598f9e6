package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// treeReport is what verifying the tree found right.
type treeReport struct {
	events, nodes uint64
	root          string
	signed        uint64 // size of the kept checkpoint; 0 for none
}

// verifyTree hashes all events again and compares the index's nodes and the
// kept checkpoint.
func verifyTree(cc *cli.Context, s *settings, src *source, last uint64) (r treeReport, err error) {
	machine, err := node.NewMachine(src.journal.ID(), memo.New())
	if err != nil {
		return r, err
	}
	x, err := src.openIndex(machine, s.log)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	sizes := []uint64{last}
	notary, err := node.OpenNotary(s.dataDir, src.journal, x, false, s.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	if err == nil {
		if fault.Is(notary.Unfit(), fault.Corrupt) {
			return r, notary.Unfit()
		}
		if why := notary.Unfit(); why != nil {
			s.log.Warn("the kept checkpoint is not compared", "reason", why)
		}
		kept, _ := notary.Kept()
		switch {
		case kept.Size > last && !src.live: // of a copy, it was signed after that was made
			return r, notary.Check()
		case kept.Size > 0 && kept.Size <= last:
			sizes, r.signed = []uint64{kept.Size, last}, kept.Size
		}
	}
	bar := startJob(cc, s, "verify tree", "events", 0)
	defer bar.stop()
	roots, nodes, err := x.VerifyTree(cc.Context, last, sizes, func(done, total uint64) {
		bar.set(progress.Update{Done: done, Total: total})
	})
	if err != nil {
		return r, err
	}
	if kept := roots[0]; r.signed > 0 {
		if c, _ := notary.Kept(); c.Root != kept {
			return r, fault.New(fault.Corrupt, "the first %d events have the root %s, the signed checkpoint over them says %s: the journal is not what was signed", c.Size, kept, c.Root)
		}
	}
	r.events, r.nodes, r.root = last, nodes, roots[len(roots)-1].String()
	return r, nil
}
