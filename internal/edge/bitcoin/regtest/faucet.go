package regtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/mempool"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

const (
	// faucetFeeRate is what the faucet pays, in satoshi per vbyte.
	faucetFeeRate = 2
	// maxInputs bounds a payment of the faucet to a standard size.
	maxInputs = 500
	dust      = 294 // of a P2WPKH output at btcd's and Core's default
)

// wallet is the faucet: a key that everybody knows, and the coins that it has.
type wallet struct {
	key     *btcec.PrivateKey
	address *btcutil.AddressWitnessPubKeyHash
	script  []byte
	coins   map[wire.OutPoint]coin
	scanned int32 // height that coins is of
}

type coin struct {
	value    int64
	height   int32
	coinbase bool
}

func newWallet() (wallet, error) {
	seed := sha256.Sum256([]byte("alys regtest faucet"))
	key, public := btcec.PrivKeyFromBytes(seed[:])
	address, err := btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(public.SerializeCompressed()), Params())
	if err != nil {
		return wallet{}, fault.Wrap(fault.Fatal, err, "address of the faucet")
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		return wallet{}, fault.Wrap(fault.Fatal, err, "address of the faucet")
	}
	return wallet{key: key, address: address, script: script}, nil
}

// forget has the coins counted again at their next use.
func (w *wallet) forget() { w.coins = nil }

// connect follows a block, if the coins were counted.
func (w *wallet) connect(block *btcutil.Block) {
	if w.coins == nil {
		return
	}
	if block.Height() != w.scanned+1 {
		w.forget()
		return
	}
	w.scanned = block.Height()
	for i, tx := range block.Transactions() {
		for _, in := range tx.MsgTx().TxIn {
			delete(w.coins, in.PreviousOutPoint)
		}
		for vout, out := range tx.MsgTx().TxOut {
			if out.Value > 0 && bytes.Equal(out.PkScript, w.script) {
				w.coins[wire.OutPoint{Hash: *tx.Hash(), Index: uint32(vout)}] = coin{out.Value, block.Height(), i == 0}
			}
		}
	}
}

// scan counts the coins of the best chain, if they are not.
func (c *Chain) scan() error {
	if c.wallet.coins != nil {
		return nil
	}
	c.wallet.coins, c.wallet.scanned = map[wire.OutPoint]coin{}, 0
	for height := int32(1); height <= c.chain.BestSnapshot().Height; height++ {
		block, err := c.chain.BlockByHeight(height)
		if err != nil {
			c.wallet.forget()
			return fault.Wrap(fault.Corrupt, err, fmt.Sprintf("bitcoin block %d", height))
		}
		c.wallet.connect(block)
	}
	return nil
}

// FaucetAddress is where mined coins go, a P2WPKH address.
func (c *Chain) FaucetAddress() string { return c.wallet.address.EncodeAddress() }

// FaucetBalance is what the faucet can spend in the next block, in satoshi.
func (c *Chain) FaucetBalance(context.Context) (sum uint64, err error) {
	err = c.do("count the faucet's coins", func() error {
		coins, err := c.spendable()
		for _, s := range coins {
			sum += uint64(s.value)
		}
		return err
	})
	return sum, err
}

type spendableCoin struct {
	outpoint wire.OutPoint
	coin
}

// spendable lists the mature coins that nothing in the mempool spends, largest first.
func (c *Chain) spendable() (out []spendableCoin, err error) {
	if err := c.scan(); err != nil {
		return nil, err
	}
	next := c.chain.BestSnapshot().Height + 1
	for outpoint, coin := range c.wallet.coins {
		if coin.coinbase && next-coin.height < int32(Params().CoinbaseMaturity) || c.pool.CheckSpend(outpoint) != nil {
			continue
		}
		out = append(out, spendableCoin{outpoint, coin})
	}
	slices.SortFunc(out, func(a, b spendableCoin) int {
		return cmp.Or(cmp.Compare(b.value, a.value), bytes.Compare(a.outpoint.Hash[:], b.outpoint.Hash[:]), cmp.Compare(a.outpoint.Index, b.outpoint.Index))
	})
	return out, nil
}

// Pay signs a payment of the faucet: the outputs in their order, then change. It is not
// sent; until it is, another payment may take the same coins.
func (c *Chain) Pay(_ context.Context, outputs ...*wire.TxOut) (tx *wire.MsgTx, err error) {
	err = c.do("pay from the faucet", func() error {
		tx, err = c.pay(outputs)
		return err
	})
	return tx, err
}

// Deposit sends the payment that pegs in: amount to the federation's script, then an
// OP_RETURN output with data, which names the account. (peg.md A3)
func (c *Chain) Deposit(_ context.Context, federation []byte, amount uint64, data []byte) (txid chainhash.Hash, err error) {
	name, err := txscript.NullDataScript(data)
	if err != nil {
		return txid, fault.Wrap(fault.Invalid, err, "the account's output")
	}
	if amount > math.MaxInt64 {
		return txid, fault.New(fault.Invalid, "a deposit of %d satoshi", amount)
	}
	err = c.do("deposit from the faucet", func() error {
		tx, err := c.pay([]*wire.TxOut{wire.NewTxOut(int64(amount), federation), wire.NewTxOut(0, name)})
		if err != nil {
			return err
		}
		outcome, reason, err := c.send(btcutil.NewTx(tx))
		if err == nil && outcome != message.BroadcastAccepted {
			err = fault.New(fault.Invalid, "the deposit is refused: %s", reason)
		}
		txid = tx.TxHash()
		return err
	})
	return txid, err
}

func (c *Chain) pay(outputs []*wire.TxOut) (*wire.MsgTx, error) {
	tx := wire.NewMsgTx(2)
	var need int64
	for i, out := range outputs {
		if out.Value < 0 || out.Value > btcutil.MaxSatoshi-need {
			return nil, fault.New(fault.Invalid, "output %d of %d satoshi: all outputs together are at most %d", i, out.Value, int64(btcutil.MaxSatoshi))
		}
		if mempool.IsDust(out, MinFeeRate) && !txscript.IsUnspendable(out.PkScript) {
			return nil, fault.New(fault.Invalid, "output %d of %d satoshi is dust: nobody relays it", i, out.Value)
		}
		need += out.Value
		tx.AddTxOut(out)
	}
	coins, err := c.spendable()
	if err != nil {
		return nil, err
	}
	coins, change, err := choose(tx, coins, need)
	if err != nil {
		return nil, err
	}
	if change >= dust {
		tx.AddTxOut(wire.NewTxOut(change, c.wallet.script))
	}
	return tx, c.sign(tx, coins)
}

// choose takes coins until they pay for outputs, their own weight and change.
func choose(tx *wire.MsgTx, coins []spendableCoin, need int64) (taken []spendableCoin, change int64, err error) {
	const input, changeOutput = 68, 31 // vbytes of a P2WPKH input and output
	fee := int64(faucetFeeRate * (tx.SerializeSize() + 2 + changeOutput))
	have := int64(0)
	for i, s := range coins {
		if i == maxInputs {
			break
		}
		have, fee = have+s.value, fee+faucetFeeRate*input
		tx.AddTxIn(wire.NewTxIn(&s.outpoint, nil, nil))
		if have >= need+fee {
			return coins[:i+1], have - need - fee, nil
		}
	}
	return nil, 0, fault.New(fault.Invalid, "the faucet has %s in %d coins that one payment can spend, %s with %s of fees is asked for",
		btcutil.Amount(have), min(len(coins), maxInputs), btcutil.Amount(need), btcutil.Amount(fee))
}

func (c *Chain) sign(tx *wire.MsgTx, coins []spendableCoin) error {
	prevouts := txscript.NewMultiPrevOutFetcher(nil)
	for _, s := range coins {
		prevouts.AddPrevOut(s.outpoint, wire.NewTxOut(s.value, c.wallet.script))
	}
	hashes := txscript.NewTxSigHashes(tx, prevouts)
	for i, s := range coins {
		witness, err := txscript.WitnessSignature(tx, hashes, i, s.value, c.wallet.script, txscript.SigHashAll, c.wallet.key, true)
		if err != nil {
			return fault.Wrap(fault.Fatal, err, "sign a payment of the faucet")
		}
		tx.TxIn[i].Witness = witness
	}
	return nil
}
