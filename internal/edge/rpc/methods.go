package rpc

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/AnduroProject/alys-go/projections/peers"
)

// method is one row of the table that answers, and that rpc.discover and the page
// docs/formats/rpc.md are made from.
type method struct {
	name    string
	summary string
	params  any    // a struct: its fields are the parameters, in order
	result  any    // a value of the result's type
	errors  []int  // codes beside those every method can answer with
	example string // parameters, as JSON
	call    func(s *Server, ctx context.Context, c call) (any, error)
}

// call is one call of a method.
type call struct {
	client string
	params any // a pointer to a struct of the method's params type
}

// methods returns the table, in the order of the page.
func methods() []method {
	return slices.Concat(chainMethods(), pegMethods(), nodeMethods())
}

func chainMethods() []method {
	blockErrors := []int{codeNotFound, codeUnavailable}
	return []method{
		{
			name: "chain_head", summary: "The head of the chain.",
			params: headParams{}, result: blockResult{}, errors: blockErrors, example: `{}`,
			call: (*Server).chainHead,
		},
		{
			name: "chain_finalized", summary: "The last block that is final by merge-mined work.",
			params: headParams{}, result: blockResult{}, errors: blockErrors, example: `{}`,
			call: (*Server).chainFinalized,
		},
		{
			name: "chain_blockByHeight", summary: "The block of the head's branch at a height.",
			params: heightParams{}, result: blockResult{}, errors: blockErrors, example: `[1]`,
			call: (*Server).chainBlockByHeight,
		},
		{
			name: "chain_blockByHash", summary: "A block by its hash, on the head's branch or beside it.",
			params: hashParams{}, result: blockResult{}, errors: blockErrors,
			example: `["0x369d18f072dc2a4d7731b046831963ae8a10bf6ef63642ef0a71ae647c0dbae2"]`,
			call:    (*Server).chainBlockByHash,
		},
		{
			name: "mining_createAuxBlock", summary: "Work over all blocks after the finalised one. It is the same for everybody until the head moves; the fees of the range go to feeRecipient.",
			params: createParams{}, result: workResult{}, errors: []int{rejectCode("no-work"), codeUnavailable},
			example: `["0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"]`,
			call:    (*Server).miningCreateAuxBlock,
		},
		{
			name: "mining_submitAuxBlock", summary: "Hands a proof in. It is accepted when it is queued to be carried by a block; otherwise the error names the check that failed.",
			params: submitParams{}, result: submitResult{}, errors: append(rejectCodes(), codeUnavailable),
			example: `["54a0b5b5e8809ff279162401d0eee69d2dccf4af16d62ecb0f732c0190d66777","` + exampleProof + `"]`,
			call:    (*Server).miningSubmitAuxBlock,
		},
		{
			name: "mining_verifyAuxPow", summary: "Judges a proof and changes nothing: against work that was handed out, or against a commitment, or a range of blocks, with chain id and bits.",
			params: verifyParams{}, result: verifyResult{}, errors: []int{codeNotFound, codeUnavailable},
			example: `{"auxpow":"` + exampleProof + `","commitment":"54a0b5b5e8809ff279162401d0eee69d2dccf4af16d62ecb0f732c0190d66777","chainId":262145,"bits":"2100ffff"}`,
			call:    (*Server).miningVerifyAuxPow,
		},
		{
			name: "mining_work", summary: "The work that was handed out and can still be solved, and the proof that waits to be carried.",
			params: noParams{}, result: miningResult{}, errors: []int{codeUnavailable}, example: `[]`,
			call: (*Server).miningWork,
		},
	}
}

func nodeMethods() []method {
	return []method{
		{
			name: "journal_head", summary: "The newest event of the journal that is on disk.",
			params: noParams{}, result: JournalHead{}, errors: []int{codeUnavailable}, example: `[]`,
			call: (*Server).journalHead,
		},
		{
			name: "journal_event", summary: "One event of the journal, as alys journal cat --json shows it.",
			params: eventParams{}, result: json.RawMessage(nil), errors: []int{codeNotFound, codeTooLarge, codeUnavailable}, example: `[1]`,
			call: (*Server).journalEvent,
		},
		{
			name: "journal_find", summary: "Events by what is in them. All conditions given are met; at most limit events, and a cursor when there may be more.",
			params: EventQuery{}, result: EventPage{}, errors: []int{codeTooLarge, codeUnavailable}, example: `{"height":91,"limit":10}`,
			call: (*Server).journalFind,
		},
		{
			name: "node_status", summary: "What alys status --json shows.",
			params: noParams{}, result: json.RawMessage(nil), errors: []int{codeUnavailable}, example: `[]`,
			call: (*Server).nodeStatus,
		},
		{
			name: "node_health", summary: "Whether the node can do its work, and what is in the way.",
			params: noParams{}, result: Health{}, errors: []int{codeUnavailable}, example: `[]`,
			call: (*Server).nodeHealth,
		},
		{
			name: "node_peers", summary: "Peers with their scores, members first: the connected ones, or with those that were met before.",
			params: peers.Query{}, result: peers.List{}, errors: []int{codeUnavailable}, example: `{"connected":true,"limit":1}`,
			call: (*Server).nodePeers,
		},
		{
			name: "node_bans", summary: "Bans of peers and addresses that are in force.",
			params: noParams{}, result: peers.Bans{}, errors: []int{codeUnavailable}, example: `[]`,
			call: (*Server).nodeBans,
		},
		{
			name: "rpc.discover", summary: "This description, as OpenRPC.",
			params: noParams{}, result: json.RawMessage(nil), example: `[]`,
			call: (*Server).discover,
		},
	}
}

// table is methods by name.
var table = func() map[string]method {
	t := map[string]method{}
	for _, m := range methods() {
		t[m.name] = m
	}
	return t
}()

// Methods returns the names of our methods, those beside legacy's seven.
func Methods() (names []string) {
	for _, m := range methods() {
		names = append(names, m.name)
	}
	return names
}

// Parameters. A field without omitempty is required; doc says what it is.

type noParams struct{}

type headParams struct {
	Full bool `json:"full,omitempty" doc:"with the whole signed block"`
}

type heightParams struct {
	Height uint64 `json:"height" doc:"height"`
	Full   bool   `json:"full,omitempty" doc:"with the whole signed block"`
}

type hashParams struct {
	Hash string `json:"hash" doc:"hash of the block, 64 hex digits, 0x optional"`
	Full bool   `json:"full,omitempty" doc:"with the whole signed block"`
}

type createParams struct {
	FeeRecipient string `json:"feeRecipient" doc:"account that gets the miner's part of the fees, 40 hex digits, 0x optional"`
}

type submitParams struct {
	Hash         string `json:"hash" doc:"hash of the work, as mining_createAuxBlock gave it"`
	AuxPow       string `json:"auxpow" doc:"proof in the Namecoin layout, hex"`
	FeeRecipient string `json:"feeRecipient,omitempty" doc:"account that gets the miner's part of the fees; the one this client asked work for, unless given"`
}

type verifyParams struct {
	AuxPow     string `json:"auxpow" doc:"proof in the Namecoin layout, hex"`
	Hash       string `json:"hash,omitempty" doc:"hash of work that was handed out; chain id and bits are its own"`
	Commitment string `json:"commitment,omitempty" doc:"commitment in internal byte order, instead of hash"`
	RangeStart string `json:"rangeStart,omitempty" doc:"first block of a range, instead of hash or commitment"`
	RangeEnd   string `json:"rangeEnd,omitempty" doc:"last block of that range, at most 1024 blocks later"`
	ChainID    uint32 `json:"chainId,omitempty" doc:"chain id; that of the node's work, unless given"`
	Bits       string `json:"bits,omitempty" doc:"compact target, hex; that of the work, unless given"`
}

type eventParams struct {
	Sequence uint64 `json:"sequence" doc:"sequence of the event, from 1"`
}

// paramsOf makes an empty set of a method's parameters.
func (m *method) paramsOf() any { return reflect.New(reflect.TypeOf(m.params)).Interface() }
