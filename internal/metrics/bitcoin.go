package metrics

import (
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// bitcoinMethods are the calls made to a Bitcoin node.
var bitcoinMethods = []string{
	"getblockchaininfo", "getnetworkinfo", "getindexinfo", "getinfo", "getblockhash", "getblockheader", "getblock",
	"getrawtransaction", "sendrawtransaction", "estimatesmartfee",
}

func (s *Set) registerBitcoin() {
	method := label{"method", bitcoinMethods}
	result := label{"result", []string{success}}
	for _, g := range []fault.Grade{fault.Temporary, fault.CannotJudge, fault.Invalid} {
		result.values = append(result.values, gradeValue(g))
	}
	s.own.bitcoinCalls = s.newCounter("bitcoin_calls_total", "Calls to the Bitcoin node.", method, result)
	s.own.bitcoinSeconds = s.newHistogram("bitcoin_call_seconds", "Time of a call to the Bitcoin node.",
		[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}, method)
	for _, m := range bitcoinMethods { // the pairs that happen
		s.own.bitcoinCalls.vec.WithLabelValues(m, success)
		s.own.bitcoinSeconds.vec.WithLabelValues(m)
	}
}

// BitcoinCall counts a call to the Bitcoin node, the time it took and how it ended.
func (s *Set) BitcoinCall(method string, took time.Duration, err error) {
	result := success
	if err != nil {
		result = gradeValue(fault.Of(err))
	}
	s.own.bitcoinCalls.inc(method, result)
	s.own.bitcoinSeconds.observe(took.Seconds(), method)
}
