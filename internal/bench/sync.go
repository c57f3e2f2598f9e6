package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// loopback is where the hosts of a measurement listen.
const loopback = "/ip4/127.0.0.1/tcp/0"

// syncFigures measures the download of a chain from peers on loopback, checked only and through
// a whole node, beside the same blocks fed straight to the execution layer.
func (b *bench) syncFigures(ctx context.Context) error {
	c, err := makeChain(generatedBlocks)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d blocks of %d transactions", len(c.blocks), generatedTxs)
	checked := c.checkedStraight()
	row(what+", signatures", "%s blocks/s (decoded and checked on all processors, no network)", thousands(checked))
	for _, peers := range []int{1, 4} {
		rate, err := c.measure(ctx, b.log, peers, b.downloaded)
		if err != nil {
			return err
		}
		row(fmt.Sprintf("downloaded from %d, not executed", peers), "%s blocks/s, %.2f of that", thousands(rate), rate/checked)
	}
	straight, err := b.straight(ctx, c.spec, c.genesis, c.blocks, "sync")
	if err != nil {
		return err
	}
	row(what+", fed straight", "%s blocks/s (signatures on all processors, then execution, 256 at a time)", thousands(straight))
	for _, peers := range []int{1, 4} {
		rate, err := c.measure(ctx, b.log, peers, b.synced)
		if err != nil {
			return err
		}
		row(fmt.Sprintf("a node syncs from %d", peers), "%s blocks/s, %.2f of that (target 0.7)", thousands(rate), rate/straight)
	}
	row("memory of this process", "%s (the node, the peers that serve, and the chain that was made)", highWater())
	return nil
}

// highWater is the most memory that this process had.
func highWater() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "not known: " + err.Error()
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// checkedStraight decodes and checks the blocks as an edge does, without any network.
func (c *madeChain) checkedStraight() (perSecond float64) {
	work := memo.New()
	work.Prepare(&message.NodeConfigured{ChainSpec: record.NewContent(c.spec.Encode())})
	started := time.Now()
	for at := 0; at < len(c.blocks); at += 256 {
		work.Prepare(&message.BlocksReceived{Blocks: c.blocks[at:min(at+256, len(c.blocks))]})
	}
	return float64(len(c.blocks)) / time.Since(started).Seconds()
}

// measure opens peers that serve the chain and has a client download it from them.
func (c *madeChain) measure(ctx context.Context, log *slog.Logger, peers int, client func(context.Context, *madeChain, []string) (time.Duration, error)) (perSecond float64, err error) {
	var boot []string
	for range peers {
		n, err := c.open(ctx, log, nil, served{c}, func(context.Context, p2p.Message) error { return nil })
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, n.Close()) }()
		boot = append(boot, n.Addresses()[0])
	}
	took, err := client(ctx, c, boot)
	return float64(len(c.blocks)) / took.Seconds(), err
}

// first is the genesis block.
func (c *madeChain) first() (*block.Signed, error) {
	payload, err := engine.FromExecutable(*beacon.BlockToExecutableData(c.genesis.ToBlock(), nil, nil, nil).ExecutionPayload)
	if err != nil {
		return nil, err
	}
	return block.Genesis(c.spec, payload), nil
}

// open opens a host of the chain.
func (c *madeChain) open(ctx context.Context, log *slog.Logger, boot []string, source p2p.Source, deliver func(context.Context, p2p.Message) error) (*p2p.Network, error) {
	first, err := c.first()
	if err != nil {
		return nil, err
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	return p2p.Open(ctx, p2p.Options{
		Key: key, Listen: []string{loopback}, Boot: boot, Agent: "bench", Chain: c.spec, Genesis: first.Block.Root(),
		Checks: memo.New(), Source: source, Deliver: deliver, Logger: log,
		Content: func(record.Content) ([]byte, error) { return nil, fault.New(fault.Temporary, "nothing is kept") },
	})
}

// served is what a serving peer has: the blocks in memory.
type served struct{ c *madeChain }

// Status implements p2p.Source.
func (s served) Status() (head, finalized message.BlockID, synced bool) {
	last, _ := block.Decode(s.c.blocks[len(s.c.blocks)-1].Signed.Data)
	first, _ := s.c.first()
	return message.BlockID{Root: last.Block.Root(), Number: uint64(len(s.c.blocks))}, message.BlockID{Root: first.Block.Root()}, true
}

// Blocks implements p2p.Source.
func (s served) Blocks(_ context.Context, from uint64, each func([]byte) error) error {
	for n := max(from, 1); n <= uint64(len(s.c.blocks)); n++ {
		if err := each(s.c.blocks[n-1].Signed.Data); err != nil {
			return err
		}
	}
	return nil
}

// Descend implements p2p.Source.
func (served) Descend(context.Context, common.Hash, uint64, func([]byte) error) error { return nil }

// Content implements p2p.Source.
func (served) Content(context.Context, [32]byte) ([]byte, error) { return nil, nil }

// Approvals implements p2p.Source.
func (served) Approvals(context.Context, common.Hash) ([]aura.Approval, error) { return nil, nil }

// Signatures implements p2p.Source.
func (served) Signatures(context.Context, [32]byte) ([]message.PaymentSignatures, error) {
	return nil, nil
}

// Transaction implements p2p.Source.
func (served) Transaction(common.Hash) []byte { return nil }

// synced has a whole node without a key download and execute the chain, from its start on.
func (b *bench) synced(ctx context.Context, c *madeChain, boot []string) (took time.Duration, err error) {
	genesis, err := json.Marshal(c.genesis)
	if err != nil {
		return 0, err
	}
	var head atomic.Uint64
	reached := make(chan struct{}, 1)
	n, err := node.Open(ctx, node.Options{
		DataDir: filepath.Join(b.dir, fmt.Sprintf("node-syncs-%d", len(boot))), ChainSpec: c.spec.Encode(), GenesisJSON: genesis, Logger: b.log,
		P2P: node.P2POptions{Listen: []string{loopback}, Boot: boot},
		OnFact: func(f node.Fact) {
			if m, ok := f.Message.(*message.HeadChanged); ok {
				if head.Store(m.Number); m.Number == uint64(len(c.blocks)) {
					reached <- struct{}{}
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
		err = errors.Join(err, <-done, n.Close())
	}()
	select {
	case <-running:
	case err := <-done:
		done <- nil
		return 0, err
	}
	started := time.Now()
	select {
	case <-reached:
		return time.Since(started), nil
	case err := <-done:
		done <- nil
		return 0, errors.Join(err, fault.New(fault.Fatal, "the node stopped at block %d", head.Load()))
	case <-time.After(10 * time.Minute):
		return 0, fault.New(fault.Fatal, "after ten minutes the node is at block %d of %d", head.Load(), len(c.blocks))
	}
}
