package rpc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// decoderError is the text of a −32605 error: the one legacy's decoder gave, where
// it is recorded.
type decoderError string

func (e decoderError) Error() string { return string(e) }

// legacyHeight reads the bare number of getblockbyheight. (rpc.md)
func legacyHeight(params json.RawMessage) (uint64, error) {
	text := strings.TrimSpace(string(params))
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, decoderError("invalid digit found in string")
		}
	}
	height, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, decoderError("number too large to fit in target type")
	}
	return height, nil
}

// legacyHash reads the bare text of getblockbyhash: 64 hex digits without 0x, of
// any case. (rpc.md)
func legacyHash(params json.RawMessage) (common.Hash, bool) {
	var text string
	if json.Unmarshal(params, &text) != nil {
		return common.Hash{}, false
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != common.HashLength {
		return common.Hash{}, false
	}
	return common.Hash(raw), true
}

// legacyAddress reads the parameters of createauxblock: a list of one address, 0x
// optional, of any case. (rpc.md)
func legacyAddress(params json.RawMessage) (common.Address, bool) {
	var list []string
	if json.Unmarshal(params, &list) != nil || len(list) != 1 {
		return common.Address{}, false
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(list[0], "0x"))
	if err != nil || len(raw) != common.AddressLength {
		return common.Address{}, false
	}
	return common.Address(raw), true
}

// legacyProof reads the parameters of submitauxblock: the commitment's hash in
// internal order and a proof in the Namecoin layout. The raw proof is returned
// beside the decoded one. (rpc.md, C8)
func legacyProof(params json.RawMessage) (hash [32]byte, raw []byte, proof *auxpow.AuxPow, err error) {
	list, err := legacyPair(params)
	if err != nil {
		return hash, nil, nil, err
	}
	digest, err := legacyHex(list[0])
	if err != nil {
		return hash, nil, nil, err
	}
	if len(digest) != len(hash) {
		return hash, nil, nil, decoderError(fmt.Sprintf("invalid slice length %d (expected %d)", len(digest), len(hash)))
	}
	copy(hash[:], digest)
	if raw, err = legacyHex(list[1]); err != nil {
		return hash, nil, nil, err
	}
	if proof, err = auxpow.ParseNamecoin(raw); err != nil {
		return hash, nil, nil, decoderError("IO error")
	}
	return hash, raw, proof, nil
}

// legacyPair reads a list of exactly two texts.
func legacyPair(params json.RawMessage) (pair [2]string, err error) {
	if len(params) == 0 || params[0] != '[' {
		return pair, decoderError("invalid type, expected a tuple of size 2 at line 1 column 0")
	}
	d := json.NewDecoder(bytes.NewReader(params))
	_, _ = d.Token()
	for n := 0; d.More(); n++ {
		if n == len(pair) {
			return pair, decoderError(fmt.Sprintf("trailing characters at line 1 column %d", thirdAt(params, d.InputOffset())))
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return pair, decoderError(err.Error())
		}
		text, ok := value.(string)
		if !ok {
			return pair, decoderError(fmt.Sprintf("invalid type, expected a string at line 1 column %d", d.InputOffset()))
		}
		pair[n] = text
		if !d.More() && n == 0 {
			return pair, decoderError(fmt.Sprintf("invalid length 1, expected a tuple of size 2 at line 1 column %d", len(params)))
		}
	}
	if pair == [2]string{} && !bytes.ContainsRune(params, '"') {
		return pair, decoderError(fmt.Sprintf("invalid length 0, expected a tuple of size 2 at line 1 column %d", len(params)))
	}
	return pair, nil
}

// thirdAt is the column of the third element, counted from 1, where legacy's decoder
// stops; at is where the second one ends.
func thirdAt(params []byte, at int64) int64 {
	for at < int64(len(params)) && strings.IndexByte(", \t\r\n", params[at]) >= 0 {
		at++
	}
	return at + 1
}

// legacyHex decodes hex without 0x and words the error as legacy's decoder does.
func legacyHex(text string) ([]byte, error) {
	if len(text)%2 != 0 {
		return nil, decoderError(fmt.Sprintf("Odd number of digits: %d", len(text)))
	}
	for i, r := range text {
		if !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return nil, decoderError(fmt.Sprintf("Invalid character '%c' at position %d", r, i))
		}
	}
	return hex.DecodeString(text)
}
