package main

import (
	"context"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/devnet"
)

func devnetCommand() *cli.Command {
	return &cli.Command{
		Name: "devnet", Usage: "a whole federation on this machine",
		Description: `Members and full nodes as processes with directories and ports of their own, one
Bitcoin regtest chain, and scripted traffic. For trials: its keys are worth nothing.`,
		Subcommands: []*cli.Command{devnetUpCommand(), devnetStatusCommand(), devnetDownCommand()},
	}
}

var devnetDirFlag = &cli.StringFlag{Name: "dir", Usage: "`DIR` of the network", Value: "alys-devnet"}

// devnetFlags are those of a command of the network.
func devnetFlags(more ...cli.Flag) []cli.Flag {
	return append(append(config.Flags(config.Log), devnetDirFlag), more...)
}

func devnetDownCommand() *cli.Command {
	return &cli.Command{
		Name: "down", Usage: "stop the network",
		Description: `Stops every node cleanly, the Bitcoin chain last. Nothing is removed: up goes on where
it was. Also stops what a killed alys devnet up left.

Examples:
  alys devnet down
  alys devnet down --dir net --json`,
		Flags:  devnetFlags(&cli.DurationFlag{Name: "timeout", Usage: "`TIME` to wait", Value: 2 * time.Minute}, jsonFlag),
		Action: devnetDown,
	}
}

// devnetStopped is what `alys devnet down --json` prints.
type devnetStopped struct {
	Dir       string `json:"dir"`
	Processes int    `json:"processes_stopped"`
}

func devnetDown(cc *cli.Context) error {
	ctx, cancel := context.WithTimeout(cc.Context, cc.Duration("timeout"))
	defer cancel()
	n, err := devnet.Open(devnet.Options{Dir: cc.String("dir")})
	if err != nil {
		return err
	}
	stopped, err := devnet.Down(ctx, n.Dir())
	if err != nil {
		return err
	}
	r := devnetStopped{Dir: n.Dir(), Processes: stopped}
	return outcome(cc, r, func(w io.Writer) {
		if stopped == 0 {
			printf(w, "nothing ran\n")
			return
		}
		printf(w, "stopped %d processes\n", stopped)
	})
}
