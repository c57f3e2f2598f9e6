package main

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/migration"
)

// importResult is what `alys migrate import --json` prints.
type importResult struct {
	From            uint64            `json:"from_height"` // head before this run
	Blocks          uint64            `json:"blocks"`      // on the store's branch, genesis included
	Abandoned       uint64            `json:"abandoned_blocks"`
	Sent            uint64            `json:"blocks_imported"` // in this run
	Bytes           uint64            `json:"bytes_imported"`
	Records         migration.Records `json:"records"`
	Head            node.BlockStatus  `json:"head"`
	LatestPow       node.BlockStatus  `json:"latest_pow_block"`
	Finalized       *node.BlockStatus `json:"finalized,omitempty"`
	StateRoot       string            `json:"state_root"`
	FeesWei         string            `json:"accumulated_fees_wei_at_head"`
	Source          string            `json:"source_digest"`
	Seconds         float64           `json:"seconds"`
	BlocksPerSecond float64           `json:"blocks_per_second"`
	Error           string            `json:"error,omitempty"`
}

func migrateImportCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "import the blocks of a legacy store into a data directory",
		Description: `Every block is decoded, hashed, judged and executed like one from a peer. An
import that was stopped goes on from its head when run again. The legacy
directory is only read.

Examples:
  alys migrate import --from /srv/legacy --data-dir /var/lib/alys
  alys migrate import --chain-db db --wallet wallet --chain-spec chain.json --genesis genesis.json`,
		Flags:  append(config.Flags(config.Data, config.Engine, config.Journal, config.Snapshot, config.Log), append(legacyFlags(), jsonFlag)...),
		Action: migrateImport,
	}
}

func migrateImport(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	old, err := openLegacy(cc)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.store.Close()) }()
	// Refuses a store of another chain before a data directory is made for it.
	if _, err := migration.New(old.store, old.chain, old.payload, migration.Options{}); err != nil {
		return err
	}
	var running atomic.Pointer[migration.Import]
	o := resourceOptions(s)
	o.ChainSpec, o.GenesisJSON, o.Importing = old.spec, old.genesis, true
	o.OnFact = func(f node.Fact) {
		if im := running.Load(); im != nil {
			im.Fact(f.Message)
		}
	}
	n, err := node.Open(cc.Context, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	head := n.Head()
	above := migration.Options{From: head.Number}
	if head.Number > 0 {
		above.FromRoot = head.Root
	}
	bar := startJob(cc, s, "import", "blocks", head.Number)
	defer bar.stop()
	above.Progress = func(p migration.Progress) {
		bar.set(progress.Update{Done: p.Done, Total: p.Total, Bytes: int64(p.Bytes), Height: p.Done})
	}
	im, err := migration.New(old.store, old.chain, old.payload, above)
	if err != nil {
		return err
	}
	running.Store(im)
	result, err := importInto(cc.Context, n, im)
	bar.stop()
	return printImport(cc, head.Number, result, err)
}

// importInto runs the node for as long as the import takes.
func importInto(ctx context.Context, n *node.Node, im *migration.Import) (result migration.Result, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		err := n.Run(ctx, func() { close(ready) })
		cancel(err)
		ended <- err
	}()
	select {
	case <-ready:
		result, err = im.Run(ctx, n)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	cancel(nil)
	if stopped := <-ended; stopped != nil {
		err = stopped // what ended the node is the reason for everything else
	}
	return result, err
}

func printImport(cc *cli.Context, from uint64, m migration.Result, err error) error {
	r := importResult{
		From: from, Blocks: m.Blocks, Abandoned: m.Abandoned, Sent: m.Sent, Bytes: m.Bytes, Records: m.Records,
		Head: blockStatus(m.Head), LatestPow: blockStatus(m.LatestPow), StateRoot: m.StateRoot.Hex(),
		Source: common.Hash(m.Source).Hex()[2:], Seconds: m.Elapsed.Seconds(), BlocksPerSecond: m.BlocksPerSecond,
	}
	if m.Fees != nil {
		r.FeesWei = m.Fees.String()
	}
	if m.Finalized != nil {
		finalized := blockStatus(*m.Finalized)
		r.Finalized = &finalized
	}
	if err != nil {
		if cc.Bool(jsonFlag.Name) {
			r.Error = describe(err)
			return errors.Join(err, writeJSON(cc.App.Writer, r))
		}
		return err
	}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "import: %d blocks imported above height %d, %d abandoned ones left out, %.1fs, %.0f blocks/s\n",
			r.Sent, r.From, r.Abandoned, r.Seconds, r.BlocksPerSecond)
		printf(w, "head       %d %s\nlatest PoW %d %s\n", r.Head.Height, r.Head.Hash, r.LatestPow.Height, r.LatestPow.Hash)
		if r.Finalized != nil {
			printf(w, "finalised  %d %s\n", r.Finalized.Height, r.Finalized.Hash)
		}
		printf(w, "state root %s\nfees       %s wei\nsource     %s\n", r.StateRoot, r.FeesWei, r.Source)
		printf(w, "The node has what the legacy store says of its head, its latest PoW block and its fees.\n")
	})
}
