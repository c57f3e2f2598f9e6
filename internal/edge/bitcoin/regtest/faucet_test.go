package regtest

import (
	"bytes"
	"math"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// The rules that judge payments of the federation bind from the next block on.
func TestTaprootBinds(t *testing.T) {
	c := open(t, t.TempDir())
	for id, d := range Params().Deployments {
		active, err := c.chain.IsDeploymentActive(uint32(id))
		if err != nil {
			t.Fatal(err)
		}
		if !active && d.MinActivationHeight == 0 {
			t.Errorf("deployment %d is not active at height %d", id, Ready)
		}
	}
	// Height Ready is enough and one less is not.
	if state, _ := c.chain.ThresholdState(2); state.String() != "ThresholdActive" {
		t.Errorf("taproot is %v", state)
	}
}

// A deposit is one that the rules recognise.
func TestDeposit(t *testing.T) {
	c := open(t, t.TempDir())
	before, err := c.FaucetBalance(t.Context())
	if err != nil || before == 0 {
		t.Fatalf("balance %d, %v", before, err)
	}
	const amount = 12_345_678_901 // more than the largest coin
	txid, err := c.Deposit(t.Context(), federation, amount, account)
	if err != nil {
		t.Fatal(err)
	}
	during, err := c.FaucetBalance(t.Context())
	if err != nil || during > before-amount {
		t.Errorf("balance %d after %d, %v", during, before, err)
	}
	blocks, err := c.Mine(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Transaction(t.Context(), txid, blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	tx, err := btcutil.NewTxFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := tx.MsgTx().TxOut[0]; got.Value != amount || !bytes.Equal(got.PkScript, federation) {
		t.Errorf("pays %+v", got)
	}
	if address, ok := peg.Recipient(tx.MsgTx().TxOut[1].PkScript); !ok || !bytes.Equal(address[:], account) {
		t.Errorf("credits %v %v", address, ok)
	}
}

// Payments follow each other without a block between, until the coins are used up.
func TestManyDeposits(t *testing.T) {
	c := open(t, t.TempDir())
	for i := range 100 {
		if _, err := c.Deposit(t.Context(), federation, uint64(20_000+i), account); err != nil {
			t.Fatalf("deposit %d: %v", i, err)
		}
	}
	if _, err := c.Mine(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := c.pool.Count(); n != 0 {
		t.Errorf("%d transactions are left", n)
	}
	// Counting again gives the same coins.
	before, _ := c.FaucetBalance(t.Context())
	c.wallet.forget()
	if after, err := c.FaucetBalance(t.Context()); err != nil || after != before {
		t.Errorf("followed %d, counted %d, %v", before, after, err)
	}
	// After a reorganisation too.
	if _, err := c.Reorg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Mine(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	before, _ = c.FaucetBalance(t.Context())
	c.wallet.forget()
	if after, err := c.FaucetBalance(t.Context()); err != nil || after != before {
		t.Errorf("after a reorganisation: followed %d, counted %d, %v", before, after, err)
	}
}

func TestFaucetRefuses(t *testing.T) {
	c := open(t, t.TempDir())
	balance, err := c.FaucetBalance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, amount := range []uint64{0, 100, balance, balance + 1, btcutil.MaxSatoshi + 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		if _, err := c.Deposit(t.Context(), federation, amount, account); !fault.Is(err, fault.Invalid) {
			t.Errorf("deposit of %d: %v", amount, err)
		}
	}
	if _, err := c.Deposit(t.Context(), federation, 1_000_000, make([]byte, txscript.MaxDataCarrierSize+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("data too long: %v", err)
	}
	if _, err := c.Pay(t.Context(), wire.NewTxOut(-1, federation)); !fault.Is(err, fault.Invalid) {
		t.Errorf("negative output: %v", err)
	}
	for _, n := range []int{-1, 0, MaxMined + 1} {
		if _, err := c.Mine(t.Context(), n); !fault.Is(err, fault.Invalid) {
			t.Errorf("mine %d: %v", n, err)
		}
	}
	for _, depth := range []int{-1, 0, 1, MaxMined} {
		if _, err := c.Reorg(t.Context(), depth); !fault.Is(err, fault.Invalid) {
			t.Errorf("reorganisation of depth %d at the first height: %v", depth, err)
		}
	}
}

func BenchmarkMine(b *testing.B) {
	b.ReportAllocs()
	c := open(b, b.TempDir())
	for b.Loop() {
		if _, err := c.Mine(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	dir := b.TempDir()
	if err := open(b, dir).Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := Open(Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
