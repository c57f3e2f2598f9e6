package engine

import (
	"bytes"
	"context"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// calls returns the transactions of a payload that call the bridge to burn, and where
// they stand.
func calls(t *testing.T, p *block.Payload) (list []*types.Transaction) {
	t.Helper()
	for _, raw := range p.Transactions {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			t.Fatal(err)
		}
		if tx.To() != nil && *tx.To() == peg.BridgeAddress && bytes.HasPrefix(tx.Data(), []byte{0x99, 0x11, 0xdc, 0x74}) {
			list = append(list, tx)
		}
	}
	return list
}

// The requests of the recorded chains are the calls of the bridge contract in them, with
// their values and destinations; over JSON-RPC they are the same.
func TestRequestsOfLegacyChains(t *testing.T) {
	for _, chain := range []string{"single", "fed3"} {
		t.Run(chain, func(t *testing.T) {
			e, err := OpenEmbedded(EmbeddedOptions{Dir: t.TempDir(), Genesis: readGenesis(t, chain), Logger: testLogger(t), HTTPAddr: "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			payloads := readPayloads(t, chain)
			results := mustImport(t, NewExecutor(e), payloads)
			remote, err := DialExternal(ExternalOptions{URL: e.HTTPEndpoint()}, Identity{})
			if err != nil {
				t.Fatal(err)
			}
			defer remote.Close()
			remote.checked.Store(&Peer{})
			found := 0
			for i, p := range payloads {
				want := calls(t, p)
				if len(results[i].Requests) != len(want) {
					t.Fatalf("block %d: %d requests, %d calls of the bridge", p.BlockNumber, len(results[i].Requests), len(want))
				}
				for k, tx := range want {
					l := results[i].Requests[k]
					wei := new(big.Int).SetBytes(l.Data[32:64])
					if l.Transaction != tx.Hash() || !l.HasTo || l.To != peg.BridgeAddress || l.Emitter != peg.BridgeAddress ||
						len(l.Topics) != 2 || wei.Cmp(tx.Value()) != 0 {
						t.Errorf("block %d, request %d: %+v", p.BlockNumber, k, l)
					}
				}
				if found += len(want); len(want) == 0 {
					continue
				}
				receipts, err := remote.ReceiptsByHash(context.Background(), p.BlockHash)
				if err != nil {
					t.Fatal(err)
				}
				logs, err := requests(p, receipts)
				if err != nil || len(logs) != len(want) || !bytes.Equal(logs[0].Data, results[i].Requests[0].Data) || logs[0].Index != results[i].Requests[0].Index {
					t.Errorf("block %d over JSON-RPC: %v, %v", p.BlockNumber, logs, err)
				}
			}
			if found == 0 {
				t.Error("the chain has no request")
			}
			t.Logf("%d requests", found)
		})
	}
}

// burner is the code of a contract's creation that emits the request's log without
// burning anything: PUSH32 topic, two topics, 64 bytes of zeros.
func burner() []byte {
	code := []byte{0x60, 0x07, 0x7f} // PUSH1 7 (second topic), PUSH32
	code = append(code, peg.RequestTopic.Bytes()...)
	return append(code, 0x60, 0x40, 0x60, 0x00, 0xa2, 0x00) // PUSH1 64, PUSH1 0, LOG2, STOP
}

// withRequest has the first account create the burner in a payload on parent.
func (c *testChain) withRequest(parent common.Hash, offset uint64) *block.Payload {
	c.tb.Helper()
	tx := types.MustSignNewTx(devKey, types.LatestSignerForChainID(big.NewInt(testChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(testChainID), Nonce: c.nonce, Gas: 200_000, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100e9), Data: burner(),
	})
	c.nonce++
	for _, err := range c.e.backend.TxPool().Add([]*types.Transaction{tx}, true) {
		if err != nil {
			c.tb.Fatal(err)
		}
	}
	return c.build(parent, offset, 400e6)
}

// lossy is a client that forgets what a test tells it to of its receipts.
type lossy struct {
	API
	lose func([]*types.Receipt) []*types.Receipt
}

func (c *lossy) ReceiptsByHash(ctx context.Context, hash common.Hash) ([]*types.Receipt, error) {
	receipts, err := c.API.ReceiptsByHash(ctx, hash)
	if err != nil || c.lose == nil {
		return receipts, err
	}
	return c.lose(receipts), nil
}

// A request is found in the creation of a contract too, and in a block beside the head's
// branch; a client that has not all receipts, or others, cannot judge.
func TestRequestsOfAnyBranch(t *testing.T) {
	ctx := context.Background()
	e := openTest(t, t.TempDir(), DevGenesis(testChainID))
	c := newTestChain(t, e)
	genesis := c.head().Hash()
	side := c.withRequest(genesis, 1)
	main := c.build(genesis, 2, 0)
	mustImport(t, c.x, []*block.Payload{main})

	client := &lossy{API: e}
	x := NewExecutor(client)
	for name, lose := range map[string]func([]*types.Receipt) []*types.Receipt{
		"no receipts": func([]*types.Receipt) []*types.Receipt { return nil },
		"one missing": func(all []*types.Receipt) []*types.Receipt { return append(all[:len(all)-1:len(all)-1], nil) },
		"without a log": func(all []*types.Receipt) []*types.Receipt {
			r := *all[0]
			r.Logs = nil
			r.Bloom = types.Bloom{}
			return []*types.Receipt{&r}
		},
	} {
		client.lose = lose
		if results, err := x.Execute(ctx, []*block.Payload{side}); !fault.Is(err, fault.CannotJudge) || len(results) != 0 {
			t.Errorf("%s: %v, %v", name, results, err)
		}
	}
	client.lose = nil
	results, err := x.Execute(ctx, []*block.Payload{side})
	if err != nil || len(results) != 1 || len(results[0].Requests) != 1 {
		t.Fatalf("a side block: %+v, %v", results, err)
	}
	from := crypto.PubkeyToAddress(devKey.PublicKey)
	l := results[0].Requests[0]
	if l.HasTo || l.Emitter != crypto.CreateAddress(from, 0) || l.Topics[0].Value != peg.RequestTopic || l.Topics[1].Value != common.BytesToHash([]byte{7}) || len(l.Data) != 64 {
		t.Errorf("the request: %+v", l)
	}
	if c.head().Hash() != main.BlockHash {
		t.Error("the head moved")
	}
}
