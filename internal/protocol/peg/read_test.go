package peg_test

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// TestOwns draws every witness version: legacy takes all of them for the
// federation's, and nothing else. (peg.md A3)
func TestOwns(t *testing.T) {
	_, f := members(t, 3)
	for op := range 256 {
		script := bytes.Clone(f.ScriptPubKey)
		script[0] = byte(op)
		if want := op == 0 || op >= 0x51 && op <= 0x60; f.Owns(script) != want {
			t.Errorf("version opcode %#x: %v", op, !want)
		}
	}
	for i := 1; i < len(f.ScriptPubKey); i++ {
		script := bytes.Clone(f.ScriptPubKey)
		script[i] ^= 1
		if f.Owns(script) || f.Owns(f.ScriptPubKey[:i]) {
			t.Errorf("byte %d", i)
		}
	}
	if f.Owns(append(bytes.Clone(f.ScriptPubKey), 0)) {
		t.Error("one byte more")
	}
}

func TestRecipient(t *testing.T) {
	account := common.HexToAddress("0xf9a9b63f5b7f9336da0ce520c6bec64627027f5b")
	digits := strings.ToLower(account.Hex()[2:])
	push := func(b ...byte) []byte { return append([]byte{txscript.OP_RETURN, byte(len(b))}, b...) }
	for name, c := range map[string]struct {
		script []byte
		named  bool
	}{
		"raw":                       {push(account[:]...), true},
		"text":                      {push([]byte(digits)...), true},
		"text with 0x":              {push([]byte("0x" + digits)...), true},
		"text in upper case":        {push([]byte(strings.ToUpper(digits))...), true},
		"white space":               {push([]byte("0x \t" + digits[:7] + "\r\n" + digits[7:] + " ")...), true},
		"white space before the 0x": {push([]byte(" 0x" + digits)...), false},
		"0x twice":                  {push([]byte("0x0x" + digits)...), false},
		"0X":                        {push([]byte("0X" + digits)...), false},
		"a digit more":              {push([]byte(digits + "0")...), false},
		"no digits":                 {push([]byte("0x")...), false},
		"other letter":              {push([]byte("g" + digits[1:])...), false},
		"PUSHDATA2":                 {append([]byte{txscript.OP_RETURN, txscript.OP_PUSHDATA2, 20, 0}, account[:]...), true},
		"PUSHDATA4":                 {append([]byte{txscript.OP_RETURN, txscript.OP_PUSHDATA4, 20, 0, 0, 0}, account[:]...), true},
		"PUSHDATA4, huge":           {append([]byte{txscript.OP_RETURN, txscript.OP_PUSHDATA4, 255, 255, 255, 255}, account[:]...), false},
		"PUSHDATA2, length cut":     {[]byte{txscript.OP_RETURN, txscript.OP_PUSHDATA2, 20}, false},
		"opcode last":               {append(push(account[:]...), txscript.OP_1), false},
		"empty push last":           {append(push(account[:]...), txscript.OP_PUSHDATA1, 0), false},
		"OP_0 last":                 {append(push(account[:]...), txscript.OP_0), false},
		"opcode before":             {append([]byte{txscript.OP_RETURN, txscript.OP_CHECKSIG}, push(account[:]...)[1:]...), true},
		"no OP_RETURN":              {push(account[:]...)[1:], false},
		"empty":                     {nil, false},
	} {
		got, ok := peg.Recipient(c.script)
		if ok != c.named || ok && got != account {
			t.Errorf("%s: %s, %v", name, got, ok)
		}
	}
}

// TestPegInOrder draws outputs: the amount is the first to the federation, whatever
// comes before it.
func TestPegInOrder(t *testing.T) {
	_, f := members(t, 3)
	account := common.Address{0xff, 1}
	named, err := txscript.NewScriptBuilder().AddOp(txscript.OP_RETURN).AddData(account[:]).Script()
	if err != nil {
		t.Fatal(err)
	}
	scripts := [][]byte{f.ScriptPubKey, named, {txscript.OP_RETURN}, {txscript.OP_1}}
	rapid.Check(t, func(t *rapid.T) {
		tx := wire.NewMsgTx(2)
		want, paid, told := peg.PegIn{}, false, false
		for i, kind := range rapid.SliceOfN(rapid.IntRange(0, len(scripts)-1), 0, 8).Draw(t, "outputs") {
			tx.AddTxOut(wire.NewTxOut(int64(i), scripts[kind]))
			if kind == 0 && !paid {
				want.Amount, paid = uint64(i), true
			}
			told = told || kind == 1
		}
		want.Account = account
		in, ok := f.PegIn(tx)
		if ok != (paid && told) || ok && in != want {
			t.Fatal(in, ok)
		}
	})
}

// FuzzRecipient compares the last element with btcd's reading of the script.
func FuzzRecipient(f *testing.F) {
	f.Add([]byte{txscript.OP_RETURN, 1, 0xff})
	f.Add(append([]byte{txscript.OP_RETURN, txscript.OP_PUSHDATA1, 20}, bytes.Repeat([]byte{0xff}, 20)...))
	f.Add([]byte("\x6a\x28f9a9b63f5b7f9336da0ce520c6bec64627027f5b"))
	f.Fuzz(func(t *testing.T, script []byte) {
		account, ok := peg.Recipient(script)
		if !ok {
			return
		}
		tokens := txscript.MakeScriptTokenizer(0, script)
		var last []byte
		for tokens.Next() {
			last = tokens.Data()
		}
		text := strings.ToLower(strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(strings.TrimPrefix(string(last), "0x")))
		if tokens.Err() != nil || !bytes.Equal(last, account[:]) && text != strings.ToLower(account.Hex()[2:]) {
			t.Fatalf("%x names %s, last element %x, %v", script, account, last, tokens.Err())
		}
	})
}

func TestParseAddress(t *testing.T) {
	segwit := func(hrp string, version byte, size int, encode func(string, []byte) (string, error)) string {
		program, err := bech32.ConvertBits(make([]byte, size), 8, 5, true)
		if err != nil {
			t.Fatal(err)
		}
		text, err := encode(hrp, append([]byte{version}, program...))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := segwit("bcrt", 0, 20, bech32.Encode)
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"version 0, 20":              {good, true},
		"upper case":                 {strings.ToUpper(good), true},
		"mixed case":                 {strings.ToUpper(good[:8]) + good[8:], false},
		"version 0, 32":              {segwit("tb", 0, 32, bech32.Encode), true},
		"version 0, 21":              {segwit("bc", 0, 21, bech32.Encode), false},
		"version 0 in bech32m":       {segwit("bc", 0, 20, bech32.EncodeM), false},
		"version 1":                  {segwit("bc", 1, 32, bech32.EncodeM), true},
		"version 1 in bech32":        {segwit("bc", 1, 32, bech32.Encode), false},
		"version 16, 2":              {segwit("bc", 16, 2, bech32.EncodeM), true},
		"version 16, 40":             {segwit("bc", 16, 40, bech32.EncodeM), true},
		"version 16, 41":             {segwit("bc", 16, 41, bech32.EncodeM), false},
		"version 2, 1":               {segwit("bc", 2, 1, bech32.EncodeM), false},
		"version 17":                 {segwit("bc", 17, 32, bech32.EncodeM), false},
		"other prefix":               {segwit("lt", 0, 20, bech32.Encode), false},
		"key hash":                   {"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", true},
		"script hash":                {"3P14159f73E4gFr7JterCCQh9QjiTjiZrG", true},
		"test key hash":              {"mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", true},
		"test script hash":           {"2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", true},
		"checksum":                   {"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", false},
		"space":                      {" 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", false},
		"empty":                      {"", false},
		"prefix without separator":   {"bc", false},
		"not ASCII":                  {"1A1zP1eP5QGefi2DMPTfTL5SLmv7Divfé", false},
		"a megabyte":                 {strings.Repeat("1", 1<<20), false},
		"a megabyte behind a prefix": {"bc1" + strings.Repeat("q", 1<<20), false},
	} {
		if script, ok := peg.ParseAddress(c.text); ok != c.ok {
			t.Errorf("%s: %.80s: script %x", name, c.text, script)
		}
	}
}

// FuzzParseAddress compares with btcutil, which knows witness versions 0 and 1.
func FuzzParseAddress(f *testing.F) {
	f.Add("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
	f.Add("bcrt1pyjrtzxpj7vzpjz6kvps5c2ajhkupt8qk22ncdpdz23wdl5j7dp8qexkr43")
	f.Add("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx")
	f.Fuzz(func(t *testing.T, text string) {
		script, ok := peg.ParseAddress(text)
		if ok && len(script) > 42 {
			t.Fatalf("%q: script %x", text, script)
		}
		for _, net := range []*chaincfg.Params{&chaincfg.MainNetParams, &chaincfg.TestNet3Params, &chaincfg.RegressionNetParams} {
			address, err := btcutil.DecodeAddress(text, net)
			if _, key := address.(*btcutil.AddressPubKey); err != nil || key || len(text) > 90 {
				continue
			}
			want, err := txscript.PayToAddrScript(address)
			if err != nil || !ok || !bytes.Equal(script, want) {
				t.Fatalf("%q: script %x, btcutil has %x (%v)", text, script, want, err)
			}
		}
	})
}

// requestData is the data of a RequestPegOut.
func requestData(destination string, wei *big.Int) []byte {
	data := make([]byte, 96)
	data[31] = 64
	wei.FillBytes(data[32:64])
	binary.BigEndian.PutUint64(data[88:], uint64(len(destination)))
	return append(data, destination...)
}

func TestPegOuts(t *testing.T) {
	const address = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
	wei := func(sats int64) *big.Int { return new(big.Int).Mul(big.NewInt(sats), big.NewInt(1e10)) }
	least := wei(peg.MinPegOut)
	topics := []common.Hash{peg.RequestTopic, {}}
	for name, c := range map[string]struct {
		log  peg.Log
		to   *common.Address
		sats uint64 // 0: none
	}{
		"least":           {log: peg.Log{topics, requestData(address, least)}, to: &peg.BridgeAddress, sats: peg.MinPegOut},
		"a wei less":      {log: peg.Log{topics, requestData(address, new(big.Int).Sub(least, big.NewInt(1)))}, to: &peg.BridgeAddress},
		"creation":        {log: peg.Log{topics, requestData(address, wei(7_000_000))}, sats: 7_000_000},
		"other contract":  {log: peg.Log{topics, requestData(address, least)}, to: &common.Address{1}},
		"three topics":    {log: peg.Log{append(topics, common.Hash{}), requestData(address, least)}},
		"no topics":       {log: peg.Log{nil, requestData(address, least)}},
		"other topic":     {log: peg.Log{[]common.Hash{{}, {}}, requestData(address, least)}},
		"no data":         {log: peg.Log{topics, nil}},
		"no address":      {log: peg.Log{topics, requestData("nowhere", least)}},
		"not UTF-8":       {log: peg.Log{topics, requestData("\xff", least)}},
		"length past end": {log: peg.Log{topics, requestData(address, least)[:100]}},
	} {
		outputs, err := peg.PegOuts([]peg.Receipt{{To: c.to, Logs: []peg.Log{c.log}}})
		if err != nil || len(outputs) == 1 != (c.sats > 0) || len(outputs) == 1 && outputs[0].Amount != c.sats {
			t.Errorf("%s: %v, %v", name, outputs, err)
		}
	}
	above := new(big.Int).Lsh(big.NewInt(1e10), 64)
	_, err := peg.PegOuts([]peg.Receipt{{Logs: []peg.Log{{topics, requestData("nowhere", above)}}}})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "log 0") {
		t.Errorf("2^64 satoshi: %v", err)
	}
	below := above.Sub(above, big.NewInt(1))
	outputs, err := peg.PegOuts([]peg.Receipt{{Logs: []peg.Log{{topics, requestData(address, below)}}}})
	if err != nil || len(outputs) != 1 || outputs[0].Amount != 1<<64-1 {
		t.Errorf("a wei below 2^64 satoshi: %v, %v", outputs, err)
	}
}

// FuzzPegOuts reads hostile log data; what is found is in the data.
func FuzzPegOuts(f *testing.F) {
	f.Add(requestData("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", big.NewInt(1e16)))
	f.Add(requestData("", new(big.Int).Lsh(big.NewInt(1), 255)))
	f.Fuzz(func(t *testing.T, data []byte) {
		outputs, err := peg.PegOuts([]peg.Receipt{{Logs: []peg.Log{{[]common.Hash{peg.RequestTopic, {}}, data}}}})
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		for _, out := range outputs {
			wei := new(big.Int).SetBytes(data[32:64])
			if wei.Div(wei, big.NewInt(1e10)).Uint64() != out.Amount || out.Amount < peg.MinPegOut {
				t.Fatalf("%x pays %d", data, out.Amount)
			}
		}
	})
}

func BenchmarkPegIn(b *testing.B) {
	_, f := members(b, 15)
	tx := wire.NewMsgTx(2)
	for range 50 {
		tx.AddTxOut(wire.NewTxOut(1, make([]byte, 22)))
	}
	tx.AddTxOut(wire.NewTxOut(1, f.ScriptPubKey))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := f.PegIn(tx); ok {
			b.Fatal("named")
		}
	}
}

func BenchmarkPegOuts(b *testing.B) {
	log := peg.Log{[]common.Hash{peg.RequestTopic, {}}, requestData("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", big.NewInt(1e17))}
	receipts := []peg.Receipt{{Logs: []peg.Log{log, log, log, log}}}
	b.ReportAllocs()
	for b.Loop() {
		if outputs, err := peg.PegOuts(receipts); err != nil || len(outputs) != 4 {
			b.Fatal(outputs, err)
		}
	}
}
