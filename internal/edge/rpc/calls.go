package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

func (s *Server) chainHead(ctx context.Context, c call) (any, error) {
	b, err := s.opt.Backend.Head(ctx)
	return describe(b, err, c.params.(*headParams).Full, "there is no block yet")
}

func (s *Server) chainFinalized(ctx context.Context, c call) (any, error) {
	b, err := s.opt.Backend.Finalized(ctx)
	return describe(b, err, c.params.(*headParams).Full, "there is no block yet")
}

func (s *Server) chainBlockByHeight(ctx context.Context, c call) (any, error) {
	p := c.params.(*heightParams)
	b, err := s.opt.Backend.BlockByHeight(ctx, p.Height)
	return describe(b, err, p.Full, fmt.Sprintf("there is no block at height %d of the head's branch", p.Height))
}

func (s *Server) chainBlockByHash(ctx context.Context, c call) (any, error) {
	p := c.params.(*hashParams)
	root, err := hashParam("hash", p.Hash)
	if err != nil {
		return nil, err
	}
	b, err := s.opt.Backend.BlockByHash(ctx, root)
	return describe(b, err, p.Full, fmt.Sprintf("block %s is not known", root))
}

// describe makes the answer about a block; none is an error.
func describe(b *Block, err error, full bool, missing string) (any, error) {
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, refusedCall(codeNotFound, "%s", missing)
	}
	block := &b.Signed.Block
	r := blockResult{
		Height: block.Payload.BlockNumber, Hash: b.Root.Hex(), ParentHash: block.ParentHash.Hex(), PayloadHash: block.Payload.BlockHash.Hex(),
		Status: "side", Slot: block.Slot, Timestamp: block.Payload.Timestamp, Transactions: len(block.Payload.Transactions), Approvals: b.Signed.Approvals.Count(),
	}
	switch {
	case b.Finalized:
		r.Status = "finalised"
	case b.Connected:
		r.Status = "connected"
	}
	if h := block.AuxPowHeader; h != nil {
		r.Carrier = &carrierResult{
			RangeStart: h.RangeStart.Hex(), RangeEnd: h.RangeEnd.Hex(), Bits: bitsText(h.Bits), Height: h.Height, FeeRecipient: hex0x(h.FeeRecipient[:]),
		}
	}
	if full {
		r.Block, err = b.Signed.MarshalJSON()
	}
	return r, err
}

func (s *Server) miningCreateAuxBlock(ctx context.Context, c call) (any, error) {
	recipient, err := addressParam("feeRecipient", c.params.(*createParams).FeeRecipient)
	if err != nil {
		return nil, err
	}
	w, err := s.desk.create(ctx, c.client, recipient)
	if err != nil {
		return nil, err
	}
	if w.Error != "" {
		return nil, rejected(&rejection{auxpow.NoWork, w.Error})
	}
	var target [32]byte
	auxpow.CheckTarget(w.Bits).FillBytes(target[:])
	return workResult{
		Hash: hex.EncodeToString(w.Hash[:]), ChainID: w.ChainID, Bits: bitsText(w.Bits), Target: hex.EncodeToString(target[:]), Height: w.Height,
		PreviousBlock: w.PreviousBlock.Hex(), RangeStart: w.RangeStart.Hex(), RangeEnd: w.RangeEnd.Hex(),
	}, nil
}

func (s *Server) miningSubmitAuxBlock(ctx context.Context, c call) (any, error) {
	p := c.params.(*submitParams)
	hash, err := hashParam("hash", p.Hash)
	if err != nil {
		return nil, err
	}
	in := submission{hash: hash}
	if p.FeeRecipient != "" {
		recipient, err := addressParam("feeRecipient", p.FeeRecipient)
		if err != nil {
			return nil, err
		}
		in.recipient = &recipient
	}
	var no *rejection
	if in.raw, in.proof, no = proofParam(p.AuxPow); no != nil {
		return nil, rejected(no)
	}
	work, recipient := s.desk.whose(c.client, in)
	no, err = s.desk.submit(ctx, c.client, in)
	switch {
	case err != nil:
		return nil, err
	case no != nil:
		return nil, rejected(no)
	}
	r := submitResult{Accepted: true, RangeStart: work.RangeStart.Hex(), RangeEnd: work.RangeEnd.Hex()}
	if recipient != nil {
		r.FeeRecipient = hex0x(recipient[:])
	}
	return r, nil
}

// rejected is the error of refused work: code and name of the check that failed.
func rejected(no *rejection) error {
	return &callError{
		Code: rejectCode(no.check), Message: fmt.Sprintf("%s: %s", no.check, no.reason),
		Data: map[string]any{"check": no.check, "reason": no.reason},
	}
}

// proofParam decodes a proof.
func proofParam(text string) ([]byte, *auxpow.AuxPow, *rejection) {
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return nil, nil, &rejection{auxpow.MalformedProof, "it is no hex"}
	}
	proof, err := auxpow.ParseNamecoin(raw)
	if err != nil {
		return nil, nil, &rejection{auxpow.MalformedProof, err.Error()}
	}
	return raw, proof, nil
}

func (s *Server) miningWork(ctx context.Context, _ call) (any, error) {
	r := miningResult{Work: s.desk.openWork(), Queued: json.RawMessage("null")}
	header, err := s.opt.Backend.QueuedWork(ctx)
	if err == nil && header != nil {
		r.Queued, err = header.MarshalJSON()
	}
	return r, err
}

func (s *Server) journalHead(context.Context, call) (any, error) {
	return s.opt.Backend.JournalHead(), nil
}

func (s *Server) journalEvent(ctx context.Context, c call) (any, error) {
	sequence := c.params.(*eventParams).Sequence
	event, err := s.opt.Backend.JournalEvent(ctx, sequence)
	if err == nil && event == nil {
		return nil, refusedCall(codeNotFound, "event %d is not on disk; the newest is %d", sequence, s.opt.Backend.JournalHead().Sequence)
	}
	return event, err
}

const (
	defaultEvents = 20
	maxEvents     = 100
)

func (s *Server) journalFind(ctx context.Context, c call) (any, error) {
	q := *c.params.(*EventQuery)
	if q.Limit == 0 {
		q.Limit = defaultEvents
	}
	if q.Limit < 1 || q.Limit > maxEvents {
		return nil, refusedCall(codeInvalidParams, "limit is %d, allowed is 1 to %d", q.Limit, maxEvents)
	}
	for _, h := range []struct{ name, text string }{{"block", q.Block}, {"transaction", q.Transaction}} {
		if h.text == "" {
			continue
		}
		if _, err := hashParam(h.name, h.text); err != nil {
			return nil, err
		}
	}
	return s.opt.Backend.JournalFind(ctx, q, maxAnswer/2)
}

func (s *Server) nodeStatus(ctx context.Context, _ call) (any, error) {
	return s.opt.Backend.Status(ctx)
}

func (s *Server) nodeHealth(context.Context, call) (any, error) { return s.opt.Backend.Health(), nil }

func hashParam(name, text string) (common.Hash, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || len(raw) != common.HashLength {
		return common.Hash{}, refusedCall(codeInvalidParams, "%s is %q, wanted are 64 hex digits", name, clip(text))
	}
	return common.Hash(raw), nil
}

func addressParam(name, text string) (common.Address, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || len(raw) != common.AddressLength {
		return common.Address{}, refusedCall(codeInvalidParams, "%s is %q, wanted are 40 hex digits", name, clip(text))
	}
	return common.Address(raw), nil
}

func bitsText(bits uint32) string { return strconv.FormatUint(uint64(bits), 16) }

func hex0x(b []byte) string { return "0x" + hex.EncodeToString(b) }

var errNoBits = errors.New("bits are missing: this work is of an earlier run, which did not keep them")

// miningVerifyAuxPow judges without a turn. (C8 f, g)
func (s *Server) miningVerifyAuxPow(ctx context.Context, c call) (any, error) {
	p := c.params.(*verifyParams)
	commitment, chainID, bits, err := s.against(ctx, c.client, p)
	if err != nil {
		return nil, err
	}
	r := verifyResult{Commitment: hex.EncodeToString(commitment[:]), ChainID: chainID, Bits: bitsText(bits)}
	_, proof, no := proofParam(p.AuxPow)
	if no == nil {
		r.ParentHash = proof.ParentBlock.BlockHash().String()
		if check, reason := proof.Judge(commitment, chainID, bits); check != "" {
			no = &rejection{check, reason}
		}
	}
	if r.Valid = no == nil; !r.Valid {
		r.Check, r.Code, r.Reason = string(no.check), rejectCode(no.check), no.reason
	}
	return r, nil
}

// against returns what a proof is to be judged against.
func (s *Server) against(ctx context.Context, client string, p *verifyParams) (commitment [32]byte, chainID, bits uint32, err error) {
	var work Work
	switch {
	case p.Hash != "":
		hash, err := hashParam("hash", p.Hash)
		if err != nil {
			return commitment, 0, 0, err
		}
		known := false
		if work, known = s.desk.known(hash); !known {
			return commitment, 0, 0, refusedCall(codeNotFound, "no work with hash %s was handed out; give a commitment or a range, with bits", hash)
		}
		commitment = hash
	case p.Commitment != "":
		hash, err := hashParam("commitment", p.Commitment)
		if err != nil {
			return commitment, 0, 0, err
		}
		commitment = hash
	case p.RangeStart != "" && p.RangeEnd != "":
		if commitment, err = s.rangeCommitment(ctx, client, p); err != nil {
			return commitment, 0, 0, err
		}
	default:
		return commitment, 0, 0, refusedCall(codeInvalidParams, "hash, commitment, or rangeStart and rangeEnd must be given")
	}
	chainID, bits = p.ChainID, work.Bits
	if chainID == 0 {
		chainID = s.opt.Backend.ChainID()
	}
	if p.Bits != "" {
		parsed, err := strconv.ParseUint(strings.TrimPrefix(p.Bits, "0x"), 16, 32)
		if err != nil {
			return commitment, 0, 0, refusedCall(codeInvalidParams, "bits are %q, wanted is a compact target in hex", clip(p.Bits))
		}
		bits = uint32(parsed)
	}
	if bits == 0 {
		return commitment, 0, 0, refusedCall(codeInvalidParams, "%v", errNoBits)
	}
	return commitment, chainID, bits, nil
}

// maxRange is how many blocks a range to be verified may have, and rangeCost how many
// of them cost as much as one request.
const (
	maxRange  = 1024
	rangeCost = 16
)

// rangeCommitment walks a range from its end to its start by parent links. (C8 c, d)
func (s *Server) rangeCommitment(ctx context.Context, client string, p *verifyParams) ([32]byte, error) {
	start, err := hashParam("rangeStart", p.RangeStart)
	if err != nil {
		return [32]byte{}, err
	}
	at, err := hashParam("rangeEnd", p.RangeEnd)
	if err != nil {
		return [32]byte{}, err
	}
	var hashes []common.Hash
	for {
		if len(hashes)%rangeCost == 0 && !s.limits.allow(client, 1) {
			return [32]byte{}, refusedCall(codeRateLimited, tooOften)
		}
		b, err := s.opt.Backend.BlockByHash(ctx, at)
		if err != nil {
			return [32]byte{}, err
		}
		if b == nil {
			return [32]byte{}, refusedCall(codeNotFound, "block %s is not known", at)
		}
		hashes = append(hashes, at)
		if at == start {
			break
		}
		if len(hashes) == maxRange || b.Signed.Block.Payload.BlockNumber == 0 {
			return [32]byte{}, refusedCall(codeNotFound, "%s is not among the %d blocks up to %s", start, len(hashes), hashes[0])
		}
		at = b.Signed.Block.ParentHash
	}
	for i, j := 0, len(hashes)-1; i < j; i, j = i+1, j-1 {
		hashes[i], hashes[j] = hashes[j], hashes[i]
	}
	return auxpow.Commitment(hashes), nil
}
