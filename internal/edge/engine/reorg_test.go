package engine

import (
	"context"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/google/go-cmp/cmp"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func (c *testChain) wantHead(p *block.Payload) {
	c.tb.Helper()
	number, hash, err := c.x.Head(context.Background())
	if err != nil || number != p.BlockNumber || hash != p.BlockHash {
		c.tb.Fatalf("head %d %s %v, want %d %s", number, hash, err, p.BlockNumber, p.BlockHash)
	}
}

func TestReorgDeeperThan32(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	c := newTestChain(t, e)
	common40 := c.extend(c.head().Hash(), 10, 1)
	fork := common40[9].BlockHash
	long := c.extend(fork, 40, 1)

	// Back to an ancestor 40 blocks below, then forward again.
	if err := c.x.SetFinalized(ctx, fork, common.Hash{}); err != nil {
		t.Fatal(err)
	}
	c.wantHead(common40[9])
	mustImport(t, c.x, long)
	c.wantHead(long[39])

	// A side payload changes nothing until the head moves to it.
	side := c.build(fork, 2, 0)
	mustImport(t, c.x, long)
	status, err := e.NewPayloadV2(ctx, ToExecutable(side))
	if err != nil || status.Status != StatusValid {
		t.Fatalf("side payload: %+v %v", status, err)
	}
	c.wantHead(long[39])
	mustImport(t, c.x, []*block.Payload{side})
	c.wantHead(side)

	other := append([]*block.Payload{side}, c.extend(side.BlockHash, 41, 3)...)
	c.wantHead(other[41])
	mustImport(t, c.x, long)
	c.wantHead(long[39])
	if err := c.x.SetFinalized(ctx, long[39].BlockHash, other[5].BlockHash); !fault.Is(err, fault.Invalid) {
		t.Fatalf("finalised block of another branch: %v", err)
	}
}

func TestReorgBelowFinalised(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	c := newTestChain(t, e)
	chain := c.extend(c.head().Hash(), 20, 1)
	if err := c.x.SetFinalized(ctx, chain[19].BlockHash, chain[15].BlockHash); err != nil {
		t.Fatal(err)
	}
	// Executed again from further down, the head ends on the last one.
	results, err := c.x.Import(ctx, chain[:11], chain[5].BlockHash, chain[5].BlockHash)
	if err != nil || len(results) != 11 {
		t.Fatalf("%d results: %v", len(results), err)
	}
	c.wantHead(chain[10])

	side := c.extend(chain[3].BlockHash, 3, 2)
	c.wantHead(side[2])
	if e.backend.BlockChain().CurrentFinalBlock() != nil {
		t.Fatal("a block that is not an ancestor of the head is still finalised")
	}
}

func TestImportAgain(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), readGenesis(t, "single"))
	x := NewExecutor(e)
	payloads := readPayloads(t, "single")
	first := mustImport(t, x, payloads)
	for _, cut := range []struct{ from, to int }{{0, 220}, {100, 150}, {219, 220}, {0, 1}, {0, 220}} {
		again := mustImport(t, x, payloads[cut.from:cut.to])
		if diff := cmp.Diff(first[cut.from:cut.to], again); diff != "" {
			t.Fatal(diff)
		}
		if _, hash, _ := x.Head(ctx); hash != payloads[cut.to-1].BlockHash {
			t.Fatalf("head %s after %v", hash, cut)
		}
	}
}

// Blocks move to the freezer soon after the client opens. From then on they
// cannot be replaced, but executing them again still works.
func TestReorgBelowFrozen(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c := newTestChain(t, openTest(t, dir, DevGenesis(testChainID)))
	chain := c.extend(c.head().Hash(), 20, 1)
	side := c.build(chain[3].BlockHash, 2, 0)
	mustImport(t, c.x, chain)
	if err := c.x.SetFinalized(ctx, chain[19].BlockHash, chain[15].BlockHash); err != nil {
		t.Fatal(err)
	}
	if err := c.e.Close(); err != nil {
		t.Fatal(err)
	}

	c = newTestChain(t, openTest(t, dir, DevGenesis(testChainID)))
	deadline := time.Now().Add(20 * time.Second)
	for frozen := uint64(0); frozen <= chain[15].BlockNumber; time.Sleep(10 * time.Millisecond) {
		var err error
		if frozen, err = c.e.backend.ChainDb().Ancients(); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d frozen: %v", frozen, err)
		}
	}
	mustImport(t, c.x, chain[:10])
	c.wantHead(chain[19])
	mustImport(t, c.x, chain[10:18])
	c.wantHead(chain[17])
	if _, err := c.x.Import(ctx, []*block.Payload{side}, common.Hash{}, common.Hash{}); !fault.Is(err, fault.Fatal) {
		t.Fatalf("a branch from below the freezer: %v", err)
	}
	c.wantHead(chain[17])
	mustImport(t, c.x, chain[18:])
	c.extend(chain[19].BlockHash, 3, 1)
}

// A client that prunes states answers ACCEPTED to a payload on an old block
// and has to be taken there first.
func TestReorgOnAPruningClient(t *testing.T) {
	c := newTestChain(t, openTest(t, t.TempDir(), DevGenesis(testChainID)))
	credit := func(n int, offset uint64, parent common.Hash) (chain []*block.Payload) {
		for i := range n {
			p := c.build(parent, offset, 0, block.Withdrawal{Address: common.Address{1, byte(i)}, Amount: 1})
			mustImport(t, c.x, []*block.Payload{p})
			chain, parent = append(chain, p), p.BlockHash
		}
		return chain
	}
	long := credit(180, 1, c.head().Hash())
	side := credit(3, 2, long[19].BlockHash)

	e, err := OpenEmbedded(EmbeddedOptions{Dir: t.TempDir(), Genesis: DevGenesis(testChainID), tune: func(config *ethconfig.Config) {
		config.NoPruning, config.TrieDirtyCache = false, 16
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	pruning := newTestChain(t, e)
	mustImport(t, pruning.x, long)
	if has, err := e.HasState(context.Background(), long[19].BlockHash); err != nil || has {
		t.Fatal("the old state is still there")
	}
	mustImport(t, pruning.x, side)
	pruning.wantHead(side[2])
	mustImport(t, pruning.x, long)
	pruning.wantHead(long[179])
}
