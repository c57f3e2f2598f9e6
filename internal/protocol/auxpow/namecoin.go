package auxpow

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Fewest bytes of a list's element on the Bitcoin wire.
const (
	leastInput  = 32 + 4 + 1 + 4
	leastOutput = 8 + 1
)

// Namecoin returns the proof in the layout miners' software uses: coinbase
// transaction, block hash, coinbase branch, chain branch, parent header of 80
// bytes. A branch is a count, its hashes and the side mask as u32 little-endian.
// A transaction has the segwit form if an input carries a witness, or if it has
// no input, since the short form would then read as a segwit marker; that is
// legacy's rule, wire.MsgTx differs. (consensus.md C8)
func (a *AuxPow) Namecoin() []byte {
	dst := appendTx(nil, a.Coinbase)
	dst = append(dst, a.BlockHash[:]...)
	dst = a.CoinbaseBranch.appendNamecoin(dst)
	dst = a.BlockchainBranch.appendNamecoin(dst)
	return appendHeader(dst, &a.ParentBlock)
}

// ParseNamecoin reads the layout of [AuxPow.Namecoin]. Counts that are not in
// their shortest form, a segwit form without any witness, and trailing bytes are
// refused. Errors are graded Invalid and name the offset.
func ParseNamecoin(data []byte) (*AuxPow, error) {
	p := parser{data: data}
	if len(data) > MaxSize {
		p.fail("proof of %d bytes, at most %d are accepted", len(data), MaxSize)
	}
	a := &AuxPow{Coinbase: p.tx()}
	p.fill(a.BlockHash[:], "block hash")
	p.branch(&a.CoinbaseBranch)
	p.branch(&a.BlockchainBranch)
	p.header(&a.ParentBlock)
	if p.err == nil && p.off != len(data) {
		p.fail("%d bytes follow the parent header", len(data)-p.off)
	}
	if p.err != nil {
		return nil, p.err
	}
	return a, nil
}

func appendTx(dst []byte, tx *wire.MsgTx) []byte {
	segwit := len(tx.TxIn) == 0 || tx.HasWitness()
	dst = binary.LittleEndian.AppendUint32(dst, uint32(tx.Version))
	if segwit {
		dst = append(dst, 0, 1)
	}
	dst = appendCount(dst, len(tx.TxIn))
	for _, in := range tx.TxIn {
		dst = append(dst, in.PreviousOutPoint.Hash[:]...)
		dst = binary.LittleEndian.AppendUint32(dst, in.PreviousOutPoint.Index)
		dst = append(appendCount(dst, len(in.SignatureScript)), in.SignatureScript...)
		dst = binary.LittleEndian.AppendUint32(dst, in.Sequence)
	}
	dst = appendCount(dst, len(tx.TxOut))
	for _, out := range tx.TxOut {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(out.Value))
		dst = append(appendCount(dst, len(out.PkScript)), out.PkScript...)
	}
	if segwit {
		for _, in := range tx.TxIn {
			dst = appendCount(dst, len(in.Witness))
			for _, item := range in.Witness {
				dst = append(appendCount(dst, len(item)), item...)
			}
		}
	}
	return binary.LittleEndian.AppendUint32(dst, tx.LockTime)
}

// appendCount appends Bitcoin's variable-length count.
func appendCount(dst []byte, n int) []byte {
	switch {
	case n < 0xfd:
		return append(dst, byte(n))
	case n <= math.MaxUint16:
		return binary.LittleEndian.AppendUint16(append(dst, 0xfd), uint16(n))
	case n <= math.MaxUint32:
		return binary.LittleEndian.AppendUint32(append(dst, 0xfe), uint32(n))
	default:
		return binary.LittleEndian.AppendUint64(append(dst, 0xff), uint64(n))
	}
}

func (b *Branch) appendNamecoin(dst []byte) []byte {
	dst = appendCount(dst, len(b.Hashes))
	for i := range b.Hashes {
		dst = append(dst, b.Hashes[i][:]...)
	}
	return binary.LittleEndian.AppendUint32(dst, b.SideMask)
}

func appendHeader(dst []byte, h *wire.BlockHeader) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.Version))
	dst = append(dst, h.PrevBlock[:]...)
	dst = append(dst, h.MerkleRoot[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.Timestamp.Unix()))
	dst = binary.LittleEndian.AppendUint32(dst, h.Bits)
	return binary.LittleEndian.AppendUint32(dst, h.Nonce)
}

// parser walks Bitcoin's wire form; its first failure stays.
type parser struct {
	data []byte
	off  int
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fault.New(fault.Invalid, "auxpow: offset %d: "+format, append([]any{p.off}, args...)...)
	}
}

func (p *parser) take(n int, what string) []byte {
	if p.err != nil {
		return nil
	}
	if left := len(p.data) - p.off; n > left {
		p.fail("%s needs %d bytes, %d are left", what, n, left)
		return nil
	}
	p.off += n
	return p.data[p.off-n : p.off]
}

func (p *parser) fill(dst []byte, what string) { copy(dst, p.take(len(dst), what)) }

func (p *parser) u32(what string) uint32 {
	if b := p.take(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (p *parser) u64(what string) uint64 {
	if b := p.take(8, what); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count reads the count of a list whose elements take at least least bytes.
func (p *parser) count(least int, what string) int {
	b := p.take(1, what)
	if b == nil {
		return 0
	}
	v, floor := uint64(b[0]), uint64(0)
	switch b[0] {
	case 0xfd:
		if b = p.take(2, what); b != nil {
			v, floor = uint64(binary.LittleEndian.Uint16(b)), 0xfd
		}
	case 0xfe:
		v, floor = uint64(p.u32(what)), math.MaxUint16+1
	case 0xff:
		v, floor = p.u64(what), math.MaxUint32+1
	}
	if p.err != nil {
		return 0
	}
	if left := len(p.data) - p.off; v < floor || v > uint64(left/least) {
		p.fail("count %d of %s does not fit in the %d bytes left or is not in its shortest form", v, what, left)
		return 0
	}
	return int(v)
}

// bytes reads a byte string with its count. No bytes give nil.
func (p *parser) bytes(what string) []byte {
	b := p.take(p.count(1, what), what)
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func (p *parser) tx() *wire.MsgTx {
	tx := &wire.MsgTx{Version: int32(p.u32("transaction version"))}
	p.inputs(tx)
	segwit := false
	if p.err == nil && len(tx.TxIn) == 0 {
		if flag := p.take(1, "segwit flag"); flag != nil && flag[0] != 1 {
			p.fail("transaction without inputs has segwit flag %d, want 1", flag[0])
		}
		segwit = true
		p.inputs(tx)
	}
	n := p.count(leastOutput, "outputs")
	outs := make([]wire.TxOut, n)
	tx.TxOut = make([]*wire.TxOut, n)
	for i := range outs {
		tx.TxOut[i] = &outs[i]
		outs[i].Value = int64(p.u64("output value"))
		outs[i].PkScript = p.bytes("output script")
	}
	if segwit {
		p.witnesses(tx)
	}
	tx.LockTime = p.u32("lock time")
	return tx
}

func (p *parser) inputs(tx *wire.MsgTx) {
	n := p.count(leastInput, "inputs")
	ins := make([]wire.TxIn, n)
	tx.TxIn = make([]*wire.TxIn, n)
	for i := range ins {
		tx.TxIn[i] = &ins[i]
		p.fill(ins[i].PreviousOutPoint.Hash[:], "previous txid")
		ins[i].PreviousOutPoint.Index = p.u32("previous output index")
		ins[i].SignatureScript = p.bytes("input script")
		ins[i].Sequence = p.u32("sequence")
	}
}

func (p *parser) witnesses(tx *wire.MsgTx) {
	for _, in := range tx.TxIn {
		n := p.count(1, "witness")
		if n == 0 {
			continue
		}
		in.Witness = make(wire.TxWitness, n)
		for i := range in.Witness {
			in.Witness[i] = p.bytes("witness item")
		}
	}
	if p.err == nil && len(tx.TxIn) > 0 && !tx.HasWitness() {
		p.fail("transaction in segwit form has no witness")
	}
}

func (p *parser) branch(b *Branch) {
	if n := p.count(chainhash.HashSize, "branch"); n > 0 {
		b.Hashes = make([]chainhash.Hash, n)
	}
	for i := range b.Hashes {
		p.fill(b.Hashes[i][:], "branch hash")
	}
	b.SideMask = p.u32("side mask")
}

func (p *parser) header(h *wire.BlockHeader) {
	h.Version = int32(p.u32("parent version"))
	p.fill(h.PrevBlock[:], "parent's previous block")
	p.fill(h.MerkleRoot[:], "parent's merkle root")
	h.Timestamp = time.Unix(int64(p.u32("parent time")), 0).UTC()
	h.Bits = p.u32("parent bits")
	h.Nonce = p.u32("parent nonce")
}
