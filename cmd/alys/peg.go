package main

import (
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal"
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
	return ask(cc, s, pegLedger, func(c *admin.Client, a *A) error { return c.Peg(cc.Context, q.name, q.ask, a) }, q.stored)
}

// pegLedger is the peg ledger of the data directory.
var pegLedger = openModel[*peg.Ledger]{
	name: "peg ledger", dir: node.LedgerDir,
	open: func(s *settings, j *journal.Journal, dir string, build func(position, durable uint64)) (*peg.Ledger, error) {
		if build == nil {
			return peg.Open(j, peg.Options{Dir: dir, ReadOnly: true, Logger: s.log})
		}
		return peg.Open(j, peg.Options{Dir: dir, Logger: s.log, BatchBytes: 32 << 20, Progress: build})
	},
}
