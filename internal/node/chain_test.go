package node_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// carrierEvery is how often the made chain finalises itself.
const carrierEvery = 100

// maker makes a real chain faster than its slots pass: payloads by an execution
// layer of its own, block times counted from genesis, real proofs of work.
type maker struct {
	t        testing.TB
	chain    *spec.Chain
	executor *engine.Executor
	head     *block.Signed
	open     []common.Hash // blocks since the last finalised one
	carrier  uint64        // number of the last carrier
	every    int           // open blocks that the next carrier waits for
	later    uint64        // slots that the next block leaves out
}

func newMaker(t testing.TB, c *spec.Chain) *maker {
	embedded, err := engine.OpenEmbedded(engine.EmbeddedOptions{Dir: t.TempDir(), Genesis: engine.DevGenesis(uint64(c.ChainID)), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = embedded.Close() })
	m := &maker{t: t, chain: c, executor: engine.NewExecutor(embedded), every: carrierEvery}
	payload, err := engine.GenesisPayload(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		t.Fatal(err)
	}
	m.head = block.Genesis(c, payload)
	return m
}

// next makes, signs and executes one block.
func (m *maker) next() *block.Signed {
	parent := &m.head.Block
	timestamp := parent.Payload.Timestamp + 1 + m.later
	m.later = 0
	payload, err := m.executor.Build(m.t.Context(), engine.BuildRequest{Parent: parent.Payload.BlockHash, Timestamp: timestamp})
	if err != nil {
		m.t.Fatal(err)
	}
	b := block.Block{ParentHash: parent.Root(), Slot: timestamp * 1000 / m.chain.SlotDuration, Payload: payload}
	if len(m.open) >= m.every {
		b.AuxPowHeader = m.proof()
	}
	root := b.Root()
	signed := &block.Signed{Block: b, Approvals: aura.None()}
	if err := signed.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign(root)}); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.executor.Import(m.t.Context(), []*block.Payload{&payload}, common.Hash{}, common.Hash{}); err != nil {
		m.t.Fatal(err)
	}
	m.head = signed
	m.open = append(m.open, root)
	return signed
}

// received are blocks as a peer sends them.
func received(blocks []*block.Signed) *message.BlocksReceived {
	m := &message.BlocksReceived{Origin: chain.Sync}
	for _, b := range blocks {
		m.Blocks = append(m.Blocks, message.Block{Signed: record.NewContent(b.Encode())})
	}
	return m
}

// proof finalises all open blocks; the carrier is the first open one after it.
func (m *maker) proof() *block.AuxPowHeader {
	bits := m.chain.Bits
	proof, err := mergeminer.Solve(m.t.Context(), auxpow.Commitment(m.open), m.chain.ChainID, bits, time.Unix(1_700_000_000, 0))
	if err != nil {
		m.t.Fatal(err)
	}
	h := &block.AuxPowHeader{
		RangeStart: m.open[0], RangeEnd: m.open[len(m.open)-1], Bits: bits, ChainID: m.chain.ChainID,
		Height: m.carrier + 1, AuxPow: proof, FeeRecipient: common.Address{0xfe},
	}
	m.carrier = m.head.Block.Payload.BlockNumber + 1
	m.open = nil
	return h
}

// importMade opens a node on dir, has it import count made blocks, calls ready
// and waits for the context to end.
func importMade(t testing.TB, dir string, count int, ready func()) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := spec.Dev()
	genesis, err := json.Marshal(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		t.Fatal(err)
	}
	m := newMaker(t, c)
	connected := make(chan uint64, 1024)
	n, err := node.Open(ctx, node.Options{
		DataDir: dir, ChainSpec: c.Encode(), GenesisJSON: genesis, Logger: slog.New(slog.DiscardHandler),
		OnFact: func(f node.Fact) {
			if h, ok := f.Message.(*message.HeadChanged); ok {
				connected <- h.Number
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, func() { close(started) }) }()
	<-started
	for made := 0; made < count; {
		var batch []*block.Signed
		for range min(200, count-made) {
			batch = append(batch, m.next())
			made++
		}
		if err := n.Blocks(ctx, received(batch)); err != nil {
			t.Fatal(err)
		}
		for number := range connected {
			if number >= uint64(made) {
				break
			}
		}
	}
	ready()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
