package peg

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
)

// pay makes a deposit: each encoding, and each way to lose it.
func (w *world) pay() {
	number := len(w.deposits)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{1, byte(number), byte(number >> 8)}, Index: fromOutside}})
	amount := int64(w.src.Int("amount", 10_000, 60_000_000))
	d := &deposit{tx: tx, to: common.Address{0xff, byte(1 + w.src.Int("account", 0, 3))}}
	d.strict, d.loose = uint64(amount), uint64(amount)
	digits := hex.EncodeToString(d.to[:])
	script, name := w.federation.ScriptPubKey, push(d.to[:])
	kinds := []string{"raw", "text", "0x text", "loose text", "pushdata", "spells", "nobody", "elsewhere", "other version", "dust", "two"}
	d.kind = kinds[w.src.Int("kind", 0, len(kinds)-1)]
	switch d.kind {
	case "text":
		name = push([]byte(digits))
	case "0x text":
		name = push([]byte("0x" + digits))
	case "loose text":
		name = push([]byte("0x" + strings.ToUpper(digits[:10]) + " \n" + digits[10:]))
	case "pushdata":
		name = append([]byte{txscript.OP_RETURN, txscript.OP_PUSHDATA1, 20}, d.to[:]...)
	case "spells":
		d.to = common.BytesToAddress([]byte("account of letters a"))
		name, d.loose = push(d.to[:]), 0
	case "nobody":
		name, d.strict, d.loose = push(d.to[:19]), 0, 0
	case "elsewhere":
		script, d.strict, d.loose = append([]byte{txscript.OP_1, 32}, bytes.Repeat([]byte{9}, 32)...), 0, 0
	case "other version":
		script, d.strict = append([]byte{txscript.OP_2}, w.federation.ScriptPubKey[1:]...), 0
	case "dust":
		amount = 200
		d.strict, d.loose = 200, 200
	}
	outs := []*wire.TxOut{wire.NewTxOut(amount, script), wire.NewTxOut(0, name)}
	if w.oneIn(2, "name first") {
		slices.Reverse(outs)
	}
	if d.kind == "two" {
		outs = append(outs, wire.NewTxOut(777_000, script))
	}
	tx.TxOut = outs
	w.deposits[tx.TxHash()] = d
	if err := w.bitcoin.accept(tx); err != nil {
		panic(err)
	}
	w.say("deposit %s: %s, %d satoshi", tx.TxHash(), d.kind, amount)
}

func push(data []byte) []byte { return append([]byte{txscript.OP_RETURN, byte(len(data))}, data...) }

// callBridge makes a call of the bridge contract, which blocks may have.
func (w *world) callBridge() {
	number := uint32(len(w.burns) + 1)
	b := &burn{number: number, amount: uint64(w.src.Int("amount", 1_000_000, 20_000_000)), dust: uint64(w.src.Int("dust", 0, 1)) * 3, burned: true, paid: true, strict: true}
	b.text, b.script = destination(number, w.src.Int("address", 0, 3))
	kind := []string{"", "", "", "", "small", "nowhere", "router", "forged"}[w.src.Int("kind", 0, 7)]
	switch kind {
	case "small":
		b.amount, b.paid, b.strict = 999_999, false, false
	case "nowhere":
		b.text, b.script, b.paid, b.strict = "nowhere", []byte("nowhere "+fmt.Sprint(number)), false, false
	case "router":
		b.paid = false
	case "forged":
		// Legacy pays it, and members do not sign that: nothing could go on.
		b.strict, b.burned = false, false
	}
	b.fromLog = log(number, b.text, b.amount, b.dust)
	switch kind {
	case "router":
		b.fromLog.To = common.Address{5}
	case "forged":
		b.fromLog.HasTo, b.fromLog.Emitter = false, common.Address{6}
	}
	w.burns = append(w.burns, b)
	w.say("burn %d: %s %d satoshi", number, kind, b.amount)
}

// destination is the address of a burn: each has its own.
func destination(number uint32, kind int) (string, []byte) {
	program := binary.BigEndian.AppendUint32(make([]byte, 16), number)
	var address btcutil.Address
	var err error
	switch net := &chaincfg.RegressionNetParams; kind {
	case 0:
		address, err = btcutil.NewAddressWitnessPubKeyHash(program, net)
	case 1:
		address, err = btcutil.NewAddressTaproot(append(make([]byte, 12), program...), net)
	case 2:
		address, err = btcutil.NewAddressPubKeyHash(program, net)
	default:
		address, err = btcutil.NewAddressScriptHashFromHash(program, net)
	}
	if err != nil {
		panic(err)
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		panic(err)
	}
	return address.EncodeAddress(), script
}
