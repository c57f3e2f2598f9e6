package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/projections/peg"
)

func pegReservesCommand() *cli.Command {
	return &cli.Command{
		Name: "reserves", Usage: "show what backs the sidechain at a block, with proofs that Bitcoin has it",
		Description: `The sums of the wallet with every residue, and with --coins the coins, each with the
Merkle proof that a Bitcoin block has its transaction. Sums that do not balance end
with exit code 3. Of a stopped node, the sums alone.

Examples:
  alys peg reserves --data-dir /var/lib/alys
  alys peg reserves --block 120000
  alys peg reserves --block finalised --coins --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "block", Usage: "`BLOCK`: head, finalised, a height, or a hash", Value: "head"},
			&cli.BoolFlag{Name: "coins", Usage: "with the coins and their proofs"},
			&cli.StringFlag{Name: "cursor", Usage: "go on at the `CURSOR` of another answer"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N` coins, 1 to 500", Value: 100},
			jsonFlag),
		Action: pegReserves,
	}
}

func pegReserves(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	q := rpc.ReservesQuery{Block: cc.String("block"), Coins: cc.Bool("coins"), Cursor: cc.String("cursor"), Limit: cc.Int("limit")}
	if q.Limit < 1 || q.Limit > 500 {
		return usage("--limit is %d, allowed is 1 to 500", q.Limit)
	}
	r, _, err := pegQuestion[rpc.ReservesQuery, *rpc.Reserves]{"reserves", q, func(l *peg.Ledger) (*rpc.Reserves, error) { return storedReserves(l, q) }}.answer(cc, s)
	if err != nil {
		return err
	}
	if err := outcome(cc, r, func(w io.Writer) { printReserves(w, r) }); err != nil {
		return err
	}
	if !r.Exact {
		return fault.New(fault.Corrupt, "the sums of the wallet at block %d do not balance: run alys peg verify, and report it", r.Height)
	}
	return nil
}

// storedReserves are the sums that the ledger of a stopped node has.
func storedReserves(l *peg.Ledger, q rpc.ReservesQuery) (*rpc.Reserves, error) {
	if q.Coins {
		return nil, fault.New(fault.Temporary, "coins are the running node's to show: start it, or leave --coins out")
	}
	height := ^uint64(0)
	if q.Block != "" && q.Block != "head" {
		var err error
		if height, err = strconv.ParseUint(q.Block, 10, 64); err != nil {
			return nil, fault.New(fault.Temporary, "of a stopped node head or a height can be shown, not %q: start it", q.Block)
		}
	}
	w, asOf, err := l.WalletAt(height)
	if err != nil {
		return nil, err
	}
	s, err := l.Summary(0)
	if err != nil {
		return nil, err
	}
	return &rpc.Reserves{AsOf: asOf, Block: w.Block, Height: w.Height, Totals: w.Totals, Exact: w.Totals.Exact(), Bitcoin: s.Bitcoin.Height}, nil
}

func printReserves(w io.Writer, r *rpc.Reserves) {
	printTotals(w, fmt.Sprintf("at block %d", r.Height), &r.Totals)
	balance := "balance to the satoshi"
	if !r.Exact {
		balance = "DO NOT balance"
	}
	printf(w, "sums     %s\n", balance)
	if len(r.Coins) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "COIN\tBTC\tFROM\tBLOCK\tBITCOIN BLOCK\tPROOF\n")
	for i := range r.Coins {
		c := &r.Coins[i]
		where, proof := "-", "none: it is not mined as far as is known"
		if p := c.Proof; p != nil {
			where, proof = strconv.FormatUint(p.Height, 10), fmt.Sprintf("%d hashes to block %s", len(p.Branch), p.Block)
		}
		printf(t, "%s:%d\t%s\t%s\t%d\t%s\t%s\n", c.Txid, c.Output, bitcoins(int64(c.Amount)), c.From, c.Height, where, proof)
	}
	_ = t.Flush()
	if r.Cursor != "" {
		printf(w, "go on with --cursor %s\n", r.Cursor)
	}
}
