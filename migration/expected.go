package migration

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Expected is what is known of a legacy node's chain from the legacy node and its
// execution client: the file expected.json beside a store.
type Expected struct {
	Head      ExpectedHead
	LatestPow ExpectedBlock
	Finalized ExpectedBlock
	Fees      *big.Int // accumulator at the head in wei
	Records   Records  // of the store by column
	Balances  []Balance

	// Other holds, as JSON, the members that this version does not rebuild.
	Other map[string]json.RawMessage
}

// ExpectedBlock names a block.
type ExpectedBlock struct {
	Root   common.Hash `json:"root"`
	Height uint64      `json:"height"`
}

// ExpectedHead is the head with the execution layer's two hashes.
type ExpectedHead struct {
	ExpectedBlock
	PayloadHash common.Hash `json:"payload_hash"`
	StateRoot   common.Hash `json:"state_root"`
}

// Balance is what an account has at the head.
type Balance struct {
	Account common.Address
	Wei     *big.Int
}

// maxExpected bounds the file in bytes.
const maxExpected = 64 << 20

// ParseExpected reads expected.json. A missing or malformed member that is
// compared is an error graded Invalid; members this version does not know are
// kept in Other.
func ParseExpected(data []byte) (*Expected, error) {
	if len(data) > maxExpected {
		return nil, fault.New(fault.Invalid, "expected.json: %d bytes, at most %d are read", len(data), maxExpected)
	}
	members := make(map[string]json.RawMessage)
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&members); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "expected.json")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.New(fault.Invalid, "expected.json: more follows the object")
	}
	e := new(Expected)
	var fees string
	balances := make(map[common.Address]string)
	for _, m := range []struct {
		name string
		into any
	}{
		{"head", &e.Head}, {"latest_pow_block", &e.LatestPow}, {"finalized", &e.Finalized},
		{"accumulated_fees_wei_at_head", &fees}, {"records", &e.Records}, {"balances_wei", &balances},
	} {
		raw, ok := members[m.name]
		if !ok || bytes.Equal(raw, []byte("null")) {
			return nil, fault.New(fault.Invalid, "expected.json: %s is missing", m.name)
		}
		if err := json.Unmarshal(raw, m.into); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "expected.json: "+m.name)
		}
		delete(members, m.name)
	}
	e.Other = members
	for name, hash := range map[string]common.Hash{
		"head.root": e.Head.Root, "head.payload_hash": e.Head.PayloadHash, "head.state_root": e.Head.StateRoot,
		"latest_pow_block.root": e.LatestPow.Root, "finalized.root": e.Finalized.Root,
	} {
		if hash == (common.Hash{}) {
			return nil, fault.New(fault.Invalid, "expected.json: %s is missing", name)
		}
	}
	var err error
	if e.Fees, err = parseWei("accumulated_fees_wei_at_head", fees); err != nil {
		return nil, err
	}
	for account, text := range balances {
		wei, err := parseWei("balances_wei: "+account.Hex(), text)
		if err != nil {
			return nil, err
		}
		e.Balances = append(e.Balances, Balance{account, wei})
	}
	slices.SortFunc(e.Balances, func(a, b Balance) int { return a.Account.Cmp(b.Account) })
	return e, nil
}

// parseWei reads a decimal number of at most 256 bits.
func parseWei(name, text string) (*big.Int, error) {
	const digits = 78 // of 2^256
	v, ok := new(big.Int), len(text) > 0 && len(text) <= digits
	for _, c := range text {
		ok = ok && c >= '0' && c <= '9'
	}
	if ok {
		v, ok = v.SetString(text, 10)
	}
	if !ok || v.BitLen() > 256 {
		return nil, fault.New(fault.Invalid, "expected.json: %s is %.100q, want a decimal number of at most 256 bits", name, text)
	}
	return v, nil
}
