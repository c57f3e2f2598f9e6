package main

import (
	"errors"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func federationInitCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make the keys, the chain specification and the configurations of a new federation",
		Description: `Makes a directory that must not be there yet (exit code 4), with one below it for
each node: all that node needs, to be carried to its machine. What is public is in
federation.json. No secret is printed; each is in a file of mode 0600. The
federation keys are sealed; move the files called passphrase to where the machines
keep secrets. Every rule that is tighter than legacy's binds from block 1 on.

One person making the keys of all members is for trials: on a live network each
member makes their own (alys key seal) and the chain specification is put together
from the public ones.

Examples:
  alys federation init --members 3 --full 1 --out fed --dev
  alys federation init --members 3 --host 10.0.0.1 --host 10.0.0.2 --host 10.0.0.3 \
    --config-dir /etc/alys --data-dir /var/lib/alys --bitcoin-network signet --bitcoin-start 250000 --out fed
  alys federation init --members 5 --out fed --bitcoin-start 900000 --seal-with pass --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "`DIR` to make"},
			&cli.IntFlag{Name: "members", Usage: "how many, `N` up to 15", Value: 3},
			&cli.IntFlag{Name: "full", Usage: "`N` full nodes beside them"},
			&cli.BoolFlag{Name: "dev", Usage: "a chain that is worth nothing: trivial work, a merge-miner in each member, accounts with coins, keys not sealed"},
			&cli.DurationFlag{Name: "slot", Usage: "`TIME` of a slot; 5s unless --dev, then 2s"},
			&cli.UintFlag{Name: "chain-id", Usage: "`ID` of the chain; that of the running network unless --dev"},
			&cli.UintFlag{Name: "confirmations", Usage: "`N` Bitcoin blocks that deposits need; 144 unless --dev, then 6"},
			&cli.UintFlag{Name: "bitcoin-start", Usage: "`HEIGHT` of Bitcoin from which deposits count; 0 with --dev"},
			&cli.StringFlag{Name: "bitcoin-network", Usage: "`NETWORK` of Bitcoin: mainnet, testnet, signet or regtest", Value: config.NetworkRegtest},
			&cli.StringFlag{Name: "bitcoin-url", Usage: "`URL` of the Bitcoin node that the nodes ask"},
			&cli.StringFlag{Name: "bitcoin-cookie", Usage: "`FILE` with its credentials"},
			&cli.StringSliceFlag{Name: "host", Usage: "`IP` of a node, members first; without it all are on this machine"},
			&cli.IntFlag{Name: "port", Usage: "first `PORT` of the nodes of this machine", Value: 30000},
			&cli.StringFlag{Name: "config-dir", Usage: "`DIR` that a node's files will be in where it runs"},
			&cli.StringFlag{Name: "data-dir", Usage: "`DIR` that its data will be in there"},
			&cli.StringFlag{Name: "seal-with", Usage: "`FILE` with the passphrase of all keys; each has its own unless given"},
			jsonFlag,
		},
		Action: federationInit,
	}
}

func federationInit(cc *cli.Context) error {
	if cc.String("out") == "" {
		return usage("name the directory to make with --out")
	}
	o, err := initOptions(cc)
	if err != nil {
		return err
	}
	l, err := federation.Init(cc.String("out"), o)
	if errors.Is(err, federation.ErrExists) {
		err = errors.Join(err, node.ErrRefused)
	}
	if err != nil {
		return err
	}
	return outcome(cc, l, func(w io.Writer) {
		printf(w, "federation of %d members on chain %d in %s\ndeposits go to %s\n", l.Members(), l.ChainID, l.Dir, l.Deposit)
		for i := range l.Nodes {
			printf(w, "%-10s %s\n", l.Nodes[i].Name, l.Nodes[i].P2P)
		}
	})
}

func initOptions(cc *cli.Context) (o federation.Options, err error) {
	switch cc.String("bitcoin-network") {
	case config.NetworkMainnet, config.NetworkTestnet, config.NetworkSignet, config.NetworkRegtest:
	default:
		return o, usage("--bitcoin-network %q: mainnet, testnet, signet or regtest", cc.String("bitcoin-network"))
	}
	o = federation.Options{
		Members: cc.Int("members"), Full: cc.Int("full"), Accounts: cc.Bool("dev"), Plain: cc.Bool("dev"), DevMiner: cc.Bool("dev"),
		Hosts: cc.StringSlice("host"), Port: cc.Int("port"), ConfigDir: cc.String("config-dir"), DataDir: cc.String("data-dir"),
		Bitcoin: federation.Bitcoin{URL: cc.String("bitcoin-url"), Cookie: cc.String("bitcoin-cookie"), Network: cc.String("bitcoin-network")},
	}
	if file := cc.String("seal-with"); file != "" {
		if o.Passphrase, err = pegsigner.ReadPassphrase(file); err != nil {
			return o, err
		}
		o.Plain = false
	}
	o.Chain, err = initChain(cc)
	return o, err
}

// initChain is the specification without members.
func initChain(cc *cli.Context) (*spec.Chain, error) {
	c := spec.Shipped()
	if cc.Bool("dev") {
		c = developmentRules()
		c.SlotDuration = uint64((2 * time.Second).Milliseconds())
	} else {
		c.Activations = developmentRules().Activations
		if !cc.IsSet("bitcoin-start") {
			return nil, usage("say with --bitcoin-start from which height of Bitcoin deposits count: a height that is not mined yet")
		}
	}
	if slot := cc.Duration("slot"); slot != 0 {
		if slot < 100*time.Millisecond || slot > time.Hour || slot%time.Millisecond != 0 {
			return nil, usage("--slot %s: 100ms to 1h, whole milliseconds", slot)
		}
		c.SlotDuration = uint64(slot.Milliseconds())
	}
	for name, field := range map[string]*uint32{"chain-id": &c.ChainID, "confirmations": &c.Confirmations, "bitcoin-start": &c.BitcoinStartHeight} {
		if !cc.IsSet(name) {
			continue
		}
		if v := cc.Uint(name); v <= 1<<32-1 {
			*field = uint32(v)
			continue
		}
		return nil, fault.New(fault.Invalid, "--%s %d: at most 32 bits", name, cc.Uint(name))
	}
	return c, nil
}
