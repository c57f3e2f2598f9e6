package msgpack

import (
	"time"

	"github.com/btcsuite/btcd/wire"
)

// Fewest bytes an element of each list takes, for the check against what is left.
const (
	leastInput  = 1 + 1 + 34 + 1 + 2 + 1 + 1
	leastOutput = 1 + 1 + 2
	leastItem   = 1
)

// AppendTx appends a Bitcoin transaction: [version, lock_time, inputs, outputs].
// Output values are written as the unsigned 64 bits they are in Bitcoin.
// (wire.md 9.4, T)
func AppendTx(dst []byte, tx *wire.MsgTx) []byte {
	dst = AppendArray(dst, 4)
	dst = AppendInt(dst, int64(tx.Version))
	dst = AppendUint(dst, uint64(tx.LockTime))
	dst = AppendArray(dst, len(tx.TxIn))
	for _, in := range tx.TxIn {
		dst = AppendArray(dst, 4)
		dst = AppendArray(dst, 2)
		dst = AppendBin(dst, in.PreviousOutPoint.Hash[:])
		dst = AppendUint(dst, uint64(in.PreviousOutPoint.Index))
		dst = AppendBin(dst, in.SignatureScript)
		dst = AppendUint(dst, uint64(in.Sequence))
		dst = AppendArray(dst, len(in.Witness))
		for _, item := range in.Witness {
			dst = AppendByteArray(dst, item)
		}
	}
	dst = AppendArray(dst, len(tx.TxOut))
	for _, out := range tx.TxOut {
		dst = AppendArray(dst, 2)
		dst = AppendUint(dst, uint64(out.Value))
		dst = AppendBin(dst, out.PkScript)
	}
	return dst
}

// Tx reads what [AppendTx] writes. An output value of 2^63 or more becomes a
// negative wire.TxOut.Value with the same 64 bits. After a failure the result is
// not nil but incomplete.
func (r *Reader) Tx() *wire.MsgTx {
	tx := new(wire.MsgTx)
	r.Array(4, "transaction")
	tx.Version = r.Int32("transaction: version")
	tx.LockTime = r.Uint32("transaction: lock time")
	n := r.List(leastInput, "transaction: inputs")
	ins := make([]wire.TxIn, n)
	tx.TxIn = make([]*wire.TxIn, n)
	for i := range ins {
		tx.TxIn[i] = &ins[i]
		r.txIn(&ins[i])
		if r.err != nil {
			return tx
		}
	}
	n = r.List(leastOutput, "transaction: outputs")
	outs := make([]wire.TxOut, n)
	tx.TxOut = make([]*wire.TxOut, n)
	for i := range outs {
		tx.TxOut[i] = &outs[i]
		r.Array(2, "transaction: output")
		outs[i].Value = int64(r.Uint64("transaction: output value"))
		outs[i].PkScript = r.BinBytes("transaction: output script")
		if r.err != nil {
			return tx
		}
	}
	return tx
}

func (r *Reader) txIn(in *wire.TxIn) {
	r.Array(4, "transaction: input")
	r.Array(2, "transaction: previous output")
	r.Bin(in.PreviousOutPoint.Hash[:], "transaction: previous txid")
	in.PreviousOutPoint.Index = r.Uint32("transaction: previous output index")
	in.SignatureScript = r.BinBytes("transaction: script")
	in.Sequence = r.Uint32("transaction: sequence")
	n := r.List(leastItem, "transaction: witness")
	if n == 0 {
		return
	}
	in.Witness = make(wire.TxWitness, n)
	for i := range in.Witness {
		in.Witness[i] = r.ByteArray("transaction: witness item")
		if r.err != nil {
			return
		}
	}
}

// AppendHeader appends a Bitcoin block header: [version, previous block, merkle
// root, time, bits, nonce]. (wire.md 9.4, A)
func AppendHeader(dst []byte, h *wire.BlockHeader) []byte {
	dst = AppendArray(dst, 6)
	dst = AppendInt(dst, int64(h.Version))
	dst = AppendBin(dst, h.PrevBlock[:])
	dst = AppendBin(dst, h.MerkleRoot[:])
	dst = AppendUint(dst, uint64(uint32(h.Timestamp.Unix())))
	dst = AppendUint(dst, uint64(h.Bits))
	return AppendUint(dst, uint64(h.Nonce))
}

// Header reads what [AppendHeader] writes. The time is in UTC.
func (r *Reader) Header(h *wire.BlockHeader) {
	r.Array(6, "header")
	h.Version = r.Int32("header: version")
	r.Bin(h.PrevBlock[:], "header: previous block")
	r.Bin(h.MerkleRoot[:], "header: merkle root")
	h.Timestamp = time.Unix(int64(r.Uint32("header: time")), 0).UTC()
	h.Bits = r.Uint32("header: bits")
	h.Nonce = r.Uint32("header: nonce")
}
