package engine

import (
	"context"
	"math/big"
	"testing"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// rehash gives a changed payload the block hash that fits its contents.
func rehash(t *testing.T, p block.Payload) *block.Payload {
	t.Helper()
	b, err := beacon.ExecutableDataToBlockNoHash(ToExecutable(&p), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.BlockHash = b.Hash()
	return &p
}

func TestInvalidPayloads(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), readGenesis(t, "single"))
	x := NewExecutor(e)
	payloads := readPayloads(t, "single")
	const at = 120
	mustImport(t, x, payloads[:at])
	good := *payloads[at]

	for _, test := range []struct {
		name   string
		change func(p *block.Payload)
		keep   bool // keep the block hash
	}{
		{"wrong block hash", func(p *block.Payload) { p.BlockHash[0] ^= 1 }, true},
		{"known hash, other content", func(p *block.Payload) { *p = *payloads[3]; p.GasUsed++ }, true},
		{"state root", func(p *block.Payload) { p.StateRoot[5] ^= 1 }, false},
		{"receipts root", func(p *block.Payload) { p.ReceiptsRoot[5] ^= 1 }, false},
		{"gas used", func(p *block.Payload) { p.GasUsed++ }, false},
		{"gas limit", func(p *block.Payload) { p.GasLimit *= 2 }, false},
		{"timestamp of the parent", func(p *block.Payload) { p.Timestamp = payloads[at-1].Timestamp }, false},
		{"base fee", func(p *block.Payload) { p.BaseFeePerGas = new(big.Int).Add(p.BaseFeePerGas, common.Big1) }, false},
		{"negative base fee", func(p *block.Payload) { p.BaseFeePerGas = big.NewInt(-1) }, true},
		{"no base fee", func(p *block.Payload) { p.BaseFeePerGas = nil }, true},
		{"huge base fee", func(p *block.Payload) { p.BaseFeePerGas = new(big.Int).Lsh(common.Big1, 300) }, true},
		{"number too high", func(p *block.Payload) { p.BlockNumber += 7 }, false},
		{"number zero", func(p *block.Payload) { p.BlockNumber = 0 }, false},
		{"number of 64 bits", func(p *block.Payload) { p.BlockNumber = 1<<64 - 1 }, false},
		{"number far below the parent", func(p *block.Payload) { p.ParentHash = payloads[10].BlockHash; p.BlockNumber = 9 }, false},
		{"extra data", func(p *block.Payload) { p.ExtraData = make([]byte, 33) }, true},
		{"empty transaction", func(p *block.Payload) { p.Transactions = append([][]byte{nil}, p.Transactions...) }, true},
		{"garbage transaction", func(p *block.Payload) { p.Transactions = [][]byte{{2, 0xc0}} }, true},
		{"unpaid withdrawal", func(p *block.Payload) {
			p.Withdrawals = append([]block.Withdrawal{{Address: common.Address{9}, Amount: 1}}, p.Withdrawals...)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := good
			test.change(&p)
			bad := &p
			if !test.keep {
				bad = rehash(t, p)
			}
			results, err := x.Import(ctx, []*block.Payload{payloads[at-1], bad, payloads[at]}, common.Hash{}, common.Hash{})
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != 2 || results[0].Status != StatusValid || results[1].Status != StatusInvalid || results[1].Err == "" {
				t.Fatalf("results %+v", results)
			}
			t.Log(results[1].Err)
			if _, hash, _ := x.Head(ctx); hash != payloads[at-1].BlockHash {
				t.Fatalf("head moved to %s", hash)
			}
		})
	}
	mustImport(t, x, payloads[at:])
}

func TestCannotJudge(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), readGenesis(t, "single"))
	x := NewExecutor(e)
	payloads := readPayloads(t, "single")
	mustImport(t, x, payloads[:10])

	results, err := x.Import(ctx, payloads[20:30], common.Hash{}, common.Hash{})
	if !fault.Is(err, fault.CannotJudge) || len(results) != 0 {
		t.Fatalf("a gap: %v %v", results, err)
	}
	if err := x.SetFinalized(ctx, payloads[50].BlockHash, common.Hash{}); !fault.Is(err, fault.CannotJudge) {
		t.Fatalf("unknown head: %v", err)
	}
	if err := x.SetFinalized(ctx, payloads[9].BlockHash, payloads[50].BlockHash); !fault.Is(err, fault.CannotJudge) {
		t.Fatalf("unknown finalised block: %v", err)
	}
	if _, err := e.HeaderByHash(ctx, common.Hash{1}); !fault.Is(err, fault.CannotJudge) {
		t.Fatalf("unknown header: %v", err)
	}
	if _, err := x.Import(ctx, []*block.Payload{payloads[0], nil}, common.Hash{}, common.Hash{}); !fault.Is(err, fault.Invalid) {
		t.Fatalf("missing payload: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := x.Import(cancelled, payloads[10:11], common.Hash{}, common.Hash{}); !fault.Is(err, fault.Temporary) {
		t.Fatalf("cancelled: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Import(ctx, payloads[10:11], common.Hash{}, common.Hash{}); !fault.Is(err, fault.Temporary) {
		t.Fatalf("closed: %v", err)
	}
}

// After a restart go-ethereum has no cache and waits for a parent of the
// height it expects; that must not move the head to the parent it has.
func TestWrongNumberOnAnOldParent(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	e := openTest(t, dir, readGenesis(t, "single"))
	payloads := readPayloads(t, "single")[:20]
	mustImport(t, NewExecutor(e), payloads)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	c := newTestChain(t, openTest(t, dir, readGenesis(t, "single")))
	for _, number := range []uint64{0, 1, 9, 15, 1 << 63} {
		bad := *payloads[19]
		bad.ParentHash, bad.BlockNumber = payloads[10].BlockHash, number
		results, err := c.x.Import(ctx, []*block.Payload{rehash(t, bad)}, common.Hash{}, common.Hash{})
		if err != nil || len(results) != 1 || results[0].Status != StatusInvalid {
			t.Fatalf("number %d: %+v %v", number, results, err)
		}
		c.wantHead(payloads[19])
	}
}

// troubled is a client that cannot execute anything, like one with a full disk.
type troubled struct {
	API
	reason string
}

func (c *troubled) NewPayloadV2(ctx context.Context, payload beacon.ExecutableData) (beacon.PayloadStatusV1, error) {
	if c.reason == "" {
		return c.API.NewPayloadV2(ctx, payload)
	}
	return beacon.PayloadStatusV1{Status: beacon.INVALID, ValidationError: &c.reason}, nil
}

func TestTroubleOfTheClientIsNoVerdict(t *testing.T) {
	ctx := context.Background()
	client := &troubled{API: openTest(t, t.TempDir(), readGenesis(t, "single"))}
	x := NewExecutor(client)
	payloads := readPayloads(t, "single")
	mustImport(t, x, payloads[:5])
	importNext := func() ([]Executed, error) {
		return x.Import(ctx, payloads[5:6], common.Hash{}, common.Hash{})
	}

	client.reason = previouslyRejected
	if results, err := importNext(); err != nil || results[0].Status != StatusInvalid {
		t.Fatalf("child of a rejected block: %+v %v", results, err)
	}
	for _, reason := range []string{"insertion is interrupted", "write: no space left on device", previouslyRejected} {
		client.reason = reason
		if _, err := importNext(); !fault.Is(err, fault.CannotJudge) {
			t.Fatalf("%s: %v", reason, err)
		}
	}
	client.reason = ""
	mustImport(t, x, payloads[5:])
}
