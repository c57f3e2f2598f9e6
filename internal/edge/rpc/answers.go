package rpc

import "encoding/json"

// blockResult is a block as chain_* methods show it.
type blockResult struct {
	Height       uint64          `json:"height" doc:"height"`
	Hash         string          `json:"hash" doc:"hash of the block: its signing root"`
	ParentHash   string          `json:"parentHash" doc:"hash of the block before"`
	PayloadHash  string          `json:"payloadHash" doc:"hash of the execution payload"`
	Status       string          `json:"status" doc:"finalised, connected (on the head's branch) or side"`
	Slot         uint64          `json:"slot" doc:"slot"`
	Timestamp    uint64          `json:"timestamp" doc:"Unix seconds"`
	Transactions int             `json:"transactions" doc:"number of transactions"`
	Approvals    int             `json:"approvals" doc:"number of members whose approval is in the signature"`
	Carrier      *carrierResult  `json:"carrier" doc:"the range that the block finalises; null unless it carries a proof"`
	Block        json.RawMessage `json:"block,omitempty" doc:"the signed block in the form of getheadblock, if asked for"`
}

// carrierResult is the range that a block with a proof finalises.
type carrierResult struct {
	RangeStart   string `json:"rangeStart" doc:"first block"`
	RangeEnd     string `json:"rangeEnd" doc:"last block"`
	Bits         string `json:"bits" doc:"compact target as claimed, hex"`
	Height       uint64 `json:"height" doc:"aux height; 0 in genesis"`
	FeeRecipient string `json:"feeRecipient" doc:"account that got the miner's part of the fees"`
}

// workResult is work to solve.
type workResult struct {
	Hash          string `json:"hash" doc:"commitment to put into the merge-mining tree, internal byte order"`
	ChainID       uint32 `json:"chainId" doc:"chain id, which gives the place in that tree"`
	Bits          string `json:"bits" doc:"compact target, hex"`
	Target        string `json:"target" doc:"target, most significant byte first"`
	Height        uint64 `json:"height" doc:"aux height"`
	PreviousBlock string `json:"previousBlock" doc:"hash of the latest block with work"`
	RangeStart    string `json:"rangeStart" doc:"first block of the range"`
	RangeEnd      string `json:"rangeEnd" doc:"last block of the range"`
}

// submitResult says that a proof is queued.
type submitResult struct {
	Accepted     bool   `json:"accepted" doc:"true; a refusal is an error"`
	RangeStart   string `json:"rangeStart" doc:"first block of the range"`
	RangeEnd     string `json:"rangeEnd" doc:"last block of the range"`
	FeeRecipient string `json:"feeRecipient,omitempty" doc:"account that will get the fees, when the client named or asked for one"`
}

// verifyResult is the verdict of a dry run.
type verifyResult struct {
	Valid      bool   `json:"valid" doc:"whether every check held"`
	Check      string `json:"check,omitempty" doc:"the first check that failed, by the names of the errors"`
	Code       int    `json:"code,omitempty" doc:"the error that mining_submitAuxBlock would answer"`
	Reason     string `json:"reason,omitempty" doc:"what was found"`
	Commitment string `json:"commitment" doc:"what the proof was judged against, internal byte order"`
	ChainID    uint32 `json:"chainId" doc:"likewise"`
	Bits       string `json:"bits" doc:"likewise"`
	ParentHash string `json:"parentHash,omitempty" doc:"hash of the parent block, display order"`
}

// miningResult is what miners work on.
type miningResult struct {
	Work   []openWork      `json:"work" doc:"oldest first"`
	Queued json.RawMessage `json:"queued" doc:"the AuxPoW header that waits to be carried, in the form of getqueuedpow, or null"`
}

// openWork is work that was handed out.
type openWork struct {
	Hash       string `json:"hash" doc:"commitment, internal byte order"`
	ChainID    uint32 `json:"chainId" doc:"chain id"`
	Height     uint64 `json:"height" doc:"aux height"`
	RangeStart string `json:"rangeStart" doc:"first block of the range"`
	RangeEnd   string `json:"rangeEnd" doc:"last block of the range"`
	Bits       string `json:"bits,omitempty" doc:"compact target when it was handed out, hex"`
	Current    bool   `json:"current" doc:"whether it is what a request for work would get now, as far as is known without a turn"`
}

// JournalHead is the position of the journal.
type JournalHead struct {
	Journal  string `json:"journal" doc:"identity of the journal"`
	Sequence uint64 `json:"sequence" doc:"sequence of the newest event on disk"`
	Hash     string `json:"hash" doc:"chain hash there"`
	Indexed  uint64 `json:"indexed" doc:"last event that journal_find finds by the index"`
}

// EventQuery says which events are wanted; the zero values are no conditions.
type EventQuery struct {
	Height      *uint64 `json:"height,omitempty" doc:"events that tell of a block at this height"`
	Block       string  `json:"block,omitempty" doc:"events that tell of the block with this hash, or this payload hash"`
	Transaction string  `json:"transaction,omitempty" doc:"the event that connects the block with this transaction"`
	Actor       string  `json:"actor,omitempty" doc:"turns of this actor"`
	Type        string  `json:"type,omitempty" doc:"events whose message or one of whose outputs has this type"`
	Fact        string  `json:"fact,omitempty" doc:"events that state a fact of this type"`
	From        uint64  `json:"from,omitempty" doc:"first sequence"`
	To          uint64  `json:"to,omitempty" doc:"last sequence"`
	Reverse     bool    `json:"reverse,omitempty" doc:"newest first"`
	Cursor      string  `json:"cursor,omitempty" doc:"go on where another answer to the same query ended"`
	Limit       int     `json:"limit,omitempty" doc:"most events, 1 to 100; 20 unless given"`
}

// EventPage is a part of what a query finds.
type EventPage struct {
	Events []json.RawMessage `json:"events" doc:"events as journal_event shows them"`
	Cursor string            `json:"cursor,omitempty" doc:"where to go on; absent at the end"`
}

// Health says whether the node can do its work.
type Health struct {
	Ready    bool            `json:"ready" doc:"whether the node can do its work"`
	Reasons  []HealthProblem `json:"reasons" doc:"why it cannot"`
	Warnings []HealthProblem `json:"warnings" doc:"what needs attention"`
}

// HealthProblem is one problem of now.
type HealthProblem struct {
	Code  string `json:"code" doc:"stable name"`
	Text  string `json:"text" doc:"what is wrong"`
	Do    string `json:"do" doc:"what the operator can do"`
	Since string `json:"since" doc:"since when, RFC 3339"`
}
