package main

import (
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func configCommand() *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "show settings",
		Subcommands: []*cli.Command{configShowCommand()},
	}
}

func configShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "print every setting with the place it comes from",
		Description: `The output is a settings file: given back with --config it means the same.
Secrets are not printed.

Examples:
  alys config show
  alys config show --config alys.toml --json`,
		Flags: append(config.Flags(), jsonFlag),
		Action: func(cc *cli.Context) error {
			s, err := nodeSettings(cc)
			if err != nil {
				return err
			}
			return fault.Wrap(fault.Temporary, s.Show(cc.App.Writer, cc.Bool(jsonFlag.Name)), "writing the settings")
		},
	}
}
