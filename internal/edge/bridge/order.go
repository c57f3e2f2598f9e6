package bridge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// ErrRefused marks what could be sent, and would be lost.
var ErrRefused = errors.New("refused: the bridge burns what it is given, and nobody would pay this out")

// Policy says what the members of a chain pay.
type Policy struct {
	Network *chaincfg.Params
	Minimum uint64 // satoshi; zero is peg.MinPegOut
}

// Order is a peg-out that the members pay.
type Order struct {
	Destination string // the address, as it goes into the call
	Script      []byte
	Amount      uint64 // satoshi that are burned; the payment's fee is taken from them
}

// NewOrder checks a destination and an amount in satoshi. What would be burned without a
// payment is ErrRefused.
func NewOrder(destination string, amount uint64, policy Policy) (Order, error) {
	minimum := policy.Minimum
	if minimum == 0 {
		minimum = peg.MinPegOut
	}
	if amount < minimum {
		return Order{}, refuse("amount %s BTC is below the least that is paid, %s BTC", peg.FormatAmount(amount), peg.FormatAmount(minimum))
	}
	if amount > btcutil.MaxSatoshi {
		return Order{}, refuse("amount %s BTC is more than all bitcoins", peg.FormatAmount(amount))
	}
	script, ok := peg.ParseAddress(destination)
	if !ok {
		return Order{}, refuse("%.100q is no Bitcoin address", destination)
	}
	address, err := btcutil.DecodeAddress(destination, policy.Network)
	if err != nil {
		// A witness program that no rule gives a meaning is one that anyone can spend.
		return Order{}, refuse("address %.100q has no use yet on the Bitcoin network %s: whoever mines it could take it (%v)", destination, policy.Network.Name, err)
	}
	if !address.IsForNet(policy.Network) {
		return Order{}, refuse("address %s is not one of the Bitcoin network %s", destination, policy.Network.Name)
	}
	if same, err := txscript.PayToAddrScript(address); err != nil || !bytes.Equal(same, script) {
		return Order{}, refuse("address %s is read in two ways", destination)
	}
	return Order{Destination: destination, Script: script, Amount: amount}, nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Invalid, "%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Client is what is asked of an execution client; go-ethereum's ethclient has it.
type Client interface {
	ChainID(ctx context.Context) (*big.Int, error)
	PendingNonceAt(ctx context.Context, account common.Address) (uint64, error)
	PendingBalanceAt(ctx context.Context, account common.Address) (*big.Int, error)
	PendingCodeAt(ctx context.Context, account common.Address) ([]byte, error)
	SuggestGasTipCap(ctx context.Context) (*big.Int, error)
	HeaderByNumber(ctx context.Context, number *big.Int) (*types.Header, error)
	EstimateGas(ctx context.Context, call ethereum.CallMsg) (uint64, error)
}

// gasMargin is added to what the client estimates, in percent: the call's cost depends on
// the burn address's existence alone, which does not change.
const gasMargin = 10

// Prepare makes the transaction that asks for a peg-out, signed by the account's key. The
// client must know a bridge contract and the account must have amount and gas; else the
// error is Invalid. A client that does not answer is Temporary.
func Prepare(ctx context.Context, client Client, key *ecdsa.PrivateKey, order Order) (*types.Transaction, error) {
	account := crypto.PubkeyToAddress(key.PublicKey)
	code, err := client.PendingCodeAt(ctx, Address)
	if err != nil {
		return nil, away(err, "ask for the bridge contract")
	}
	if len(code) == 0 {
		return nil, refuse("the execution client has no bridge contract at %s: it is of another chain", Address)
	}
	tx := &types.DynamicFeeTx{To: &Address, Value: peg.Wei(order.Amount), Data: PackRequestPegOut([]byte(order.Destination))}
	if err := price(ctx, client, account, tx); err != nil {
		return nil, err
	}
	signed, err := types.SignNewTx(key, types.LatestSignerForChainID(tx.ChainID), tx)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "sign the transaction of a peg-out")
	}
	return signed, nil
}

// price fills in what the client knows: chain, nonce, fees and gas.
func price(ctx context.Context, client Client, account common.Address, tx *types.DynamicFeeTx) (err error) {
	if tx.ChainID, err = client.ChainID(ctx); err != nil {
		return away(err, "ask for the chain id")
	}
	if tx.Nonce, err = client.PendingNonceAt(ctx, account); err != nil {
		return away(err, "ask for the account's nonce")
	}
	if tx.GasTipCap, err = client.SuggestGasTipCap(ctx); err != nil {
		return away(err, "ask for a tip")
	}
	head, err := client.HeaderByNumber(ctx, nil)
	if err != nil {
		return away(err, "ask for the head")
	}
	if head.BaseFee == nil {
		return fault.New(fault.Invalid, "the execution client's head %d has no base fee: it is of another chain", head.Number)
	}
	// The base fee at most doubles in six blocks.
	tx.GasFeeCap = new(big.Int).Add(tx.GasTipCap, new(big.Int).Lsh(head.BaseFee, 1))
	balance, err := client.PendingBalanceAt(ctx, account)
	if err != nil {
		return away(err, "ask for the account's balance")
	}
	if balance.Cmp(tx.Value) < 0 {
		return fault.New(fault.Invalid, "account %s has %s wei, the peg-out takes %s and gas", account, balance, tx.Value)
	}
	gas, err := client.EstimateGas(ctx, ethereum.CallMsg{From: account, To: tx.To, Value: tx.Value, Data: tx.Data})
	if err != nil {
		return away(err, "estimate the gas of the peg-out")
	}
	tx.Gas = gas + gas*gasMargin/100
	need := new(big.Int).Add(tx.Value, new(big.Int).Mul(tx.GasFeeCap, new(big.Int).SetUint64(tx.Gas)))
	if balance.Cmp(need) < 0 {
		return fault.New(fault.Invalid, "account %s has %s wei, the peg-out with gas takes up to %s", account, balance, need)
	}
	return nil
}

func away(err error, what string) error {
	return fault.Wrap(fault.Temporary, err, "execution client: "+what)
}
