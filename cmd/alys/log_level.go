package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/logging"
)

func logCommand() *cli.Command {
	return &cli.Command{Name: "log", Usage: "the log of a running node", Subcommands: []*cli.Command{logLevelCommand()}}
}

var (
	logActorFlag = &cli.StringFlag{Name: "actor", Usage: "actor or edge whose `LEVEL` is changed; all without one of their own when it is left out"}
	logLevelFlag = &cli.StringFlag{Name: "to", Usage: "new `LEVEL`: debug, info, warn or error; nothing is changed when it is left out"}
)

func logLevelCommand() *cli.Command {
	return &cli.Command{
		Name: "level", Usage: "show or change what a running node logs",
		Description: `Prints the levels of the running node, after the change that --to asks for. The
change lasts until the node stops; log.level and log.actors are its settings.

Examples:
  alys log level
  alys log level --actor engine --to debug
  alys log level --to warn`,
		Flags:  append(readFlags(), logActorFlag, logLevelFlag, jsonFlag),
		Action: logLevel,
	}
}

func logLevel(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	actor, to := cc.String(logActorFlag.Name), cc.String(logLevelFlag.Name)
	if actor != "" && to == "" {
		return usage("--actor %s: --to LEVEL is missing", actor)
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	if to != "" {
		if err := client.SetLogLevel(cc.Context, actor, to); err != nil {
			return err
		}
	}
	var levels []logging.Level
	if err := client.LogLevels(cc.Context, &levels); err != nil {
		return err
	}
	return outcome(cc, levels, func(w io.Writer) {
		for _, l := range levels {
			if l.Actor == "" {
				l.Actor = "all"
			}
			printf(w, "%-12s %s\n", l.Actor, l.Level)
		}
	})
}
