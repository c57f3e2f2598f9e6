package peg

import (
	"encoding/binary"
	"math/big"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MinPegOut is the smallest peg-out that is paid, in satoshi. Less stays burned.
// (peg.md A1)
const MinPegOut = 1_000_000

// weiPerSatoshi converts between the chains' units. (peg.md A5)
const weiPerSatoshi = 10_000_000_000

// BridgeAddress is where the bridge contract stands from genesis on. (peg.md A1)
var BridgeAddress = common.HexToAddress("0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB")

// RequestTopic is the first topic of the bridge's event
// RequestPegOut(address,bytes,uint256). (peg.md A1)
var RequestTopic = common.HexToHash("0xaa1c6070bc915de33c0fbc36ecf77b1e4fc1ebce832b2da62b6fe25f5a7dd5b0")

// Receipt is what the peg reads of an execution layer's receipt. Whether the
// transaction succeeded is not part of the rule. (peg.md A7)
type Receipt struct {
	To   *common.Address // nil for the creation of a contract
	Logs []Log
}

// Log is what the peg reads of a receipt's log. Its emitter is not part of the rule.
type Log struct {
	Topics []common.Hash
	Data   []byte
}

// Output is one output a peg-out proposal must pay.
type Output struct {
	Amount uint64 // satoshi
	Script []byte
}

// PegOuts returns the outputs that the receipts of a payload require, in the order
// of the transactions and their logs: equal destinations are not merged. A log that
// is no request, a request below [MinPegOut] and one whose destination is no Bitcoin
// address are left out; the coins stay burned. (peg.md A7; consensus.md C7)
//
// Receipts of other contracts are skipped, those of contract creations are not, and
// anything may be the emitter of a log: defects of legacy that history needs.
//
// Legacy aborts its process on a request of more satoshi than 64 bits hold. The
// error for it is graded Invalid.
func PegOuts(receipts []Receipt) ([]Output, error) {
	var outputs []Output
	for i := range receipts {
		r := &receipts[i]
		if r.To != nil && *r.To != BridgeAddress {
			continue
		}
		for k := range r.Logs {
			destination, wei, ok := r.Logs[k].request()
			if !ok {
				continue
			}
			sats := wei.Div(wei, big.NewInt(weiPerSatoshi))
			if !sats.IsUint64() {
				return nil, fault.New(fault.Invalid, "receipt %d, log %d: peg-out of %s satoshi, above 64 bits; refuse the block that holds it", i, k, sats)
			}
			if sats.Uint64() < MinPegOut || !utf8.Valid(destination) {
				continue
			}
			if script, ok := ParseAddress(string(destination)); ok {
				outputs = append(outputs, Output{sats.Uint64(), script})
			}
		}
	}
	return outputs, nil
}

// abiWord is the unit of the contract encoding, in bytes.
const abiWord = 32

// request decodes the log of a RequestPegOut: two topics, and as data a dynamic
// byte string and an amount. What follows the byte string, padding too, is not
// looked at. (peg.md A7)
func (l *Log) request() (destination []byte, wei *big.Int, ok bool) {
	if len(l.Topics) != 2 || l.Topics[0] != RequestTopic || len(l.Data) < 2*abiWord {
		return nil, nil, false
	}
	wei = new(big.Int).SetBytes(l.Data[abiWord : 2*abiWord])
	offset, ok := abiLength(l.Data)
	if !ok {
		return nil, nil, false
	}
	tail := l.Data[offset:]
	size, ok := abiLength(tail)
	if !ok || size > len(tail)-abiWord {
		return nil, nil, false
	}
	return tail[abiWord : abiWord+size], wei, true
}

// abiLength reads the word at the start of data as a length that is within data.
func abiLength(data []byte) (int, bool) {
	if len(data) < abiWord {
		return 0, false
	}
	for _, b := range data[:abiWord-8] {
		if b != 0 {
			return 0, false
		}
	}
	n := binary.BigEndian.Uint64(data[abiWord-8:])
	return int(n), n <= uint64(len(data))
}
