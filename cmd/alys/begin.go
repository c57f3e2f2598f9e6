package main

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var checkpointFlag = &cli.BoolFlag{
	Name: "checkpoint-from-peers", EnvVars: []string{"ALYS_CHECKPOINT_FROM_PEERS"},
	Usage: "begin a new data directory at the newest final block whose state a quorum of members states, instead of genesis",
}

// beginAtCheckpoint begins the data directory, unless it has a journal already.
func beginAtCheckpoint(ctx context.Context, cc *cli.Context, s *settings, o *node.Options) error {
	if _, err := os.Stat(node.JournalDir(o.DataDir)); err == nil {
		o.Logger.Info("the data directory has a journal: it does not begin at a checkpoint again", "data", o.DataDir)
		return nil
	}
	if len(o.ChainSpec) == 0 || len(o.GenesisJSON) == 0 {
		return fault.New(fault.Invalid, "--checkpoint-from-peers needs --chain-spec and --genesis: the chain's members are those whose statements count")
	}
	shown := &stages{cc: cc, settings: s}
	begun, err := node.BeginFromPeers(ctx, node.BeginOptions{
		DataDir: o.DataDir, ChainSpec: o.ChainSpec, GenesisJSON: o.GenesisJSON, Progress: shown.set, Logger: o.Logger,
	}, o.P2P, o.Version)
	shown.stop()
	if err != nil {
		return err
	}
	o.Logger.Info("the journal begins at a block that a quorum of members states; signing is held", "height", begun.Height, "root", begun.Root, "members", begun.Members, "quorum", begun.Quorum)
	return nil
}

// stages shows the progress of one stage after the other.
type stages struct {
	cc       *cli.Context
	settings *settings
	stage    string
	shown    *job
}

func (p *stages) set(b node.BeginProgress) {
	if b.Stage != p.stage {
		p.stop()
		unit := map[string]string{"statements": "statements", "state": "bytes"}[b.Stage]
		if unit == "" {
			unit = "blocks"
		}
		p.stage, p.shown = b.Stage, startJob(p.cc, p.settings, b.Stage+" of the checkpoint", unit, 0)
	}
	p.shown.set(progress.Update{Done: b.Done, Total: b.Total})
}

func (p *stages) stop() {
	if p.shown != nil {
		p.shown.stop()
	}
}
