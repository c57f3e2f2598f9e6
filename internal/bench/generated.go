package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"path/filepath"
	"sync/atomic"
	"time"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	consensus "github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	gethcore "github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/migration"
)

// The chain that generated imports.
const (
	generatedBlocks = 2000
	generatedTxs    = 10 // in each block
	signers         = 3
)

// madeChain is a chain of blocks with real payloads and real signatures.
type madeChain struct {
	spec    *spec.Chain
	genesis *gethcore.Genesis
	blocks  []message.Block
}

// makeChain generates payloads of transfers and signs blocks around them.
func makeChain(n int) (*madeChain, error) {
	c := &madeChain{spec: spec.Dev()}
	c.spec.Authorities, c.spec.MaxBlocksWithoutPow = nil, 1<<40
	for i := range signers {
		c.spec.Authorities = append(c.spec.Authorities, aura.DevKey(uint64(i+1)).PublicKey())
	}
	c.genesis = engine.DevGenesis(uint64(c.spec.ChainID))
	key, err := crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80") // first account of the well-known test mnemonic
	if err != nil {
		return nil, err
	}
	signer := types.LatestSigner(c.genesis.Config)
	_, made, _ := gethcore.GenerateChainWithGenesis(c.genesis, consensus.New(ethash.NewFaker()), n, func(i int, g *gethcore.BlockGen) {
		g.SetCoinbase(engine.DeadAddress)
		for t := range generatedTxs {
			g.AddTx(types.MustSignNewTx(key, signer, &types.DynamicFeeTx{
				ChainID: c.genesis.Config.ChainID, Nonce: uint64(i*generatedTxs + t), To: &common.Address{0xa1, byte(i), byte(t)}, Value: big.NewInt(1),
				Gas: 21000, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e12),
			}))
		}
	})
	genesis, err := engine.FromExecutable(*beacon.BlockToExecutableData(c.genesis.ToBlock(), nil, nil, nil).ExecutionPayload)
	if err != nil {
		return nil, err
	}
	first := block.Genesis(c.spec, genesis)
	parent := first.Block.Root()
	for _, b := range made {
		payload, err := engine.FromExecutable(*beacon.BlockToExecutableData(b, nil, nil, nil).ExecutionPayload)
		if err != nil {
			return nil, err
		}
		s := block.Signed{Block: block.Block{ParentHash: parent, Slot: aura.SlotAt(payload.Timestamp*1000, c.spec.SlotDuration), Payload: payload}, Approvals: aura.None()}
		parent = s.Block.Root()
		for i := range signers {
			if err := s.Approvals.Add(aura.Approval{Signature: aura.DevKey(uint64(i + 1)).Sign(parent), Authority: uint8(i)}); err != nil {
				return nil, err
			}
		}
		c.blocks = append(c.blocks, message.Block{Signed: record.NewContent(s.Encode())})
	}
	return c, nil
}

// generated measures the import of a longer chain with transactions: its payloads
// fed straight to an execution layer after the same signature checks, and through
// the whole node.
func (b *bench) generated(ctx context.Context) error {
	c, err := makeChain(generatedBlocks)
	if err != nil {
		return err
	}
	straight, err := b.straight(ctx, c.spec, c.genesis, c.blocks, "generated")
	if err != nil {
		return err
	}
	before := costs()
	through, err := b.throughWholeNode(ctx, c)
	if err != nil {
		return err
	}
	before.rowSince("the node's import takes, from opening to closing", generatedBlocks)
	what := fmt.Sprintf("%d blocks of %d transactions", generatedBlocks, generatedTxs)
	row(what+", fed straight", "%s blocks/s (signatures on all processors, then execution, 256 at a time)", thousands(straight))
	row(what+", through the node", "%s blocks/s, %.2f of that (target 0.7)", thousands(through), through/straight)
	return nil
}

// straight feeds blocks to an execution layer of its own: decoded and their
// signatures checked on all processors, then executed, a batch after the other.
func (b *bench) straight(ctx context.Context, c *spec.Chain, genesis *gethcore.Genesis, blocks []message.Block, name string) (perSecond float64, err error) {
	embedded, err := engine.OpenEmbedded(engine.EmbeddedOptions{Dir: filepath.Join(b.dir, "straight-"+name), Genesis: genesis, Logger: b.log})
	if err != nil {
		return 0, err
	}
	x, work := engine.NewExecutor(embedded), memo.New()
	work.Prepare(&message.NodeConfigured{ChainSpec: record.NewContent(c.Encode())})
	started := time.Now()
	for at := 0; at < len(blocks) && err == nil; at += 256 {
		batch := blocks[at:min(at+256, len(blocks))]
		work.Prepare(&message.BlocksReceived{Blocks: batch})
		var payloads []*block.Payload
		for _, m := range batch {
			s, root, failed := work.Decode(m.Signed.Data)
			if failed != nil {
				return 0, failed
			}
			committee, failed := aura.NewCommittee(c.Authorities)
			if failed != nil {
				return 0, failed
			}
			if failed = work.Verify(committee, s.Approvals, root); failed != nil {
				return 0, failed
			}
			payloads = append(payloads, &s.Block.Payload)
		}
		_, err = x.Import(ctx, payloads, common.Hash{}, common.Hash{})
	}
	perSecond = float64(len(blocks)) / time.Since(started).Seconds()
	if closed := embedded.Close(); err == nil {
		err = closed
	}
	return perSecond, err
}

// throughWholeNode hands the blocks to a node as an import does: in batches, some
// ahead of what is connected.
func (b *bench) throughWholeNode(ctx context.Context, c *madeChain) (perSecond float64, err error) {
	genesis, err := json.Marshal(c.genesis)
	if err != nil {
		return 0, err
	}
	var head atomic.Uint64
	moved, refused := make(chan struct{}, 1), make(chan string, 1)
	n, err := node.Open(ctx, node.Options{
		DataDir: filepath.Join(b.dir, "node-generated"), ChainSpec: c.spec.Encode(), GenesisJSON: genesis, Importing: true, Logger: b.log,
		OnFact: func(f node.Fact) {
			switch m := f.Message.(type) {
			case *message.HeadChanged:
				head.Store(m.Number)
				select {
				case moved <- struct{}{}:
				default:
				}
			case *message.BlockRefused:
				select {
				case refused <- fmt.Sprintf("block %d: %s: %s", m.Number, m.Field, m.Reason):
				default:
				}
			}
		},
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	running, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(ctx, func() { close(running) }) }()
	defer func() {
		cancel()
		for _, ended := range []error{<-done, n.Close()} {
			if err == nil {
				err = ended
			}
		}
	}()
	select {
	case <-running:
	case err := <-done:
		done <- nil
		return 0, err
	}
	reached := func(height uint64) error {
		for head.Load() < height {
			select {
			case <-moved:
			case text := <-refused:
				return fmt.Errorf("the node refused %s", text)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	started := time.Now()
	for at := 0; at < len(c.blocks); at += migration.BatchBlocks {
		if err := reached(uint64(max(0, at-migration.BatchAhead*migration.BatchBlocks))); err != nil {
			return 0, err
		}
		end := min(at+migration.BatchBlocks, len(c.blocks))
		if err := n.Blocks(ctx, &message.BlocksReceived{Origin: chain.Legacy, Blocks: c.blocks[at:end]}); err != nil {
			return 0, err
		}
	}
	if err := reached(uint64(len(c.blocks))); err != nil {
		return 0, err
	}
	return float64(len(c.blocks)) / time.Since(started).Seconds(), nil
}
