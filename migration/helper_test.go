package migration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/syndtr/goleveldb/leveldb"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const chainsDir = "../testdata/legacy/chains"

var chains = []string{"single", "fed3", "crashed"}

func chainDB(name string) string { return filepath.Join(chainsDir, name, "chain_db") }

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// chainOf reads the chain spec and derives the genesis payload from genesis.json,
// without a look at the store.
func chainOf(tb testing.TB, name string) (*spec.Chain, *block.Payload) {
	tb.Helper()
	l := must(FindLayout(filepath.Join(chainsDir, name)))(tb)
	c, unknown, err := spec.Parse(must(os.ReadFile(l.ChainSpec))(tb))
	if err != nil || len(unknown) > 0 {
		tb.Fatal(err, unknown)
	}
	genesis := must(engine.ParseGenesis(must(os.ReadFile(l.Genesis))(tb)))(tb)
	data := beacon.BlockToExecutableData(genesis.ToBlock(), nil, nil, nil).ExecutionPayload
	payload := must(engine.FromExecutable(*data))(tb)
	return c, &payload
}

func expectedOf(tb testing.TB, name string) *Expected {
	tb.Helper()
	return must(ParseExpected(must(os.ReadFile(filepath.Join(chainsDir, name, "expected.json")))(tb)))(tb)
}

func openStore(tb testing.TB, dir string) *Store {
	tb.Helper()
	s := must(OpenStore(dir))(tb)
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func newImport(tb testing.TB, dir, chain string, o Options) *Import {
	tb.Helper()
	c, genesis := chainOf(tb, chain)
	return must(New(openStore(tb, dir), c, genesis, o))(tb)
}

func copyStore(tb testing.TB, dir string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "chain_db")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		tb.Fatal(err)
	}
	return to
}

// editStore changes a copy of a store by the database library.
func editStore(tb testing.TB, dir string, change func(db *leveldb.DB)) {
	tb.Helper()
	db := must(leveldb.OpenFile(dir, nil))(tb)
	change(db)
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

func key(column string, k []byte) []byte { return append([]byte(column), k...) }

// verify opens a store and checks it as the chain of that name.
func verify(tb testing.TB, dir, chain string) (Result, error) {
	tb.Helper()
	s, err := OpenStore(dir)
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	c, genesis := chainOf(tb, chain)
	im, err := New(s, c, genesis, Options{})
	if err != nil {
		return Result{}, err
	}
	return im.Verify(context.Background())
}

// snapshotOf describes every file of a directory: name, mode, time, content.
func snapshotOf(tb testing.TB, dir string) string {
	tb.Helper()
	var out bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var sum [32]byte
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(data)
		}
		fmt.Fprintf(&out, "%s %s %d %d %x\n", path, info.Mode(), info.Size(), info.ModTime().UnixNano(), sum)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

// synthetic writes a store of n blocks above genesis, each with the given bytes
// of calldata, and returns its directory. No block is signed: it is a chain only
// as far as this package looks.
func synthetic(tb testing.TB, n, calldata int) (dir string, c *spec.Chain, genesis *block.Payload) {
	tb.Helper()
	c, genesis = spec.Dev(), &block.Payload{BaseFeePerGas: new(big.Int)}
	dir = filepath.Join(tb.TempDir(), "chain_db")
	db := must(leveldb.OpenFile(dir, nil))(tb)
	defer db.Close()
	s := block.Genesis(c, *genesis)
	parent := common.Hash{}
	for height := uint64(0); height <= uint64(n); height++ {
		if height > 0 {
			s = block.Genesis(c, *genesis)
			s.Block.AuxPowHeader = nil
			s.Block.ParentHash, s.Block.Slot, s.Block.Payload.BlockNumber = parent, height, height
			s.Block.Payload.Transactions = [][]byte{make([]byte, calldata)}
		}
		parent = s.Root()
		batch := new(leveldb.Batch)
		batch.Put(key(ColumnBlocks, parent[:]), s.Encode())
		batch.Put(key(ColumnHeights, binary.BigEndian.AppendUint64(nil, height)), parent[:])
		batch.Put(key(ColumnFees, parent[:]), new(big.Int).SetUint64(height*1000).FillBytes(make([]byte, 32)))
		at := binary.LittleEndian.AppendUint64(parent[:], height)
		batch.Put(key(ColumnChain, single(keyHead)), at)
		if height == 0 {
			batch.Put(key(ColumnChain, single(keyLatestPow)), at)
		}
		if err := db.Write(batch, nil); err != nil {
			tb.Fatal(err)
		}
	}
	return dir, c, genesis
}

// node stands in for a node: it connects every block it is handed, one batch at
// a time and later, and says so by facts.
type node struct {
	im      *Import
	queue   chan *message.BlocksReceived
	batches []*message.BlocksReceived // in the order of arrival
	head    *message.LegacyHead

	last  uint64                                          // height handed over last
	judge func(*block.Signed, message.Block) core.Message // nil: connected
	end   func(*message.LegacyHead) core.Message          // nil: imported
	state common.Hash
	fail  error
	sync  bool // connect within Blocks
}

func (n *node) Blocks(ctx context.Context, m *message.BlocksReceived) error {
	if n.fail != nil {
		return n.fail
	}
	n.batches = append(n.batches, m)
	if n.sync {
		n.connect(m)
		return nil
	}
	select {
	case n.queue <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *node) connect(m *message.BlocksReceived) {
	for _, b := range m.Blocks {
		s, err := block.Decode(b.Signed.Data)
		if err != nil {
			panic(err)
		}
		if n.judge != nil {
			if fact := n.judge(s, b); fact != nil {
				n.im.Fact(fact)
				return
			}
		}
		p := &s.Block.Payload
		n.state = p.StateRoot
		n.im.Fact(&message.BlockConnected{Root: s.Root(), Number: p.BlockNumber, Parent: s.Block.ParentHash, PayloadHash: p.BlockHash, StateRoot: p.StateRoot, Fees: b.Fees})
	}
}

func (n *node) LegacyHead(_ context.Context, m *message.LegacyHead) error {
	n.head = m
	if n.end != nil {
		n.im.Fact(n.end(m))
		return nil
	}
	go n.im.Fact(&message.LegacyImported{Head: m.Head, LatestPow: m.LatestPow, Finalized: m.LatestPow, StateRoot: n.state, Fees: m.Fees, Source: m.Source})
	return nil
}

// start connects what is handed over in a goroutine until the test ends.
func (n *node) start(tb testing.TB) *node {
	n.queue = make(chan *message.BlocksReceived, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range n.queue {
			n.connect(m)
		}
	}()
	tb.Cleanup(func() { close(n.queue); <-done })
	return n
}
