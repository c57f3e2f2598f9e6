package main

import (
	"github.com/urfave/cli/v2"
)

func journalCommand() *cli.Command {
	return &cli.Command{
		Name: "journal", Usage: "read and check the event log",
		Subcommands: []*cli.Command{
			journalCatCommand(), journalVerifyCommand(), journalPlanCommand(),
			journalArchiveCommand(), journalBackupCommand(), journalRestoreCommand(),
			journalRepairCommand(), journalSalvageCommand(),
			journalStatCommand(), journalKeyCommand(), journalProveCommand(), journalCheckProofCommand(), journalWitnessesCommand(),
		},
	}
}
