package main

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func nodeCommand() *cli.Command {
	return &cli.Command{
		Name: "node", Usage: "run the node",
		Flags: append(readFlags(), &cli.BoolFlag{Name: "dev"}),
		Action: func(cc *cli.Context) error {
			c := spec.Dev()
			genesis, err := json.Marshal(engine.DevGenesis(uint64(c.ChainID)))
			if err != nil {
				return err
			}
			key := aura.DevKey(1)
			con := newConsole(cc.App.Writer)
			defer con.close()
			n, err := node.Open(cc.Context, node.Options{
				DataDir: cc.String("data-dir"), ChainSpec: c.Encode(), GenesisJSON: genesis, AuthorityKey: &key, DevMiner: true,
				Version: version, Logger: slog.New(slog.NewTextHandler(cc.App.ErrWriter, nil)), OnFact: con.fact,
			})
			if err != nil {
				return err
			}
			started := time.Now()
			err = n.Run(cc.Context, func() { printf(cc.App.Writer, "%s", time.Since(started)) })
			n.Close()
			return err
		},
	}
}
