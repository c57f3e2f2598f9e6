package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func nodeCommand() *cli.Command {
	return &cli.Command{
		Name: "node", Usage: "run the node",
		Flags: append(readFlags(), &cli.BoolFlag{Name: "dev"}),
		Action: func(cc *cli.Context) error {
			s, err := readSettings(cc)
			if err != nil {
				return err
			}
			o := node.Options{DataDir: s.dataDir, Version: version, Logger: s.log}
			if err := developmentChain(&o); err != nil {
				return err
			}
			return runNode(cc.Context, cc.App.Writer, o, "")
		},
	}
}

// developmentChain fills in the chain of --dev: one authority with secret key 1,
// whose key is ours.
func developmentChain(o *node.Options) error {
	c := spec.Dev()
	genesis, err := json.Marshal(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "development genesis")
	}
	key := aura.DevKey(1)
	o.ChainSpec, o.GenesisJSON, o.AuthorityKey = c.Encode(), genesis, &key
	o.DevMiner = true
	return nil
}

// runNode runs a node until ctx ends, and prints its blocks.
func runNode(ctx context.Context, stdout io.Writer, o node.Options, metricsAddr string) (err error) {
	lines := newConsole(stdout)
	defer lines.close()
	o.OnFact = lines.fact
	started := time.Now()
	n, err := node.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if metricsAddr != "" {
		registry := prometheus.NewRegistry()
		n.Register(registry)
		serving, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			if err := node.ServeMetrics(serving, metricsAddr, registry); err != nil {
				o.Logger.Error("metrics are not served", "address", metricsAddr, "error", err)
			}
		}()
	}
	before := n.Status()
	return n.Run(ctx, func() { lines.started(before, time.Since(started)) })
}
