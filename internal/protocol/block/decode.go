package block

import (
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/msgpack"
)

// MaxSize bounds the encoded block that a decoder looks at, in bytes. Legacy
// gossips up to 64 KiB and answers sync with up to 1 MiB; a payload that fills a
// gas limit of 120 million with calldata stays below this.
const MaxSize = 64 << 20

// maxExtraData is the bound of the execution layer on extra data, in bytes.
const maxExtraData = 32

// Fewest bytes an element of each list takes, for the check against what is left.
const (
	leastPegin       = 1 + 2*34
	leastTx          = 1 + 1 + 1 + 1 + 1
	leastPayloadTx   = 3
	leastWithdrawal  = 1 + 2 + 2 + 44 + 2
	sizeOfApprovals  = 2
	fieldsOfBlock    = 7
	fieldsOfPayload  = 15
	fieldsOfHeader   = 7
	fieldsOfWithdraw = 4
)

// Decode reads a signed block. Every spelling but the canonical one and trailing
// bytes are refused, so Encode gives the input back. Approval bits must carry
// their length mark; nothing is verified. Errors are graded Invalid.
func Decode(data []byte) (*Signed, error) {
	r := msgpack.NewReader(data, MaxSize)
	s := ReadSigned(r)
	if err := r.End("signed block"); err != nil {
		return nil, err
	}
	return s, nil
}

// DecodeBlock reads what [Block.Encode] writes, as strictly as [Decode].
func DecodeBlock(data []byte) (*Block, error) {
	r := msgpack.NewReader(data, MaxSize)
	b := new(Block)
	b.read(r)
	if err := r.End("block"); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeAuxPowHeader reads what [AuxPowHeader.Encode] writes, as strictly as
// [Decode].
func DecodeAuxPowHeader(data []byte) (*AuxPowHeader, error) {
	r := msgpack.NewReader(data, auxpow.MaxSize)
	h := ReadAuxPowHeader(r)
	if err := r.End("aux-PoW header"); err != nil {
		return nil, err
	}
	return h, nil
}

// ReadSigned reads a signed block from the middle of a larger value. A failure
// stays in r; the result is then incomplete.
func ReadSigned(r *msgpack.Reader) *Signed {
	s := new(Signed)
	r.Array(2, "signed block")
	s.Block.read(r)
	r.Array(sizeOfApprovals, "approvals")
	r.Hex(s.Approvals.Bits[:], "aggregation bits")
	if r.Err() == nil && !s.Approvals.Valid() {
		r.Fail("aggregation bits %#x have no length mark at bit 15", s.Approvals.Bits)
	}
	r.Hex(s.Approvals.Signature[:], "aggregate signature")
	return s
}

// DecodeFront reads the first bytes of [Block.Encode] up to the transactions of the payload,
// and says how many bytes these were. What comes after is not looked at: a header of the
// peers' protocol ends there. (docs/formats/peer-protocol.md, Headers)
func DecodeFront(data []byte) (*Block, int, error) {
	r := msgpack.NewReader(data, MaxSize)
	b := new(Block)
	b.readFront(r)
	return b, len(data) - r.Left(), r.Err()
}

func (b *Block) read(r *msgpack.Reader) {
	b.readFront(r)
	b.Payload.readBack(r)
	if n := r.List(leastPegin, "pegins"); n > 0 {
		b.Pegins = make([]Pegin, n)
	}
	for i := range b.Pegins {
		r.Array(2, "pegin")
		r.Bin(b.Pegins[i].Txid[:], "pegin: txid")
		r.Bin(b.Pegins[i].BlockHash[:], "pegin: block hash")
		if r.Err() != nil {
			return
		}
	}
	if !r.Nil() {
		b.PegoutProposal = r.Tx()
	}
	if n := r.List(leastTx, "finalized pegouts"); n > 0 {
		b.FinalizedPegouts = make([]*wire.MsgTx, n)
	}
	for i := range b.FinalizedPegouts {
		if b.FinalizedPegouts[i] = r.Tx(); r.Err() != nil {
			return
		}
	}
}

func (b *Block) readFront(r *msgpack.Reader) {
	r.Array(fieldsOfBlock, "block")
	r.Hex(b.ParentHash[:], "parent hash")
	b.Slot = r.Uint64("slot")
	if !r.Nil() {
		b.AuxPowHeader = ReadAuxPowHeader(r)
	}
	b.Payload.readFront(r)
}

func (p *Payload) read(r *msgpack.Reader) {
	p.readFront(r)
	p.readBack(r)
}

func (p *Payload) readFront(r *msgpack.Reader) {
	r.Array(fieldsOfPayload, "payload")
	r.Hex(p.ParentHash[:], "payload: parent hash")
	r.Hex(p.FeeRecipient[:], "payload: fee recipient")
	r.Hex(p.StateRoot[:], "payload: state root")
	r.Hex(p.ReceiptsRoot[:], "payload: receipts root")
	r.Hex(p.LogsBloom[:], "payload: logs bloom")
	r.Hex(p.PrevRandao[:], "payload: prev randao")
	p.BlockNumber = r.Decimal("payload: block number")
	p.GasLimit = r.Decimal("payload: gas limit")
	p.GasUsed = r.Decimal("payload: gas used")
	p.Timestamp = r.Decimal("payload: timestamp")
	p.ExtraData = r.HexBytes(maxExtraData, "payload: extra data")
	p.BaseFeePerGas = r.Big("payload: base fee per gas")
	r.Hex(p.BlockHash[:], "payload: block hash")
}

func (p *Payload) readBack(r *msgpack.Reader) {
	if n := r.List(leastPayloadTx, "payload: transactions"); n > 0 {
		p.Transactions = make([][]byte, n)
	}
	for i := range p.Transactions {
		if p.Transactions[i] = r.HexBytes(MaxSize, "payload: transaction"); r.Err() != nil {
			return
		}
	}
	if n := r.List(leastWithdrawal, "payload: withdrawals"); n > 0 {
		p.Withdrawals = make([]Withdrawal, n)
	}
	for i := range p.Withdrawals {
		w := &p.Withdrawals[i]
		r.Array(fieldsOfWithdraw, "withdrawal")
		w.Index = r.Decimal("withdrawal: index")
		w.ValidatorIndex = r.Decimal("withdrawal: validator index")
		r.Hex(w.Address[:], "withdrawal: address")
		w.Amount = r.Decimal("withdrawal: amount")
		if r.Err() != nil {
			return
		}
	}
}

// ReadAuxPowHeader reads a header from the middle of a larger value. A failure
// stays in r; the result is then incomplete.
func ReadAuxPowHeader(r *msgpack.Reader) *AuxPowHeader {
	h := new(AuxPowHeader)
	r.Array(fieldsOfHeader, "aux-PoW header")
	r.Hex(h.RangeStart[:], "aux-PoW header: range start")
	r.Hex(h.RangeEnd[:], "aux-PoW header: range end")
	h.Bits = r.Uint32("aux-PoW header: bits")
	h.ChainID = r.Uint32("aux-PoW header: chain id")
	h.Height = r.Uint64("aux-PoW header: height")
	if !r.Nil() {
		h.AuxPow = auxpow.Read(r)
	}
	r.Hex(h.FeeRecipient[:], "aux-PoW header: fee recipient")
	return h
}
