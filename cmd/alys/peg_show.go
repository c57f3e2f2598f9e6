package main

import (
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/projections/peg"
)

func pegShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show the whole life of a deposit, request or payment",
		Description: `Named by the Bitcoin transaction id of a deposit or payment, or by the hash of the
transaction on the sidechain that asks for peg-outs. Shows every state it was in,
with times and heights, what comes next and when. What was never seen ends with
exit code 2: it may come to be.

Examples:
  alys peg show --id d3b87f05cfdde197e0ad8cd19c1a06df70f17ec7a2a6ca59fd14f9d71d00e192
  alys peg show --id 0x5a... --log 3 --json
  alys peg show --id 0x5a... --as-of 120000`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "id", Usage: "`HASH` of a transaction on either chain, 64 hex digits"},
			&cli.UintFlag{Name: "log", Usage: "index of the `LOG`, when the transaction asks for several peg-outs"},
			&cli.Uint64Flag{Name: "as-of", Usage: "as it was after this `EVENT` of the journal"},
			jsonFlag),
		Action: pegShow,
	}
}

func pegShow(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	q := peg.Question{ID: cc.String("id"), AsOf: cc.Uint64("as-of")}
	if cc.IsSet("log") {
		if cc.Uint("log") > 1<<32-1 {
			return usage("--log is %d, no block has as many", cc.Uint("log"))
		}
		log := uint32(cc.Uint("log"))
		q.Log = &log
	}
	found, _, err := pegQuestion[peg.Question, *peg.Found]{"get", q, func(l *peg.Ledger) (*peg.Found, error) { return l.Get(q) }}.answer(cc, s)
	if err != nil {
		return err
	}
	if len(found.Pegs) == 0 {
		return fault.New(fault.CannotJudge, "%s is no deposit, request or payment that was seen up to event %d", q.ID, found.AsOf)
	}
	return outcome(cc, found, func(w io.Writer) {
		for i := range found.Pegs {
			printPeg(w, &found.Pegs[i])
		}
	})
}

func printPeg(w io.Writer, p *peg.Peg) {
	printf(w, "%s %s\n", p.Kind, pegName(p))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			printf(t, "  %s\t%s\n", name, value)
		}
	}
	line("state", p.State)
	line("because", p.Reason)
	line("next", nextText(p))
	if p.Amount > 0 {
		line("amount", bitcoins(int64(p.Amount))+" BTC")
	}
	if p.Paid > 0 {
		line("paid", bitcoins(int64(p.Paid))+" BTC")
	}
	if p.Fee > 0 {
		line("fee", bitcoins(int64(p.Fee))+" BTC")
	}
	line("account", p.Account)
	line("destination", p.Destination)
	line("payment", p.Payment)
	line("block", p.Block)
	line("Bitcoin block", p.BitcoinBlock)
	for _, r := range p.Requests {
		line("pays", r)
	}
	_ = t.Flush()
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "  SINCE\tSTATE\tHEIGHT\tBITCOIN\tEVENT\tREASON\n")
	for _, c := range p.History {
		printf(t, "  %s\t%s\t%d\t%d\t%d\t%s\n", c.Time, c.State, c.Height, c.BitcoinHeight, c.Sequence, c.Reason)
	}
	_ = t.Flush()
}
