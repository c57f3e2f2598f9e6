package rpcserver

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"sort"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Codes of Bitcoin Core's src/rpc/protocol.h.
const (
	codeMisc          = -1
	codeType          = -3
	codeNotFound      = -5
	codeParameter     = -8
	codeDatabase      = -20
	codeUndecoded     = -22
	codeVerify        = -25
	codeRejected      = -26
	codeAlreadyKnown  = -27
	codeUnknownMethod = -32601
	codeInternal      = -32603
	codeParse         = -32700
)

// subversion is what the server calls itself where Bitcoin Core says /Satoshi:…/.
const subversion = "/alys-regtest/"

type method func(ctx context.Context, c *regtest.Chain, p params) (any, error)

var methods = map[string]method{
	"ping":               func(context.Context, *regtest.Chain, params) (any, error) { return nil, nil },
	"getblockchaininfo":  blockchainInfo,
	"getnetworkinfo":     networkInfo,
	"getindexinfo":       indexInfo,
	"getblockcount":      blockCount,
	"getbestblockhash":   bestBlockHash,
	"getblockhash":       blockHash,
	"getblockheader":     blockHeader,
	"getblock":           block,
	"getrawtransaction":  rawTransaction,
	"getrawmempool":      rawMempool,
	"sendrawtransaction": sendRawTransaction,
	"estimatesmartfee":   estimateFee,

	"dev_faucet":  devFaucet,
	"dev_mine":    devMine,
	"dev_reorg":   devReorg,
	"dev_deposit": devDeposit,
	"dev_pay":     devPay,
}

// params are those of a call, by place.
type params []json.RawMessage

// read reads the parameter at a place, leaving v as it is when there is none.
func (p params) read(at int, v any, what string) error {
	if at >= len(p) || string(p[at]) == "null" {
		return nil
	}
	if err := json.Unmarshal(p[at], v); err != nil {
		return &Error{codeType, "parameter " + what + " is of another form"}
	}
	return nil
}

func (p params) hash(at int, what string) (chainhash.Hash, error) {
	var text string
	if err := p.read(at, &text, what); err != nil {
		return chainhash.Hash{}, err
	}
	if len(text) != 2*chainhash.HashSize {
		return chainhash.Hash{}, &Error{codeParameter, what + " must be of length 64"}
	}
	hash, err := chainhash.NewHashFromStr(text)
	if err != nil {
		return chainhash.Hash{}, &Error{codeParameter, what + " must be hexadecimal string"}
	}
	return *hash, nil
}

func (p params) hex(at int, what string) ([]byte, error) {
	var text string
	if err := p.read(at, &text, what); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, &Error{codeUndecoded, what + " is not hexadecimal"}
	}
	return raw, nil
}

// verbose reads a flag that callers give as a boolean or a number.
func (p params) verbose(at int, otherwise bool) (bool, error) {
	if at >= len(p) {
		return otherwise, nil
	}
	var number int
	if json.Unmarshal(p[at], &number) == nil {
		return number != 0, nil
	}
	err := p.read(at, &otherwise, "verbose")
	return otherwise, err
}

func blockchainInfo(ctx context.Context, c *regtest.Chain, _ params) (any, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"chain": info.Network, "blocks": info.Height, "headers": info.Headers, "bestblockhash": info.Tip.String(),
		"initialblockdownload": false, "pruned": false, "warnings": "",
	}, nil
}

func networkInfo(context.Context, *regtest.Chain, params) (any, error) {
	return map[string]any{"version": 1, "subversion": subversion, "protocolversion": 70016, "connections": 0}, nil
}

func indexInfo(ctx context.Context, c *regtest.Chain, _ params) (any, error) {
	info, err := c.Info(ctx)
	return map[string]any{"txindex": map[string]any{"synced": true, "best_block_height": info.Height}}, err
}

func blockCount(ctx context.Context, c *regtest.Chain, _ params) (any, error) {
	info, err := c.Info(ctx)
	return info.Height, err
}

func bestBlockHash(ctx context.Context, c *regtest.Chain, _ params) (any, error) {
	info, err := c.Info(ctx)
	return info.Tip.String(), err
}

func blockHash(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	height := int64(-1)
	if err := p.read(0, &height, "height"); err != nil {
		return nil, err
	}
	if height < 0 || height > math.MaxInt32 {
		return nil, &Error{codeParameter, "Block height out of range"}
	}
	hash, err := c.BlockHash(ctx, uint64(height))
	if fault.Is(err, fault.CannotJudge) {
		return nil, &Error{codeParameter, "Block height out of range"}
	}
	return hash.String(), err
}

func blockHeader(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	hash, err := p.hash(0, "blockhash")
	if err != nil {
		return nil, err
	}
	verbose, err := p.verbose(1, true)
	if err != nil {
		return nil, err
	}
	h, err := c.Header(ctx, hash)
	switch {
	case fault.Is(err, fault.CannotJudge):
		return nil, &Error{codeNotFound, "Block not found"}
	case err != nil:
		return nil, err
	case !verbose:
		return hex.EncodeToString(h.Raw[:]), nil
	}
	before := chainhash.Hash(h.Raw[4:36])
	return map[string]any{"hash": hash.String(), "height": h.Height, "confirmations": h.Confirmations, "previousblockhash": before.String()}, nil
}

func block(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	hash, err := p.hash(0, "blockhash")
	if err != nil {
		return nil, err
	}
	switch verbose, err := p.verbose(1, true); {
	case err != nil:
		return nil, err
	case verbose:
		return nil, &Error{codeParameter, "only verbosity 0 is served"}
	}
	raw, err := c.Block(ctx, hash)
	if fault.Is(err, fault.CannotJudge) {
		return nil, &Error{codeNotFound, "Block not found"}
	}
	return hex.EncodeToString(raw), err
}

func rawTransaction(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	txid, err := p.hash(0, "txid")
	if err != nil {
		return nil, err
	}
	verbose, err := p.verbose(1, false)
	if err != nil {
		return nil, err
	}
	if len(p) > 2 && string(p[2]) != "null" {
		return transactionOf(ctx, c, p, txid)
	}
	found, err := c.Lookup(ctx, txid)
	switch {
	case fault.Is(err, fault.CannotJudge):
		return nil, &Error{codeNotFound, "No such mempool or blockchain transaction"}
	case err != nil:
		return nil, err
	case !verbose:
		return hex.EncodeToString(found.Raw), nil
	}
	result := map[string]any{"txid": txid.String(), "hex": hex.EncodeToString(found.Raw)}
	if found.Block != nil {
		result["blockhash"], result["confirmations"] = found.Block.String(), found.Confirmations
	}
	return result, nil
}

// transactionOf answers getrawtransaction with a block.
func transactionOf(ctx context.Context, c *regtest.Chain, p params, txid chainhash.Hash) (any, error) {
	in, err := p.hash(2, "blockhash")
	if err != nil {
		return nil, err
	}
	if _, err := c.Header(ctx, in); err != nil {
		return nil, &Error{codeNotFound, "Block hash not found"}
	}
	raw, err := c.Transaction(ctx, txid, in)
	if fault.Is(err, fault.CannotJudge) {
		return nil, &Error{codeNotFound, "No such transaction found in the provided block"}
	}
	return hex.EncodeToString(raw), err
}

func rawMempool(ctx context.Context, c *regtest.Chain, _ params) (any, error) {
	ids, err := c.Mempool(ctx)
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	sort.Strings(texts)
	return texts, err
}

func sendRawTransaction(ctx context.Context, c *regtest.Chain, p params) (any, error) {
	raw, err := p.hex(0, "hexstring")
	if err != nil {
		return nil, err
	}
	tx, err := decode(raw)
	if err != nil {
		return nil, err
	}
	outcome, reason, err := c.Send(ctx, raw)
	switch {
	case err != nil:
		return nil, err
	case outcome == message.BroadcastAccepted:
		return tx.TxHash().String(), nil
	case outcome == message.BroadcastConfirmed:
		return nil, &Error{codeAlreadyKnown, "Transaction outputs already in utxo set"}
	case outcome == message.BroadcastConflict:
		// Core tells a missing input from one that the mempool spends; callers need not.
		return nil, &Error{codeVerify, "bad-txns-inputs-missingorspent: " + reason}
	default:
		return nil, &Error{codeRejected, reason}
	}
}

func estimateFee(context.Context, *regtest.Chain, params) (any, error) {
	return map[string]any{"errors": []string{"Insufficient data or no feerate found"}, "blocks": 2}, nil
}
