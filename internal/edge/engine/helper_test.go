package engine

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

const chainsDir = "../../../testdata/legacy/chains"

// expectedChain is the part of expected.json the execution layer decides.
type expectedChain struct {
	Head struct {
		Height      uint64      `json:"height"`
		PayloadHash common.Hash `json:"payload_hash"`
		StateRoot   common.Hash `json:"state_root"`
	} `json:"head"`
	Balances map[common.Address]json.Number `json:"balances_wei"`
}

func readExpected(tb testing.TB, chain string) expectedChain {
	tb.Helper()
	var expected expectedChain
	if err := json.Unmarshal(readFile(tb, filepath.Join(chainsDir, chain, "expected.json")), &expected); err != nil {
		tb.Fatal(err)
	}
	return expected
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func readGenesis(tb testing.TB, chain string) *core.Genesis {
	tb.Helper()
	genesis, err := ParseGenesis(readFile(tb, filepath.Join(chainsDir, chain, "genesis.json")))
	if err != nil {
		tb.Fatal(err)
	}
	return genesis
}

// readPayloads returns the payloads of a legacy chain from height 1 on.
func readPayloads(tb testing.TB, chain string) []*block.Payload {
	tb.Helper()
	file, err := os.Open(filepath.Join(chainsDir, chain, "execution.rlp.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	stream := rlp.NewStream(unzipped, 0)
	var payloads []*block.Payload
	for {
		var b types.Block
		err := stream.Decode(&b)
		if errors.Is(err, io.EOF) {
			return payloads
		}
		if err != nil {
			tb.Fatal(err)
		}
		if b.NumberU64() > 0 {
			payloads = append(payloads, payloadOf(tb, &b))
		}
	}
}

func payloadOf(tb testing.TB, b *types.Block) *block.Payload {
	tb.Helper()
	p, err := FromExecutable(*beacon.BlockToExecutableData(b, nil, nil, nil).ExecutionPayload)
	if err != nil {
		tb.Fatal(err)
	}
	return &p
}

// openTest opens a client in dir that is closed with the test.
func openTest(tb testing.TB, dir string, genesis *core.Genesis) *Embedded {
	tb.Helper()
	e, err := OpenEmbedded(EmbeddedOptions{Dir: dir, Genesis: genesis, Logger: testLogger(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func testLogger(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

// mustImport imports payloads that all have to be valid.
func mustImport(tb testing.TB, x *Executor, payloads []*block.Payload) []Executed {
	tb.Helper()
	results, err := x.Import(context.Background(), payloads, common.Hash{}, common.Hash{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range results {
		if r.Status != StatusValid {
			tb.Fatalf("block %d: %s: %s", r.Number, r.Status, r.Err)
		}
	}
	if len(results) != len(payloads) {
		tb.Fatalf("%d results for %d payloads", len(results), len(payloads))
	}
	return results
}
