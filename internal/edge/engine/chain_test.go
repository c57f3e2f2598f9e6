package engine

import (
	"context"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
)

const testChainID = 1337

// devKey is the key of the first account of DevGenesis.
var devKey, _ = crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")

// testChain builds blocks on a client, the way a producer does.
type testChain struct {
	tb    testing.TB
	e     *Embedded
	x     *Executor
	nonce uint64
}

func newTestChain(tb testing.TB, e *Embedded) *testChain {
	c := &testChain{tb: tb, e: e, x: NewExecutor(e)}
	state, err := e.backend.BlockChain().State()
	if err != nil {
		tb.Fatal(err)
	}
	c.nonce = state.GetNonce(crypto.PubkeyToAddress(devKey.PublicKey))
	return c
}

func (c *testChain) head() *types.Header {
	c.tb.Helper()
	return c.e.backend.BlockChain().CurrentBlock()
}

// build makes a payload on parent, timestamped offset seconds after it.
func (c *testChain) build(parent common.Hash, offset uint64, wait time.Duration, withdrawals ...block.Withdrawal) *block.Payload {
	c.tb.Helper()
	header, err := c.e.HeaderByHash(context.Background(), parent)
	if err != nil {
		c.tb.Fatal(err)
	}
	p, err := c.x.Build(context.Background(), BuildRequest{Parent: parent, Timestamp: header.Time + offset, Withdrawals: withdrawals, Wait: wait})
	if err != nil {
		c.tb.Fatal(err)
	}
	return &p
}

// extend builds and imports n payloads without transactions on parent.
func (c *testChain) extend(parent common.Hash, n int, offset uint64) []*block.Payload {
	c.tb.Helper()
	var payloads []*block.Payload
	for range n {
		p := c.build(parent, offset, 0)
		mustImport(c.tb, c.x, []*block.Payload{p})
		payloads = append(payloads, p)
		parent = p.BlockHash
	}
	return payloads
}

// send puts n transfers of the first account into the pool.
func (c *testChain) send(n int) []*types.Transaction {
	c.tb.Helper()
	var sent []*types.Transaction
	for range n {
		tx := types.MustSignNewTx(devKey, types.LatestSignerForChainID(big.NewInt(testChainID)), &types.DynamicFeeTx{
			ChainID: big.NewInt(testChainID), Nonce: c.nonce, Gas: params.TxGas,
			GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100 * params.GWei),
			To: &common.Address{0xaa, byte(c.nonce), byte(c.nonce >> 8)}, Value: big.NewInt(1),
		})
		c.nonce++
		sent = append(sent, tx)
	}
	for _, err := range c.e.backend.TxPool().Add(sent, true) {
		if err != nil {
			c.tb.Fatal(err)
		}
	}
	return sent
}
