package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

func devCommand() *cli.Command {
	return &cli.Command{
		Name: "dev", Usage: "the Bitcoin chain of a development node or network: coins, blocks, peg-ins and peg-outs",
		Subcommands: []*cli.Command{devFaucetCommand(), devMineCommand(), devReorgCommand(), devPegInCommand(), devPegOutCommand(), devBitcoinCommand()},
	}
}

// dialDevelopment connects to the node of a command's data directory.
func dialDevelopment(cc *cli.Context) (*admin.Client, error) {
	s, err := readSettings(cc)
	if err != nil {
		return nil, err
	}
	return admin.Dial(s.dataDir)
}

func devFaucetCommand() *cli.Command {
	return &cli.Command{
		Name: "faucet", Usage: "show the regtest chain and what its faucet has",
		Description: `The faucet has the coins of all blocks that the node mines, from the first start on
more than 11,000 BTC. Regtest halves what a block brings every 150 blocks.

Examples:
  alys dev faucet
  alys dev faucet --json`,
		Flags: append(readFlags(), jsonFlag),
		Action: func(cc *cli.Context) error {
			client, err := dialDevelopment(cc)
			if err != nil {
				return err
			}
			defer client.Close()
			var f node.Faucet
			if err := client.Faucet(cc.Context, &f); err != nil {
				return err
			}
			return outcome(cc, f, func(w io.Writer) {
				printf(w, "height      %d %s\n", f.Height, f.Tip)
				printf(w, "faucet      %s BTC at %s\n", peg.FormatAmount(f.Satoshi), f.Faucet)
				printf(w, "federation  %s, deposits need %d confirmations\n", f.Federation, f.Confirmations)
				printf(w, "account     %s\n", f.Account)
			})
		},
	}
}

func devMineCommand() *cli.Command {
	return &cli.Command{
		Name: "mine", Usage: "mine blocks of the regtest chain",
		Description: `Without it a block comes every bitcoin.dev-interval.

Examples:
  alys dev mine
  alys dev mine --blocks 6 --json`,
		Flags: append(readFlags(), &cli.IntFlag{Name: "blocks", Usage: "how many, `N` up to 1000", Value: 1}, jsonFlag),
		Action: func(cc *cli.Context) error {
			client, err := dialDevelopment(cc)
			if err != nil {
				return err
			}
			defer client.Close()
			var blocks node.RegtestBlocks
			if err := client.Mine(cc.Context, cc.Int("blocks"), &blocks); err != nil {
				return err
			}
			return printBlocks(cc, blocks, "mined")
		},
	}
}

func devReorgCommand() *cli.Command {
	return &cli.Command{
		Name: "reorg", Usage: "replace the last blocks of the regtest chain by a longer branch",
		Description: `The new blocks are empty; transactions of the old ones go back into the mempool. A
depth at or beyond the confirmations that deposits need halts the peg, as it does
on a real chain.

Examples:
  alys dev reorg --depth 2
  alys dev reorg --depth 1 --json`,
		Flags: append(readFlags(), &cli.IntFlag{Name: "depth", Usage: "how many blocks are replaced, `N`", Value: 1}, jsonFlag),
		Action: func(cc *cli.Context) error {
			client, err := dialDevelopment(cc)
			if err != nil {
				return err
			}
			defer client.Close()
			var blocks node.RegtestBlocks
			if err := client.Reorganise(cc.Context, cc.Int("depth"), &blocks); err != nil {
				return err
			}
			return printBlocks(cc, blocks, "took over by")
		},
	}
}

func printBlocks(cc *cli.Context, blocks node.RegtestBlocks, what string) error {
	return outcome(cc, blocks, func(w io.Writer) {
		first := blocks.Height - uint64(len(blocks.Blocks)) + 1
		for i, hash := range blocks.Blocks {
			printf(w, "%s %d %s\n", what, first+uint64(i), hash)
		}
	})
}
