package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/projections/peg"
)

func pegStatusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show the peg at a glance: entries by state, sums, Bitcoin, halt, alarms, members",
		Description: `With --as-of, the sums and Bitcoin as they were after an event of the journal.

Examples:
  alys peg status --data-dir /var/lib/alys
  alys peg status --as-of 120000 --json`,
		Flags: append(readFlags(),
			&cli.Uint64Flag{Name: "as-of", Usage: "as it was after this `EVENT` of the journal"},
			jsonFlag),
		Action: pegStatus,
	}
}

func pegStatus(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	asOf := cc.Uint64("as-of")
	summary, _, err := pegQuestion[uint64, *peg.Summary]{"status", asOf, func(l *peg.Ledger) (*peg.Summary, error) { return l.Summary(asOf) }}.answer(cc, s)
	if err != nil {
		return err
	}
	return outcome(cc, summary, func(w io.Writer) { printPegStatus(w, summary) })
}

func printPegStatus(w io.Writer, s *peg.Summary) {
	for _, k := range []peg.Kind{peg.Deposits, peg.Requests, peg.Payments} {
		for _, state := range peg.States(k) {
			if c := s.Counts[k.String()][state]; c.Entries > 0 {
				printf(w, "%-8s %-13s %8d  %s BTC\n", k, state, c.Entries, bitcoins(int64(c.Amount)))
			}
		}
	}
	when := "no block touched it yet"
	if s.Wallet.Block != "" {
		when = fmt.Sprintf("unchanged since block %d", s.Wallet.Height)
	}
	printTotals(w, when, &s.Wallet.Totals)
	printf(w, "Bitcoin  %s\n", bitcoinText(&s.Bitcoin))
	if s.Halted != nil {
		printf(w, "halted   since %s: %s; alys peg resume\n", s.Halted.Since, s.Halted.Reason)
	}
	if a := s.Alarms; a.Count > 0 && a.Last != nil {
		printf(w, "alarms   %d, the last at event %d: %s: %s\n", a.Count, a.Last.Sequence, a.Last.Rule, a.Last.Reason)
	}
	for i, m := range s.Members {
		last := "has signed nothing"
		if m.LastSigned != "" {
			last = fmt.Sprintf("signed last at %s; payments: %d", m.LastSigned, m.Payments)
		}
		printf(w, "member   %d %s\n", i, last)
	}
}

// bitcoinText is one line about Bitcoin.
func bitcoinText(b *peg.Bitcoin) string {
	switch {
	case !b.Configured:
		return "no node is configured"
	case b.Lost != "":
		return "the node cannot be asked: " + b.Lost
	case b.Hash == "":
		return "nothing is followed yet"
	default:
		return fmt.Sprintf("followed to %d of %d, %d left by reorganisations, %d satoshi per 1000 vbytes", b.Height, b.NodeHeight, b.Reverted, b.FeeRate)
	}
}

func printTotals(w io.Writer, when string, t *peg.Totals) {
	printf(w, "wallet   %s BTC locked in %d coins, %s\n", bitcoins(int64(t.Locked)), t.Coins, when)
	printf(w, "         minted %s, paid %s, pending %s, fees of users %s, of Bitcoin %s, drift of the pool %s\n",
		bitcoins(int64(t.Minted)), bitcoins(int64(t.Paid)), bitcoins(int64(t.Pending)), bitcoins(int64(t.UserFees)), bitcoins(int64(t.BitcoinFees)), bitcoins(t.Drift))
	printf(w, "         uncredited %s, fetched %s, stray %s, ignored %s, dust %d wei, unbacked %d gwei, %d transactions unknown\n",
		bitcoins(int64(t.Uncredited)), bitcoins(int64(t.Fetched)), bitcoins(int64(t.Stray)), bitcoins(int64(t.Ignored)), t.DustWei, t.UnbackedGwei, t.Unknown)
}

// printPegLine prints what status shows of the peg.
func printPegLine(w io.Writer, s *peg.Summary) {
	in, out := s.Counts[peg.Deposits.String()], s.Counts[peg.Requests.String()]
	waiting := func(of map[string]peg.Count, states ...string) (n uint64) {
		for _, state := range states {
			n += of[state].Entries
		}
		return n
	}
	printf(w, "Bitcoin    %s\n", bitcoinText(&s.Bitcoin))
	printf(w, "peg        %s BTC locked in %d coins, minted %s, drift %s; %d deposits and %d requests under way\n",
		bitcoins(int64(s.Wallet.Totals.Locked)), s.Wallet.Totals.Coins, bitcoins(int64(s.Wallet.Totals.Minted)), bitcoins(s.Wallet.Totals.Drift),
		waiting(in, "seen", "confirmed", "queued", "proposed"), waiting(out, "requested", "carried", "proposed", "finalised"))
	if s.Halted != nil {
		printf(w, "peg        HALTED since %s: %s\n", s.Halted.Since, s.Halted.Reason)
	}
	if a := s.Alarms; a.Count > 0 && a.Last != nil {
		printf(w, "peg        %d alarms, the last %s: %s\n", a.Count, a.Last.Rule, a.Last.Reason)
	}
	signed := 0
	for _, m := range s.Members {
		if m.LastMillis > 0 {
			signed++
		}
	}
	if signed > 0 {
		printf(w, "signers    %d of %d members have signed a payment\n", signed, len(s.Members))
	}
}
