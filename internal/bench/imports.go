package main

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/migration"
)

// imports measures a legacy store through the whole node, and its payloads
// through the execution layer alone.
func (b *bench) imports(ctx context.Context) error {
	for _, name := range []string{"single", "fed3"} {
		if err := b.throughEngine(ctx, name); err != nil {
			return err
		}
		straight, err := b.storeStraight(ctx, name)
		if err != nil {
			return err
		}
		row("import of "+name+", fed straight", "%s blocks/s (signatures on all processors, then execution)", thousands(straight))
		before := costs()
		result, err := b.throughNode(ctx, name)
		if err != nil {
			return err
		}
		before.rowSince("what that takes, from opening to closing", int(result.Blocks))
		row("import of "+name+" through the node", "%s blocks/s (%d blocks, every rule, every payload), %.2f of straight (target 0.7)",
			thousands(result.BlocksPerSecond), result.Blocks, result.BlocksPerSecond/straight)
	}
	return nil
}

// storeStraight feeds the blocks of a legacy store to an execution layer: see straight.
func (b *bench) storeStraight(ctx context.Context, name string) (perSecond float64, err error) {
	layout, err := migration.FindLayout(filepath.Join(b.data, name))
	if err != nil {
		return 0, err
	}
	store, err := migration.OpenStore(layout.ChainDB)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	records, err := store.Count(ctx)
	if err != nil {
		return 0, err
	}
	branch, err := store.Branch(ctx, records[migration.ColumnBlocks])
	if err != nil {
		return 0, err
	}
	var blocks []message.Block
	for height := uint64(1); height < branch.Len(); height++ {
		one, err := branch.Block(height)
		if err != nil {
			return 0, err
		}
		blocks = append(blocks, message.Block{Signed: record.NewContent(one.Data)})
	}
	chainSpec, err := os.ReadFile(layout.ChainSpec)
	if err != nil {
		return 0, err
	}
	c, _, err := spec.Parse(chainSpec)
	if err != nil {
		return 0, err
	}
	genesisJSON, err := os.ReadFile(layout.Genesis)
	if err != nil {
		return 0, err
	}
	genesis, err := engine.ParseGenesis(genesisJSON)
	if err != nil {
		return 0, err
	}
	return b.straight(ctx, c, genesis, blocks, name)
}

func (b *bench) throughNode(ctx context.Context, name string) (result migration.Result, err error) {
	layout, err := migration.FindLayout(filepath.Join(b.data, name))
	if err != nil {
		return result, err
	}
	store, err := migration.OpenStore(layout.ChainDB)
	if err != nil {
		return result, err
	}
	defer store.Close()
	chainSpec, err := os.ReadFile(layout.ChainSpec)
	if err != nil {
		return result, err
	}
	genesis, err := os.ReadFile(layout.Genesis)
	if err != nil {
		return result, err
	}
	var im *migration.Import
	n, err := node.Open(ctx, node.Options{
		DataDir: filepath.Join(b.dir, "import-"+name), ChainSpec: chainSpec, GenesisJSON: genesis, Importing: true, Logger: b.log,
		OnFact: func(f node.Fact) {
			if im != nil {
				im.Fact(f.Message)
			}
		},
	})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	c, payload, err := n.Rules()
	if err != nil {
		return result, err
	}
	if im, err = migration.New(store, c, payload, migration.Options{}); err != nil {
		return result, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(ctx, func() { close(running) }) }()
	select {
	case <-running:
	case err := <-done:
		return result, err
	}
	result, err = im.Run(ctx, n)
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		return result, err
	}
	return result, nil
}

func (b *bench) throughEngine(ctx context.Context, name string) error {
	payloads, err := payloadsOf(filepath.Join(b.data, name, "execution.rlp.gz"))
	if err != nil {
		return err
	}
	genesisJSON, err := os.ReadFile(filepath.Join(b.data, name, "genesis.json"))
	if err != nil {
		return err
	}
	genesis, err := engine.ParseGenesis(genesisJSON)
	if err != nil {
		return err
	}
	embedded, err := engine.OpenEmbedded(engine.EmbeddedOptions{Dir: filepath.Join(b.dir, "engine-"+name), Genesis: genesis, Logger: b.log})
	if err != nil {
		return err
	}
	x := engine.NewExecutor(embedded)
	started := time.Now()
	for at := 0; at < len(payloads) && err == nil; at += 256 {
		_, err = x.Import(ctx, payloads[at:min(at+256, len(payloads))], common.Hash{}, common.Hash{})
	}
	row("the same payloads, execution layer alone", "%s blocks/s", thousands(float64(len(payloads))/time.Since(started).Seconds()))
	return errors.Join(err, embedded.Close())
}

// payloadsOf reads the blocks of a geth export, genesis left out.
func payloadsOf(path string) ([]*block.Payload, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	stream := rlp.NewStream(unzipped, 0)
	var payloads []*block.Payload
	for {
		var b types.Block
		if err := stream.Decode(&b); errors.Is(err, io.EOF) {
			return payloads, nil
		} else if err != nil {
			return nil, err
		}
		if b.NumberU64() == 0 {
			continue
		}
		p, err := engine.FromExecutable(*beacon.BlockToExecutableData(&b, nil, nil, nil).ExecutionPayload)
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, &p)
	}
}
