package main

import (
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/projections/peg/audit"
)

func pegVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check from the journal that every deposit is in Bitcoin, every payment is signed, every sum balances",
		Description: `Reads every event once and computes again: that the transaction of each minted
deposit is in its Bitcoin block, by Merkle branch and header, credits what was
minted, and only once; the witnesses of each finalised payment; the identities of
the sums at every block. A running node gives a checkpoint of its journal. A
difference ends with exit code 3.

Whether the headers are of Bitcoin's best chain is not in the journal: compare the
newest one, which is printed, with any Bitcoin node.

Examples:
  alys peg verify --data-dir /var/lib/alys
  alys peg verify --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: pegVerify,
	}
}

func pegVerify(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	job := startJob(cc, s, "peg verify", "events", 0)
	report, err := audit.Run(cc.Context, src.journal, audit.Options{
		Progress: func(done, total uint64) { job.set(progress.Update{Done: done, Total: total}) },
	})
	job.stop()
	if err != nil {
		return err
	}
	if err := outcome(cc, report, func(w io.Writer) { printAudit(w, report) }); err != nil {
		return err
	}
	if report.Differing > 0 {
		first := report.Differences[0]
		return fault.New(fault.Corrupt, "the peg differs from its journal in %d places, first at event %d: %s", report.Differing, first.Sequence, first.What)
	}
	return nil
}

func printAudit(w io.Writer, r *audit.Report) {
	printf(w, "events     %d\n", r.Events)
	printf(w, "Bitcoin    %d headers, %d transactions in them", r.Headers, r.Proofs)
	if r.Bitcoin != "" {
		printf(w, ", the newest %s at %d", r.Bitcoin, r.BitcoinAt)
	}
	printf(w, "\ndeposits   %d minted, %d of them without a proof in the journal\n", r.Minted, r.Unproven)
	printf(w, "payments   %d with their witnesses, %d spend what the journal does not hold\n", r.Payments, r.Unchecked)
	printf(w, "sums       %d, up to block %d\n", r.Wallets, r.LastWallet)
	for _, d := range r.Differences {
		printf(w, "DIFFERENCE at event %d: %s\n", d.Sequence, d.What)
	}
	if r.Differing == 0 {
		printf(w, "no difference\n")
	}
}
