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
	codeNotSynced   = -31005
	firstReject     = -31100
)

// ErrorKind is one row of the table of errors.
type ErrorKind struct {
	Code  int
	Name  string
	Means string
	Do    string // what the client can do
}

// rejectKinds says what each check of work means. Their codes follow from the order.
var rejectKinds = map[auxpow.Reject][2]string{
	auxpow.UnknownWork:       {"no work with this hash was handed out, or it is long ago", "ask for work and solve that"},
	auxpow.StaleWork:         {"blocks of the range are final already, or left the head's branch", "ask for work again"},
	auxpow.DuplicateWork:     {"a proof over the same range waits to be carried", "ask for work again after the next block"},
	auxpow.MalformedProof:    {"it is no hex, or no proof in the Namecoin layout", "correct the software: coinbase, block hash, coinbase branch, chain branch, header of 80 bytes"},
	auxpow.HighHash:          {"the parent block's hash is above the target that is asked for now", "go on mining; the target may have moved since the work was handed out"},
	auxpow.ParentChainID:     {"the upper half of the parent block's version is our own chain id", "use another parent version"},
	auxpow.LongChainBranch:   {"the branch in the merge-mining tree has more than 30 hashes", "make a smaller tree"},
	auxpow.MerkleMismatch:    {"folding the coinbase with its branch does not give the parent's merkle root", "check the coinbase's branch, its order and its side mask"},
	auxpow.MalformedCoinbase: {"output 2 of the coinbase does not commit to the root of this work, and there is no output 3", "put the commitment into output 2 or 3; check the root"},
	auxpow.NoCommitment:      {"outputs 2 and 3 are not 44 bytes that begin with fabe6d6d", "put the commitment into output 2 or 3"},
	auxpow.OtherCommitment:   {"the coinbase commits to another merge-mining root", "check the chain branch, its order and its side mask, and the byte order of the root"},
	auxpow.WrongTreeSize:     {"the committed size is not 2 to the length of the chain branch", "commit to the size of the tree"},
	auxpow.WrongSlot:         {"our chain is not at the place that its id and the committed nonce give", "place the chains of the tree by their ids"},
	auxpow.RefusedByChain:    {"the head's branch cannot carry the proof; the reason says why", "ask for work again"},
	auxpow.NoWork:            {"there is nothing to mine: no block after the finalised one, or a proof up to the head waits", "ask again after the next block"},
}

// ErrorKinds returns the table of errors: legacy's, ours, and one for each check that
// refuses work.
func ErrorKinds() []ErrorKind {
	kinds := []ErrorKind{
		{codeInvalidRequest, "invalid-request", "the request lacks params (legacy), or jsonrpc is not \"2.0\"", "correct the request"},
		{codeUnknownMethod, "unknown-method", "there is no such method", "see rpc.discover"},
		{codeInvalidParams, "invalid-params", "the body or a parameter is not of its form", "correct the request; the text names what is wrong"},
		{codeBlockNotFound, "block-not-found", "legacy: there is no head", "wait for the first block"},
		{codeDecoder, "undecodable", "legacy: a height, hash or proof does not decode", "correct the request"},
		{codeSyncing, "syncing", "legacy: there is no work, for whatever reason", "ask again; mining_createAuxBlock says why"},
		{codeUnavailable, "unavailable", "the node cannot answer now", "ask again; the node's log and node_health say more"},
		{codeRateLimited, "rate-limited", "this client asks too often", "ask less often, or raise rpc.rate"},
		{codeTooLarge, "too-large", "the body, the batch or the answer is too large", "ask for less"},
		{codeNotFound, "not-found", "what was asked for is not there", "nothing: it may come to be"},
		{codeForeignPage, "foreign-page", "the request came from a web page", "use a program"},
		{codeNotSynced, "not-synced", "the node is not level with the sidechain and Bitcoin, or the peg is halted", "ask again later; data.missing says what it waits for"},
	}
	for _, r := range auxpow.Rejects() {
		kinds = append(kinds, ErrorKind{rejectCode(r), string(r), rejectKinds[r][0], rejectKinds[r][1]})
	}
	return kinds
}

// errorKind returns the row of a code.
func errorKind(code int) ErrorKind {
	for _, k := range ErrorKinds() {
		if k.Code == code {
			return k
		}
	}
	return ErrorKind{Code: code, Name: "unknown"}
}

// rejectCode is the code of a refused proof.
func rejectCode(check auxpow.Reject) int {
	return firstReject - slices.Index(auxpow.Rejects(), check)
}

// rejectCodes are the codes that a handed-in proof can be refused with.
func rejectCodes() []int {
	var codes []int
	for _, r := range auxpow.Rejects() {
		if r != auxpow.NoWork {
			codes = append(codes, rejectCode(r))
		}
	}
	return codes
}
