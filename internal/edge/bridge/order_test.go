package bridge

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

const (
	wpkh = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	pkh  = "mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r"
)

func TestNewOrder(t *testing.T) {
	regtest := Policy{Network: &chaincfg.RegressionNetParams}
	for _, destination := range []string{
		wpkh, strings.ToUpper(wpkh), pkh, "bcrt1p3srvwkq5kyzlxqls43x97ch2vpcp4j278nk8jjuzcgt8k40ttr9s4vj934",
	} {
		order, err := NewOrder(destination, peg.MinPegOut, regtest)
		script, _ := peg.ParseAddress(destination)
		if err != nil || order.Destination != destination || !bytes.Equal(order.Script, script) || len(script) == 0 {
			t.Errorf("%s: %+v, %v", destination, order, err)
		}
	}
	mainnet := Policy{Network: &chaincfg.MainNetParams}
	for name, test := range map[string]struct {
		destination string
		amount      uint64
		policy      Policy
		want        string
	}{
		"below the minimum":     {wpkh, peg.MinPegOut - 1, regtest, "0.00999999 BTC is below"},
		"below the chain's":     {wpkh, peg.MinPegOut, Policy{regtest.Network, peg.MinPegOut + 1}, "below the least"},
		"nothing":               {wpkh, 0, regtest, "below"},
		"more than there is":    {wpkh, btcutil.MaxSatoshi + 1, regtest, "more than all"},
		"no address":            {"hello", peg.MinPegOut, regtest, "is no Bitcoin address"},
		"empty":                 {"", peg.MinPegOut, regtest, "is no Bitcoin address"},
		"one letter wrong":      {wpkh[:len(wpkh)-1] + "q", peg.MinPegOut, regtest, "is no Bitcoin address"},
		"mixed case":            {"bcrt1Q" + wpkh[6:], peg.MinPegOut, regtest, "is no Bitcoin address"},
		"space behind":          {wpkh + " ", peg.MinPegOut, regtest, "is no Bitcoin address"},
		"an EVM account":        {"0x00000000000000000000000000000000000a11ce", peg.MinPegOut, regtest, "is no Bitcoin address"},
		"regtest on main":       {wpkh, peg.MinPegOut, mainnet, "main"},
		"main on regtest":       {"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", peg.MinPegOut, regtest, "regtest"},
		"testnet on regtest":    {"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", peg.MinPegOut, regtest, "regtest"},
		"base58 of main":        {"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", peg.MinPegOut, regtest, "regtest"},
		"base58 of test":        {pkh, peg.MinPegOut, mainnet, "main"},
		"witness version 2":     {"bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", peg.MinPegOut, mainnet, "no use yet"},
		"a megabyte of address": {strings.Repeat("1", 1<<20), peg.MinPegOut, regtest, "is no Bitcoin address"},
	} {
		order, err := NewOrder(test.destination, test.amount, test.policy)
		if !errors.Is(err, ErrRefused) || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 500 {
			t.Errorf("%s: %+v, %v", name, order, err)
		}
	}
}

// client is an execution client whose answers a test chooses.
type client struct {
	code     []byte
	balance  *big.Int
	base     *big.Int
	gas      uint64
	err      error
	estimate ethereum.CallMsg
}

func (c *client) ChainID(context.Context) (*big.Int, error) { return big.NewInt(262144), c.err }
func (c *client) PendingNonceAt(context.Context, common.Address) (uint64, error) {
	return 7, c.err
}
func (c *client) PendingBalanceAt(context.Context, common.Address) (*big.Int, error) {
	return c.balance, c.err
}
func (c *client) PendingCodeAt(_ context.Context, a common.Address) ([]byte, error) {
	if a != Address {
		return nil, c.err
	}
	return c.code, c.err
}
func (c *client) SuggestGasTipCap(context.Context) (*big.Int, error) { return big.NewInt(3), c.err }
func (c *client) HeaderByNumber(context.Context, *big.Int) (*types.Header, error) {
	return &types.Header{Number: big.NewInt(5), BaseFee: c.base}, c.err
}
func (c *client) EstimateGas(_ context.Context, call ethereum.CallMsg) (uint64, error) {
	c.estimate = call
	return c.gas, c.err
}

func TestPrepare(t *testing.T) {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	account := crypto.PubkeyToAddress(key.PublicKey)
	order, err := NewOrder(wpkh, 5_000_000, Policy{Network: &chaincfg.RegressionNetParams})
	if err != nil {
		t.Fatal(err)
	}
	value, gas := peg.Wei(5_000_000), int64(55_000)
	need := new(big.Int).Add(value, big.NewInt(gas*203))
	good := client{code: []byte{1}, balance: need, base: big.NewInt(100), gas: 50_000}

	c := good
	tx, err := Prepare(t.Context(), &c, key, order)
	if err != nil {
		t.Fatal(err)
	}
	from, err := types.Sender(types.LatestSignerForChainID(big.NewInt(262144)), tx)
	if err != nil || from != account {
		t.Errorf("sender %s, %v", from, err)
	}
	destination, err := UnpackRequestPegOut(tx.Data())
	if err != nil || string(destination) != wpkh || *tx.To() != Address || tx.Value().Cmp(value) != 0 {
		t.Errorf("calls %s with %s wei for %q, %v", tx.To(), tx.Value(), destination, err)
	}
	if tx.Nonce() != 7 || tx.Gas() != uint64(gas) || tx.GasFeeCap().Int64() != 203 || tx.GasTipCap().Int64() != 3 {
		t.Errorf("nonce %d, gas %d, %s, %s", tx.Nonce(), tx.Gas(), tx.GasFeeCap(), tx.GasTipCap())
	}
	if c.estimate.From != account || c.estimate.Value.Cmp(value) != 0 || !bytes.Equal(c.estimate.Data, tx.Data()) {
		t.Errorf("estimated %+v", c.estimate)
	}

	for name, test := range map[string]struct {
		change func(*client)
		grade  fault.Grade
		want   string
	}{
		"no contract":       {func(c *client) { c.code = nil }, fault.Invalid, "no bridge contract"},
		"poor":              {func(c *client) { c.balance = new(big.Int).Sub(value, common.Big1) }, fault.Invalid, "wei, the peg-out takes"},
		"not enough to pay": {func(c *client) { c.balance = new(big.Int).Sub(need, common.Big1) }, fault.Invalid, "with gas takes"},
		"no base fee":       {func(c *client) { c.base = nil }, fault.Invalid, "another chain"},
		"away":              {func(c *client) { c.err = errors.New("connection refused") }, fault.Temporary, "connection refused"},
	} {
		c := good
		test.change(&c)
		if _, err := Prepare(t.Context(), &c, key, order); !fault.Is(err, test.grade) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
