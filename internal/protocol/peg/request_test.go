package peg_test

import (
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

const genesisAddress = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"

// requestLog is a log of the bridge in a transaction that calls it.
func requestLog(destination string, wei *big.Int) peg.RequestLog {
	return peg.RequestLog{
		Transaction: common.Hash{1}, Index: 7, HasTo: true, To: peg.BridgeAddress, Emitter: peg.BridgeAddress,
		Topics: []common.Hash{peg.RequestTopic, common.BytesToHash([]byte{0xaa})}, Data: requestData(destination, wei),
	}
}

// TestRequests has each reason and each way to the bridge, by both rules.
func TestRequests(t *testing.T) {
	const absent = "absent"
	router, least := common.Address{5}, big.NewInt(peg.MinPegOut*1e10)
	huge := new(big.Int).Lsh(big.NewInt(1e10), 64)
	for name, c := range map[string]struct {
		change         func(*peg.RequestLog)
		legacy, strict string // the reason, empty when paid
	}{
		"direct":          {func(*peg.RequestLog) {}, "", ""},
		"router":          {func(l *peg.RequestLog) { l.To = router }, peg.IgnoredIndirect, ""},
		"creation":        {func(l *peg.RequestLog) { l.HasTo = false }, "", ""},
		"forged":          {func(l *peg.RequestLog) { l.Emitter = router }, "", absent},
		"forged creation": {func(l *peg.RequestLog) { l.HasTo, l.Emitter = false, router }, "", absent},
		"forged, router":  {func(l *peg.RequestLog) { l.To, l.Emitter = router, router }, absent, absent},
		"a wei below":     {func(l *peg.RequestLog) { l.Data = requestData(genesisAddress, new(big.Int).Sub(least, big.NewInt(1))) }, peg.IgnoredBelowMinimum, peg.IgnoredBelowMinimum},
		"nowhere":         {func(l *peg.RequestLog) { l.Data = requestData("nowhere", least) }, peg.IgnoredDestination, peg.IgnoredDestination},
		"not UTF-8":       {func(l *peg.RequestLog) { l.Data = requestData("\xff", least) }, peg.IgnoredDestination, peg.IgnoredDestination},
		"overflow":        {func(l *peg.RequestLog) { l.Data = requestData(genesisAddress, huge) }, peg.IgnoredOverflow, peg.IgnoredOverflow},
		"no topics":       {func(l *peg.RequestLog) { l.Topics = nil }, absent, absent},
		"no data":         {func(l *peg.RequestLog) { l.Data = l.Data[:63] }, absent, absent},
	} {
		l := requestLog(genesisAddress, least)
		c.change(&l)
		for strict, want := range map[bool]string{false: c.legacy, true: c.strict} {
			requests, err := peg.Requests([]peg.RequestLog{l}, strict, peg.MinPegOut)
			if fails := want == peg.IgnoredOverflow && !strict; (err != nil) != fails || fails && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s, strict %v: %v", name, strict, err)
			}
			got := absent
			if len(requests) == 1 {
				got = requests[0].Ignored
			}
			if got != want || len(peg.Outputs(requests)) == 1 != (want == "") {
				t.Errorf("%s, strict %v: %q, want %q", name, strict, got, want)
			}
		}
	}
}

// TestRequestFields: what a request says of its log.
func TestRequestFields(t *testing.T) {
	wei := new(big.Int).Add(big.NewInt(peg.MinPegOut*1e10), big.NewInt(3))
	requests, err := peg.Requests([]peg.RequestLog{requestLog(genesisAddress, wei)}, true, peg.MinPegOut)
	if err != nil || len(requests) != 1 {
		t.Fatal(requests, err)
	}
	r := requests[0]
	if r.Transaction != (common.Hash{1}) || r.Log != 7 || r.Account != common.BytesToAddress([]byte{0xaa}) || r.Amount != peg.MinPegOut ||
		r.Dust != 3 || len(r.Script) != 25 || r.Destination != genesisAddress || r.Ignored != "" {
		t.Errorf("%+v", r)
	}
}

// FuzzRequests reads hostile logs: what both rules say fits together, and no satoshi and
// no wei of a request is lost.
func FuzzRequests(f *testing.F) {
	f.Add(requestData(genesisAddress, big.NewInt(1e16)), uint8(0))
	f.Add(requestData(strings.Repeat("\xff", 200), big.NewInt(1e16)), uint8(1))
	f.Add(requestData("é"+strings.Repeat("a", 88)+"é", new(big.Int).Lsh(big.NewInt(1), 255)), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, way uint8) {
		l := requestLog("", big.NewInt(0))
		l.Data, l.HasTo = data, way&1 == 0
		if way&2 != 0 {
			l.To = common.Address{1}
		}
		if way&4 != 0 {
			l.Emitter = common.Address{1}
		}
		for _, strict := range []bool{false, true} {
			requests, err := peg.Requests([]peg.RequestLog{l}, strict, peg.MinPegOut)
			if err != nil && (strict || !fault.Is(err, fault.Invalid)) {
				t.Fatal(err)
			}
			for _, r := range requests {
				wei := new(big.Int).Mul(new(big.Int).SetUint64(r.Amount), big.NewInt(1e10))
				wei.Add(wei, new(big.Int).SetUint64(r.Dust))
				if whole := new(big.Int).SetBytes(data[32:64]); r.Ignored != peg.IgnoredOverflow && wei.Cmp(whole) != 0 {
					t.Fatalf("%d satoshi and %d wei of %s", r.Amount, r.Dust, whole)
				}
				if len(r.Destination) > 90 || !utf8.ValidString(r.Destination) || r.Ignored == "" && (r.Amount < peg.MinPegOut || len(r.Script) == 0) {
					t.Fatalf("%+v", r)
				}
				if strict && l.Emitter != peg.BridgeAddress {
					t.Fatal("forged")
				}
			}
		}
	})
}

// TestStrictPegIn: the deposits that the two rules read differently.
func TestStrictPegIn(t *testing.T) {
	_, f := members(t, 3)
	spells := []byte("abcdefghijklmnopqrst") // an account whose bytes are text
	named := append([]byte{txscript.OP_RETURN, 20}, spells...)
	other := append([]byte{txscript.OP_2}, f.ScriptPubKey[1:]...)
	for name, c := range map[string]struct {
		outs           []*wire.TxOut
		legacy, strict string
	}{
		"bytes that spell": {[]*wire.TxOut{wire.NewTxOut(5, f.ScriptPubKey), wire.NewTxOut(0, named)}, peg.NoAccount, ""},
		"other version":    {[]*wire.TxOut{wire.NewTxOut(5, other), wire.NewTxOut(0, raw)}, "", peg.NoDepositScript},
		"both versions":    {[]*wire.TxOut{wire.NewTxOut(5, other), wire.NewTxOut(6, f.ScriptPubKey), wire.NewTxOut(0, raw)}, "", ""},
		"no account":       {[]*wire.TxOut{wire.NewTxOut(5, f.ScriptPubKey)}, peg.NoReturn, peg.NoReturn},
		"no deposit":       {[]*wire.TxOut{wire.NewTxOut(5, p2tr), wire.NewTxOut(0, raw)}, peg.NoDeposit, peg.NoDeposit},
		"impossible":       {[]*wire.TxOut{wire.NewTxOut(-1, f.ScriptPubKey), wire.NewTxOut(0, raw)}, peg.NoAmount, peg.NoAmount},
	} {
		tx := wire.NewMsgTx(2)
		tx.TxOut = c.outs
		if got := f.PegInReason(tx, false); got != c.legacy {
			t.Errorf("%s: %q", name, got)
		}
		if got := f.PegInReason(tx, true); got != c.strict {
			t.Errorf("%s, strict: %q", name, got)
		}
		in, ok := f.StrictPegIn(tx)
		if ok != (c.strict == "") || ok && name == "both versions" && in.Amount != 6 {
			t.Errorf("%s: %v, %v", name, in, ok)
		}
	}
}

// raw names an account by bytes that are no text.
var raw = append([]byte{txscript.OP_RETURN, 20, 0xff}, make([]byte, 19)...)

// TestRecipients draws scripts: the strict rule reads whatever legacy's reads, alike.
func TestRecipients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		push := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 60), rapid.SliceOfN(rapid.Byte(), 20, 20),
			rapid.Map(rapid.StringMatching(`(0x)?[0-9a-fA-F \n]{38,44}`), func(s string) []byte { return []byte(s) })).Draw(t, "push")
		script := append([]byte{txscript.OP_RETURN, byte(len(push))}, push...)
		account, ok := peg.Recipient(script)
		strict, strictly := peg.StrictRecipient(script)
		if ok && (!strictly || strict != account) || strictly && !ok && len(push) != 20 {
			t.Fatalf("%x: %s, %v; strict %s, %v", script, account, ok, strict, strictly)
		}
	})
}
