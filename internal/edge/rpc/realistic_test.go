package rpc_test

import (
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// template is work as a pool gets it.
type template struct {
	hash    [32]byte
	chainID uint32
	bits    uint32
}

// poolBlock is a parent block as a pool makes it: a coinbase that pays two accounts,
// commits to witnesses and to a merge-mining tree of eight chains, in a block with six
// other transactions. Its fields may be changed before it is sealed.
type poolBlock struct {
	rand     *rand.Rand
	chains   int // length of the branch in the merge-mining tree
	nonce    uint32
	slot     func(nonce, chainID, size uint32) uint32
	root     func(chainhash.Hash) chainhash.Hash // what the coinbase commits to
	size     uint32                              // what it says of the tree; 0 for the truth
	outputs  func([]*wire.TxOut) []*wire.TxOut
	version  int32
	foreign  bool // the coinbase is of another block
	highHash bool // grind for a hash above the target
}

func newPoolBlock(seed uint64) *poolBlock {
	return &poolBlock{
		rand: rand.New(rand.NewPCG(seed, 7)), chains: 3, nonce: uint32(seed) * 2654435761, slot: slotOf,
		root: func(h chainhash.Hash) chainhash.Hash { return h }, outputs: func(o []*wire.TxOut) []*wire.TxOut { return o }, version: 0x20000000,
	}
}

func (p *poolBlock) hash() (h chainhash.Hash) {
	for i := range h {
		h[i] = byte(p.rand.Uint32())
	}
	return h
}

// slotOf is the place of a chain in a merge-mining tree. (C8 g)
func slotOf(nonce, chainID, size uint32) uint32 {
	x := nonce*1103515245 + 12345
	x = x%size + chainID
	return (x*1103515245 + 12345) % size
}

// fold walks a branch up, bit i of the mask saying that the branch's hash is on the left.
func fold(leaf chainhash.Hash, branch []chainhash.Hash, mask uint32) chainhash.Hash {
	for i, other := range branch {
		pair := slices.Concat(leaf[:], other[:])
		if mask>>i&1 != 0 {
			pair = slices.Concat(other[:], leaf[:])
		}
		leaf = chainhash.DoubleHashH(pair)
	}
	return leaf
}

// seal mines the block and returns the proof for a template.
func (p *poolBlock) seal(t template) *auxpow.AuxPow {
	a := &auxpow.AuxPow{}
	for range p.chains {
		a.BlockchainBranch.Hashes = append(a.BlockchainBranch.Hashes, p.hash())
	}
	size := uint32(1) << p.chains
	a.BlockchainBranch.SideMask = p.slot(p.nonce, t.chainID, size)
	if p.size != 0 {
		size = p.size
	}
	root := p.root(fold(t.hash, a.BlockchainBranch.Hashes, a.BlockchainBranch.SideMask))
	commitment := slices.Concat([]byte{0xfa, 0xbe, 'm', 'm'}, root[:])
	commitment = binary.LittleEndian.AppendUint32(commitment, size)
	commitment = binary.LittleEndian.AppendUint32(commitment, p.nonce)
	a.Coinbase = p.coinbase(commitment)
	for range 3 {
		a.CoinbaseBranch.Hashes = append(a.CoinbaseBranch.Hashes, p.hash())
	}
	leaf := a.Coinbase.TxHash()
	if p.foreign {
		leaf = p.hash()
	}
	a.ParentBlock = wire.BlockHeader{
		Version: p.version, PrevBlock: p.hash(), MerkleRoot: fold(leaf, a.CoinbaseBranch.Hashes, 0), Timestamp: time.Unix(1_795_454_700, 0), Bits: 0x17034219,
	}
	target := auxpow.CheckTarget(t.bits)
	for {
		h := a.ParentBlock.BlockHash()
		slices.Reverse(h[:])
		if above := new(big.Int).SetBytes(h[:]).Cmp(target) > 0; above == p.highHash {
			break
		}
		a.ParentBlock.Nonce++
	}
	a.BlockHash = a.ParentBlock.BlockHash()
	return a
}

// coinbase is one of a segwit block: height, tag and extra nonce in its input, the
// witness commitment in output 1, ours in output 2.
func (p *poolBlock) coinbase(commitment []byte) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	input := append([]byte{3, 0x40, 0x77, 0x0d}, "/some pool/"...)
	tx.AddTxIn(&wire.TxIn{
		PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: binary.LittleEndian.AppendUint64(input, p.rand.Uint64()),
		Sequence: wire.MaxTxInSequenceNum, Witness: wire.TxWitness{make([]byte, 32)},
	})
	account := p.hash()
	witnesses := p.hash()
	tx.TxOut = p.outputs([]*wire.TxOut{
		wire.NewTxOut(312_500_000, slices.Concat([]byte{0, 20}, account[:20])),
		wire.NewTxOut(0, slices.Concat([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, witnesses[:])),
		wire.NewTxOut(0, commitment),
		wire.NewTxOut(1_000, slices.Concat([]byte{0, 20}, account[12:])),
	})
	return tx
}

// wrong lists a block for each check of a proof's content, by the check that it fails.
// A parent with our chain id is not among them: an id above 65535 has no such parent.
// A chain branch of 31 needs 2^31 as size, which the truth is.
var wrong = map[auxpow.Reject]func(p *poolBlock, t template){
	auxpow.HighHash:        func(p *poolBlock, _ template) { p.highHash = true },
	auxpow.LongChainBranch: func(p *poolBlock, _ template) { p.chains = 31 },
	auxpow.MerkleMismatch:  func(p *poolBlock, _ template) { p.foreign = true },
	auxpow.MalformedCoinbase: func(p *poolBlock, _ template) {
		p.outputs = func(o []*wire.TxOut) []*wire.TxOut { return o[:2] }
	},
	auxpow.NoCommitment: func(p *poolBlock, _ template) {
		p.outputs = func(o []*wire.TxOut) []*wire.TxOut { return []*wire.TxOut{o[2], o[0], o[1], o[3]} }
	},
	auxpow.OtherCommitment: func(p *poolBlock, _ template) {
		p.root = func(h chainhash.Hash) chainhash.Hash { h[0]++; return h }
		p.outputs = func(o []*wire.TxOut) []*wire.TxOut { return append(o[:2], o[3], o[2]) }
	},
	auxpow.WrongTreeSize: func(p *poolBlock, _ template) { p.size = 16 },
	auxpow.WrongSlot: func(p *poolBlock, _ template) {
		p.slot = func(nonce, chainID, size uint32) uint32 { return (slotOf(nonce, chainID, size) + 1) % size }
	},
}
