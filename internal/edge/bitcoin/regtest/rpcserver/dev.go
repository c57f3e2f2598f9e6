package rpcserver

import (
	"bytes"
	"context"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Faucet is the answer to dev_faucet.
type Faucet struct {
	Height  uint64 `json:"height"`
	Tip     string `json:"tip"`
	Address string `json:"address"` // that mined coins go to
	Satoshi uint64 `json:"satoshi"` // that it can spend now
}

// decode decodes exactly one transaction.
func decode(raw []byte) (*wire.MsgTx, error) {
	tx, in := new(wire.MsgTx), bytes.NewReader(raw)
	if err := tx.Deserialize(in); err != nil || in.Len() > 0 {
		return nil, &Error{codeUndecoded, "TX decode failed"}
	}
	return tx, nil
}

func devFaucet(ctx context.Context, c *regtest.Chain, _ params) (any, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	balance, err := c.FaucetBalance(ctx)
	return Faucet{Height: info.Height, Tip: info.Tip.String(), Address: c.FaucetAddress(), Satoshi: balance}, err
}

func devMine(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	blocks := 1
	if err := p.read(0, &blocks, "blocks"); err != nil {
		return nil, err
	}
	hashes, err := c.Mine(ctx, blocks)
	return texts(hashes), err
}

func devReorg(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	depth := 1
	if err := p.read(0, &depth, "depth"); err != nil {
		return nil, err
	}
	hashes, err := c.Reorg(ctx, depth)
	return texts(hashes), err
}

func texts(hashes []chainhash.Hash) []string {
	out := make([]string, 0, len(hashes))
	for _, h := range hashes {
		out = append(out, h.String())
	}
	return out
}

// devDeposit pays to a script and names data in an OP_RETURN output. (peg.md A3)
func devDeposit(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	script, satoshi, err := p.output()
	if err != nil {
		return nil, err
	}
	data, err := p.hex(2, "data")
	if err != nil {
		return nil, err
	}
	txid, err := c.Deposit(ctx, script, satoshi, data)
	if err != nil {
		return nil, err
	}
	return txid.String(), nil
}

func devPay(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	script, satoshi, err := p.output()
	if err != nil {
		return nil, err
	}
	tx, err := c.Pay(ctx, wire.NewTxOut(int64(satoshi), script))
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "encode a payment of the faucet")
	}
	outcome, reason, err := c.Send(ctx, raw.Bytes())
	if err == nil && outcome != message.BroadcastAccepted {
		err = fault.New(fault.Invalid, "the payment is refused: %s", reason)
	}
	return tx.TxHash().String(), err
}

// output reads a script and an amount.
func (p params) output() (script []byte, satoshi uint64, err error) {
	const most = 21_000_000 * 100_000_000
	if script, err = p.hex(0, "script"); err != nil {
		return nil, 0, err
	}
	if err := p.read(1, &satoshi, "satoshi"); err != nil {
		return nil, 0, err
	}
	if len(script) == 0 || satoshi == 0 || satoshi > most {
		return nil, 0, &Error{codeParameter, "a script and an amount above zero are needed"}
	}
	return script, satoshi, nil
}
