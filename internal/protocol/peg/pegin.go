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

// The reasons a transaction that pays the federation credits nobody. (peg.md A3)
const (
	NoDeposit       = "no output pays the federation"
	NoDepositScript = "the output has the federation's key in another witness version: nobody or anybody can spend it"
	NoAmount        = "the output has more satoshi than there will be"
	NoReturn        = "no OP_RETURN output names an account"
	NoAccount       = "the OP_RETURN output's last push is neither 20 bytes nor 40 hexadecimal digits"
)

// PegIn reads a Bitcoin transaction as legacy does: the amount of the first output
// that pays the federation and the first output that names an account, in any
// order. Further outputs to the federation are credited to nobody. Inputs are not
// looked at. It returns false when either is missing. (peg.md A3; consensus.md C7)
func (f *Federation) PegIn(tx *wire.MsgTx) (PegIn, bool) {
	in, reason := f.readPegIn(tx, f.Owns, Recipient)
	return in, reason == ""
}

// StrictPegIn reads a Bitcoin transaction by the rule from the activation of strict
// peg-ins on: as [Federation.PegIn], with deposits to the federation's own script alone
// and with [StrictRecipient]. (peg.md A3, REC)
func (f *Federation) StrictPegIn(tx *wire.MsgTx) (PegIn, bool) {
	in, reason := f.readPegIn(tx, f.Pays, StrictRecipient)
	return in, reason == ""
}

// PegInReason says why a transaction credits nobody by either rule, or nothing when it
// credits somebody.
func (f *Federation) PegInReason(tx *wire.MsgTx, strict bool) string {
	pays, recipient := f.Owns, Recipient
	if strict {
		pays, recipient = f.Pays, StrictRecipient
	}
	_, reason := f.readPegIn(tx, pays, recipient)
	return reason
}

func (f *Federation) readPegIn(tx *wire.MsgTx, pays func([]byte) bool, recipient func([]byte) (common.Address, bool)) (PegIn, string) {
	var in PegIn
	paid, named := false, false
	missing := [2]string{NoDeposit, NoReturn}
	for _, out := range tx.TxOut {
		switch {
		case !paid && pays(out.PkScript):
			in.Amount, paid = uint64(out.Value), true
		case f.Owns(out.PkScript):
			missing[0] = NoDepositScript
		}
		if !named {
			in.Account, named = recipient(out.PkScript)
		}
		if len(out.PkScript) > 0 && out.PkScript[0] == txscript.OP_RETURN {
			missing[1] = NoAccount
		}
	}
	switch {
	case !paid:
		return PegIn{}, missing[0]
	case !named:
		return PegIn{}, missing[1]
	case in.Amount > maxSatoshi:
		return PegIn{}, NoAmount
	default:
		return in, ""
	}
}

// Pays reports whether an output script is exactly the federation's, which is what
// its members can spend.
func (f *Federation) Pays(script []byte) bool { return bytes.Equal(script, f.ScriptPubKey) }

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

// StrictRecipient is [Recipient] from the activation of strict peg-ins on: 20 bytes are
// the account whatever they spell, and other lengths are text. (peg.md A3, REC)
func StrictRecipient(script []byte) (common.Address, bool) {
	if len(script) == 0 || script[0] != txscript.OP_RETURN {
		return common.Address{}, false
	}
	push, ok := lastPush(script)
	switch {
	case !ok:
		return common.Address{}, false
	case len(push) == common.AddressLength:
		return common.BytesToAddress(push), true
	default:
		return accountText(push)
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
