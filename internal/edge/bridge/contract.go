// Package bridge speaks to the bridge contract: it encodes calls, decodes what the
// contract logs and returns, and makes the transaction of a user who pegs out.
//
//	order, err := bridge.NewOrder("bcrt1q...", 5_000_000, bridge.Policy{Network: &chaincfg.RegressionNetParams})
//	tx, err := bridge.Prepare(ctx, client, key, order)
//	err = client.SendTransaction(ctx, tx)
//
// The contract checks nothing: whatever it is sent is burned, and what the members do not
// pay stays burned, without a refund. So [NewOrder] refuses what they would not pay. What
// the contract does is in docs/formats/bridge-contract.md.
package bridge

import (
	"bytes"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// ABIJSON is the contract's interface, in the form that wallets and libraries take.
const ABIJSON = `[
  {"type":"function","name":"requestPegOut","stateMutability":"payable","inputs":[{"name":"bitcoinAddress","type":"bytes"}],"outputs":[]},
  {"type":"function","name":"BURN_ADDRESS","stateMutability":"view","inputs":[],"outputs":[{"name":"","type":"address"}]},
  {"type":"event","name":"RequestPegOut","anonymous":false,"inputs":[{"name":"evmAddress","type":"address","indexed":true},{"name":"bitcoinAddress","type":"bytes","indexed":false},{"name":"value","type":"uint256","indexed":false}]},
  {"type":"fallback","stateMutability":"payable"},
  {"type":"receive","stateMutability":"payable"}
]`

// Address is where the contract stands. (peg.md A1)
var Address = peg.BridgeAddress

// BurnAddress is where the contract sends what it is given. (peg.md A1)
var BurnAddress = common.HexToAddress("0x000000000000000000000000000000000000dEaD")

var contract = must(abi.JSON(strings.NewReader(ABIJSON)))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// PackRequestPegOut encodes a call of requestPegOut: a peg-out to the address that
// destination spells.
func PackRequestPegOut(destination []byte) []byte {
	return must(contract.Pack("requestPegOut", destination))
}

// UnpackRequestPegOut decodes the data of such a call.
func UnpackRequestPegOut(data []byte) (destination []byte, err error) {
	method := contract.Methods["requestPegOut"]
	if !bytes.HasPrefix(data, method.ID) {
		return nil, fault.New(fault.Invalid, "%d bytes of call data that do not begin with the selector %x of requestPegOut", len(data), method.ID)
	}
	values, err := method.Inputs.Unpack(data[len(method.ID):])
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "call data of requestPegOut")
	}
	return values[0].([]byte), nil
}

// PackBurnAddress encodes a call of BURN_ADDRESS.
func PackBurnAddress() []byte { return must(contract.Pack("BURN_ADDRESS")) }

// UnpackBurnAddress decodes what BURN_ADDRESS returned.
func UnpackBurnAddress(result []byte) (common.Address, error) {
	values, err := contract.Unpack("BURN_ADDRESS", result)
	if err != nil {
		return common.Address{}, fault.Wrap(fault.Invalid, err, "result of BURN_ADDRESS")
	}
	return values[0].(common.Address), nil
}

// RequestPegOut is the contract's event: a peg-out that was asked for.
type RequestPegOut struct {
	Account     common.Address // who called the contract
	Destination []byte         // as given; the contract does not look at it
	Value       *big.Int       // wei burned
}

// ParseRequestPegOut decodes a log of the contract.
func ParseRequestPegOut(log *types.Log) (RequestPegOut, error) {
	event := contract.Events["RequestPegOut"]
	if log.Address != Address || len(log.Topics) != 2 || log.Topics[0] != event.ID {
		return RequestPegOut{}, fault.New(fault.Invalid, "log %d of transaction %s is no RequestPegOut of the bridge contract", log.Index, log.TxHash)
	}
	values, err := event.Inputs.NonIndexed().Unpack(log.Data)
	if err != nil {
		return RequestPegOut{}, fault.Wrap(fault.Invalid, err, "data of RequestPegOut in transaction "+log.TxHash.Hex())
	}
	return RequestPegOut{
		Account:     common.BytesToAddress(log.Topics[1][:]),
		Destination: values[0].([]byte),
		Value:       values[1].(*big.Int),
	}, nil
}
