package engine

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/eth/ethconfig"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

// benchBlocks is the length of the chains imported by the benchmarks.
const benchBlocks = 500

// makeBlocks builds a chain with the given number of transfers in each block
// on a client of its own. One block in twenty pays withdrawals.
func makeBlocks(tb testing.TB, blocks, transactions int) []*block.Payload {
	tb.Helper()
	e := openTest(tb, tb.TempDir(), DevGenesis(testChainID))
	c := newTestChain(tb, e)
	var payloads []*block.Payload
	parent := c.head().Hash()
	for i := range blocks {
		var wait time.Duration
		if transactions > 0 {
			c.send(transactions)
			wait = 20 * time.Millisecond
		}
		var credits []block.Withdrawal
		if i%20 == 0 {
			credits = []block.Withdrawal{{Address: common.Address{byte(i), byte(i >> 8), 1}, Amount: 1000}}
		}
		p := c.build(parent, 1, wait, credits...)
		if len(p.Transactions) != transactions {
			tb.Fatalf("block %d has %d transactions", i+1, len(p.Transactions))
		}
		mustImport(tb, c.x, []*block.Payload{p})
		payloads, parent = append(payloads, p), p.BlockHash
	}
	return payloads
}

func BenchmarkImport(b *testing.B) {
	for _, transactions := range []int{0, 20, 200} {
		blocks := benchBlocks
		if transactions > 100 {
			blocks /= 5
		}
		b.Run(fmt.Sprintf("transactions=%d", transactions), func(b *testing.B) {
			payloads := makeBlocks(b, blocks, transactions)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				dir := b.TempDir()
				e, err := open(dir, DevGenesis(testChainID))
				if err != nil {
					b.Fatal(err)
				}
				x := NewExecutor(e)
				b.StartTimer()
				mustImport(b, x, payloads)
				b.StopTimer()
				b.ReportMetric(diskUse(b, dir)/float64(len(payloads)), "disk-B/block")
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*len(payloads))/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}

// BenchmarkOptions compares configurations of go-ethereum, the grounds of
// docs/decisions/0012-embedded-execution-layer.md.
func BenchmarkOptions(b *testing.B) {
	payloads := makeBlocks(b, benchBlocks, 20)
	for _, variant := range []struct {
		name string
		tune func(*ethconfig.Config)
	}{
		{"chosen", func(*ethconfig.Config) {}},
		{"prefetch", func(c *ethconfig.Config) { c.NoPrefetch = false }},
		{"snapshot", func(c *ethconfig.Config) { c.SnapshotCache = 32 }},
		{"pruned", func(c *ethconfig.Config) { c.NoPruning, c.TrieDirtyCache = false, 32 }},
		{"path", func(c *ethconfig.Config) {
			c.NoPruning, c.TrieDirtyCache, c.StateScheme = false, 32, rawdb.PathScheme
		}},
	} {
		b.Run(variant.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				dir := b.TempDir()
				e, err := OpenEmbedded(EmbeddedOptions{Dir: dir, Genesis: DevGenesis(testChainID), tune: variant.tune})
				if err != nil {
					b.Fatal(err)
				}
				x := NewExecutor(e)
				b.StartTimer()
				mustImport(b, x, payloads)
				b.StopTimer()
				b.ReportMetric(float64(residentMB(b)), "resident-MB")
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(diskUse(b, dir)/float64(len(payloads)), "disk-B/block")
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*len(payloads))/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}

// A second import of the same payloads executes nothing.
func BenchmarkImportKnown(b *testing.B) {
	payloads := makeBlocks(b, benchBlocks, 0)
	e := openTest(b, b.TempDir(), DevGenesis(testChainID))
	x := NewExecutor(e)
	mustImport(b, x, payloads)
	b.ReportAllocs()
	for b.Loop() {
		mustImport(b, x, payloads)
	}
	b.ReportMetric(float64(b.N*len(payloads))/b.Elapsed().Seconds(), "blocks/s")
}

// The wait of a request is not part of the figure: it is zero.
func BenchmarkBuild(b *testing.B) {
	for _, pending := range []int{0, 200} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			e := openTest(b, b.TempDir(), DevGenesis(testChainID))
			c := newTestChain(b, e)
			for range pending / 20 {
				c.send(20)
			}
			head := c.head()
			offset := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				offset++
				if _, err := c.x.Build(context.Background(), BuildRequest{Parent: head.Hash(), Timestamp: head.Time + offset}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func diskUse(tb testing.TB, dir string) float64 {
	tb.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return float64(sum)
}

// TestMemory prints what the engine needs in a process of its own; run it
// alone for figures that mean something.
func TestMemory(t *testing.T) {
	before := residentMB(t)
	e := openTest(t, t.TempDir(), readGenesis(t, "single"))
	opened := residentMB(t)
	x := NewExecutor(e)
	payloads := readPayloads(t, "single")
	mustImport(t, x, payloads)
	imported := residentMB(t)
	c := &testChain{tb: t, e: e, x: x}
	c.extend(payloads[len(payloads)-1].BlockHash, 500, 1)
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	t.Logf("resident MB: %d before, %d opened, %d after %d legacy blocks, %d after 500 built; heap %d MB, goroutines %d",
		before, opened, imported, len(payloads), residentMB(t), stats.HeapAlloc>>20, runtime.NumGoroutine())
}

// residentMB reads the resident set of this process, or 0 where the system
// does not tell.
func residentMB(tb testing.TB) (megabytes int) {
	tb.Helper()
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			fmt.Sscanf(rest, "%d", &megabytes)
			return megabytes / 1024
		}
	}
	return 0
}
