package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Engine API error codes, from its specification.
const (
	codeUnknownPayload    = -38001
	codeForkchoiceState   = -38002
	codePayloadAttributes = -38003
	codeTooDeepReorg      = -38006
)

// Status words of [Executed].
const (
	StatusValid   = "VALID"
	StatusInvalid = "INVALID"
)

// Executor runs the call sequences of import, production and finality on a
// client. It is for one goroutine. (consensus.md C11, C12, C15)
type Executor struct {
	api API

	// suspect is set when the client refused a payload for a reason of its
	// own. From then on it may refuse descendants as "previously rejected"
	// without the payload being at fault.
	suspect bool

	// displaced is set while the head is where an execution needed it, not where
	// the last move put it.
	displaced bool
}

// NewExecutor returns an executor on a client.
func NewExecutor(api API) *Executor { return &Executor{api: api} }

// Displaced reports whether executing took the head away from where the last move put
// it: the client lacked the state of a branch's fork point.
func (x *Executor) Displaced() bool { return x.displaced }

// Executed is the verdict on one payload.
type Executed struct {
	BlockHash common.Hash // the payload's block hash
	Number    uint64      // the payload's height
	StateRoot common.Hash // state after the payload; zero when it is invalid
	GasUsed   []uint64    // gas used by each transaction, in order
	Status    string      // StatusValid or StatusInvalid
	Err       string      // the client's reason when invalid

	// LatestValid is the newest valid payload below an invalid one; zero when the
	// client does not say.
	LatestValid common.Hash

	// Requests are the logs of a valid payload whose first topic is that of a
	// peg-out request, in order. (peg.md A7)
	Requests []message.PegLog
}

// GenesisPayload returns block 0 of the chain that begins with a genesis. (consensus.md C3)
func GenesisPayload(genesis *core.Genesis) (block.Payload, error) {
	return FromExecutable(*beacon.BlockToExecutableData(genesis.ToBlock(), nil, nil, nil).ExecutionPayload)
}

// Head returns height and hash of the client's head.
func (x *Executor) Head(ctx context.Context) (number uint64, hash common.Hash, err error) {
	header, err := x.api.HeaderByNumber(ctx, rpc.LatestBlockNumber)
	if err != nil {
		return 0, common.Hash{}, clientError(ctx, err, "read the client's head")
	}
	return header.Number.Uint64(), header.Hash(), nil
}

// Moved is the client's answer to [Executor.Move].
type Moved struct {
	Status      string      // StatusValid or StatusInvalid
	Err         string      // the client's reason when invalid
	LatestValid common.Hash // newest valid payload below an invalid head; zero when the client does not say
}

// Move makes head the client's head, safe and finalized its safe and finalised block. Zero
// for one of these leaves it as it is. With the embedded client the move survives kill -9.
// (consensus.md C10, C11)
//
// The client calling head invalid, or not a descendant of safe and finalized, is an answer
// with StatusInvalid. Errors: CannotJudge when the client does not know one of the blocks or
// cannot tell, Temporary when ctx ended.
func (x *Executor) Move(ctx context.Context, head, safe, finalized common.Hash) (Moved, error) {
	state := beacon.ForkchoiceStateV1{HeadBlockHash: head, SafeBlockHash: safe, FinalizedBlockHash: finalized}
	status, _, err := x.forkchoice(ctx, state, nil)
	switch {
	case fault.Is(err, fault.Invalid):
		return Moved{Status: StatusInvalid, Err: err.Error()}, nil
	case err != nil:
		return Moved{}, err
	case status.Status == beacon.VALID:
		return Moved{Status: StatusValid}, x.sync(ctx)
	}
	moved := Moved{Status: StatusInvalid, Err: "no reason given"}
	if status.ValidationError != nil {
		moved.Err = *status.ValidationError
	}
	if x.clientTrouble(moved.Err) {
		return Moved{}, fault.New(fault.CannotJudge, "make block %s the head: the client could not: %s", head, moved.Err)
	}
	if status.LatestValidHash != nil {
		moved.LatestValid = *status.LatestValidHash
	}
	return moved, nil
}

// SetFinalized makes head the client's head and finalized its finalised and
// safe block. A zero finalized leaves these two as they are. (consensus.md C10)
//
// Errors: Invalid when finalized is not an ancestor of head; CannotJudge when
// the client does not know one of them.
func (x *Executor) SetFinalized(ctx context.Context, head, finalized common.Hash) error {
	_, err := x.setHead(ctx, beacon.ForkchoiceStateV1{HeadBlockHash: head, SafeBlockHash: finalized, FinalizedBlockHash: finalized}, nil)
	return err
}

// Receipts returns the receipts of an executed payload, one per transaction in
// their order. Anything less is CannotJudge: a receipt left out would shift
// fees to other transactions. (consensus.md C15)
func (x *Executor) Receipts(ctx context.Context, p *block.Payload) ([]*types.Receipt, error) {
	if len(p.Transactions) == 0 {
		return nil, nil
	}
	receipts, err := x.api.ReceiptsByHash(ctx, p.BlockHash)
	if err != nil {
		return nil, clientError(ctx, err, fmt.Sprintf("receipts of block %d %s", p.BlockNumber, p.BlockHash))
	}
	if len(receipts) != len(p.Transactions) {
		return nil, fault.New(fault.CannotJudge, "block %d %s has %d transactions, the client has %d receipts",
			p.BlockNumber, p.BlockHash, len(p.Transactions), len(receipts))
	}
	for i, receipt := range receipts {
		if receipt == nil || receipt.TxHash != crypto.Keccak256Hash(p.Transactions[i]) {
			return nil, fault.New(fault.CannotJudge, "block %d %s: receipt %d is missing or of another transaction",
				p.BlockNumber, p.BlockHash, i)
		}
	}
	return receipts, nil
}

// setHead is forkchoice that accepts no answer but VALID.
func (x *Executor) setHead(ctx context.Context, state beacon.ForkchoiceStateV1, attributes *beacon.PayloadAttributes) (*beacon.PayloadID, error) {
	status, id, err := x.forkchoice(ctx, state, attributes)
	if err == nil && status.Status != beacon.VALID {
		err = fault.New(fault.CannotJudge, "make block %s the head: the client answers %s%s", state.HeadBlockHash, status.Status, reason(status))
	}
	return id, err
}

// forkchoice sends a forkchoice update and returns the client's verdict, VALID or INVALID.
func (x *Executor) forkchoice(ctx context.Context, state beacon.ForkchoiceStateV1, attributes *beacon.PayloadAttributes) (beacon.PayloadStatusV1, *beacon.PayloadID, error) {
	what := fmt.Sprintf("make block %s the head", state.HeadBlockHash)
	// go-ethereum looks for an unknown head in the network.
	if _, err := x.api.HeaderByHash(ctx, state.HeadBlockHash); err != nil {
		return beacon.PayloadStatusV1{}, nil, clientError(ctx, err, what)
	}
	response, err := x.api.ForkchoiceUpdatedV2(ctx, state, attributes)
	if err != nil {
		return beacon.PayloadStatusV1{}, nil, x.forkchoiceError(ctx, err, state, what)
	}
	switch status := response.PayloadStatus; status.Status {
	case beacon.VALID, beacon.INVALID:
		x.displaced = x.displaced && status.Status != beacon.VALID
		return status, response.PayloadID, nil
	default:
		return status, nil, fault.New(fault.CannotJudge, "%s: the client answers %s%s", what, status.Status, reason(status))
	}
}

func (x *Executor) forkchoiceError(ctx context.Context, err error, state beacon.ForkchoiceStateV1, what string) error {
	switch errorCode(err) {
	case codeForkchoiceState:
		for _, hash := range []common.Hash{state.FinalizedBlockHash, state.SafeBlockHash} {
			if hash == (common.Hash{}) {
				continue
			}
			if _, readErr := x.api.HeaderByHash(ctx, hash); readErr != nil {
				return clientError(ctx, readErr, what+" with finalised block "+hash.Hex())
			}
		}
		return fault.New(fault.Invalid, "%s: finalised block %s or safe block %s is not among its ancestors", what, state.FinalizedBlockHash, state.SafeBlockHash)
	case codePayloadAttributes:
		return fault.New(fault.Invalid, "%s and build on it: %v%s", what, err, errorData(err))
	case codeTooDeepReorg:
		return fault.New(fault.CannotJudge, "%s: the client limits the depth of reorganisations; start geth with --engine.maxreorgdepth 0", what)
	}
	return clientError(ctx, err, what)
}

// clientError grades an error of the client: what it graded itself stays, a
// context that ended is Temporary, everything else says nothing about the
// blocks asked for.
func clientError(ctx context.Context, err error, what string) error {
	var graded *fault.Error
	switch {
	case errors.As(err, &graded):
		return fault.Wrap(fault.Of(err), err, what)
	case ctx.Err() != nil:
		return fault.Wrap(fault.Temporary, err, what)
	}
	return fault.Wrap(fault.CannotJudge, err, what+": execution client")
}

func errorData(err error) string {
	var detailed rpc.DataError
	if errors.As(err, &detailed) && detailed.ErrorData() != nil {
		return fmt.Sprintf(" %v", detailed.ErrorData())
	}
	return ""
}

func reason(status beacon.PayloadStatusV1) string {
	if status.ValidationError == nil {
		return ""
	}
	return ": " + *status.ValidationError
}

// previouslyRejected is go-ethereum's reason for descendants of a block it
// refused earlier, whatever it refused that for.
const previouslyRejected = "links to previously rejected block"

// clientTroubles are parts of reasons by which clients call a payload INVALID
// although the fault is theirs: stopping, missing state, disk or database.
var clientTroubles = []string{
	"insertion is interrupted",
	"blockchain is stopped",
	"missing trie node",
	"unknown ancestor",
	"pruned ancestor",
	"block in the future",
	"context canceled",
	"deadline exceeded",
	"database",
	"pebble",
	"leveldb",
	"no space left",
	"input/output error",
	"too many open files",
	"file already closed",
}

// clientTrouble reports whether an INVALID verdict rests on the client's own
// trouble and must not be taken for one about the payload.
func (x *Executor) clientTrouble(reason string) bool {
	for _, part := range clientTroubles {
		if strings.Contains(reason, part) {
			x.suspect = true
			return true
		}
	}
	return x.suspect && strings.Contains(reason, previouslyRejected)
}
