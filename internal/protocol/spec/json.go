package spec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// MaxSize bounds a chain spec file in bytes.
const MaxSize = 1 << 20

// Parse reads legacy's camelCase JSON. Keys it does not know are returned sorted,
// members of inner objects as "retargetParams.member", for the caller to warn of.
// A key that occurs twice, a value out of range and a specification that
// [Chain.Validate] refuses are errors graded Invalid.
func Parse(data []byte) (*Chain, []string, error) {
	if len(data) > MaxSize {
		return nil, nil, fault.New(fault.Invalid, "chain spec: %d bytes, at most %d are read", len(data), MaxSize)
	}
	c := preset()
	var unknown []string
	err := decodeObject(data, "", c.members(&unknown), &unknown)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, err, "chain spec")
	}
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	sort.Strings(unknown)
	return c, unknown, nil
}

// member reads the value of one key.
type member func(raw json.RawMessage) error

// into reads a plain JSON value.
func into(dst any) member {
	return func(raw json.RawMessage) error {
		if bytes.Equal(raw, []byte("null")) {
			return fmt.Errorf("is null")
		}
		return json.Unmarshal(raw, dst)
	}
}

func (c *Chain) members(unknown *[]string) map[string]member {
	var ignored json.Number
	return map[string]member{
		"slotDuration":                into(&c.SlotDuration),
		"authorities":                 hexList(&c.Authorities),
		"federation":                  hexList(&c.Federation),
		"federationBitcoinPubkeys":    hexList(&c.FederationKeys),
		"bits":                        into(&c.Bits),
		"chainId":                     into(&c.ChainID),
		"maxBlocksWithoutPow":         into(&c.MaxBlocksWithoutPow),
		"bitcoinStartHeight":          into(&c.BitcoinStartHeight),
		"isValidator":                 into(&c.IsValidator),
		"requiredBtcTxnConfirmations": into(&c.Confirmations),
		"executionTimeoutLength":      into(&ignored), // read by no rule (consensus.md C1)
		"retargetParams": func(raw json.RawMessage) error {
			c.Retarget = Retarget{}
			return decodeObject(raw, "retargetParams.", c.Retarget.members(), unknown)
		},
		"exceptions": func(raw json.RawMessage) error {
			return decodeObject(raw, "exceptions.", c.Exceptions.members(), unknown)
		},
		"activations": func(raw json.RawMessage) error {
			return decodeObject(raw, "activations.", c.Activations.members(), unknown)
		},
	}
}

func (r *Retarget) members() map[string]member {
	return map[string]member{
		"powLimit":          into(&r.Limit),
		"powLowerLimit":     into(&r.LowerLimit),
		"powTargetTimespan": into(&r.TargetTimespan),
		"powTargetSpacing":  into(&r.TargetSpacing),
		"powNoRetargeting":  into(&r.NoRetargeting),
		"maxPowAdjustment":  into(&r.MaxAdjustment),
	}
}

func (e *Exceptions) members() map[string]member {
	return map[string]member{
		"unlinkedRangesUpTo":  into(&e.UnlinkedRangesUpTo),
		"uncheckedWorkUpTo":   into(&e.UncheckedWorkUpTo),
		"uncheckedProposalAt": into(&e.UncheckedProposalAt),
		"olderSlotDuration":   into(&e.OlderSlotDuration),
		"minPegoutSatoshi":    into(&e.MinPegoutSatoshi),
	}
}

func (a *Activations) members() map[string]member {
	return map[string]member{
		"finality":         into(&a.Finality),
		"exactWithdrawals": into(&a.ExactWithdrawals),
		"uniquePegins":     into(&a.UniquePegins),
		"exactAuxHeader":   into(&a.ExactAuxHeader),
		"rangeOnBranch":    into(&a.RangeOnBranch),
		"author":           into(&a.Author),
		"slotTimestamp":    into(&a.SlotTimestamp),
		"burnRecipient":    into(&a.BurnRecipient),
		"strictPegins":     into(&a.StrictPegins),
		"strictPegouts":    into(&a.StrictPegouts),
	}
}

// decodeObject reads a JSON object with exact key names, each at most once.
// encoding/json alone would match any case and let the last of two win.
func decodeObject(data []byte, prefix string, members map[string]member, unknown *[]string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%sis not a JSON object", strings.TrimSuffix(prefix, ".")+" ")
	}
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("%s%s: %w", prefix, key, err)
		}
		if seen[key] {
			return fmt.Errorf("%s%s occurs twice", prefix, key)
		}
		seen[key] = true
		read, known := members[key]
		if !known {
			*unknown = append(*unknown, prefix+key)
			continue
		}
		if err := read(raw); err != nil {
			return fmt.Errorf("%s%s: %w", prefix, key, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%sis followed by more than white space", prefix)
	}
	return nil
}

// hexList reads a list of fixed-length hex texts, with or without 0x.
func hexList[T aura.PublicKey | common.Address | [33]byte](dst *[]T) member {
	return func(raw json.RawMessage) error {
		var texts []string
		if err := json.Unmarshal(raw, &texts); err != nil {
			return err
		}
		list := make([]T, len(texts))
		for i, text := range texts {
			b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
			if err != nil {
				return fmt.Errorf("[%d] %q: %w", i, text, err)
			}
			if err := fill(&list[i], b); err != nil {
				return fmt.Errorf("[%d] %q: %w", i, text, err)
			}
		}
		*dst = list
		return nil
	}
}

func fill[T aura.PublicKey | common.Address | [33]byte](dst *T, b []byte) error {
	var to []byte
	switch d := any(dst).(type) {
	case *aura.PublicKey:
		to = d[:]
	case *common.Address:
		to = d[:]
	case *[33]byte:
		to = d[:]
	}
	if len(b) != len(to) {
		return fmt.Errorf("%d bytes, want %d", len(b), len(to))
	}
	copy(to, b)
	return nil
}

// file is the order and spelling of the written form.
type file struct {
	SlotDuration        uint64   `json:"slotDuration"`
	Authorities         []string `json:"authorities"`
	Federation          []string `json:"federation"`
	FederationKeys      []string `json:"federationBitcoinPubkeys"`
	Bits                uint32   `json:"bits"`
	ChainID             uint32   `json:"chainId"`
	MaxBlocksWithoutPow uint64   `json:"maxBlocksWithoutPow"`
	BitcoinStartHeight  uint32   `json:"bitcoinStartHeight"`
	Retarget            struct {
		NoRetargeting  bool   `json:"powNoRetargeting"`
		Limit          uint32 `json:"powLimit"`
		LowerLimit     uint32 `json:"powLowerLimit"`
		MaxAdjustment  uint8  `json:"maxPowAdjustment"`
		TargetTimespan uint64 `json:"powTargetTimespan"`
		TargetSpacing  uint64 `json:"powTargetSpacing"`
	} `json:"retargetParams"`
	IsValidator   bool   `json:"isValidator"`
	Confirmations uint32 `json:"requiredBtcTxnConfirmations"`
	Exceptions    struct {
		UnlinkedRangesUpTo  uint64 `json:"unlinkedRangesUpTo"`
		UncheckedWorkUpTo   uint64 `json:"uncheckedWorkUpTo"`
		UncheckedProposalAt uint64 `json:"uncheckedProposalAt"`
		OlderSlotDuration   uint64 `json:"olderSlotDuration"`
		MinPegoutSatoshi    uint64 `json:"minPegoutSatoshi"`
	} `json:"exceptions"`
	// Left out when empty: specifications written before there was one keep their bytes.
	Activations *activations `json:"activations,omitempty"`
}

// activations is Activations as it is written.
type activations struct {
	Finality         uint64 `json:"finality"`
	ExactWithdrawals uint64 `json:"exactWithdrawals"`
	UniquePegins     uint64 `json:"uniquePegins"`
	ExactAuxHeader   uint64 `json:"exactAuxHeader"`
	RangeOnBranch    uint64 `json:"rangeOnBranch"`
	Author           uint64 `json:"author"`
	SlotTimestamp    uint64 `json:"slotTimestamp"`
	BurnRecipient    uint64 `json:"burnRecipient"`
	StrictPegins     uint64 `json:"strictPegins"`
	StrictPegouts    uint64 `json:"strictPegouts"`
}

// Encode returns the specification as indented JSON with every key written out,
// ending in a newline. Equal specifications give equal bytes.
func (c *Chain) Encode() []byte {
	f := file{
		SlotDuration: c.SlotDuration, Bits: c.Bits, ChainID: c.ChainID,
		MaxBlocksWithoutPow: c.MaxBlocksWithoutPow, BitcoinStartHeight: c.BitcoinStartHeight,
		IsValidator: c.IsValidator, Confirmations: c.Confirmations,
		Authorities: []string{}, Federation: []string{}, FederationKeys: []string{},
	}
	for i := range c.Authorities {
		f.Authorities = append(f.Authorities, "0x"+hex.EncodeToString(c.Authorities[i][:]))
	}
	for i := range c.Federation {
		f.Federation = append(f.Federation, "0x"+hex.EncodeToString(c.Federation[i][:]))
	}
	for i := range c.FederationKeys {
		f.FederationKeys = append(f.FederationKeys, hex.EncodeToString(c.FederationKeys[i][:]))
	}
	r := c.Retarget
	f.Retarget.NoRetargeting, f.Retarget.Limit, f.Retarget.LowerLimit = r.NoRetargeting, r.Limit, r.LowerLimit
	f.Retarget.MaxAdjustment, f.Retarget.TargetTimespan, f.Retarget.TargetSpacing = r.MaxAdjustment, r.TargetTimespan, r.TargetSpacing
	e := c.Exceptions
	f.Exceptions.UnlinkedRangesUpTo, f.Exceptions.UncheckedWorkUpTo = e.UnlinkedRangesUpTo, e.UncheckedWorkUpTo
	f.Exceptions.UncheckedProposalAt, f.Exceptions.OlderSlotDuration = e.UncheckedProposalAt, e.OlderSlotDuration
	f.Exceptions.MinPegoutSatoshi = e.MinPegoutSatoshi
	if c.Activations != (Activations{}) {
		written := activations(c.Activations)
		f.Activations = &written
	}
	data, err := json.MarshalIndent(&f, "", "  ")
	if err != nil {
		// The structure holds numbers, strings and booleans only, which JSON can
		// always write.
		panic(err)
	}
	return append(data, '\n')
}
