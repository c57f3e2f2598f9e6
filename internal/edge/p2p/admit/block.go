package admit

import (
	"bytes"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// envelope is what a block's bytes follow in gossip: a map of one entry and its key.
// (wire.md 9.4)
var envelope = []byte("\x81\xaeConsensusBlock")

// gossipOrigin is the origin of blocks that were not asked for. ([message.BlocksReceived])
const gossipOrigin = "gossip"

// JudgeBlock judges a signed block that came by another way than legacy's gossip, of
// any size that a block may have. From is who sent it.
func (a *Admitter) JudgeBlock(raw []byte, from string) Result {
	m, good, no := a.judgeBlock(raw, from)
	return result(Heard{From: from, Author: from}, m, good, no)
}

// judgeBlock decodes a block once, by the bytes that its core will ask for. Peer is who
// is to blame for what the rules find; empty when that is not known.
func (a *Admitter) judgeBlock(raw []byte, peer string) (Message, string, *refusal) {
	signed, root, err := a.opt.Checks.Decode(raw)
	if err != nil {
		return nil, "", refuse(message.ActMalformed, "%v", err)
	}
	if !bytes.Equal(signed.Encode(), raw) {
		return nil, "", refuse(message.ActMalformed, "block %s encodes to other bytes", root)
	}
	if no := a.checkBlock(signed, root); no != nil {
		return nil, "", no
	}
	m := &message.BlocksReceived{Origin: gossipOrigin, Blocks: []message.Block{{Signed: record.NewContent(raw)}}, Peer: peer}
	if header := signed.Block.AuxPowHeader; header != nil {
		if no := a.carried(header); no != nil {
			return m, "", no
		}
	}
	return m, message.ActBlock, nil
}

// checkBlock judges a block of now that is decoded: its slot, its approvals, and
// whether they add to those heard.
func (a *Admitter) checkBlock(signed *block.Signed, root common.Hash) *refusal {
	if signed.Block.ParentHash == (common.Hash{}) {
		return refuse(message.ActInvalidBlock, "block %s has no parent: genesis is nobody's to send", root)
	}
	if no := a.checkSlot(signed, root); no != nil {
		return no
	}
	for i := a.committee.Len(); i < aura.MaxAuthorities; i++ {
		if signed.Approvals.Has(i) { // legacy passes them over; each such flag is one more copy
			return refuse(message.ActInvalidSignature, "block %s is approved by authority %d: there are %d", root, i, a.committee.Len())
		}
	}
	if heard, ok := a.blocks.Get(root); ok && covers(heard, signed.Approvals) {
		return drop("", "nothing new of block %s", root)
	}
	if err := a.opt.Checks.Verify(a.committee, signed.Approvals, root); err != nil {
		return refuse(message.ActInvalidSignature, "%v", err)
	}
	heard, _ := a.blocks.Get(root)
	for i := range heard.Bits {
		heard.Bits[i] |= signed.Approvals.Bits[i]
	}
	a.blocks.Add(root, heard)
	return nil
}

// covers reports whether each flag of b is one of a.
func covers(a, b aura.Approvals) bool {
	for i := range b.Bits {
		if b.Bits[i]&^a.Bits[i] != 0 {
			return false
		}
	}
	return true
}

// checkSlot judges a slot by the clock. A block's slot is no later than the one after
// its payload's time, so the two are looked at together. (consensus.md C4)
func (a *Admitter) checkSlot(signed *block.Signed, root common.Hash) *refusal {
	now := a.opt.Clock().UnixMilli()
	duration := max(a.opt.Chain.SlotDuration, 1)
	slotAt := func(t int64) uint64 { return aura.SlotAt(uint64(max(t, 0)), duration) }
	if latest := slotAt(now + 2*ahead.Milliseconds()); signed.Block.Slot > latest {
		return refuse(message.ActFarSlot, "block %s of slot %d, %d slots ahead of now", root, signed.Block.Slot, signed.Block.Slot-slotAt(now))
	}
	if signed.Block.Slot > slotAt(now+ahead.Milliseconds()) {
		// Whoever passed it on may have a clock that is ahead of ours by less than that.
		return drop("", "block %s of slot %d is early", root, signed.Block.Slot)
	}
	past := max(behind, behindSlots*time.Duration(duration)*time.Millisecond)
	if earliest := slotAt(now - past.Milliseconds()); signed.Block.Slot < earliest {
		return drop("", "block %s of slot %d is long past", root, signed.Block.Slot)
	}
	return nil
}
