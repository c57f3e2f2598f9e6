package main

import (
	"github.com/urfave/cli/v2"
)

func snapshotCommand() *cli.Command {
	return &cli.Command{
		Name: "snapshot", Usage: "take, check and move snapshots of the actors' states",
		Subcommands: []*cli.Command{snapshotCreateCommand(), snapshotListCommand(), snapshotVerifyCommand(), snapshotExportCommand(), snapshotRestoreCommand()},
	}
}
