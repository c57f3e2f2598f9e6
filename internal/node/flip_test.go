package node_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/migration"
)

const legacyChains = "../../testdata/legacy/chains"

// legacyBranch opens a chain's store and returns its blocks.
func legacyBranch(t *testing.T, chain string) *migration.Branch {
	t.Helper()
	store, err := migration.OpenStore(filepath.Join(legacyChains, chain, "chain_db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	branch, err := store.Branch(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return branch
}

func readChain(t *testing.T, chain, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(legacyChains, chain, file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// importing is a running node that takes legacy blocks.
type importing struct {
	t     *testing.T
	node  *node.Node
	facts chan core.Message
}

// startImporting runs a node on dir until the test ends or stop is called.
func startImporting(t *testing.T, chain, dir string, change ...func(*node.Options)) (im *importing, stop func()) {
	t.Helper()
	im = &importing{t: t, facts: make(chan core.Message, 4096)}
	ctx, cancel := context.WithCancel(context.Background())
	o := node.Options{
		DataDir: dir, ChainSpec: readChain(t, chain, "chain.json"), GenesisJSON: readChain(t, chain, "genesis.json"), Importing: true,
		Logger: slog.New(slog.DiscardHandler),
		OnFact: func(f node.Fact) {
			switch f.Message.(type) {
			case *message.BlockConnected, *message.BlockRefused:
				im.facts <- f.Message
			}
		},
	}
	for _, c := range change {
		c(&o)
	}
	n, err := node.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	im.node = n
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(ctx, func() { close(ready) }) }()
	<-ready
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	if im.node.Head().Number == 0 {
		im.answer() // genesis
	}
	return im, stop
}

// answer returns the next fact about a block.
func (im *importing) answer() core.Message {
	im.t.Helper()
	select {
	case m := <-im.facts:
		return m
	case <-time.After(20 * time.Second):
		im.t.Fatal("the node says nothing about a block")
		return nil
	}
}

// hand gives the node one block and returns its answer.
func (im *importing) hand(signed []byte, fees []byte) core.Message {
	im.t.Helper()
	m := &message.BlocksReceived{Origin: "legacy", Blocks: []message.Block{{Signed: record.NewContent(signed), HasFees: fees != nil, Fees: fees}}}
	if err := im.node.Blocks(im.t.Context(), m); err != nil {
		im.t.Fatal(err)
	}
	return im.answer()
}

// upTo imports the blocks from the head up to a height.
func (im *importing) upTo(branch *migration.Branch, height uint64) {
	im.t.Helper()
	for h := im.node.Head().Number + 1; h <= height; h++ {
		b, err := branch.Block(h)
		if err != nil {
			im.t.Fatal(err)
		}
		if m, ok := im.hand(b.Data, b.Fees.Bytes()).(*message.BlockConnected); !ok || m.Number != h {
			im.t.Fatalf("block %d: %+v", h, m)
		}
	}
}

// flipCase is a block to damage. Every step-th byte is flipped in the fast suite.
type flipCase struct {
	chain   string
	height  uint64
	step    int
	what    string
	members int // that sign a changed block
}

var flipCases = []flipCase{
	{"crashed", 1, 1, "small block", 1},
	{"crashed", 29, 211, "large calldata", 1},
	{"crashed", 31, 17, "peg-in", 1},
	{"single", 107, 17, "carrier", 1},
	{"fed3", 48, 31, "carrier with a peg-out and a proposal", 3},
}

// allFlips names the environment variable that has every byte of every case
// flipped.
const allFlips = "ALYS_TEST_ALL_FLIPS"

// Every flipped byte of a block that a store hands over is refused with the
// block's height and a field; the good block is taken afterwards.
func TestFlippedBytes(t *testing.T) {
	for _, c := range flipCases {
		t.Run(fmt.Sprintf("%s-%d", c.chain, c.height), func(t *testing.T) {
			branch := legacyBranch(t, c.chain)
			im, _ := startImporting(t, c.chain, t.TempDir())
			im.upTo(branch, c.height-1)
			good, err := branch.Block(c.height)
			if err != nil {
				t.Fatal(err)
			}
			fields := map[string]int{}
			for at := range c.flips(len(good.Data)) {
				data := flipped(good.Data, at)
				im.wantRefused(at, data, good, fields)
				if resigned := c.resign(t, data, good); resigned != nil {
					im.wantRefused(at, resigned, good, fields)
				}
			}
			if m, ok := im.hand(good.Data, good.Fees.Bytes()).(*message.BlockConnected); !ok || m.Root != good.Root {
				t.Errorf("the good block afterwards: %+v", m)
			}
			t.Logf("%s: %d bytes, refused by field: %v", c.what, len(good.Data), fields)
		})
	}
}

// flips yields the offsets to flip.
func (c flipCase) flips(size int) func(func(int) bool) {
	step := c.step
	if os.Getenv(allFlips) != "" {
		step = 1
	}
	return func(yield func(int) bool) {
		for at := 0; at < size && yield(at); at += step {
		}
	}
}

// flipped returns a copy with one byte changed, in a way that depends on where.
func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= []byte{0x01, 0x80, 0xff, 0x10}[at/3%4]
	return data
}

// resign returns the block with the approvals of all members over its new root,
// or nil when its payload is what it was: execution judges payloads, and other
// parts may differ within the rules.
func (c flipCase) resign(t *testing.T, data []byte, good *migration.Block) []byte {
	s, err := block.Decode(data)
	if err != nil || bytes.Equal(s.Block.Payload.Encode(), good.Signed.Block.Payload.Encode()) {
		return nil
	}
	s.Approvals = aura.None()
	root := s.Root()
	for i := range c.members {
		approval := aura.Approval{Signature: aura.DevKey(uint64(i + 1)).Sign(root), Authority: uint8(i)}
		if err := s.Approvals.Add(approval); err != nil {
			t.Fatal(err)
		}
	}
	return s.Encode()
}

func (im *importing) wantRefused(at int, data []byte, good *migration.Block, fields map[string]int) {
	im.t.Helper()
	m, ok := im.hand(data, good.Fees.Bytes()).(*message.BlockRefused)
	switch {
	case !ok:
		im.t.Fatalf("byte %d flipped: accepted", at)
	case m.Field == "" || m.Reason == "":
		im.t.Errorf("byte %d flipped: %+v", at, m)
	case m.Number != good.Height && m.Field != "execution_payload.block_number":
		im.t.Errorf("byte %d flipped: refused at height %d, it is at %d", at, m.Number, good.Height)
	}
	fields[m.Field]++
}
