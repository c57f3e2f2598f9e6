package main

import "github.com/urfave/cli/v2"

// simCommand groups the simulations: the node's own cores with stand-ins for
// what is around them.
func simCommand() *cli.Command {
	return &cli.Command{
		Name: "sim", Usage: "run simulations of the node's cores",
		Subcommands: []*cli.Command{simFederationCommand(), simReorgCommand()},
	}
}
