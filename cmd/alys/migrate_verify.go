package main

import (
	"context"
	"errors"
	"math/big"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/migration"
	"github.com/AnduroProject/alys-go/replay"
)

func migrateVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "compare a data directory with what the legacy node said of its chain",
		Description: `Compares head, latest PoW block, finalised block, state root, fees and balances
with a file of expected values. With --chain-db the records of the store are
counted as well. A difference ends with exit code 3. The node must not run, as
balances are read from its execution layer.

Example:
  alys migrate verify --data-dir /var/lib/alys --expect expected.json`,
		Flags: append(readFlags(),
			&cli.PathFlag{Name: "expect", Usage: "`FILE` of expected values"},
			&cli.PathFlag{Name: "chain-db", Usage: "LevelDB `DIR` of the legacy blocks, to count its records"},
			jsonFlag),
		Action: migrateVerify,
	}
}

// errDiffers is the result of a comparison that found something.
var errDiffers = fault.New(fault.Corrupt, "the data directory differs from what is expected of it")

func migrateVerify(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	if cc.Path("expect") == "" {
		return usage("alys migrate verify needs --expect FILE")
	}
	data, err := os.ReadFile(cc.Path("expect"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "expected values")
	}
	want, err := migration.ParseExpected(data)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if src.live {
		return fault.New(fault.Temporary, "a node is running on %s: stop it, its execution layer is read for balances", s.dataDir)
	}
	got, err := actualOf(cc.Context, src)
	if err != nil {
		return err
	}
	if path := cc.Path("chain-db"); path != "" {
		if got.Records, err = countRecords(cc.Context, path); err != nil {
			return err
		}
	}
	execution, err := openExecution(cc.Context, s, got.HeadPayload)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, execution.Close()) }()
	got.Balance = func(account common.Address) (*big.Int, error) {
		return execution.Balance(cc.Context, account, got.HeadPayload)
	}
	rows := migration.Compare(got, want)
	if cc.Bool(jsonFlag.Name) {
		err = migration.WriteJSON(cc.App.Writer, rows)
	} else {
		err = migration.WriteTable(cc.App.Writer, rows)
	}
	if err == nil && !migration.Equal(rows) {
		err = errDiffers
	}
	return err
}

// actualOf brings a machine to the journal's head and reads the chain from it.
func actualOf(ctx context.Context, src *source) (migration.Actual, error) {
	work := memo.New()
	machine, after, err := node.Restore(src.journal, src.snapshots, work, src.journal.Durable().Sequence)
	if err != nil {
		return migration.Actual{}, err
	}
	if _, err := replay.Run(ctx, src.journal, machine, replay.Options{After: after, Prepare: work.Prepare}); err != nil {
		return migration.Actual{}, err
	}
	state := machine.State(chain.ID).(*chain.State)
	head := state.Entry(state.Head.Root)
	if head == nil {
		return migration.Actual{}, fault.New(fault.CannotJudge, "the journal holds no chain yet: run alys migrate import first")
	}
	finalized := state.Finalized
	return migration.Actual{
		Head: state.Head, HeadPayload: head.PayloadHash, StateRoot: head.StateRoot,
		LatestPow: state.LatestPow, Finalized: &finalized, Fees: new(big.Int).SetBytes(head.Fees),
	}, nil
}

func countRecords(ctx context.Context, chainDB string) (records migration.Records, err error) {
	store, err := migration.OpenStore(chainDB)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return store.Count(ctx)
}

// openExecution opens the execution layer of a stopped node, which must hold the
// state after the block with this hash.
func openExecution(ctx context.Context, s *settings, at common.Hash) (*engine.Embedded, error) {
	data, err := os.ReadFile(filepath.Join(s.dataDir, "genesis.json"))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "genesis of the data directory")
	}
	genesis, err := engine.ParseGenesis(data)
	if err != nil {
		return nil, err
	}
	e, err := engine.OpenEmbedded(engine.EmbeddedOptions{
		Dir: filepath.Join(s.dataDir, "execution"), Genesis: genesis, CacheMB: s.Engine.Cache.MiB(), Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	if has, err := e.HasState(ctx, at); err != nil || !has {
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		err = fault.New(fault.CannotJudge, "the execution layer does not hold the state of the head %s: start the node once, it feeds it", at)
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}
