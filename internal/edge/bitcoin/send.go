package bitcoin

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Send implements [Node]. The node's words decide where its code does not: Bitcoin Core
// and btcd give one code for several outcomes. (peg.md A13)
func (c *Client) Send(ctx context.Context, raw []byte) (outcome uint8, reason string, err error) {
	tx, err := decodeTransaction(raw)
	if err != nil {
		return message.BroadcastRefused, err.Error(), nil
	}
	var txid string
	err = c.call(ctx, smallAnswer, &txid, "sendrawtransaction", hex.EncodeToString(raw))
	code, answered := errorCode(err)
	switch {
	case err == nil && txid != tx.TxHash().String():
		return 0, "", c.unexpected("sendrawtransaction", "another txid")
	case err == nil:
		return message.BroadcastAccepted, "", nil
	case !answered || fault.Is(err, fault.Temporary):
		return 0, "", err
	}
	reason = err.Error()
	switch outcome = outcomeOf(code, strings.ToLower(reason)); outcome {
	case message.BroadcastConflict:
		if code != codeVerify {
			return outcome, reason, nil
		}
		// All outputs of a confirmed transaction may be spent, and then its inputs are
		// missing. A node with an index of transactions knows.
		known, err := c.knows(ctx, tx.TxHash().String())
		if err != nil {
			return 0, "", err
		}
		if known != 0 {
			outcome = known
		}
	case 0:
		return 0, "", err
	}
	return outcome, reason, nil
}

// words of refusals that mean that another transaction spends an input, or that the coin
// is unknown.
var conflicts = []string{
	"missingorspent", "missing inputs", "missing-inputs", "orphan transaction", // Core since 0.17, before, and btcd
	"mempool-conflict", "spends-conflicting-tx", "rejecting replacement", "already spent", "replacement transaction",
	"too many potential replacements", "replacement-adds-unconfirmed", "insufficient fee", // of a replacement; a fee that is too low is "min … not met"
}

// outcomeOf reads a refusal in lower case; 0 is one that says nothing of the transaction.
func outcomeOf(code int64, reason string) uint8 {
	switch code {
	case codeAlreadyKnown, codeVerify, codeRejected:
	case codeUndecoded:
		return message.BroadcastRefused
	default:
		return 0
	}
	switch {
	case strings.Contains(reason, "already in mempool") || strings.Contains(reason, "already-in-mempool") || strings.Contains(reason, "already have transaction"):
		return message.BroadcastAccepted
	case code == codeAlreadyKnown || strings.Contains(reason, "txn-already-known"):
		return message.BroadcastConfirmed
	}
	for _, words := range conflicts {
		if strings.Contains(reason, words) {
			return message.BroadcastConflict
		}
	}
	return message.BroadcastRefused
}

// knows looks for a transaction by its id: in a block, in the mempool, or 0.
func (c *Client) knows(ctx context.Context, txid string) (outcome uint8, err error) {
	var found struct {
		Confirmations int64 `json:"confirmations"`
	}
	err = c.call(ctx, blockAnswer, &found, "getrawtransaction", txid, 1)
	_, answered := errorCode(err)
	switch {
	case answered && !fault.Is(err, fault.Temporary):
		return 0, nil
	case err != nil:
		return 0, err
	case found.Confirmations > 0:
		return message.BroadcastConfirmed, nil
	default:
		return message.BroadcastAccepted, nil
	}
}
