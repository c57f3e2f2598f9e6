package main

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func pegAddressCommand() *cli.Command {
	return &cli.Command{
		Name: "address", Usage: "show where deposits go, if one that is made now is seen at once",
		Description: `Refused with exit code 2 while the node does not run or is not level with the
sidechain and Bitcoin, or while the peg is halted: a deposit that is made then may
wait long. --anyway prints the address all the same; it is always the same one.

Examples:
  alys peg address --data-dir /var/lib/alys
  alys peg address --anyway --json`,
		Flags: append(readFlags(),
			&cli.BoolFlag{Name: "anyway", Usage: "print the address even if a deposit would wait"},
			jsonFlag),
		Action: pegAddress,
	}
}

func pegAddress(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	var a node.PegAddress
	if err := client.Peg(cc.Context, "address", struct{}{}, &a); err != nil {
		return err
	}
	if len(a.Missing) > 0 && !cc.Bool("anyway") {
		return fault.New(fault.Temporary, "no deposit address now: %s", strings.Join(a.Missing, "; "))
	}
	return outcome(cc, a, func(w io.Writer) {
		printf(w, "%s\n", a.Deposit)
		for _, why := range a.Missing {
			printf(w, "warning: %s\n", why)
		}
		if a.PegAddress != nil {
			printf(w, "Bitcoin %s, %d of %d members sign, minted after %d blocks\n", a.Network, a.Threshold, a.Members, a.Confirmations)
		}
	})
}
