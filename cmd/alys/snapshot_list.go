package main

import (
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/snapshot"
)

// listedSnapshot is one element of `alys snapshot list --json` and `verify --json`.
type listedSnapshot struct {
	node.SnapshotInfo
	Time   string  `json:"time,omitempty"`
	Height *uint64 `json:"height,omitempty"` // absent for another behaviour
	Whole  bool    `json:"whole"`
	Digest string  `json:"digest_in_journal"` // "equal", "none" or "" when it was not looked at
	Error  string  `json:"error,omitempty"`
}

func snapshotListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the snapshots, newest first",
		Description: `Reads and hashes every chunk to say whether each snapshot is whole; a damaged
one is listed with what is wrong and does not fail the command.

Examples:
  alys snapshot list --data-dir /var/lib/alys
  alys snapshot list --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: func(cc *cli.Context) error { return snapshots(cc, false) },
	}
}

func snapshotVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check every byte of the snapshots and their digests in the journal",
		Description: `Reads and hashes every chunk, and compares each snapshot with the journal: the
chain hash at its sequence, and the digests that the journal recorded when it
was taken. Exits with 3 when one is damaged; the node would pass it over.

Examples:
  alys snapshot verify --data-dir /var/lib/alys
  alys snapshot verify --sequence 120000 --json`,
		Flags:  append(readFlags(), &cli.Uint64Flag{Name: "sequence", Usage: "only the snapshot of this `SEQUENCE`"}, jsonFlag),
		Action: func(cc *cli.Context) error { return snapshots(cc, true) },
	}
}

// snapshots lists the snapshots of a data directory; strict makes damage an error.
func snapshots(cc *cli.Context, strict bool) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	all, err := src.snapshots.List()
	if err != nil {
		return err
	}
	listed := []listedSnapshot{}
	var bad []error
	wanted := uint64(0)
	if strict {
		wanted = cc.Uint64("sequence")
		if bad, err = src.snapshots.Damaged(); err != nil {
			return err
		}
	}
	for _, m := range all {
		if wanted != 0 && m.Sequence != wanted {
			continue
		}
		one, err := examineSnapshot(src, m)
		if err != nil {
			one.Error = describe(err)
			bad = append(bad, err)
		}
		listed = append(listed, one)
	}
	if wanted != 0 && len(listed) == 0 {
		return usage("--sequence %d: there is no readable snapshot of it; see alys snapshot list", wanted)
	}
	if err := printSnapshots(cc, listed); err != nil || !strict {
		return err
	}
	return errors.Join(bad...)
}

// examineSnapshot checks a snapshot and describes it.
func examineSnapshot(src *source, m snapshot.Manifest) (one listedSnapshot, err error) {
	one.SnapshotInfo = node.DescribeSnapshot(m)
	told, err := restart.Store{Journal: src.journal, Snapshots: src.snapshots}.Check(m)
	if err != nil {
		return one, err
	}
	one.Whole, one.Digest = true, "none"
	if told {
		one.Digest = "equal"
	}
	if e, _, err := src.journal.Event(m.Sequence); err == nil {
		one.Time = time.UnixMilli(e.Time).UTC().Format(time.RFC3339)
	}
	height, ok, err := node.SnapshotHeight(src.journal, src.snapshots, m)
	if ok {
		one.Height = &height
	}
	one.Whole = err == nil
	return one, err
}

func printSnapshots(cc *cli.Context, listed []listedSnapshot) error {
	return outcome(cc, listed, func(w io.Writer) {
		if len(listed) == 0 {
			printf(w, "no snapshots\n")
		}
		for _, one := range listed {
			height := "-"
			if one.Height != nil {
				height = strconv.FormatUint(*one.Height, 10)
			}
			state := "whole"
			switch {
			case !one.Whole:
				state = "DAMAGED: " + one.Error
			case one.Digest == "none":
				state = "whole, digest not in the journal"
			}
			printf(w, "sequence %d, height %s, %s, behaviour %d, %d states, %d entries, %d chunks, %s: %s\n",
				one.Sequence, height, one.Time, one.Behaviour, len(one.States), one.Entries, one.Chunks, size(int64(one.Bytes)), state)
		}
	})
}
