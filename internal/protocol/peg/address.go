package peg

import (
	"strings"

	"github.com/btcsuite/btcd/btcutil/base58"
	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/btcsuite/btcd/txscript"
)

// maxBase58 is the longest base58 address text legacy reads.
const maxBase58 = 50

// The version bytes of base58 addresses, main network and test networks.
const (
	versionKeyHash        = 0x00
	versionScriptHash     = 0x05
	versionTestKeyHash    = 0x6f
	versionTestScriptHash = 0xc4
)

// ParseAddress returns the output script of a Bitcoin address of any network: which
// network it is for is not looked at. It is false for any other text. (peg.md A7.3)
func ParseAddress(text string) ([]byte, bool) {
	prefix := text
	if i := strings.LastIndexByte(text, '1'); i >= 0 {
		prefix = text[:i]
	}
	switch prefix {
	case "bc", "BC", "tb", "TB", "bcrt", "BCRT":
		return parseSegwit(text)
	default:
		return parseBase58(text)
	}
}

// parseSegwit reads bech32 for version 0 and bech32m for the others. (BIP 173, 350)
func parseSegwit(text string) ([]byte, bool) {
	_, data, encoding, err := bech32.DecodeGeneric(text)
	if err != nil || len(data) == 0 || data[0] > 16 {
		return nil, false
	}
	program, err := bech32.ConvertBits(data[1:], 5, 8, false)
	if err != nil || len(program) < 2 || len(program) > 40 {
		return nil, false
	}
	version, want := byte(txscript.OP_0), bech32.Version0
	if data[0] > 0 {
		version, want = txscript.OP_1+data[0]-1, bech32.VersionM
	} else if len(program) != 20 && len(program) != 32 {
		return nil, false
	}
	if encoding != want {
		return nil, false
	}
	return append([]byte{version, byte(len(program))}, program...), true
}

func parseBase58(text string) ([]byte, bool) {
	if len(text) > maxBase58 {
		return nil, false
	}
	hash, version, err := base58.CheckDecode(text)
	if err != nil || len(hash) != 20 {
		return nil, false
	}
	switch version {
	case versionKeyHash, versionTestKeyHash:
		script := append([]byte{txscript.OP_DUP, txscript.OP_HASH160, txscript.OP_DATA_20}, hash...)
		return append(script, txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG), true
	case versionScriptHash, versionTestScriptHash:
		return append(append([]byte{txscript.OP_HASH160, txscript.OP_DATA_20}, hash...), txscript.OP_EQUAL), true
	default:
		return nil, false
	}
}
