package main

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
)

// statResult is what `alys journal stat --json` prints.
type statResult struct {
	Journal       string            `json:"journal"`
	Events        uint64            `json:"events"`
	Head          string            `json:"head_hash"`
	Incidents     int               `json:"incidents"`
	JournalBytes  uint64            `json:"journal_bytes"`  // files of the database
	Indexed       uint64            `json:"indexed"`        // last event that is
	PostingsBytes map[string]uint64 `json:"postings_bytes"` // by what they are about
	TreeBytes     uint64            `json:"tree_bytes"`
	IndexMissing  string            `json:"index_missing,omitempty"` // why it is not used
}

func journalStatCommand() *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "show how large the journal and its index are, and how far the index is",
		Description: `Sizes are those of the files; those of the index are estimates by kind of term.

Examples:
  alys journal stat
  alys journal stat --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: journalStat,
	}
}

func journalStat(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	machine, err := node.NewMachine(src.journal.ID(), memo.New())
	if err != nil {
		return err
	}
	x, err := src.openIndex(machine, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	durable := src.journal.Durable()
	r := statResult{
		Journal: src.journal.ID().String(), Events: durable.Sequence, Head: durable.Hash.String(), Incidents: len(src.journal.Incidents()),
		JournalBytes: src.journal.Stats().DiskBytes, Indexed: x.Position().Sequence, PostingsBytes: map[string]uint64{},
	}
	if why := x.Missing(); why != nil {
		r.IndexMissing = describe(why)
	} else {
		postings, nodes, err := x.Sizes()
		if err != nil {
			return err
		}
		for kind, bytes := range postings {
			r.PostingsBytes[node.TermName(kind)] = bytes
		}
		r.TreeBytes = nodes
	}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "journal    %s\nevents     %d, head %s\nincidents  %d\ndatabase   %s\n", r.Journal, r.Events, r.Head, r.Incidents, size(int64(r.JournalBytes)))
		if r.IndexMissing != "" {
			printf(w, "index      not used: %s\n", r.IndexMissing)
			return
		}
		printf(w, "index      up to event %d\ntree       %s\n", r.Indexed, size(int64(r.TreeBytes)))
		for _, name := range slices.Sorted(maps.Keys(r.PostingsBytes)) {
			printf(w, "  %-12s %s\n", name, size(int64(r.PostingsBytes[name])))
		}
	})
}
