package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/projections/peg"
)

func pegListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list deposits, requests or payments, newest first",
		Description: `Each with its state, what comes next, and when, as far as that can be known. The
states are in the operator's guide; a wrong one is answered with those there are.
A list that is not at its end names the cursor to go on with.

Examples:
  alys peg list --data-dir /var/lib/alys
  alys peg list --kind request --state proposed
  alys peg list --kind payment --limit 500 --json
  alys peg list --account 0xf9a9b63f5b7f9336da0ce520c6bec64627027f5b --since 2026-01-01T00:00:00Z`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "kind", Usage: "`KIND`: deposit, request or payment", Value: peg.Deposits.String()},
			&cli.StringFlag{Name: "state", Usage: "only those in this `STATE`"},
			&cli.StringFlag{Name: "account", Usage: "only those of this `ACCOUNT` of the sidechain"},
			&cli.TimestampFlag{Name: "since", Usage: "first seen at this `TIME` (RFC 3339) or later", Layout: time.RFC3339},
			&cli.TimestampFlag{Name: "until", Usage: "first seen at this `TIME` (RFC 3339) or before", Layout: time.RFC3339},
			&cli.BoolFlag{Name: "forward", Usage: "oldest first"},
			&cli.Uint64Flag{Name: "as-of", Usage: "as they were after this `EVENT` of the journal"},
			&cli.StringFlag{Name: "cursor", Usage: "go on at the `CURSOR` of another answer"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N`, 1 to 500", Value: peg.DefaultLimit},
			jsonFlag),
		Action: pegList,
	}
}

func pegList(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	q := peg.Query{
		Kind: cc.String("kind"), State: cc.String("state"), Account: cc.String("account"), Forward: cc.Bool("forward"),
		AsOf: cc.Uint64("as-of"), Cursor: cc.String("cursor"), Limit: cc.Int("limit"),
	}
	if t := cc.Timestamp("since"); t != nil {
		q.Since = t.UnixMilli()
	}
	if t := cc.Timestamp("until"); t != nil {
		q.Until = t.UnixMilli()
	}
	page, _, err := pegQuestion[peg.Query, *peg.Page]{"list", q, func(l *peg.Ledger) (*peg.Page, error) { return l.List(q) }}.answer(cc, s)
	if err != nil {
		return err
	}
	return outcome(cc, page, func(w io.Writer) { printPegs(w, page) })
}

func printPegs(w io.Writer, page *peg.Page) {
	if len(page.Pegs) == 0 {
		printf(w, "none up to event %d\n", page.AsOf)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "ID\tSTATE\tBTC\tSINCE\tCONFIRMATIONS\tNEXT\n")
	for i := range page.Pegs {
		p := &page.Pegs[i]
		amount := p.Amount
		if p.Kind == peg.Payments.String() {
			amount = p.Fee
		}
		printf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", pegName(p), p.State, bitcoins(int64(amount)), p.Since, p.Confirmations, nextText(p))
	}
	_ = t.Flush()
	if page.Cursor != "" {
		printf(w, "go on with --cursor %s\n", page.Cursor)
	}
}

// pegName is how an entry is asked for again.
func pegName(p *peg.Peg) string {
	if p.Log != nil {
		return fmt.Sprintf("%s --log %d", p.Transaction, *p.Log)
	}
	return p.Txid
}

// nextText is what comes next, and when.
func nextText(p *peg.Peg) string {
	e := p.Estimate
	if e == nil {
		return p.Next
	}
	text := fmt.Sprintf("%s (%d blocks of %s", p.Next, e.Blocks, e.Chain)
	if e.Minutes > 0 {
		text += fmt.Sprintf(", about %d min", e.Minutes)
	}
	return text + ")"
}

// bitcoins shows satoshi.
func bitcoins(satoshi int64) string {
	sign, v := "", uint64(satoshi)
	if satoshi < 0 {
		sign, v = "-", uint64(-(satoshi+1))+1
	}
	return sign + strconv.FormatUint(v/100_000_000, 10) + fmt.Sprintf(".%08d", v%100_000_000)
}
