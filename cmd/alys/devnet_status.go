package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/devnet"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

func devnetStatusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show all nodes of the network in one screen",
		Description: `Heads, finalised blocks, the peg and warnings of each node, and the Bitcoin chain.
Ends with exit code 2 while a process does not answer, and 3 when two nodes have
different blocks finalised at one height.

Examples:
  alys devnet status
  alys devnet status --dir net --json`,
		Flags: devnetFlags(jsonFlag),
		Action: func(cc *cli.Context) error {
			n, err := devnet.Open(devnet.Options{Dir: cc.String("dir")})
			if err != nil {
				return err
			}
			return devnetPrint(cc, n)
		},
	}
}

func devnetPrint(cc *cli.Context, n *devnet.Network) error {
	s, err := n.Status(cc.Context)
	if err != nil {
		return err
	}
	if err := outcome(cc, s, func(w io.Writer) { printDevnet(w, s) }); err != nil {
		return err
	}
	return judgeDevnet(s)
}

// judgeDevnet says what is wrong with a network.
func judgeDevnet(s *devnet.Status) error {
	final := make(map[uint64]*devnet.NodeStatus)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Status == nil {
			continue
		}
		at := n.Status.Finalized
		if other := final[at.Height]; other != nil && other.Status.Finalized.Hash != at.Hash {
			return fault.New(fault.Corrupt, "%s has block %s finalised at height %d, %s has %s", other.Name, other.Status.Finalized.Hash, at.Height, n.Name, at.Hash)
		}
		final[at.Height] = n
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Status == nil {
			return fault.New(fault.Temporary, "%s does not answer: %s", n.Name, n.Problem)
		}
	}
	if s.Bitcoin == nil {
		return fault.New(fault.Temporary, "the Bitcoin chain does not answer: %s", s.BitcoinErr)
	}
	return nil
}

func printDevnet(w io.Writer, s *devnet.Status) {
	state := "is stopped"
	if s.Running {
		state = "runs"
	}
	printf(w, "network in %s %s, heads %d to %d\n", s.Dir, state, s.Lowest, s.Highest)
	if b := s.Bitcoin; b != nil {
		printf(w, "bitcoin height %d, the faucet has %s BTC\n", b.Height, peg.FormatAmount(b.Satoshi))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NODE\tPID\tHEAD\tFINALISED\tPRODUCED\tBITCOIN\tLOCKED\tMEMORY\tWARNINGS")
	for i := range s.Nodes {
		printDevnetNode(table, &s.Nodes[i])
	}
	_ = table.Flush()
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Exit != nil {
			printf(w, "%s ended with code %d: see %s\n", n.Name, *n.Exit, n.Log)
		}
		if n.Status == nil {
			continue
		}
		for _, warning := range n.Status.Warnings {
			printf(w, "%s: %s\n", n.Name, warning)
		}
	}
}

func printDevnetNode(w io.Writer, n *devnet.NodeStatus) {
	pid := "-"
	if n.PID > 0 {
		pid = fmt.Sprint(n.PID)
	}
	x := n.Status
	if x == nil {
		_, _ = fmt.Fprintf(w, "%s\t%s\t-\t-\t-\t-\t-\t-\tdoes not answer\n", n.Name, pid)
		return
	}
	bitcoin, locked := "-", "-"
	if x.Peg != nil {
		bitcoin, locked = fmt.Sprint(x.Peg.Bitcoin.Height), peg.FormatAmount(x.Peg.Wallet.Totals.Locked)
	}
	_, _ = fmt.Fprintf(w, "%s\t%s\t%d %.10s\t%d %.10s\t%d\t%s\t%s\t%d MiB\t%d\n", n.Name, pid, x.Head.Height, x.Head.Hash,
		x.Finalized.Height, x.Finalized.Hash, x.Chain.Produced, bitcoin, locked, x.MemoryMB, len(x.Warnings))
}
