package main

import (
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func snapshotRestoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "start a data directory from an exported snapshot",
		Description: `Into a new directory: begins a journal of its own with the blocks and the states
that depend on blocks alone. Nothing that the other node signed or waited for
comes with it, and signing is held until others finalise a later block without
us or an operator runs alys signing allow. The execution layer is built from the
blocks at the first start.

Into the directory of the node that took the snapshot: puts it back.

With --check the file is read and checked, and nothing is written. Who made the
file is not checked: take it from somebody you trust.

Examples:
  alys snapshot restore --from alys.export --data-dir /var/lib/alys-new
  alys snapshot restore --from alys.export --check --json`,
		Flags: append(readFlags(),
			&cli.PathFlag{Name: "from", Usage: "`FILE` that alys snapshot export wrote", Required: true},
			&cli.BoolFlag{Name: "check", Usage: "check the file only"},
			jsonFlag),
		Action: snapshotRestore,
	}
}

func snapshotRestore(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	f, err := os.Open(cc.Path("from"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "export")
	}
	defer f.Close()
	dir := s.dataDir
	if cc.Bool("check") {
		dir = ""
	}
	bar := startJob(cc, s, "restore", "blocks", 0)
	defer bar.stop()
	r, err := node.RestoreSnapshot(cc.Context, f, dir, s.archive, s.log, func(blocks uint64) { bar.set(progress.Update{Done: blocks}) })
	bar.stop()
	if err != nil {
		return err
	}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "the export is whole: snapshot of sequence %d of journal %s, %d blocks, head %d %s\n", r.Snapshot.Sequence, r.Snapshot.Journal, r.Blocks, r.Height, r.Head)
		switch {
		case r.Journal != "":
			printf(w, "%s begins journal %s with it; signing is held\n", dir, r.Journal)
		case dir != "":
			printf(w, "the snapshot is back in %s\n", dir)
		}
	})
}
