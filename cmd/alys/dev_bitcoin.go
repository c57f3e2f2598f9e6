package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest/rpcserver"
)

func devBitcoinCommand() *cli.Command {
	return &cli.Command{
		Name: "bitcoin", Usage: "serve a Bitcoin regtest chain to the nodes of a development network",
		Description: `A Bitcoin node for many processes: blocks, mempool, miner and faucet, over JSON-RPC
in Bitcoin Core's dialect. The chain is kept in --dir, and the credentials for
bitcoin-rpc-cookie in --dir/.cookie, new at each start. Calls of its own:
dev_faucet, dev_mine, dev_reorg, dev_deposit and dev_pay. For coins that are worth
nothing only: the faucet's key is known to all.

Examples:
  alys dev bitcoin --dir bitcoin
  alys dev bitcoin --dir bitcoin --listen 127.0.0.1:18443 --interval 0s`,
		Flags: append(config.Flags(config.Log),
			&cli.StringFlag{Name: "dir", Usage: "`DIR` of the chain, made when it is not there", Value: "alys-bitcoin"},
			&cli.StringFlag{Name: "listen", Usage: "`HOST:PORT` to serve on", Value: "127.0.0.1:18443"},
			&cli.DurationFlag{Name: "interval", Usage: "`TIME` between blocks; 0s mines on demand only", Value: 10 * time.Second}),
		Action: devBitcoin,
	}
}

// cookieName is the file with the credentials, as Bitcoin Core names it.
const cookieName = ".cookie"

func devBitcoin(cc *cli.Context) (err error) {
	s, err := nodeSettings(cc)
	if err != nil {
		return err
	}
	if cc.Duration("interval") < 0 {
		return usage("--interval %s: 0s or more", cc.Duration("interval"))
	}
	l, err := rpcserver.Listen(cc.Context, cc.String("listen"))
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // closed already where it was served
	chain, err := regtest.Open(regtest.Options{Dir: cc.String("dir"), Logger: s.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	credentials, err := rpcserver.WriteCookie(filepath.Join(cc.String("dir"), cookieName))
	if err != nil {
		return err
	}
	info, err := chain.Info(cc.Context)
	if err != nil {
		return err
	}
	printf(cc.App.Writer, "bitcoin regtest at http://%s, height %d, faucet %s\n", l.Addr(), info.Height, chain.FaucetAddress())
	ctx, cancel := context.WithCancel(cc.Context)
	defer cancel()
	mined := make(chan error, 1)
	go func() {
		defer cancel()
		if every := cc.Duration("interval"); every > 0 {
			mined <- chain.Run(ctx, every)
			return
		}
		<-ctx.Done()
		mined <- nil
	}()
	err = rpcserver.New(chain, rpcserver.Options{Credentials: credentials, Logger: s.log}).Serve(ctx, l)
	cancel()
	return errors.Join(err, <-mined)
}
