package rpc

import (
	"slices"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// Codes of legacy, and of JSON-RPC 2.0 where they agree. (rpc.md)
const (
	codeInvalidRequest = -32600
	codeUnknownMethod  = -32601
	codeInvalidParams  = -32602
	codeBlockNotFound  = -32604
	codeDecoder        = -32605
	codeSyncing        = -32606
)

// Codes of our own, outside the range that JSON-RPC keeps for itself. Those of
// refused work follow firstReject in the order of [auxpow.Rejects].
const (
	codeUnavailable = -31000
	codeRateLimited = -31001
	codeTooLarge    = -31002
	codeNotFound    = -31003
	codeForeignPage = -31004
	codeNotOffered  = -31005
	firstReject     = -31100
)

// rejectCode is the code of a refused proof.
func rejectCode(check auxpow.Reject) int {
	return firstReject - slices.Index(auxpow.Rejects(), check)
}
