package peg

import (
	"bytes"
	"unicode/utf8"

	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"
)

// PegIn is what a Bitcoin transaction credits: the full amount, without fee or
// rounding. (peg.md A3)
type PegIn struct {
	Account common.Address // on the sidechain
	Amount  uint64         // satoshi
}

// PegIn reads a Bitcoin transaction as legacy does: the amount of the first output
// that pays the federation and the first output that names an account, in any
// order. Further outputs to the federation are credited to nobody. Inputs are not
// looked at. It returns false when either is missing. (peg.md A3; consensus.md C7)
func (f *Federation) PegIn(tx *wire.MsgTx) (PegIn, bool) {
	var in PegIn
	paid, named := false, false
	for _, out := range tx.TxOut {
		if !paid && f.Owns(out.PkScript) {
			in.Amount, paid = uint64(out.Value), true
		}
		if !named {
			in.Account, named = Recipient(out.PkScript)
		}
	}
	if !paid || !named {
		return PegIn{}, false
	}
	return in, true
}

// Owns reports whether legacy takes an output script for the federation's: a
// witness program of any version whose bytes are the output key. That is a defect
// of legacy, for nobody or anybody can spend versions other than 1; history needs
// it. What the federation really receives pays [Federation.ScriptPubKey] exactly.
// (peg.md A3, "Script match rule as coded")
func (f *Federation) Owns(script []byte) bool {
	const size = 1 + 1 + 32 // version, push, program
	return len(script) == size && isWitnessVersion(script[0]) &&
		script[1] == size-2 && bytes.Equal(script[2:], f.OutputKey[:])
}

// isWitnessVersion reports whether an opcode stands for a witness version, 0 to 16.
func isWitnessVersion(op byte) bool {
	return op == txscript.OP_0 || txscript.OP_1 <= op && op <= txscript.OP_16
}

// Recipient reads the account an output script names: the last push of an
// OP_RETURN script, as text if its bytes are valid UTF-8, else as 20 raw bytes.
// Twenty raw bytes that happen to be valid UTF-8 name nobody. (peg.md A3,
// "OP_RETURN parser")
func Recipient(script []byte) (common.Address, bool) {
	if len(script) == 0 || script[0] != txscript.OP_RETURN {
		return common.Address{}, false
	}
	push, ok := lastPush(script)
	switch {
	case !ok:
		return common.Address{}, false
	case utf8.Valid(push):
		return accountText(push)
	case len(push) == common.AddressLength:
		return common.BytesToAddress(push), true
	default:
		return common.Address{}, false
	}
}

// lastPush returns the data of a script's last element. It is false when that is a
// bare opcode or pushes nothing, and when the script is cut short.
func lastPush(script []byte) ([]byte, bool) {
	var last []byte
	for rest := script; len(rest) > 0; {
		op := rest[0]
		rest = rest[1:]
		last = nil
		size, width := int(op), 0
		switch {
		case op > txscript.OP_PUSHDATA4 || op == txscript.OP_0:
			continue
		case op >= txscript.OP_PUSHDATA1:
			width = 1 << (op - txscript.OP_PUSHDATA1)
			if len(rest) < width {
				return nil, false
			}
			size = 0
			for i := width - 1; i >= 0; i-- {
				size = size<<8 | int(rest[i])
			}
			rest = rest[width:]
		}
		if size > len(rest) {
			return nil, false
		}
		last, rest = rest[:size], rest[size:]
	}
	return last, len(last) > 0
}

// accountText reads an account of 40 hexadecimal digits in any case, with an
// optional 0x before them and white space anywhere after it.
func accountText(text []byte) (common.Address, bool) {
	var account common.Address
	digits := 0
	for _, c := range bytes.TrimPrefix(text, []byte("0x")) {
		var digit byte
		switch {
		case c == ' ' || c == '\r' || c == '\n' || c == '\t':
			continue
		case '0' <= c && c <= '9':
			digit = c - '0'
		case 'a' <= c && c <= 'f':
			digit = c - 'a' + 10
		case 'A' <= c && c <= 'F':
			digit = c - 'A' + 10
		default:
			return common.Address{}, false
		}
		if digits == 2*len(account) {
			return common.Address{}, false
		}
		account[digits/2] = account[digits/2]<<4 | digit
		digits++
	}
	return account, digits == 2*len(account)
}
