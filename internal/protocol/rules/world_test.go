package rules_test

import (
	"context"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/edge/mergeminer"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

const members = 3

// world is a small chain whose every block is executed, with the rules over it.
type world struct {
	t      testing.TB
	spec   *spec.Chain
	blocks map[common.Hash]*rules.Ancestor
	signed map[common.Hash]*block.Signed
	fees   map[common.Hash]*big.Int
	rules  rules.Rules
	main   []*block.Signed // by height
}

func newWorld(t testing.TB, change func(*spec.Chain)) *world {
	t.Helper()
	c := spec.Dev()
	c.Authorities = nil
	for i := range uint64(members) {
		c.Authorities = append(c.Authorities, aura.DevKey(i+1).PublicKey())
	}
	if change != nil {
		change(c)
	}
	committee, err := aura.NewCommittee(c.Authorities)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, spec: c, blocks: map[common.Hash]*rules.Ancestor{}, signed: map[common.Hash]*block.Signed{}, fees: map[common.Hash]*big.Int{},
		rules: rules.Rules{Spec: c, Verifier: committee, Judging: true},
	}
	g := block.Genesis(c, block.Payload{BaseFeePerGas: new(big.Int), BlockHash: common.Hash{0xe0}})
	a := rules.NewAncestor(&g.Block, g.Block.Root(), nil, w)
	w.put(g, a)
	w.main = []*block.Signed{g}
	return w
}

// Ancestor implements rules.Ancestors.
func (w *world) Ancestor(root common.Hash) *rules.Ancestor { return w.blocks[root] }

// Contains implements rules.Ancestors.
func (w *world) Contains(tip, b *rules.Ancestor) bool { return rules.Walk(w, tip, b) }

// FeesAfter implements rules.Ancestors.
func (w *world) FeesAfter(root common.Hash) *big.Int { return w.fees[root] }

func (w *world) put(s *block.Signed, a rules.Ancestor) {
	w.blocks[a.Root], w.signed[a.Root] = &a, s
	w.fees[a.Root] = big.NewInt(int64(a.Number) * 1_000_000_000_000)
}

// add stores a block as if it had been found valid.
func (w *world) add(s *block.Signed) *block.Signed {
	root := s.Block.Root()
	w.put(s, rules.NewAncestor(&s.Block, root, w.blocks[s.Block.ParentHash], w))
	return s
}

// grow adds blocks to the main branch up to a height.
func (w *world) grow(to int) {
	for len(w.main) <= to {
		w.main = append(w.main, w.add(w.child(w.main[len(w.main)-1], nil)))
	}
}

// child makes a good block on parent, changes it, and has all members sign it.
func (w *world) child(parent *block.Signed, change func(*block.Block)) *block.Signed {
	w.t.Helper()
	above := parent.Block.Payload
	b := block.Block{ParentHash: parent.Block.Root(), Payload: block.Payload{
		ParentHash: above.BlockHash, FeeRecipient: rules.BurnRecipient, BlockNumber: above.BlockNumber + 1,
		Timestamp: max(above.Timestamp, 1000) + 1, BaseFeePerGas: new(big.Int),
	}}
	b.Payload.BlockHash = common.BytesToHash(append([]byte{0xe1}, b.ParentHash[1:20]...))
	b.Slot = b.Payload.Timestamp * 1000 / w.spec.SlotDuration
	if change != nil {
		change(&b)
	}
	return w.sign(&block.Signed{Block: b, Approvals: aura.None()}, 0, 1, 2)
}

func (w *world) sign(s *block.Signed, by ...int) *block.Signed {
	root := s.Block.Root()
	s.Approvals = aura.None()
	for _, i := range by {
		if err := s.Approvals.Add(aura.Approval{Signature: aura.DevKey(uint64(i) + 1).Sign(root), Authority: uint8(i)}); err != nil {
			w.t.Fatal(err)
		}
	}
	return s
}

// proof is a header over the main branch's heights start..end, as the rules want it.
func (w *world) proof(start, end int) *block.AuxPowHeader {
	w.t.Helper()
	var hashes []common.Hash
	for _, s := range w.main[start : end+1] {
		hashes = append(hashes, s.Block.Root())
	}
	return w.proofOver(hashes, hashes[0], hashes[len(hashes)-1])
}

func (w *world) proofOver(hashes []common.Hash, start, end common.Hash) *block.AuxPowHeader {
	w.t.Helper()
	p, err := mergeminer.Solve(context.Background(), auxpow.Commitment(hashes), w.spec.ChainID, spec.Dev().Bits, time.Unix(1_700_000_000, 0))
	if err != nil {
		w.t.Fatal(err)
	}
	return &block.AuxPowHeader{
		RangeStart: start, RangeEnd: end, Bits: w.spec.Bits, ChainID: w.spec.ChainID, Height: 1,
		AuxPow: p, FeeRecipient: common.Address{0xaa},
	}
}

// carrier is a good block on parent that carries a header and pays the fees.
func (w *world) carrier(parent *block.Signed, h *block.AuxPowHeader, change func(*block.Block)) *block.Signed {
	w.t.Helper()
	credits, err := block.SplitFees(w.fees[parent.Block.Root()], h.FeeRecipient, w.spec.Federation)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.child(parent, func(b *block.Block) {
		b.AuxPowHeader, b.Payload.Withdrawals = h, credits
		if change != nil {
			change(b)
		}
	})
}

func (w *world) judge(s *block.Signed) rules.Verdict {
	_, v := w.rules.Check(s, s.Block.Root(), w)
	return v
}
