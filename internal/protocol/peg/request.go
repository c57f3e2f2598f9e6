package peg

import (
	"encoding/binary"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MinPegOut is the smallest peg-out that is paid, in satoshi, unless the chain spec says
// otherwise. Less stays burned. (peg.md A1)
const MinPegOut = 1_000_000

const (
	// weiPerSatoshi converts between the chains' units. (peg.md A5)
	weiPerSatoshi = 10_000_000_000
	// maxDestination bounds the text kept of a destination, in bytes: the longest
	// bech32 text. (BIP 173)
	maxDestination = 90
)

// BridgeAddress is where the bridge contract stands from genesis on. (peg.md A1)
var BridgeAddress = common.HexToAddress("0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB")

// RequestTopic is the first topic of the bridge's event
// RequestPegOut(address,bytes,uint256). (peg.md A1)
var RequestTopic = common.HexToHash("0xaa1c6070bc915de33c0fbc36ecf77b1e4fc1ebce832b2da62b6fe25f5a7dd5b0")

// The reasons a request is never paid; what it burned stays burned. (peg.md A7)
const (
	IgnoredBelowMinimum = "below the least amount that is paid"
	IgnoredDestination  = "the destination is no Bitcoin address"
	IgnoredIndirect     = "the bridge was not called by the transaction itself"
	IgnoredOverflow     = "more satoshi than 64 bits hold"
)

// Receipt is what the peg reads of an execution layer's receipt. Whether the
// transaction succeeded is not part of the rule. (peg.md A7)
type Receipt struct {
	To   *common.Address // nil for the creation of a contract
	Logs []Log
}

// Log is what legacy reads of a receipt's log. Its emitter is not part of the rule.
type Log struct {
	Topics []common.Hash
	Data   []byte
}

// Output is one output a peg-out proposal must pay.
type Output struct {
	Amount uint64 // satoshi
	Script []byte
}

// RequestLog is one log with what the rules read of its receipt. Whether the transaction
// succeeded is not part of the rule: a failed one has no logs. (peg.md A7)
type RequestLog struct {
	Transaction common.Hash // of the execution layer
	Index       uint32      // of the log in its block
	HasTo       bool        // the transaction calls; it creates no contract
	To          common.Address
	Emitter     common.Address // the contract that logged
	Topics      []common.Hash
	Data        []byte
}

// Request is a peg-out asked for by a log. It is paid unless Ignored has a reason.
type Request struct {
	Transaction common.Hash
	Log         uint32
	Account     common.Address // that asked, as the log says
	Amount      uint64         // satoshi; zero when 64 bits do not hold them
	Dust        uint64         // wei below a satoshi; they stay burned
	Script      []byte         // of the destination; empty when it is none
	Destination string         // as it stands in the log, valid UTF-8 of at most 90 bytes
	Ignored     string         // one of the Ignored constants, or empty
}

// Requests reads the logs of a payload, in the order of transactions and logs. Logs that
// ask for nothing are left out; logs that burned and are not paid come with the reason.
//
// Before the activation of strict peg-outs the rule is legacy's: whoever emitted the log,
// it counts if the transaction calls the bridge itself or creates a contract, and what a
// contract in between had burned is ignored. From it on, it counts if the bridge emitted
// it, whatever was called. The least amount is in satoshi. (peg.md A7; consensus.md C7)
//
// Legacy aborts its process on a request of more satoshi than 64 bits hold. Without
// strict the error for it is graded Invalid, and the requests are complete beside it; with
// strict such a request is ignored.
func Requests(logs []RequestLog, strict bool, least uint64) ([]Request, error) {
	var requests []Request
	var overflow error
	for i := range logs {
		l := &logs[i]
		destination, wei, ok := decodeRequest(l.Topics, l.Data)
		burned := l.Emitter == BridgeAddress
		direct := !l.HasTo || l.To == BridgeAddress
		if !ok || !burned && (strict || !direct) {
			continue
		}
		r := Request{Transaction: l.Transaction, Log: l.Index, Account: common.BytesToAddress(l.Topics[1][:]), Destination: legible(destination)}
		fits := r.amount(wei)
		r.Script, ok = readDestination(destination)
		switch {
		case !fits:
			r.Ignored = IgnoredOverflow
			if !strict && direct && overflow == nil {
				overflow = fault.New(fault.Invalid, "transaction %s, log %d: peg-out of more satoshi than 64 bits hold; refuse the block that holds it", l.Transaction, l.Index)
			}
		case !strict && !direct:
			r.Ignored = IgnoredIndirect
		case r.Amount < least:
			r.Ignored = IgnoredBelowMinimum
		case !ok:
			r.Ignored = IgnoredDestination
		}
		requests = append(requests, r)
	}
	return requests, overflow
}

// Outputs returns what the requests that are paid require, in their order.
func Outputs(requests []Request) []Output {
	var outputs []Output
	for i := range requests {
		if r := &requests[i]; r.Ignored == "" {
			outputs = append(outputs, Output{r.Amount, r.Script})
		}
	}
	return outputs
}

// amount converts to satoshi. It is false when 64 bits do not hold them.
func (r *Request) amount(wei *big.Int) bool {
	sats, rest := new(big.Int).DivMod(wei, big.NewInt(weiPerSatoshi), new(big.Int))
	r.Dust = rest.Uint64()
	if !sats.IsUint64() {
		return false
	}
	r.Amount = sats.Uint64()
	return true
}

// PegOuts returns the outputs that the receipts of a payload require by legacy's rule,
// in the order of the transactions and their logs: equal destinations are not merged. A
// log that is no request, a request below [MinPegOut] and one whose destination is no
// Bitcoin address are left out; the coins stay burned. (peg.md A7; consensus.md C7)
//
// Receipts of other contracts are skipped, those of contract creations are not, and
// anything may be the emitter of a log: defects of legacy that history needs.
//
// Legacy aborts its process on a request of more satoshi than 64 bits hold. The
// error for it is graded Invalid.
func PegOuts(receipts []Receipt) ([]Output, error) {
	var logs []RequestLog
	for i := range receipts {
		r := &receipts[i]
		to := common.Address{}
		if r.To != nil {
			to = *r.To
		}
		for k := range r.Logs {
			logs = append(logs, RequestLog{
				Transaction: common.BigToHash(big.NewInt(int64(i))), Index: uint32(k), HasTo: r.To != nil, To: to,
				Topics: r.Logs[k].Topics, Data: r.Logs[k].Data,
			})
		}
	}
	requests, err := Requests(logs, false, MinPegOut)
	if err != nil {
		return nil, err
	}
	return Outputs(requests), nil
}

// readDestination reads the bytes a user named as the address's text.
func readDestination(destination []byte) ([]byte, bool) {
	if !utf8.Valid(destination) {
		return nil, false
	}
	return ParseAddress(string(destination))
}

// legible is the start of a destination as text.
func legible(destination []byte) string {
	text := strings.ToValidUTF8(string(destination[:min(len(destination), maxDestination)]), "�")
	for len(text) > maxDestination {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// abiWord is the unit of the contract encoding, in bytes.
const abiWord = 32

// decodeRequest decodes the log of a RequestPegOut: two topics, and as data a dynamic
// byte string and an amount. What follows the byte string, padding too, is not
// looked at. (peg.md A7)
func decodeRequest(topics []common.Hash, data []byte) (destination []byte, wei *big.Int, ok bool) {
	if len(topics) != 2 || topics[0] != RequestTopic || len(data) < 2*abiWord {
		return nil, nil, false
	}
	wei = new(big.Int).SetBytes(data[abiWord : 2*abiWord])
	offset, ok := abiLength(data)
	if !ok {
		return nil, nil, false
	}
	tail := data[offset:]
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
