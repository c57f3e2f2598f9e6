package model

import (
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// Model knows every block that exists and whether it is valid.
type Model struct {
	spec    *spec.Chain
	judging bool // fee withdrawals are judged (C6)
	genesis common.Hash
	blocks  map[common.Hash]*Block
}

// Block is what the model knows of a block.
type Block struct {
	Root, Parent common.Hash
	Number       uint64
	Payload      *block.Payload
	Header       *block.AuxPowHeader
	Slot         uint64
	Pegouts      int    // finalised peg-outs
	Wrong        string // why it is invalid; empty for a valid block
	Structure    string // the same without what execution says of it or an ancestor
	Fees         *big.Int
	// LastCarrier is the nearest block with proof of work, this one included.
	LastCarrier common.Hash
}

// New returns a model that knows genesis.
func New(c *spec.Chain, genesis *block.Signed, judging bool) *Model {
	root := genesis.Block.Root()
	return &Model{spec: c, judging: judging, genesis: root, blocks: map[common.Hash]*Block{root: {
		Root: root, Payload: &genesis.Block.Payload, Header: genesis.Block.AuxPowHeader, Fees: new(big.Int), LastCarrier: root,
	}}}
}

// Add takes a block that exists now. Its parent must have been added before;
// without one the block stays unknown for ever, and nothing may come of it.
func (m *Model) Add(s *block.Signed) *Block {
	b := &Block{
		Root: s.Block.Root(), Parent: s.Block.ParentHash, Number: s.Block.Payload.BlockNumber, Slot: s.Block.Slot,
		Payload: &s.Block.Payload, Header: s.Block.AuxPowHeader, Pegouts: len(s.Block.FinalizedPegouts), Fees: new(big.Int),
	}
	if known := m.blocks[b.Root]; known != nil {
		return known
	}
	parent := m.blocks[b.Parent]
	if parent == nil {
		b.Wrong = "its parent does not exist"
		b.Structure = b.Wrong
		return b
	}
	b.LastCarrier = parent.LastCarrier
	if b.Header != nil {
		b.LastCarrier = b.Root
	}
	m.blocks[b.Root] = b
	if b.Structure = m.wrongStructure(b, parent); b.Structure == "" {
		b.Wrong = m.wrongExecution(b, parent)
	} else {
		b.Wrong = b.Structure
	}
	if b.Wrong == "" {
		b.Fees = m.fees(b, parent)
	}
	return b
}

// Block returns a block that was added, or nil.
func (m *Model) Block(root common.Hash) *Block { return m.blocks[root] }

// wrongStructure is C5 without the execution layer.
func (m *Model) wrongStructure(b, parent *Block) string {
	p := b.Payload
	switch {
	case parent.Structure != "":
		return "its parent is invalid"
	case p.ParentHash != parent.Payload.BlockHash:
		return "its payload does not stand on the parent's"
	case b.Number != parent.Number+1:
		return "its number does not follow the parent's"
	case b.Slot > p.Timestamp*1000/m.spec.SlotDuration+1 && b.Slot > p.Timestamp*1000/m.spec.Exceptions.OlderSlotDuration+1:
		return "its slot is in the future of its timestamp (C4)"
	case b.Pegouts != 0: // no range of these chains proposes any
		return "it finalises peg-outs that nobody proposed"
	}
	return m.wrongWork(b, parent)
}

// wrongExecution is what the execution layer says, and the fees that it counted.
func (m *Model) wrongExecution(b, parent *Block) string {
	p := b.Payload
	switch {
	case parent.Wrong != "":
		return "its parent is invalid"
	case string(p.ExtraData) == standin.BadExtra:
		return "execution refuses it"
	case standin.PayloadHash(p) != p.BlockHash:
		return "its payload hash is wrong"
	case p.Timestamp <= parent.Payload.Timestamp:
		return "it is not later than its parent"
	case standin.StateRoot(p, parent.Payload.StateRoot) != p.StateRoot:
		return "its state root is wrong"
	}
	return m.wrongCredits(b, parent)
}

// wrongWork is C5.9 for a block without proof of work and C8 for one with it.
func (m *Model) wrongWork(b, parent *Block) string {
	final := m.finalBelow(parent)
	h := b.Header
	if h == nil {
		if b.Number-final.Number > m.spec.MaxBlocksWithoutPow {
			return "too many blocks without proof of work"
		}
		return ""
	}
	if h.AuxPow == nil {
		return "its proof is missing"
	}
	// The range, from its end down to the block after the finalised one.
	var roots []common.Hash
	for at := m.blocks[h.RangeEnd]; ; at = m.blocks[at.Parent] {
		if at == nil || at.Root == m.genesis {
			return "its range does not begin after the finalised block"
		}
		roots = append(roots, at.Root)
		if at.Root == h.RangeStart {
			if at.Parent != final.Root {
				return "its range does not begin after the finalised block"
			}
			break
		}
	}
	if !m.Above(parent.Root, h.RangeEnd) {
		return "its range ends beside its own branch"
	}
	if !h.AuxPow.CheckWork(m.spec.Bits) { // these chains do not retarget
		return "its proof misses the target"
	}
	var hashes []byte
	for _, root := range slices.Backward(roots) {
		hashes = append(hashes, root[:]...)
	}
	if h.AuxPow.CheckStructure(chainhash.DoubleHashH(hashes), h.ChainID) != nil {
		return "its proof is for something else"
	}
	return ""
}

// Final is the block that is final by the carriers of b's own branch.
func (m *Model) Final(b *Block) common.Hash { return m.finalBelow(b).Root }

// finalBelow is the block that is final by the carriers of b's own branch.
func (m *Model) finalBelow(b *Block) *Block { return m.blocks[m.finalisedBy(m.blocks[b.LastCarrier])] }

// finalisedBy is what a carrier makes final: itself when its header says height 0.
func (m *Model) finalisedBy(carrier *Block) common.Hash {
	if carrier.Header == nil || carrier.Header.Height == 0 {
		return carrier.Root
	}
	return carrier.Header.RangeEnd
}

// Above reports whether top is base or stands on it.
func (m *Model) Above(top, base common.Hash) bool {
	want := m.blocks[base]
	at := m.blocks[top]
	if want == nil {
		return false
	}
	for at != nil && at.Number > want.Number {
		at = m.blocks[at.Parent]
	}
	return at == want
}

// Ancestor is the last block of two branches.
func (m *Model) Ancestor(a, b common.Hash) *Block {
	x, y := m.blocks[a], m.blocks[b]
	for x != y && x != nil && y != nil {
		if x.Number >= y.Number {
			x = m.blocks[x.Parent]
		} else {
			y = m.blocks[y.Parent]
		}
	}
	return x
}

// Path is the branch from genesis, which is left out, to tip.
func (m *Model) Path(tip common.Hash) []*Block {
	top := m.blocks[tip]
	if top == nil || top.Number > uint64(len(m.blocks)) {
		return nil
	}
	path := make([]*Block, top.Number)
	for at := top; at.Root != m.genesis; at = m.blocks[at.Parent] {
		path[at.Number-1] = at
	}
	return path
}

// earned is what a block's transactions pay above the base fee. (C6)
func earned(p *block.Payload) *big.Int {
	sum := new(big.Int)
	for _, raw := range p.Transactions {
		var tx types.Transaction
		if err := tx.UnmarshalBinary(raw); err != nil {
			continue // no simulated transaction is like that
		}
		price := new(big.Int).Sub(tx.GasFeeCap(), p.BaseFeePerGas)
		if price.Cmp(tx.GasTipCap()) > 0 {
			price.Set(tx.GasTipCap())
		}
		sum.Add(sum, price.Mul(price, big.NewInt(standin.TxGas)))
	}
	return sum
}

// fees is the accumulator after b: what was earned since the last carrier, which
// has paid out what was earned before it. (C6)
func (m *Model) fees(b, parent *Block) *big.Int {
	sum := earned(b.Payload)
	if b.Header == nil {
		sum.Add(sum, parent.Fees)
	}
	return sum
}

// Split is how a carrier on parent distributes the fees: 80 percent to the miner,
// equal parts of the rest to the federation, in gwei; what is left over in wei
// vanishes. (C6)
func (m *Model) Split(parent *Block) (miner, each uint64, vanished *big.Int) {
	gwei := big.NewInt(1_000_000_000)
	members := big.NewInt(int64(len(m.spec.Federation)))
	first := new(big.Int).Div(new(big.Int).Mul(parent.Fees, big.NewInt(80)), big.NewInt(100))
	second := new(big.Int).Div(new(big.Int).Sub(parent.Fees, first), members)
	first.Div(first, gwei)
	second.Div(second, gwei)
	paid := new(big.Int).Mul(second, members)
	paid.Mul(paid.Add(paid, first), gwei)
	return first.Uint64(), second.Uint64(), new(big.Int).Sub(parent.Fees, paid)
}

// wrongCredits is the fee part of C6 with nothing credited beside it.
func (m *Model) wrongCredits(b, parent *Block) string {
	if !m.judging || b.Header == nil || parent.Fees.Sign() == 0 {
		return ""
	}
	miner, each, _ := m.Split(parent)
	want := map[common.Address]uint64{b.Header.FeeRecipient: miner}
	for _, address := range m.spec.Federation {
		want[address] = each
	}
	for _, w := range b.Payload.Withdrawals {
		if amount, ok := want[w.Address]; ok && amount == w.Amount {
			delete(want, w.Address)
		}
	}
	if len(want) > 0 {
		return "it does not credit the fees"
	}
	return ""
}

// Proof is the header that a block on parent needs to carry the range from start
// to end; the range may be a wrong one. nil when end is unknown.
func (m *Model) Proof(start, end, parent common.Hash, recipient common.Address) (*block.AuxPowHeader, error) {
	var roots []common.Hash
	for at := m.blocks[end]; at != nil && at.Root != m.genesis; at = m.blocks[at.Parent] {
		roots = append(roots, at.Root)
		if at.Root == start {
			break
		}
	}
	slices.Reverse(roots)
	if len(roots) == 0 || m.blocks[parent] == nil {
		return nil, nil
	}
	last := m.blocks[m.blocks[parent].LastCarrier]
	h, err := standin.Header(m.spec, roots, m.spec.Bits, last.Number+1, recipient)
	if err != nil {
		return nil, err
	}
	h.RangeStart = start
	return h, nil
}
