package main

import "github.com/urfave/cli/v2"

func pegCommand() *cli.Command {
	return &cli.Command{
		Name: "peg", Usage: "bitcoins in and out",
		Subcommands: []*cli.Command{pegOutCommand()},
	}
}
