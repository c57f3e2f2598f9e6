package main

import (
	"os"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/migration"
)

func migrateCommand() *cli.Command {
	return &cli.Command{
		Name: "migrate", Usage: "take over the store of a legacy node",
		Subcommands: []*cli.Command{migrateImportCommand(), migrateVerifyCommand()},
	}
}

// legacyFlags name the parts of what a legacy node leaves.
func legacyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.PathFlag{Name: "from", Usage: "`DIR` with chain_db/, wallet/, chain.json and genesis.json; nothing in it is changed"},
		&cli.PathFlag{Name: "chain-db", Usage: "LevelDB `DIR` of the blocks, instead of chain_db in --from"},
		&cli.PathFlag{Name: "wallet", Usage: "`DIR` of the wallet, instead of wallet in --from; this version does not read it"},
		&cli.PathFlag{Name: "chain-spec", Usage: "chain specification `FILE`, instead of chain.json in --from"},
		&cli.PathFlag{Name: "genesis", Usage: "execution layer genesis `FILE`, instead of genesis.json in --from"},
	}
}

// legacy is a legacy store that belongs to its chain spec and genesis.
type legacy struct {
	store   *migration.Store
	spec    []byte
	genesis []byte
	chain   *spec.Chain
	payload *block.Payload // of block 0
}

// openLegacy opens the store and checks that the files belong to it, before
// anything is created for it.
func openLegacy(cc *cli.Context) (*legacy, error) {
	parts := migration.Layout{
		ChainDB: cc.Path("chain-db"), Wallet: cc.Path("wallet"), ChainSpec: cc.Path("chain-spec"), Genesis: cc.Path("genesis"),
	}
	if cc.Path("from") != "" {
		found, err := migration.FindLayout(cc.Path("from"))
		if err != nil && found == (migration.Layout{}) {
			return nil, err
		}
		parts = found.With(parts)
	}
	if err := parts.Check(); err != nil {
		return nil, err
	}
	l := &legacy{}
	var err error
	if l.spec, err = os.ReadFile(parts.ChainSpec); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "chain spec")
	}
	if l.genesis, err = os.ReadFile(parts.Genesis); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "genesis")
	}
	if l.chain, _, err = spec.Parse(l.spec); err != nil { // the node warns of unknown keys
		return nil, err
	}
	if l.payload, err = genesisPayload(l.genesis); err != nil {
		return nil, err
	}
	l.store, err = migration.OpenStore(parts.ChainDB)
	return l, err
}

// genesisPayload computes block 0 from a genesis file.
func genesisPayload(data []byte) (*block.Payload, error) {
	genesis, err := engine.ParseGenesis(data)
	if err != nil {
		return nil, err
	}
	payload, err := engine.FromExecutable(*beacon.BlockToExecutableData(genesis.ToBlock(), nil, nil, nil).ExecutionPayload)
	return &payload, err
}
