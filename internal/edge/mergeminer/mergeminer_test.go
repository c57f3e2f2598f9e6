package mergeminer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	regtest = 0x207fffff // every second hash
	harder  = 0x1f00ffff // one in 65,536
)

var noon = time.Unix(1_750_000_000, 0)

// check applies the rules that a node applies to a proof.
func check(proof *auxpow.AuxPow, root chainhash.Hash, chainID, bits uint32) error {
	if err := proof.CheckStructure(root, chainID); err != nil {
		return err
	}
	if !proof.CheckWork(bits) {
		return fmt.Errorf("parent %s does not meet %08x", proof.ParentBlock.BlockHash(), bits)
	}
	again, err := auxpow.ParseNamecoin(proof.Namecoin())
	if err != nil {
		return err
	}
	return again.CheckStructure(root, chainID)
}

func TestSolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := chainhash.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root"))
		chainID := rapid.OneOf(rapid.Uint32(), rapid.SampledFrom([]uint32{0, 0x2000, 0x2001, 1337})).Draw(t, "chain id")
		bits := rapid.SampledFrom([]uint32{regtest, 0x2000ffff, 0x1f7fffff, 0x2100ffff}).Draw(t, "bits")
		proof, err := Solve(context.Background(), root, chainID, bits, noon)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(proof, root, chainID, bits); err != nil {
			t.Fatal(err)
		}
		other := root
		other[0] ^= 1
		if err := proof.CheckStructure(other, chainID); err == nil {
			t.Fatal("proof commits to another root as well")
		}
	})
}

// The parent is a block to Bitcoin software too.
func TestParentBlock(t *testing.T) {
	root := chainhash.DoubleHashH([]byte("range"))
	proof, err := Solve(context.Background(), root, 1337, harder, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(proof, root, 1337, harder); err != nil {
		t.Fatal(err)
	}
	block := wire.NewMsgBlock(&proof.ParentBlock)
	if err := block.AddTransaction(proof.Coinbase); err != nil {
		t.Fatal(err)
	}
	limit := blockchain.CompactToBig(regtest)
	if err := blockchain.CheckBlockSanity(btcutil.NewBlock(block), limit, blockchain.NewMedianTime()); err != nil {
		t.Error(err)
	}
	again, err := Solve(context.Background(), root, 1337, harder, noon)
	if err != nil || !bytes.Equal(again.Namecoin(), proof.Namecoin()) {
		t.Errorf("a second run differs: %v", err)
	}
}

// When the nonces of a header are used up the time moves, then the extra nonce.
func TestRollsOver(t *testing.T) {
	root := chainhash.DoubleHashH([]byte("range"))
	timeMoved, extraMoved := false, false
	for i := range byte(16) {
		root[0] = i
		proof, err := solve(context.Background(), root, 1, 0x1f7fffff, noon, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(proof, root, 1, 0x1f7fffff); err != nil {
			t.Fatal(err)
		}
		if proof.ParentBlock.Nonce != 0 || proof.ParentBlock.Timestamp.Sub(noon) >= rollTime*time.Second {
			t.Errorf("nonce %d at %s", proof.ParentBlock.Nonce, proof.ParentBlock.Timestamp)
		}
		timeMoved = timeMoved || proof.ParentBlock.Timestamp.After(noon)
		extraMoved = extraMoved || proof.Coinbase.TxIn[0].SignatureScript[1] != 0
	}
	if !timeMoved || !extraMoved {
		t.Errorf("time moved: %v, extra nonce moved: %v", timeMoved, extraMoved)
	}
}

func TestSolveRefuses(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, test := range map[string]struct {
		ctx   context.Context
		bits  uint32
		now   time.Time
		grade fault.Grade
	}{
		"zero target":       {context.Background(), 0x1d800000, noon, fault.Invalid},
		"no target":         {context.Background(), 0, noon, fault.Invalid},
		"before 1970":       {context.Background(), regtest, time.Unix(-1, 0), fault.Invalid},
		"after 2106":        {context.Background(), regtest, time.Unix(math.MaxUint32, 0), fault.Invalid},
		"context has ended": {canceled, 0x03000001, noon, fault.Temporary},
	} {
		if _, err := Solve(test.ctx, chainhash.Hash{}, 1, test.bits, test.now); !fault.Is(err, test.grade) {
			t.Errorf("%s: %v", name, err)
		}
	}
	soon, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	if _, err := Solve(soon, chainhash.Hash{}, 1, 0x03000001, noon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
}

// chain is a node that gives out one template a height and checks what comes back.
type chain struct {
	t  *testing.T
	mu sync.Mutex

	height    uint64
	bits      uint32
	create    error
	submit    error
	recipient common.Address
	created   int
	submitted []Template
}

func (c *chain) template() Template {
	return Template{Hash: chainhash.DoubleHashH(fmt.Append(nil, c.height)), ChainID: 1337, Bits: c.bits, Height: c.height}
}

// set changes the node while a miner runs.
func (c *chain) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *chain) CreateAuxBlock(_ context.Context, r common.Address) (Template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.created++
	c.recipient = r
	return c.template(), c.create
}

func (c *chain) SubmitAuxBlock(_ context.Context, hash chainhash.Hash, proof *auxpow.AuxPow) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := c.template()
	if hash != want.Hash {
		c.t.Errorf("submitted hash %s, want %s", hash, want.Hash)
	}
	if err := check(proof, hash, want.ChainID, want.Bits); err != nil {
		c.t.Error(err)
	}
	if c.submit == nil {
		c.submitted = append(c.submitted, want)
	}
	return c.submit
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &chain{t: t, height: 1, bits: regtest}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		recipient := common.HexToAddress("0x00000000000000000000000000000000000000fe")
		go func() {
			done <- Run(ctx, Options{Client: c, FeeRecipient: recipient, Interval: time.Second,
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		}()
		expect := func(what string, created, submitted int) {
			t.Helper()
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.created != created || len(c.submitted) != submitted {
				t.Errorf("%s: %d templates, %d proofs, want %d and %d", what, c.created, len(c.submitted), created, submitted)
			}
			c.created, c.submitted = 0, nil
		}
		expect("at once", 1, 1)
		time.Sleep(3 * time.Second)
		expect("same template again", 3, 0)
		c.set(func() { c.height = 2 })
		time.Sleep(time.Second)
		expect("new template", 1, 1)
		c.set(func() { c.bits = 0x2000ffff })
		time.Sleep(time.Second)
		expect("retarget", 1, 1)
		time.Sleep(31 * time.Second)
		expect("proof got lost", 31, 1)
		c.set(func() { c.create = fmt.Errorf("chain is syncing: %w", ErrNothingToMine) })
		time.Sleep(2 * time.Second)
		expect("nothing to mine", 2, 0)
		c.set(func() { c.create, c.height, c.submit = nil, 3, fault.New(fault.CannotJudge, "engine is away") })
		time.Sleep(2 * time.Second)
		expect("refused", 2, 0)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
		if c.recipient != recipient {
			t.Errorf("fee recipient %s", c.recipient)
		}
		for _, want := range []string{"level=DEBUG msg=\"nothing to mine\"", "level=INFO msg=\"aux block mined\"", "level=WARN", "engine is away"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %q", want)
			}
		}
	})
}

func TestRunEnds(t *testing.T) {
	broken := fault.New(fault.Corrupt, "journal damaged")
	if err := Run(t.Context(), Options{Client: &chain{t: t, create: broken}}); !errors.Is(err, broken) {
		t.Errorf("corrupt: %v", err)
	}
	for _, o := range []Options{{}, {Client: &chain{}, Interval: -1}, {Client: &chain{}, Refresh: -1}} {
		if err := Run(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("options %+v: %v", o, err)
		}
	}
}

func BenchmarkSolve(b *testing.B) {
	b.ReportAllocs()
	var root chainhash.Hash
	for i := 0; b.Loop(); i++ {
		root[0], root[1], root[2] = byte(i), byte(i>>8), byte(i>>16)
		if _, err := Solve(context.Background(), root, 1337, harder, noon); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	for b.Loop() {
		g := grinder{lastNonce: patience - 2, hashes: 1}
		h := wire.BlockHeader{Timestamp: noon}
		if found, err := g.grind(ctx, &h); found || !errors.Is(err, context.Canceled) {
			b.Fatal(found, err)
		}
	}
	b.ReportMetric(float64(b.N)*(patience-1)/b.Elapsed().Seconds(), "hashes/s")
}
