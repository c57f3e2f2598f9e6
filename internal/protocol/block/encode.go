package block

import (
	"github.com/AnduroProject/alys-go/internal/protocol/msgpack"
)

// Encode returns the bytes of the block without approvals, over which [Block.Root]
// is computed. (wire.md 9.4, M)
func (b *Block) Encode() []byte { return b.AppendTo(make([]byte, 0, b.sizeHint())) }

// AppendTo appends the bytes of [Block.Encode] to dst.
func (b *Block) AppendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 7)
	dst = msgpack.AppendHex(dst, b.ParentHash[:])
	dst = msgpack.AppendUint(dst, b.Slot)
	if b.AuxPowHeader == nil {
		dst = msgpack.AppendNil(dst)
	} else {
		dst = b.AuxPowHeader.AppendTo(dst)
	}
	dst = b.Payload.appendTo(dst)
	dst = msgpack.AppendArray(dst, len(b.Pegins))
	for i := range b.Pegins {
		dst = msgpack.AppendArray(dst, 2)
		dst = msgpack.AppendBin(dst, b.Pegins[i].Txid[:])
		dst = msgpack.AppendBin(dst, b.Pegins[i].BlockHash[:])
	}
	if b.PegoutProposal == nil {
		dst = msgpack.AppendNil(dst)
	} else {
		dst = msgpack.AppendTx(dst, b.PegoutProposal)
	}
	dst = msgpack.AppendArray(dst, len(b.FinalizedPegouts))
	for _, tx := range b.FinalizedPegouts {
		dst = msgpack.AppendTx(dst, tx)
	}
	return dst
}

// sizeHint guesses the encoded size, so that most blocks take one allocation.
func (b *Block) sizeHint() int {
	n := 1400 + 2*len(b.Payload.ExtraData) + 96*len(b.Payload.Withdrawals) + 72*len(b.Pegins)
	for _, tx := range b.Payload.Transactions {
		n += 8 + 2*len(tx)
	}
	if b.AuxPowHeader != nil {
		n += 1024
	}
	if b.PegoutProposal != nil {
		n += 2 * b.PegoutProposal.SerializeSize()
	}
	for _, tx := range b.FinalizedPegouts {
		n += 2 * tx.SerializeSize()
	}
	return n
}

func (p *Payload) appendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 15)
	dst = msgpack.AppendHex(dst, p.ParentHash[:])
	dst = msgpack.AppendHex(dst, p.FeeRecipient[:])
	dst = msgpack.AppendHex(dst, p.StateRoot[:])
	dst = msgpack.AppendHex(dst, p.ReceiptsRoot[:])
	dst = msgpack.AppendHex(dst, p.LogsBloom[:])
	dst = msgpack.AppendHex(dst, p.PrevRandao[:])
	dst = msgpack.AppendDecimal(dst, p.BlockNumber)
	dst = msgpack.AppendDecimal(dst, p.GasLimit)
	dst = msgpack.AppendDecimal(dst, p.GasUsed)
	dst = msgpack.AppendDecimal(dst, p.Timestamp)
	dst = msgpack.AppendHex(dst, p.ExtraData)
	dst = msgpack.AppendBig(dst, p.BaseFeePerGas)
	dst = msgpack.AppendHex(dst, p.BlockHash[:])
	dst = msgpack.AppendArray(dst, len(p.Transactions))
	for _, tx := range p.Transactions {
		dst = msgpack.AppendHex(dst, tx)
	}
	dst = msgpack.AppendArray(dst, len(p.Withdrawals))
	for i := range p.Withdrawals {
		w := &p.Withdrawals[i]
		dst = msgpack.AppendArray(dst, 4)
		dst = msgpack.AppendDecimal(dst, w.Index)
		dst = msgpack.AppendDecimal(dst, w.ValidatorIndex)
		dst = msgpack.AppendHex(dst, w.Address[:])
		dst = msgpack.AppendDecimal(dst, w.Amount)
	}
	return dst
}

// Encode returns the bytes of the header, as gossiped under QueuePow.
// (wire.md 9.4, H)
func (h *AuxPowHeader) Encode() []byte { return h.AppendTo(nil) }

// AppendTo appends the bytes of [AuxPowHeader.Encode] to dst.
func (h *AuxPowHeader) AppendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 7)
	dst = msgpack.AppendHex(dst, h.RangeStart[:])
	dst = msgpack.AppendHex(dst, h.RangeEnd[:])
	dst = msgpack.AppendUint(dst, uint64(h.Bits))
	dst = msgpack.AppendUint(dst, uint64(h.ChainID))
	dst = msgpack.AppendUint(dst, h.Height)
	if h.AuxPow == nil {
		dst = msgpack.AppendNil(dst)
	} else {
		dst = h.AuxPow.AppendTo(dst)
	}
	return msgpack.AppendHex(dst, h.FeeRecipient[:])
}

// Encode returns the bytes of the signed block: what is stored, sent to peers and
// gossiped under ConsensusBlock. The approvals must be valid, see
// [aura.Approvals.Valid]. (wire.md 9.4, B)
func (s *Signed) Encode() []byte { return s.AppendTo(make([]byte, 0, s.Block.sizeHint()+256)) }

// AppendTo appends the bytes of [Signed.Encode] to dst.
func (s *Signed) AppendTo(dst []byte) []byte {
	dst = msgpack.AppendArray(dst, 2)
	dst = s.Block.AppendTo(dst)
	dst = msgpack.AppendArray(dst, 2)
	dst = msgpack.AppendHex(dst, s.Approvals.Bits[:])
	return msgpack.AppendHex(dst, s.Approvals.Signature[:])
}
