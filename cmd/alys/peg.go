package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/projections/peg"
)

func pegCommand() *cli.Command {
	return &cli.Command{
		Name: "peg", Usage: "bitcoins in and out: see them, check that every one is there, order a peg-out",
		Description: `A deposit is a Bitcoin transaction that pegs in, a request asks for a peg-out, a
payment is the Bitcoin transaction that pays requests. The commands ask the
running node, or read the files of a stopped one.`,
		Subcommands: []*cli.Command{
			pegListCommand(), pegShowCommand(), pegStatusCommand(), pegAddressCommand(), pegReservesCommand(), pegVerifyCommand(), pegResumeCommand(),
			pegOutCommand(),
		},
	}
}

// pegQuestion is one question that both a running node and the ledger of a stopped one
// answer.
type pegQuestion[Q, A any] struct {
	name   string // at the control socket
	ask    Q
	stored func(*peg.Ledger) (A, error)
}

// answer asks the running node, or else the ledger of the data directory.
func (q pegQuestion[Q, A]) answer(cc *cli.Context, s *settings) (a A, running bool, err error) {
	client, err := admin.Dial(s.dataDir)
	if err == nil {
		defer client.Close()
		return a, true, client.Peg(cc.Context, q.name, q.ask, &a)
	}
	if !errors.Is(err, admin.ErrNotRunning) {
		return a, false, err
	}
	err = withLedger(cc, s, func(l *peg.Ledger) error {
		a, err = q.stored(l)
		return err
	})
	return a, false, err
}

// withLedger calls f with the ledger of a stopped node. One that is not level with the
// journal, as after a crash, is built beside it and removed afterwards.
func withLedger(cc *cli.Context, s *settings, f func(*peg.Ledger) error) (err error) {
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if !src.live {
		stored, err := peg.Open(src.journal, peg.Options{Dir: node.LedgerDir(s.dataDir), ReadOnly: true, Logger: s.log})
		switch {
		case err == nil && stored.Position() == src.journal.Durable().Sequence:
			return errors.Join(f(stored), stored.Close())
		case err == nil:
			err = stored.Close()
		case fault.Is(err, fault.CannotJudge) || fault.Is(err, fault.Corrupt):
			err = nil // there is none of use
		}
		if err != nil {
			return err
		}
	}
	return withBuiltLedger(cc.Context, cc, s, src, f)
}

// withBuiltLedger calls f with a ledger that is folded from the journal for it.
func withBuiltLedger(ctx context.Context, cc *cli.Context, s *settings, src *source, f func(*peg.Ledger) error) (err error) {
	dir, err := os.MkdirTemp("", "alys-ledger-*")
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "directory for the ledger of the peg")
	}
	defer func() { err = errors.Join(err, fault.Wrap(fault.Temporary, os.RemoveAll(dir), "removing the ledger")) }()
	job := startJob(cc, s, "peg ledger", "events", 0)
	defer job.stop()
	l, err := peg.Open(src.journal, peg.Options{
		Dir: filepath.Join(dir, "ledger"), Logger: s.log, BatchBytes: 32 << 20,
		Progress: func(position, durable uint64) { job.set(progress.Update{Done: position, Total: durable}) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.Advance(ctx); err != nil {
		return err
	}
	return f(l)
}
