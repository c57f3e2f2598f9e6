package engine

import (
	"context"
	"encoding/json"
	"math/big"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ForkchoiceUpdatedV2 implements [API]. A client that answers VALID and keeps its head is
// told again after its own head: geth ignores a move to an ancestor until it was told a head
// once since its start. One that keeps it even then, for it has the ancestor finalised, gives
// CannotJudge.
func (e *External) ForkchoiceUpdatedV2(ctx context.Context, state beacon.ForkchoiceStateV1, attributes *beacon.PayloadAttributes) (beacon.ForkChoiceResponse, error) {
	response, err := e.forkchoice(ctx, state, attributes)
	if err != nil || response.PayloadStatus.Status != beacon.VALID || attributes != nil && response.PayloadID != nil {
		return response, err
	}
	head, err := e.HeaderByNumber(ctx, rpc.LatestBlockNumber)
	if err != nil || head.Hash() == state.HeadBlockHash {
		return response, err
	}
	if _, err := e.forkchoice(ctx, beacon.ForkchoiceStateV1{HeadBlockHash: head.Hash()}, nil); err != nil {
		return response, err
	}
	if response, err = e.forkchoice(ctx, state, attributes); err != nil || response.PayloadStatus.Status != beacon.VALID {
		return response, err
	}
	if head, err = e.HeaderByNumber(ctx, rpc.LatestBlockNumber); err != nil || head.Hash() == state.HeadBlockHash {
		return response, err
	}
	return response, fault.New(fault.CannotJudge, "execution client %s answers VALID to head %s and keeps %s at %d, which it has finalised: "+
		"to follow that branch give the client an empty directory (geth removedb, geth init), it is fed from the journal", e.name, state.HeadBlockHash, head.Hash(), head.Number)
}

func (e *External) forkchoice(ctx context.Context, state beacon.ForkchoiceStateV1, attributes *beacon.PayloadAttributes) (response beacon.ForkChoiceResponse, err error) {
	err = e.call(ctx, e.engine, timeoutPayload, &response, "engine_forkchoiceUpdatedV2", state, attributes)
	return response, err
}

// NewPayloadV2 implements [API].
func (e *External) NewPayloadV2(ctx context.Context, payload beacon.ExecutableData) (status beacon.PayloadStatusV1, err error) {
	err = e.call(ctx, e.engine, timeoutPayload, &status, "engine_newPayloadV2", payload)
	return status, err
}

// GetPayloadV2 implements [API].
func (e *External) GetPayloadV2(ctx context.Context, id beacon.PayloadID) (envelope *beacon.ExecutionPayloadEnvelope, err error) {
	err = e.call(ctx, e.engine, timeoutGetPayload, &envelope, "engine_getPayloadV2", id)
	return envelope, err
}

// HeaderByHash implements [API].
func (e *External) HeaderByHash(ctx context.Context, hash common.Hash) (*types.Header, error) {
	var header *types.Header
	if err := e.call(ctx, e.eth, timeoutRead, &header, "eth_getBlockByHash", hash, false); err != nil {
		return nil, err
	}
	return header, e.same(header, hash)
}

// same checks that a header is there and is the one asked for.
func (e *External) same(header *types.Header, hash common.Hash) error {
	if header == nil {
		return notFound("header " + hash.Hex())
	}
	if got := header.Hash(); got != hash {
		return fault.New(fault.CannotJudge, "execution client %s answers block %s when asked for %s", e.name, got, hash)
	}
	return nil
}

// HeaderByNumber implements [API].
func (e *External) HeaderByNumber(ctx context.Context, number rpc.BlockNumber) (*types.Header, error) {
	if number < 0 && number != rpc.LatestBlockNumber && number != rpc.FinalizedBlockNumber {
		return nil, fault.New(fault.Invalid, "block number %s cannot be asked for", number)
	}
	var header *types.Header
	if err := e.call(ctx, e.eth, timeoutRead, &header, "eth_getBlockByNumber", number, false); err != nil {
		if number == rpc.FinalizedBlockNumber && errorCode(err) != 0 {
			return nil, notFound("finalised header") // geth has an error for "none yet"
		}
		return nil, err
	}
	if header == nil {
		return nil, notFound("header " + number.String())
	}
	return header, nil
}

// BlockByHash implements [API].
func (e *External) BlockByHash(ctx context.Context, hash common.Hash) (*types.Block, error) {
	var header *types.Header
	var body struct {
		Transactions []*types.Transaction `json:"transactions"`
		Withdrawals  []*types.Withdrawal  `json:"withdrawals"`
	}
	both := twice{&header, &body}
	if err := e.call(ctx, e.eth, timeoutBlock, &both, "eth_getBlockByHash", hash, true); err != nil {
		return nil, err
	}
	if err := e.same(header, hash); err != nil {
		return nil, err
	}
	hasher := trie.NewStackTrie(nil)
	switch {
	case types.DeriveSha(types.Transactions(body.Transactions), hasher) != header.TxHash:
		return nil, fault.New(fault.CannotJudge, "execution client %s answers block %s with other transactions", e.name, hash)
	case header.WithdrawalsHash != nil && types.DeriveSha(types.Withdrawals(body.Withdrawals), hasher) != *header.WithdrawalsHash:
		return nil, fault.New(fault.CannotJudge, "execution client %s answers block %s with other withdrawals", e.name, hash)
	}
	return types.NewBlockWithHeader(header).WithBody(types.Body{Transactions: body.Transactions, Withdrawals: body.Withdrawals}), nil
}

// ReceiptsByHash implements [API].
func (e *External) ReceiptsByHash(ctx context.Context, hash common.Hash) (receipts []*types.Receipt, err error) {
	if err := e.call(ctx, e.eth, timeoutReceipts, &receipts, "eth_getBlockReceipts", hash); err != nil {
		return nil, err
	}
	if receipts == nil {
		return nil, notFound("receipts of block " + hash.Hex())
	}
	return receipts, nil
}

// HasState implements [API]. A client that keeps old states apart may answer true for one
// that it does not execute on; [Executor.Execute] finds out.
func (e *External) HasState(ctx context.Context, hash common.Hash) (bool, error) {
	if _, err := e.HeaderByHash(ctx, hash); err != nil {
		return false, ignoreNotFound(err)
	}
	_, err := e.Balance(ctx, common.Address{}, hash)
	if errorCode(err) != 0 {
		return false, nil // the client's way to say that the state is gone
	}
	return err == nil, err
}

// Balance returns an account's balance in wei after the block with this hash.
func (e *External) Balance(ctx context.Context, account common.Address, block common.Hash) (*big.Int, error) {
	var balance hexutil.Big
	err := e.call(ctx, e.eth, timeoutRead, &balance, "eth_getBalance", account, rpc.BlockNumberOrHashWithHash(block, false))
	return balance.ToInt(), err
}

// twice decodes one JSON value into several places.
type twice []any

// UnmarshalJSON implements json.Unmarshaler.
func (t *twice) UnmarshalJSON(data []byte) error {
	for _, place := range *t {
		if err := json.Unmarshal(data, place); err != nil {
			return err
		}
	}
	return nil
}
