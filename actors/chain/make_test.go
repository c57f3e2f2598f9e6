package chain_test

import (
	"context"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// plan says what block another member makes.
type plan struct {
	parent  string
	seconds uint64 // after the parent; 0 means 1
	slot    uint64 // 0: of the timestamp
	by      []int  // signers
	extra   string
	txs     [][]byte
	carry   *block.AuxPowHeader
	unpaid  bool                // the carrier credits nobody
	change  func(*block.Signed) // before signing
	after   func(*block.Signed)
}

// make builds and signs a block that the execution layer would accept, then
// spoils it as planned. It is not handed to the node.
func (r *rig) make(name string, p plan) *block.Signed {
	parent, ok := r.blocks[p.parent]
	if !ok {
		r.t.Fatalf("no block %q", p.parent)
	}
	timestamp := max(parent.Block.Payload.Timestamp, startWall/1000-1) + max(p.seconds, 1)
	if p.slot == 0 {
		p.slot = timestamp * 1000 / r.spec.SlotDuration
	}
	var credits []block.Withdrawal
	if e := r.state().Entry(parent.Block.Root()); p.carry != nil && e != nil && !p.unpaid {
		var err error
		if credits, err = block.SplitFees(new(big.Int).SetBytes(e.Fees), p.carry.FeeRecipient, r.spec.Federation); err != nil {
			r.t.Fatalf("%v", err)
		}
	}
	// A layer of the maker's own knows its parent, valid or not.
	made := &layer{known: map[common.Hash]*block.Payload{parent.Block.Payload.BlockHash: &parent.Block.Payload}, limit: -1}
	payload := made.child(parent.Block.Payload.BlockHash, timestamp, p.extra, credits, p.txs)
	s := &block.Signed{Approvals: aura.None(), Block: block.Block{
		ParentHash: parent.Block.Root(), Slot: p.slot, Payload: *payload, AuxPowHeader: p.carry,
	}}
	if p.change != nil {
		p.change(s)
	}
	root := s.Block.Root()
	for _, i := range p.by {
		if err := s.Approvals.Add(r.approval(root, i)); err != nil {
			r.t.Fatalf("%v", err)
		}
	}
	if p.after != nil {
		p.after(s)
	}
	r.add(name, s)
	return s
}

func (r *rig) approval(root common.Hash, member int) aura.Approval {
	return aura.Approval{Signature: aura.DevKey(uint64(member) + 1).Sign(root), Authority: uint8(member)}
}

func (r *rig) receive(origin string, list ...*block.Signed) {
	m := &message.BlocksReceived{Origin: origin, Peer: r.from}
	for _, b := range list {
		m.Blocks = append(m.Blocks, message.Block{Signed: record.NewContent(b.Encode())})
	}
	r.send("chain", m)
}

// header proves work over start..end, by parent links of the made blocks.
func (r *rig) header(start, end string, recipient common.Address) *block.AuxPowHeader {
	first, last := r.blocks[start].Block.Root(), r.blocks[end].Block.Root()
	var hashes []common.Hash
	for at := r.blocks[end]; at != nil && at.Block.Slot > 0; at = r.blocks[r.names[at.Block.ParentHash]] {
		hashes = append([]common.Hash{at.Block.Root()}, hashes...)
		if at.Block.Root() == first {
			break
		}
	}
	return &block.AuxPowHeader{
		RangeStart: first, RangeEnd: last, Bits: r.spec.Bits, ChainID: r.spec.ChainID, Height: 1,
		AuxPow: r.solve(auxpow.Commitment(hashes), r.spec.Bits), FeeRecipient: recipient,
	}
}

func (r *rig) solve(commitment [32]byte, bits uint32) *auxpow.AuxPow {
	proof, err := mergeminer.Solve(context.Background(), commitment, r.spec.ChainID, bits, time.Unix(1_700_000_000, 0))
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	return proof
}

// breakers spoil a block in one place each.
var breakers = map[string]func(*block.Signed){
	"parent":        func(s *block.Signed) { s.Block.ParentHash = common.Hash{} },
	"orphan":        func(s *block.Signed) { s.Block.ParentHash = common.Hash{1} },
	"orphan-forged": func(s *block.Signed) { s.Block.ParentHash = common.Hash{1} },
	"payload":       func(s *block.Signed) { s.Block.Payload.ParentHash = common.Hash{2} },
	"number":        func(s *block.Signed) { s.Block.Payload.BlockNumber++ },
	"hash":          func(s *block.Signed) { s.Block.Payload.BlockHash = common.Hash{3} },
	"state":         func(s *block.Signed) { s.Block.Payload.StateRoot = common.Hash{4} },
	"pegouts":       func(s *block.Signed) { s.Block.FinalizedPegouts = []*wire.MsgTx{wire.NewMsgTx(2)} },
	"proof":         func(s *block.Signed) { s.Block.AuxPowHeader.AuxPow = nil },
	"chain-id": func(s *block.Signed) {
		s.Block.AuxPowHeader.ChainID = uint32(s.Block.AuxPowHeader.AuxPow.ParentBlock.Version) >> 16
	},
	"start":     func(s *block.Signed) { s.Block.AuxPowHeader.RangeStart = common.Hash{5} },
	"structure": func(s *block.Signed) { s.Block.AuxPowHeader.AuxPow.Coinbase.LockTime++ },
	"recipient": func(s *block.Signed) { s.Block.AuxPowHeader.FeeRecipient = common.Address{9} },
}

// afterwards spoil the approvals.
var afterwards = map[string]func(*block.Signed){
	"signature": func(s *block.Signed) { s.Approvals.Signature = aura.DevKey(9).Sign(common.Hash{1}) },
	"bits":      func(s *block.Signed) { s.Approvals.Bits[0] ^= 2 },
	"orphan-forged": func(s *block.Signed) {
		s.Approvals.Signature = aura.DevKey(9).Sign(common.Hash{1})
	},
	"no-member": func(s *block.Signed) { s.Approvals.Bits[1] |= 0x60 },
}
