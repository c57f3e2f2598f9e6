package node

import (
	"context"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/params"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// userKey is the key of the first account of the development genesis.
var userKey, _ = crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")

// counterCode is a contract that counts its calls in slot 0 and returns the count.
var counterCode = common.FromHex("6012600c60003960126000f3" + "60005460010180600055600052602060" + "00f3")

// forger makes signed blocks on any block, on an execution layer of its own.
type forger struct {
	t     testing.TB
	chain *spec.Chain
	x     *engine.Executor
	users *ethclient.Client
	nonce uint64
	root  *block.Signed // genesis
}

func newForger(t testing.TB, c *spec.Chain) *forger {
	t.Helper()
	genesis := engine.DevGenesis(uint64(c.ChainID))
	e, err := engine.OpenEmbedded(engine.EmbeddedOptions{Dir: t.TempDir(), Genesis: genesis, HTTPAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	payload, err := engine.GenesisPayload(genesis)
	if err != nil {
		t.Fatal(err)
	}
	users, err := ethclient.Dial(e.HTTPEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(users.Close)
	return &forger{t: t, chain: c, x: engine.NewExecutor(e), users: users, root: block.Genesis(c, payload)}
}

// child makes a block on another. With wait, pending transactions get into it.
func (f *forger) child(on *block.Signed, seconds uint64, wait time.Duration) *block.Signed {
	f.t.Helper()
	parent := &on.Block.Payload
	timestamp := max(parent.Timestamp, turnsStart/1000) + seconds
	payload, err := f.x.Build(context.Background(), engine.BuildRequest{Parent: parent.BlockHash, Timestamp: timestamp, Wait: wait})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.x.Import(context.Background(), []*block.Payload{&payload}, common.Hash{}, common.Hash{}); err != nil {
		f.t.Fatal(err)
	}
	return f.sign(block.Block{ParentHash: on.Block.Root(), Slot: timestamp * 1000 / f.chain.SlotDuration, Payload: payload})
}

func (f *forger) sign(b block.Block) *block.Signed {
	f.t.Helper()
	s := &block.Signed{Block: b, Approvals: aura.None()}
	if err := s.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign(b.Root())}); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// branch makes n blocks in a row; every tenth carries a transfer.
func (f *forger) branch(on *block.Signed, n int, seconds uint64) (list []*block.Signed) {
	f.t.Helper()
	for i := range n {
		var wait time.Duration
		if i%10 == 3 {
			f.send(f.users, &types.DynamicFeeTx{To: &common.Address{0xcc, byte(i)}, Value: big.NewInt(int64(i)), Gas: params.TxGas})
			wait = 20 * time.Millisecond
		}
		on = f.child(on, seconds, wait)
		list = append(list, on)
	}
	return list
}

// send signs a transaction of the first account and gives it to a client.
func (f *forger) send(to *ethclient.Client, data types.TxData) *types.Transaction {
	f.t.Helper()
	id, price := big.NewInt(int64(f.chain.ChainID)), big.NewInt(100*params.GWei)
	switch tx := data.(type) {
	case *types.LegacyTx:
		tx.Nonce, tx.GasPrice = f.nonce, price
	case *types.AccessListTx:
		tx.ChainID, tx.Nonce, tx.GasPrice = id, f.nonce, price
	case *types.DynamicFeeTx:
		tx.ChainID, tx.Nonce, tx.GasFeeCap, tx.GasTipCap = id, f.nonce, price, big.NewInt(params.GWei)
	}
	signed := types.MustSignNewTx(userKey, types.LatestSignerForChainID(id), data)
	if err := to.SendTransaction(context.Background(), signed); err != nil {
		f.t.Fatal(err)
	}
	f.nonce++
	return signed
}

// sendAllTypes sends a transaction of each type of Capella, one of which makes a contract
// and one of which calls it. It returns the contract's address.
func (f *forger) sendAllTypes(to *ethclient.Client) (contract common.Address, sent []*types.Transaction) {
	f.t.Helper()
	contract = crypto.CreateAddress(crypto.PubkeyToAddress(userKey.PublicKey), f.nonce)
	add := func(data types.TxData) { sent = append(sent, f.send(to, data)) }
	add(&types.LegacyTx{Data: counterCode, Gas: 200_000})
	add(&types.LegacyTx{To: &common.Address{1, 2}, Value: big.NewInt(7), Gas: params.TxGas + 1000})
	add(&types.AccessListTx{To: &contract, Gas: 100_000, AccessList: types.AccessList{{Address: contract, StorageKeys: []common.Hash{{}}}}})
	add(&types.DynamicFeeTx{To: &contract, Gas: 100_000})
	return contract, sent
}

// called returns what a call of the counter would return.
func called(t testing.TB, client *ethclient.Client, contract common.Address) int64 {
	t.Helper()
	out, err := client.CallContract(context.Background(), ethereum.CallMsg{To: &contract}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(out).Int64()
}

// blockHash is the hash of the block that a payload describes.
func blockHash(data beacon.ExecutableData) (common.Hash, error) {
	data.BlockHash = common.Hash{}
	b, err := beacon.ExecutableDataToBlockNoHash(data, nil, nil, nil)
	if err != nil {
		return common.Hash{}, err
	}
	return b.Hash(), nil
}
