package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/devnet"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// devnetLines is how often a line tells how far the nodes are.
const devnetLines = 8 * time.Second

func devnetUpCommand() *cli.Command {
	return &cli.Command{
		Name: "up", Usage: "start the network, and make it when it is not there",
		Description: `Makes the directory on its first start; later the network goes on where it was, and
the flags that say what it is made of are refused. Runs until Ctrl-C, or with
--detach in the background until alys devnet down. A node that dies is started
again. --traffic sends transfers, deposits and peg-outs; each member merge-mines.

Examples:
  alys devnet up --members 3 --full 1 --traffic
  alys devnet up --dir net --slot 1s --detach
  alys devnet up --detach`,
		Flags: devnetFlags(
			&cli.IntFlag{Name: "members", Usage: "how many, `N` up to 15", Value: 3},
			&cli.IntFlag{Name: "full", Usage: "`N` full nodes beside them"},
			&cli.DurationFlag{Name: "slot", Usage: "`TIME` of a slot", Value: 2 * time.Second},
			&cli.IntFlag{Name: "port", Usage: "first `PORT`; the Bitcoin chain is one below", Value: 31000},
			&cli.DurationFlag{Name: "bitcoin-interval", Usage: "`TIME` between Bitcoin blocks", Value: 5 * time.Second},
			&cli.BoolFlag{Name: "traffic", Usage: "send transfers, deposits and peg-outs"},
			&cli.BoolFlag{Name: "detach", Usage: "run in the background"},
			&cli.DurationFlag{Name: "timeout", Usage: "`TIME` that --detach waits for the nodes to answer", Value: 2 * time.Minute}),
		Action: devnetUp,
	}
}

// makingFlags say what a network is made of.
var makingFlags = []string{"members", "full", "slot", "port", "bitcoin-interval"}

func devnetUp(cc *cli.Context) error {
	n, log, err := openDevnet(cc)
	if err != nil {
		return err
	}
	if cc.Bool("detach") {
		return devnetDetach(cc, n)
	}
	out := cc.App.Writer
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(cc.Context)
	defer cancel()
	traffic, err := n.NewTraffic()
	if err != nil {
		return err
	}
	return n.Up(ctx, func() {
		printf(out, "%d nodes started in %s, logs in %s\n", len(n.Layout.Nodes), n.Dir(), filepath.Dir(n.Log("x")))
		work.Go(func() { devnetProgress(ctx, out, n) })
		if cc.Bool("traffic") {
			log.Info("traffic begins", "account", traffic.Account())
			work.Go(func() { traffic.Run(ctx) })
		}
	})
}

// openDevnet opens the network of --dir, or makes it.
func openDevnet(cc *cli.Context) (*devnet.Network, *slog.Logger, error) {
	s, err := nodeSettings(cc)
	if err != nil {
		return nil, nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, nil, fault.Wrap(fault.Fatal, err, "path of this program")
	}
	o := devnet.Options{Dir: cc.String("dir"), Program: program, Logger: s.log, Out: cc.App.Writer}
	if devnet.Exists(o.Dir) {
		for _, name := range makingFlags {
			if cc.IsSet(name) {
				return nil, nil, usage("--%s is for a new network, and there is one in %s: name another directory with --dir, or remove that one", name, o.Dir)
			}
		}
		n, err := devnet.Open(o)
		return n, s.log, err
	}
	slot := cc.Duration("slot")
	if slot < 200*time.Millisecond || slot > time.Hour || slot%time.Millisecond != 0 {
		return nil, nil, usage("--slot %s: 200ms to 1h, whole milliseconds", slot)
	}
	if mine := cc.Duration("bitcoin-interval"); mine < 0 || mine > 24*time.Hour {
		return nil, nil, usage("--bitcoin-interval %s: 0s to 24h", mine)
	}
	o.Members, o.Full, o.Port, o.Mine, o.Chain = cc.Int("members"), cc.Int("full"), cc.Int("port"), cc.Duration("bitcoin-interval"), developmentRules()
	o.Chain.SlotDuration, o.Chain.BitcoinStartHeight = uint64(slot.Milliseconds()), regtest.Ready
	n, err := devnet.Make(o)
	return n, s.log, err
}

// devnetProgress tells now and then how far the nodes are.
func devnetProgress(ctx context.Context, w io.Writer, n *devnet.Network) {
	ticker := time.NewTicker(devnetLines)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s, err := n.Status(ctx)
		if err != nil || ctx.Err() != nil {
			continue
		}
		line := ""
		for i := range s.Nodes {
			at := "-"
			if x := s.Nodes[i].Status; x != nil {
				at = fmt.Sprintf("%d/%d", x.Head.Height, x.Finalized.Height)
			}
			line += fmt.Sprintf("  %s %s", s.Nodes[i].Name, at)
		}
		printf(w, "head/finalised%s\n", line)
	}
}

// devnetDetach starts this command again in the background, and waits until all nodes
// answer.
func devnetDetach(cc *cli.Context, n *devnet.Network) error {
	program, err := os.Executable()
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "path of this program")
	}
	args := []string{"devnet", "up", "--dir", n.Dir()}
	if cc.Bool("traffic") {
		args = append(args, "--traffic")
	}
	log, err := os.OpenFile(n.Log("devnet"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "log of the network")
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives this terminal
	if err := command.Start(); err != nil {
		return fault.Wrap(fault.Fatal, err, "start in the background")
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	ctx, cancel := context.WithTimeout(cc.Context, cc.Duration("timeout"))
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- n.AwaitAll(ctx) }()
	select {
	case err := <-ended:
		cancel()
		return fault.New(fault.Temporary, "the network ended at once: %w; see %s", errors.Join(err, <-answered), n.Log("devnet"))
	case err := <-answered:
		if err != nil {
			return fault.New(fault.Temporary, "not all nodes answer: %w; alys devnet status, logs in %s", err, filepath.Dir(n.Log("x")))
		}
	}
	return devnetPrint(cc, n)
}
