package vectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func checkBlock(line []byte) error {
	var v struct {
		Case            string          `json:"case"`
		Message         octets          `json:"message_msgpack"`
		Signed          octets          `json:"signed_msgpack"`
		GossipPrefix    octets          `json:"gossip_prefix"`
		GossipPrefixLen int             `json:"gossip_prefix_len"`
		Root            octets          `json:"root"`
		Signers         []int           `json:"signers"`
		Authorities     []octets        `json:"authorities"`
		AuthorityCount  int             `json:"authority_count"`
		Verifies        bool            `json:"verifies"`
		VerifiesRotated bool            `json:"verifies_with_rotated_authorities"`
		Approvals       int             `json:"approvals"`
		JSON            json.RawMessage `json:"json"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	signed, err := block.Decode(v.Signed)
	if err != nil {
		return err
	}
	message, err := block.DecodeBlock(v.Message)
	if err != nil {
		return err
	}
	root := common.Hash(v.Root)
	text, err := json.Marshal(signed)
	if err != nil {
		return err
	}
	envelope := (&gossip.ConsensusBlock{Signed: signed}).Encode()
	if v.Case == "default" {
		if err := equal("all-default block", (&block.Block{}).Encode(), []byte(v.Message)); err != nil {
			return err
		}
	}
	return errors.Join(
		equal("signed_msgpack", signed.Encode(), []byte(v.Signed)),
		equal("message_msgpack", message.Encode(), []byte(v.Message)),
		equal("message of the signed block", signed.Block.Encode(), []byte(v.Message)),
		equal("root", signed.Root(), root),
		equal("root of the message", message.Root(), root),
		equal("gossip_prefix_len", v.GossipPrefixLen, len(v.GossipPrefix)),
		equal("gossip message", envelope, append(bytes.Clone(v.GossipPrefix), v.Signed...)),
		sameJSON("json", text, v.JSON),
		equal("authority_count", len(v.Authorities), v.AuthorityCount),
		checkApprovals(signed, v.Signers, v.Authorities, v.Approvals, v.Verifies, v.VerifiesRotated),
	)
}

func checkApprovals(signed *block.Signed, signers []int, keys []octets, count int, verifies, rotated bool) error {
	root := signed.Root()
	authorities := make([]aura.PublicKey, len(keys))
	for i := range keys {
		authorities[i] = aura.PublicKey(keys[i])
		if err := equal("authority", aura.DevKey(uint64(i+1)).PublicKey(), authorities[i]); err != nil {
			return err
		}
	}
	built := aura.None()
	for _, i := range signers {
		approval := aura.Approval{Signature: aura.DevKey(uint64(i + 1)).Sign(root), Authority: uint8(i)}
		if err := approval.Verify(authorities, root); err != nil {
			return err
		}
		if err := built.Add(approval); err != nil {
			return err
		}
	}
	turned := append(append([]aura.PublicKey{}, authorities[1:]...), authorities[0])
	return errors.Join(
		equal("approvals", signed.Approvals.Count(), count),
		equal("real approvals", signed.Approvals.CountReal(len(keys)), count),
		equal("aggregate of our own signatures", built, signed.Approvals),
		equal("verifies", signed.Approvals.Verify(authorities, root) == nil, verifies),
		equal("verifies_with_rotated_authorities", signed.Approvals.Verify(turned, root) == nil, rotated),
	)
}

func checkGossip(line []byte) error {
	var v struct {
		Topic          string          `json:"topic"`
		Msgpack        octets          `json:"msgpack"`
		Hash           octets          `json:"hash"`
		Authority      octets          `json:"authority"`
		AuthorityIndex uint8           `json:"authority_index"`
		JSON           json.RawMessage `json:"json"`
		TxidDisplay    string          `json:"txid_display"`
		PublicKey      octets          `json:"public_key"`
		Signatures     []octets        `json:"signatures"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	message, err := gossip.Decode(v.Msgpack)
	if err != nil {
		return err
	}
	if err := errors.Join(
		equal("topic", message.Topic(), v.Topic),
		equal("msgpack", message.Encode(), []byte(v.Msgpack)),
	); err != nil {
		return err
	}
	switch m := message.(type) {
	case *gossip.ApproveBlock:
		return errors.Join(
			equal("hash", m.Root, common.Hash(v.Hash)),
			equal("authority_index", m.Approval.Authority, v.AuthorityIndex),
			checkSigner(m, aura.PublicKey(v.Authority)),
		)
	case *gossip.QueuePow:
		text, err := json.Marshal(m.Header)
		if err != nil {
			return err
		}
		return sameJSON("json", text, v.JSON)
	case *gossip.PegoutSignatures:
		if err := equal("entries", len(m.Entries), 1); err != nil {
			return err
		}
		var signatures []octets
		for _, s := range m.Entries[0].Signatures {
			signatures = append(signatures, s[:])
		}
		return errors.Join(
			equal("txid_display", m.Entries[0].Txid.String(), v.TxidDisplay),
			equal("public_key", m.Entries[0].PublicKey[:], []byte(v.PublicKey)),
			equal("signatures", fmt.Sprint(signatures), fmt.Sprint(v.Signatures)),
		)
	default:
		return fmt.Errorf("message of type %T", m)
	}
}

// checkSigner verifies an approval against the key its line names, put at the
// index the message names.
func checkSigner(m *gossip.ApproveBlock, key aura.PublicKey) error {
	var authorities []aura.PublicKey
	for n := uint64(1); len(authorities) < int(m.Approval.Authority); n++ {
		if other := aura.DevKey(n).PublicKey(); other != key {
			authorities = append(authorities, other)
		}
	}
	return m.Approval.Verify(append(authorities, key), m.Root)
}

func checkAuxPow(line []byte) error {
	var v struct {
		Namecoin    octets   `json:"auxpow"`
		Msgpack     octets   `json:"msgpack"`
		Case        string   `json:"case"`
		ChainID     uint32   `json:"chain_id"`
		Commitment  octets   `json:"commitment_internal"`
		ParentHash  string   `json:"parent_hash_display"`
		ProofOfWork [][2]any `json:"proof_of_work"`
		Result      string   `json:"result"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	proof, err := auxpow.ParseNamecoin(v.Namecoin)
	if err != nil {
		return fmt.Errorf("%s: %w", v.Case, err)
	}
	other, err := auxpow.Decode(v.Msgpack)
	if err != nil {
		return fmt.Errorf("%s: %w", v.Case, err)
	}
	result := "ok"
	if err := proof.CheckStructure(chainhash.Hash(v.Commitment), v.ChainID); err != nil {
		var defect auxpow.Defect
		if !errors.As(err, &defect) {
			return fmt.Errorf("%s: error %v has no defect", v.Case, err)
		}
		result = string(defect)
	}
	if err := errors.Join(
		equal("auxpow", proof.Namecoin(), []byte(v.Namecoin)),
		equal("msgpack", proof.Encode(), []byte(v.Msgpack)),
		equal("auxpow from msgpack", other.Namecoin(), []byte(v.Namecoin)),
		equal("msgpack from msgpack", other.Encode(), []byte(v.Msgpack)),
		equal("parent_hash_display", proof.ParentBlock.BlockHash().String(), v.ParentHash),
		equal("result of "+v.Case, result, v.Result),
	); err != nil {
		return err
	}
	for _, pair := range v.ProofOfWork {
		bits, _ := pair[0].(float64)
		if err := equal(fmt.Sprintf("proof_of_work %.0f", bits), any(proof.CheckWork(uint32(bits))), pair[1]); err != nil {
			return err
		}
	}
	return nil
}

func checkRetarget(line []byte) error {
	var v struct {
		Bits          uint32 `json:"bits"`
		LastBits      uint32 `json:"last_bits"`
		LastHeight    uint64 `json:"last_height"`
		HeadHeight    uint64 `json:"head_height"`
		MaxAdjustment uint8  `json:"max_adjustment"`
		NoRetargeting bool   `json:"no_retargeting"`
		Spacing       uint64 `json:"spacing"`
		Timespan      uint64 `json:"timespan"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	bits, err := auxpow.NextBits(spec.Retarget{
		TargetTimespan: v.Timespan, TargetSpacing: v.Spacing,
		NoRetargeting: v.NoRetargeting, MaxAdjustment: v.MaxAdjustment,
	}, v.LastBits, v.LastHeight, v.HeadHeight)
	return errors.Join(err, equal("bits", bits, v.Bits))
}

func checkCompact(line []byte) error {
	var v struct {
		Bits     uint32 `json:"bits"`
		Check    string `json:"check_target"`
		Retarget string `json:"retarget_target"`
		Back     uint32 `json:"back"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	text := func(target *big.Int) string { return fmt.Sprintf("%064x", target) }
	target := auxpow.RetargetTarget(v.Bits)
	return errors.Join(
		equal("check_target", text(auxpow.CheckTarget(v.Bits)), v.Check),
		equal("retarget_target", text(target), v.Retarget),
		equal("back", auxpow.CompactFromTarget(target), v.Back),
	)
}

func checkSlot(line []byte) error {
	var v struct {
		Duration  uint64 `json:"slot_duration_ms"`
		Timestamp uint64 `json:"timestamp"`
		Slot      uint64 `json:"slot"`
		Signer    int    `json:"signer"`
		TurnOf    int    `json:"turn_of"`
		Result    string `json:"result"`
	}
	if err := read(line, &v); err != nil {
		return err
	}
	result := "ok"
	if err := aura.CheckSlot(v.Slot, v.Timestamp, v.Duration); err != nil {
		if !errors.Is(err, aura.ErrSlotInFuture) {
			return err
		}
		result = aura.ErrSlotInFuture.Error()
	}
	return errors.Join(
		equal("result", result, v.Result),
		equal("turn_of", aura.Author(v.Slot, slotAuthorities), v.TurnOf),
	)
}

// slotAuthorities is the size of the set the lines of slots.jsonl were made with.
const slotAuthorities = 3
