package main

import (
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/projections/peers"
)

func p2pBansCommand() *cli.Command {
	return &cli.Command{
		Name: "bans", Usage: "list the bans in force",
		Description: `Bans by score end by themselves, those by an operator at the time given or never.

Examples:
  alys p2p bans --data-dir /var/lib/alys
  alys p2p bans --json`,
		Flags: append(readFlags(), jsonFlag),
		Action: func(cc *cli.Context) error {
			s, err := readSettings(cc)
			if err != nil {
				return err
			}
			b, _, err := peersQuestion[struct{}, *peers.Bans]{"bans", struct{}{}, func(r *peers.Store) (*peers.Bans, error) { return r.Bans(0) }}.answer(cc, s)
			if err != nil {
				return err
			}
			return outcome(cc, b, func(w io.Writer) { printBans(w, b) })
		},
	}
}

func printBans(w io.Writer, b *peers.Bans) {
	if len(b.Bans) == 0 {
		printf(w, "none\n")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "WHO\tUNTIL\tBY\tREASON\n")
	for i := range b.Bans {
		who, by := b.Bans[i].Peer+b.Bans[i].Address, "score"
		if b.Bans[i].Operator {
			by = "operator"
		}
		printf(t, "%s\t%s\t%s\t%s\n", who, b.Bans[i].Until, by, b.Bans[i].Reason)
	}
	_ = t.Flush()
}
