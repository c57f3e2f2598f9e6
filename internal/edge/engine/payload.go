package engine

import (
	"math/big"

	beacon "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ToExecutable converts a payload to the Engine API's type. Lists are never
// nil, as Capella demands a withdrawals member even when it is empty; a nil
// base fee becomes zero. The result shares no memory with p except the byte
// strings. (Engine API, ExecutionPayloadV2)
func ToExecutable(p *block.Payload) beacon.ExecutableData {
	data := beacon.ExecutableData{
		ParentHash:    p.ParentHash,
		FeeRecipient:  p.FeeRecipient,
		StateRoot:     p.StateRoot,
		ReceiptsRoot:  p.ReceiptsRoot,
		LogsBloom:     append([]byte(nil), p.LogsBloom[:]...),
		Random:        p.PrevRandao,
		Number:        p.BlockNumber,
		GasLimit:      p.GasLimit,
		GasUsed:       p.GasUsed,
		Timestamp:     p.Timestamp,
		ExtraData:     p.ExtraData,
		BaseFeePerGas: new(big.Int),
		BlockHash:     p.BlockHash,
		Transactions:  make([][]byte, len(p.Transactions)),
		Withdrawals:   toWithdrawals(p.Withdrawals),
	}
	if data.ExtraData == nil {
		data.ExtraData = []byte{}
	}
	if p.BaseFeePerGas != nil {
		data.BaseFeePerGas.Set(p.BaseFeePerGas)
	}
	copy(data.Transactions, p.Transactions)
	return data
}

// FromExecutable converts an Engine API payload to ours. It refuses, with an
// Invalid error, what a Capella payload cannot hold: a missing withdrawals
// list, blob gas, an access list, a slot number, a bloom that is not 256 bytes
// or a base fee that is negative or wider than 256 bits.
func FromExecutable(data beacon.ExecutableData) (block.Payload, error) {
	invalid := func(what string) (block.Payload, error) {
		return block.Payload{}, fault.New(fault.Invalid, "execution payload %d %s: %s; the client must run the Capella fork",
			data.Number, data.BlockHash, what)
	}
	switch {
	case data.Withdrawals == nil:
		return invalid("no withdrawals list")
	case data.BlobGasUsed != nil || data.ExcessBlobGas != nil:
		return invalid("blob gas present")
	case data.SlotNumber != nil || data.BlockAccessList != nil:
		return invalid("member of a later fork present")
	case len(data.LogsBloom) != types.BloomByteLength:
		return invalid("logs bloom is not 256 bytes")
	case data.BaseFeePerGas == nil || data.BaseFeePerGas.Sign() < 0 || data.BaseFeePerGas.BitLen() > 256:
		return invalid("base fee missing or outside 256 bits")
	}
	p := block.Payload{
		ParentHash:    data.ParentHash,
		FeeRecipient:  data.FeeRecipient,
		StateRoot:     data.StateRoot,
		ReceiptsRoot:  data.ReceiptsRoot,
		LogsBloom:     [256]byte(data.LogsBloom),
		PrevRandao:    data.Random,
		BlockNumber:   data.Number,
		GasLimit:      data.GasLimit,
		GasUsed:       data.GasUsed,
		Timestamp:     data.Timestamp,
		ExtraData:     append([]byte{}, data.ExtraData...),
		BaseFeePerGas: new(big.Int).Set(data.BaseFeePerGas),
		BlockHash:     data.BlockHash,
		Transactions:  make([][]byte, len(data.Transactions)),
		Withdrawals:   make([]block.Withdrawal, len(data.Withdrawals)),
	}
	copy(p.Transactions, data.Transactions)
	for i, w := range data.Withdrawals {
		if w == nil {
			return invalid("null withdrawal")
		}
		p.Withdrawals[i] = block.Withdrawal{Index: w.Index, ValidatorIndex: w.Validator, Address: w.Address, Amount: w.Amount}
	}
	return p, nil
}

func toWithdrawals(list []block.Withdrawal) []*types.Withdrawal {
	out := make([]*types.Withdrawal, len(list))
	for i, w := range list {
		out[i] = &types.Withdrawal{Index: w.Index, Validator: w.ValidatorIndex, Address: w.Address, Amount: w.Amount}
	}
	return out
}
