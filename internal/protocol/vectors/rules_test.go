package vectors_test

import (
	"maps"
	"math/big"
	"path/filepath"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// judged is a recorded chain with the rules over it.
type judged struct {
	*chain
	known map[common.Hash]*rules.Ancestor
	rules rules.Rules
	order []*block.Signed // parents first
}

// Ancestor implements rules.Ancestors.
func (j *judged) Ancestor(root common.Hash) *rules.Ancestor { return j.known[root] }

// Contains implements rules.Ancestors.
func (j *judged) Contains(tip, b *rules.Ancestor) bool { return rules.Walk(j, tip, b) }

// FeesAfter implements rules.Ancestors.
func (j *judged) FeesAfter(root common.Hash) *big.Int { return j.fees[root] }

// openJudged reads a recorded chain. Heights of history are set to zero, so that
// work and range starts are checked everywhere.
func openJudged(t *testing.T, name string) *judged {
	t.Helper()
	c := openChain(t, filepath.Join(vectors.Dir(legacyDir), "chains", name))
	c.spec.Exceptions.UncheckedWorkUpTo, c.spec.Exceptions.UnlinkedRangesUpTo = 0, 0
	j := &judged{
		chain: c, known: map[common.Hash]*rules.Ancestor{},
		rules: rules.Rules{Spec: c.spec, Verifier: c.committee, Judging: true},
	}
	j.order = slices.SortedFunc(maps.Values(c.blocks), func(a, b *block.Signed) int {
		return int(a.Block.Payload.BlockNumber) - int(b.Block.Payload.BlockNumber)
	})
	for _, s := range j.order {
		root := s.Root()
		a := rules.NewAncestor(&s.Block, root, j.known[s.Block.ParentHash], j)
		j.known[root] = &a
	}
	return j
}

func (j *judged) judge(s *block.Signed) rules.Verdict {
	_, v := j.rules.Check(s, s.Root(), j)
	return v
}

// TestVectorsRules judges the chains that legacy nodes really produced block by
// block, as a node that judges pegs: each is valid, and those with a part
// for the bridge are counted. Then each block is changed in one member and signed anew.
func TestVectorsRules(t *testing.T) {
	for _, name := range []string{"single", "fed3", "crashed"} {
		t.Run(name, func(t *testing.T) {
			j := openJudged(t, name)
			open, withheld, refused := 0, map[string]int{}, map[string]int{}
			for _, s := range j.order[1:] {
				if v := j.judge(s); !v.Valid() {
					t.Errorf("block %d: %s", s.Block.Payload.BlockNumber, v)
				}
				if j.rules.PegPart(&s.Block, j.known[s.Block.ParentHash]) != "" {
					open++
				}
				if v := j.rules.CheckSigner(s, s.Root(), j); !v.Valid() {
					withheld[v.Rule]++
				}
				for _, c := range changes {
					j.change(t, s, c, refused)
				}
			}
			for _, c := range changes {
				if refused[c.name] == 0 && !(name == "crashed" && c.rare) {
					t.Errorf("no block to change in %s", c.name)
				}
			}
			t.Logf("%d blocks valid, %d of them for the bridge to judge, withheld by signer rules: %v; refused when changed: %v",
				len(j.order)-1, open, withheld, refused)
		})
	}
}

// changed is one member of a block, and the rule that refuses another value of it.
type changed struct {
	name, rule string
	rare       bool // needs what the short chain has not
	apply      func(b *block.Block) bool
}

func onCarrier(apply func(*block.AuxPowHeader)) func(*block.Block) bool {
	return func(b *block.Block) bool {
		if b.AuxPowHeader == nil {
			return false
		}
		h, p := *b.AuxPowHeader, *b.AuxPowHeader.AuxPow
		h.AuxPow = &p
		b.AuxPowHeader = &h
		apply(&h)
		return true
	}
}

var changes = []changed{
	{"parent_hash", "C5.3", false, func(b *block.Block) bool { b.ParentHash[0]++; return true }},
	{"payload.parent_hash", "C5.4", false, func(b *block.Block) bool { b.Payload.ParentHash[0]++; return true }},
	{"block_number", "C5 number", false, func(b *block.Block) bool { b.Payload.BlockNumber++; return true }},
	{"slot", "C4", false, func(b *block.Block) bool { b.Slot += 2; return true }},
	{"timestamp", "C4", false, func(b *block.Block) bool { b.Payload.Timestamp -= 2; return true }},
	{"finalized_pegouts", "C5.9", false, func(b *block.Block) bool {
		b.FinalizedPegouts = append(slices.Clone(b.FinalizedPegouts), wire.NewMsgTx(2))
		return b.AuxPowHeader == nil
	}},
	{"finalized_pegouts of a carrier", "C5.8", true, func(b *block.Block) bool {
		if len(b.FinalizedPegouts) == 0 {
			return false
		}
		b.FinalizedPegouts = b.FinalizedPegouts[1:]
		return true
	}},
	{"withdrawals", "C6", false, func(b *block.Block) bool {
		if b.AuxPowHeader == nil || len(b.Payload.Withdrawals) == 0 || b.Payload.Withdrawals[0].Amount == 0 {
			return false
		}
		b.Payload.Withdrawals = slices.Clone(b.Payload.Withdrawals)
		b.Payload.Withdrawals[0].Amount--
		return true
	}},
	{"auxpow", "C8", false, onCarrier(func(h *block.AuxPowHeader) { h.AuxPow = nil })},
	{"range_start", "C8", false, onCarrier(func(h *block.AuxPowHeader) { h.RangeStart[0]++ })},
	{"range_end", "C8", false, onCarrier(func(h *block.AuxPowHeader) { h.RangeEnd[0]++ })},
	{"range_end before", "C8", true, onCarrier(func(h *block.AuxPowHeader) { h.RangeEnd = h.RangeStart })},
	{"merkle root", "C8", false, onCarrier(func(h *block.AuxPowHeader) { h.AuxPow.ParentBlock.MerkleRoot[0]++ })},
	{"side mask", "C8", false, onCarrier(func(h *block.AuxPowHeader) { h.AuxPow.BlockchainBranch.SideMask++ })},
}

// change applies a change to a block, has everybody sign it, and judges it.
func (j *judged) change(t *testing.T, s *block.Signed, c changed, refused map[string]int) {
	t.Helper()
	other := *s
	if !c.apply(&other.Block) {
		return
	}
	if other.Block.AuxPowHeader != nil && s.Block.AuxPowHeader != nil && c.name == "range_end before" &&
		s.Block.AuxPowHeader.RangeStart == s.Block.AuxPowHeader.RangeEnd {
		return
	}
	root := other.Root()
	other.Approvals = aura.None()
	for i := range j.committee.Len() {
		if slices.Index(rules.Order(), c.rule) < slices.Index(rules.Order(), "C5.5") {
			break // it is refused before its signatures are looked at
		}
		if err := other.Approvals.Add(aura.Approval{Signature: aura.DevKey(uint64(i) + 1).Sign(root), Authority: uint8(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if v := j.judge(&other); v.Rule != c.rule {
		t.Errorf("block %d with another %s: %s, want %s", s.Block.Payload.BlockNumber, c.name, v, c.rule)
	}
	refused[c.name]++
}

// FuzzRules changes bytes of real blocks: whatever still decodes is judged by all
// rules without a panic, and an unchanged block stays valid.
func FuzzRules(f *testing.F) {
	for i := range 8 {
		f.Add(uint16(40*i), uint32(100*i), byte(1), true)
		f.Add(uint16(40*i+7), uint32(0), byte(0), false)
	}
	var j *judged
	f.Fuzz(func(t *testing.T, which uint16, at uint32, flip byte, resign bool) {
		if j == nil {
			j = openJudged(t, "fed3")
		}
		s := j.order[1+int(which)%(len(j.order)-1)]
		data := s.Encode()
		data[int(at)%len(data)] ^= flip
		other, err := block.Decode(data)
		if err != nil {
			return
		}
		root := other.Root()
		if resign {
			other.Approvals = aura.None()
			if err := other.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign(root)}); err != nil {
				t.Fatal(err)
			}
		}
		_, v := j.rules.Check(other, root, j)
		_ = v.String()
		if flip == 0 && !v.Valid() {
			t.Fatalf("block %d unchanged: %s", s.Block.Payload.BlockNumber, v)
		}
		if parent := j.known[other.Block.ParentHash]; parent != nil {
			j.rules.PegPart(&other.Block, parent)
			if h := other.Block.AuxPowHeader; h != nil {
				j.rules.CheckProof(h, parent, j)
			}
		}
		j.rules.CheckSigner(other, root, j)
	})
}
