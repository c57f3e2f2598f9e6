package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/rules"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// ruleCase is a block on the tip of a chain of six blocks, changed in one place.
type ruleCase struct {
	name  string
	rule  string // that refuses it; "" when it is valid
	grade fault.Grade
	spec  func(*spec.Chain)
	make  func(w *world) *block.Signed
}

// plain changes a block without a proof, loaded one with a proof over 1..5.
func plain(change func(*block.Block)) func(*world) *block.Signed {
	return func(w *world) *block.Signed { return w.child(w.main[6], change) }
}

func loaded(change func(*block.Block)) func(*world) *block.Signed {
	return func(w *world) *block.Signed { return w.carrier(w.main[6], w.proof(1, 5), change) }
}

func after(make func(*world) *block.Signed, change func(*world, *block.Signed)) func(*world) *block.Signed {
	return func(w *world) *block.Signed {
		s := make(w)
		change(w, s)
		return s
	}
}

func payment(value int64) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxOut(wire.NewTxOut(value, nil))
	return tx
}

// proposed makes a chain whose blocks 2 and 4 propose payments.
func proposed(w *world) {
	w.main = w.main[:1]
	for n := 1; n <= 6; n++ {
		w.main = append(w.main, w.add(w.child(w.main[n-1], func(b *block.Block) {
			if n == 2 || n == 4 {
				b.PegoutProposal = payment(int64(n))
			}
		})))
	}
}

func withPayments(list ...*wire.MsgTx) func(*world) *block.Signed {
	return func(w *world) *block.Signed {
		proposed(w)
		return w.carrier(w.main[6], w.proof(1, 5), func(b *block.Block) { b.FinalizedPegouts = list })
	}
}

const (
	bad     = fault.Invalid
	unknown = fault.CannotJudge
)

var ruleCases = []ruleCase{
	{name: "a plain block", make: plain(nil)},
	{name: "a carrier", make: loaded(nil)},
	{name: "no parent", rule: "C5.1", grade: bad, make: plain(func(b *block.Block) { b.ParentHash = common.Hash{} })},
	{name: "a parent that is not stored", rule: "C5.3", grade: unknown, make: plain(func(b *block.Block) { b.ParentHash = common.Hash{1} })},
	{name: "a payload on another payload", rule: "C5.4", grade: bad, make: plain(func(b *block.Block) { b.Payload.ParentHash[3]++ })},
	{name: "a height left out", rule: "C5 number", grade: bad, make: plain(func(b *block.Block) { b.Payload.BlockNumber++ })},
	{name: "one slot early", make: plain(func(b *block.Block) { b.Slot++ })},
	{name: "two slots early", rule: "C4", grade: bad, make: plain(func(b *block.Block) { b.Slot += 2 })},
	{name: "two slots early by the older length", make: plain(func(b *block.Block) { b.Slot += 2 }),
		spec: func(c *spec.Chain) { c.Exceptions.OlderSlotDuration = 500 }},
	{name: "slot of the parent", make: plain(func(b *block.Block) { b.Slot = 0 })},
	{name: "one approval", make: after(plain(nil), func(w *world, s *block.Signed) { w.sign(s, 2) })},
	{name: "no approval", rule: "C5.5", grade: bad, make: after(plain(nil), func(w *world, s *block.Signed) { w.sign(s) })},
	{name: "another's signature", rule: "C5.5", grade: bad, make: after(plain(nil), func(_ *world, s *block.Signed) { s.Approvals.Bits[0] &^= 2 })},
	{name: "bits of no member", make: after(plain(nil), func(_ *world, s *block.Signed) { s.Approvals.Bits[1] |= 0x60 })},
	{name: "signed before a change", rule: "C5.5", grade: bad, make: after(plain(nil), func(_ *world, s *block.Signed) { s.Block.Slot-- })},
	{name: "a carrier that pays nothing", rule: "C6", grade: bad, make: loaded(func(b *block.Block) { b.Payload.Withdrawals = nil })},
	{name: "a gwei less", rule: "C6", grade: bad, make: loaded(func(b *block.Block) { b.Payload.Withdrawals[1].Amount-- })},
	{name: "a gwei more", rule: "C6", grade: bad, make: loaded(func(b *block.Block) { b.Payload.Withdrawals[0].Amount++ })},
	{name: "withdrawals beside the shares", make: loaded(extraWithdrawal)},
	{name: "a gwei more with a deposit", make: loaded(func(b *block.Block) {
		b.Pegins = []block.Pegin{{}}
		b.Payload.Withdrawals[0].Amount++
	})},
	{name: "a gwei less with a deposit", rule: "C6", grade: bad, make: loaded(func(b *block.Block) {
		b.Pegins = []block.Pegin{{}}
		b.Payload.Withdrawals[0].Amount--
	})},
	{name: "withdrawals of a plain block", make: plain(extraWithdrawal)},
	{name: "no proof in the header", rule: "C8", grade: bad, make: loaded(func(b *block.Block) { b.AuxPowHeader.AuxPow = nil })},
	{name: "a start that is not stored", rule: "C8", grade: unknown, make: loaded(func(b *block.Block) { b.AuxPowHeader.RangeStart = common.Hash{1} })},
	{name: "an end that is not stored", rule: "C8", grade: unknown, make: loaded(func(b *block.Block) { b.AuxPowHeader.RangeEnd = common.Hash{1} })},
	{name: "a start after a gap", rule: "C8", grade: bad, make: func(w *world) *block.Signed { return w.carrier(w.main[6], w.proof(2, 5), nil) }},
	{name: "a start after a gap in history", make: func(w *world) *block.Signed { return w.carrier(w.main[6], w.proof(2, 5), nil) },
		spec: func(c *spec.Chain) { c.Exceptions.UnlinkedRangesUpTo = 2 }},
	{name: "a start after a gap past history", rule: "C8", grade: bad, make: func(w *world) *block.Signed { return w.carrier(w.main[6], w.proof(3, 5), nil) },
		spec: func(c *spec.Chain) { c.Exceptions.UnlinkedRangesUpTo = 2 }},
	{name: "genesis as the start", rule: "C8", grade: bad, make: func(w *world) *block.Signed { return w.carrier(w.main[6], w.proof(0, 5), nil) }},
	{name: "a range that ends before it starts", rule: "C5.8", grade: bad, make: backwards,
		spec: func(c *spec.Chain) { c.Exceptions.UnlinkedRangesUpTo = 9 }},
	{name: "a range that ends beside its start", rule: "C5.8", grade: bad, make: beside},
	{name: "a range that ends beside the branch", make: offBranch},
	{name: "too little work", rule: "C8", grade: bad, make: loaded(nil), spec: func(c *spec.Chain) { c.Bits = 0x1d00ffff }},
	{name: "too little work in history", make: loaded(nil), spec: func(c *spec.Chain) { c.Bits, c.Exceptions.UncheckedWorkUpTo = 0x1d00ffff, 7 }},
	{name: "too little work past history", rule: "C8", grade: bad, make: loaded(nil),
		spec: func(c *spec.Chain) { c.Bits, c.Exceptions.UncheckedWorkUpTo = 0x1d00ffff, 6 }},
	{name: "another chain id", make: loaded(func(b *block.Block) { b.AuxPowHeader.ChainID++ })},
	{name: "the parent block's chain id", rule: "C8", grade: bad, make: loaded(func(b *block.Block) {
		b.AuxPowHeader.ChainID = uint32(b.AuxPowHeader.AuxPow.ParentBlock.Version) >> 16
	})},
	{name: "a proof of another range", rule: "C8", grade: bad, make: func(w *world) *block.Signed {
		h := w.proof(1, 4)
		h.RangeEnd = w.main[5].Block.Root()
		return w.carrier(w.main[6], h, nil)
	}},
	{name: "a changed coinbase", rule: "C8", grade: bad, make: loaded(func(b *block.Block) { b.AuxPowHeader.AuxPow.Coinbase.LockTime++ })},
	{name: "claimed bits, height and recipient", make: loaded(func(b *block.Block) { b.AuxPowHeader.Bits, b.AuxPowHeader.Height = 1, 99 })},
	{name: "the payments proposed", make: withPayments(payment(2), payment(4))},
	{name: "one payment less", rule: "C5.8", grade: bad, make: withPayments(payment(2))},
	{name: "one payment more", rule: "C5.8", grade: bad, make: withPayments(payment(2), payment(4), payment(4))},
	{name: "the payments in another order", rule: "C5.8", grade: bad, make: withPayments(payment(4), payment(2))},
	{name: "another payment", rule: "C5.8", grade: bad, make: withPayments(payment(2), payment(5))},
	{name: "as many blocks without work as may be", make: plain(nil), spec: func(c *spec.Chain) { c.MaxBlocksWithoutPow = 7 }},
	{name: "one block more without work", rule: "C5.9", grade: bad, make: plain(nil), spec: func(c *spec.Chain) { c.MaxBlocksWithoutPow = 6 }},
	{name: "a carrier after too many", make: loaded(nil), spec: func(c *spec.Chain) { c.MaxBlocksWithoutPow = 6 }},
	{name: "payments without work", rule: "C5.9", grade: bad, make: plain(func(b *block.Block) { b.FinalizedPegouts = []*wire.MsgTx{payment(1)} })},
}

func extraWithdrawal(b *block.Block) {
	b.Payload.Withdrawals = append(b.Payload.Withdrawals, block.Withdrawal{Address: common.Address{7}, Amount: 7})
}

// backwards carries a range from 5 to 3, whose hash list is block 4 alone. (C17)
func backwards(w *world) *block.Signed {
	h := w.proofOver([]common.Hash{w.main[4].Block.Root()}, w.main[5].Block.Root(), w.main[3].Block.Root())
	return w.carrier(w.main[6], h, nil)
}

// beside carries a range that begins at block 1 and ends at its sibling.
func beside(w *world) *block.Signed {
	sibling := w.add(w.child(w.main[0], func(b *block.Block) { b.Payload.Timestamp += 7 }))
	root := sibling.Block.Root()
	return w.carrier(w.main[6], w.proofOver([]common.Hash{root}, w.main[1].Block.Root(), root), nil)
}

// offBranch carries a range from block 1 to a block beside block 4.
func offBranch(w *world) *block.Signed {
	side := w.add(w.child(w.main[3], func(b *block.Block) { b.Payload.Timestamp += 7 }))
	hashes := []common.Hash{w.main[1].Block.Root(), w.main[2].Block.Root(), w.main[3].Block.Root(), side.Block.Root()}
	return w.carrier(w.main[6], w.proofOver(hashes, hashes[0], hashes[3]), nil)
}

// TestRules has each rule accept and refuse, and says by which number.
func TestRules(t *testing.T) {
	refusing := map[string]bool{}
	for _, c := range ruleCases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			w := newWorld(t, c.spec)
			w.grow(6)
			v := w.judge(c.make(w))
			if v.Rule != c.rule || v.Grade != c.grade {
				t.Errorf("%s, want %q by %q", v, c.grade, c.rule)
			}
			refusing[c.rule] = true
		})
	}
	for _, rule := range rules.Order() {
		if !refusing[rule] {
			t.Errorf("no case is refused by %s", rule)
		}
	}
}

// TestFollowersJudgeLess: what legacy checks on validators only is left out.
func TestFollowersJudgeLess(t *testing.T) {
	for name, make := range map[string]func(*world) *block.Signed{
		"shares": loaded(func(b *block.Block) { b.Payload.Withdrawals = nil }),
		"order":  withPayments(payment(4), payment(2)),
	} {
		w := newWorld(t, nil)
		w.grow(6)
		w.rules.Judging = false
		if v := w.judge(make(w)); !v.Valid() {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// TestUnexecutedParent: C6 waits for the parent's fees, and is asked with them.
func TestUnexecutedParent(t *testing.T) {
	w := newWorld(t, nil)
	w.grow(6)
	s := loaded(func(b *block.Block) { b.Payload.Withdrawals = nil })(w)
	root := w.main[6].Block.Root()
	fees := w.fees[root]
	delete(w.fees, root)
	if v := w.judge(s); !v.Valid() {
		t.Error(v)
	}
	if v := w.rules.CheckFees(&s.Block, fees); v.Rule != "C6" || v.Grade != bad {
		t.Error(v)
	}
	if v := w.rules.CheckSigner(s, s.Block.Root(), w); v.Grade != unknown {
		t.Errorf("a signer decides without the fees: %s", v)
	}
}

// TestRetarget: the bits are those of C9 at the parent's height, from the bits
// that the last carrier claims.
func TestRetarget(t *testing.T) {
	w := newWorld(t, func(c *spec.Chain) {
		c.Retarget = spec.Retarget{TargetTimespan: 60, TargetSpacing: 5, MaxAdjustment: 20}
	})
	w.grow(13)
	p, v := w.rules.CheckProof(w.proof(1, 12), w.Ancestor(w.main[13].Block.Root()), w)
	if !v.Valid() || p.Bits == w.spec.Bits || len(p.Hashes) != 12 || p.Last.Number != 0 || !p.OnBranch {
		t.Errorf("%+v: %s", p, v)
	}
}

// TestCheckProof: a proof that waits gets no exception of history, and its range
// is on the branch and runs forward.
func TestCheckProof(t *testing.T) {
	w := newWorld(t, func(c *spec.Chain) {
		c.Exceptions.UncheckedWorkUpTo, c.Exceptions.UnlinkedRangesUpTo = 100, 9
	})
	w.grow(6)
	tip := w.Ancestor(w.main[6].Block.Root())
	check := func(name, rule string, h *block.AuxPowHeader) {
		t.Helper()
		if _, v := w.rules.CheckProof(h, tip, w); v.Rule != rule {
			t.Errorf("%s: %s, want %q", name, v, rule)
		}
	}
	check("good", "", w.proof(1, 6))
	check("backwards", "C5.8", backwards(w).Block.AuxPowHeader)
	check("off the branch", "C17 rangeOnBranch", offBranch(w).Block.AuxPowHeader)
	w.blocks[w.main[0].Block.Root()].Carrier.Bits = 0x1d00ffff
	check("too little work", "C8", w.proof(1, 6))
}

// TestCarriersFollow: the next range starts after the last one of its branch, and
// spacing is counted from there.
func TestCarriersFollow(t *testing.T) {
	w := newWorld(t, func(c *spec.Chain) { c.MaxBlocksWithoutPow = 6 })
	w.grow(4)
	w.main = append(w.main, w.add(w.carrier(w.main[4], w.proof(1, 3), nil)))
	w.grow(9)
	if v := w.judge(w.child(w.main[8], nil)); !v.Valid() {
		t.Errorf("block 9 after a range that ends at 3: %s", v)
	}
	if v := w.judge(w.child(w.main[9], nil)); v.Rule != "C5.9" {
		t.Errorf("block 10 after a range that ends at 3: %s", v)
	}
	if v := w.judge(w.carrier(w.main[9], w.proof(4, 9), nil)); !v.Valid() {
		t.Errorf("range from 4: %s", v)
	}
	if v := w.judge(w.carrier(w.main[9], w.proof(1, 9), nil)); v.Rule != "C8" {
		t.Errorf("range from 1: %s", v)
	}
	// A carrier with header height zero is its own finalised block. (C16)
	zero := w.carrier(w.main[9], w.proof(4, 9), func(b *block.Block) { b.AuxPowHeader.Height = 0 })
	w.main = append(w.main[:10], w.add(zero))
	w.grow(12)
	if v := w.judge(w.carrier(w.main[12], w.proof(11, 12), nil)); !v.Valid() {
		t.Errorf("range after a carrier of height zero: %s", v)
	}
}

// TestPeg: which blocks have something that only the bridge can judge.
func TestPeg(t *testing.T) {
	for name, c := range map[string]struct {
		make func(*world) *block.Signed
		spec func(*spec.Chain)
		open string // field that the bridge judges
	}{
		"none":             {make: plain(nil)},
		"carrier":          {make: loaded(nil)},
		"deposit":          {make: plain(func(b *block.Block) { b.Pegins = []block.Pegin{{}} }), open: "pegins"},
		"proposal":         {make: plain(func(b *block.Block) { b.PegoutProposal = payment(1) }), open: "pegout_payment_proposal"},
		"historic block":   {make: plain(func(b *block.Block) { b.PegoutProposal = payment(1) }), spec: func(c *spec.Chain) { c.Exceptions.UncheckedProposalAt = 7 }},
		"paid":             {make: withPayments(payment(2), payment(4)), open: "finalized_pegouts"},
		"paid in history":  {make: withPayments(payment(2), payment(4)), spec: func(c *spec.Chain) { c.Exceptions.UncheckedWorkUpTo = 7 }},
		"request in bloom": {make: requested, open: "pegout_payment_proposal"},
		"before carrying":  {make: plain(nil), spec: func(c *spec.Chain) { c.Activations.StrictPegouts = 8 }},
		"may be carried":   {make: plain(nil), spec: func(c *spec.Chain) { c.Activations.StrictPegouts = 7 }, open: "pegout_payment_proposal"},
	} {
		w := newWorld(t, c.spec)
		w.grow(6)
		s := c.make(w)
		if v := w.judge(s); !v.Valid() {
			t.Errorf("%s: %s", name, v)
		}
		if got := w.rules.PegPart(&s.Block, w.Ancestor(s.Block.ParentHash)); got != c.open {
			t.Errorf("%s: %q, want %q", name, got, c.open)
		}
	}
}

// requested is a block on one whose bloom has the topic of a request.
func requested(w *world) *block.Signed {
	parent := w.add(w.child(w.main[5], func(b *block.Block) {
		for i := range b.Payload.LogsBloom {
			b.Payload.LogsBloom[i] = 0xff
		}
	}))
	return w.child(parent, nil)
}

// holeCases break one tighter rule each.
var holeCases = []struct {
	hole  string
	grade fault.Grade
	make  func(*world) *block.Signed
}{
	{"exact-withdrawals", bad, plain(extraWithdrawal)},
	{"exact-withdrawals", bad, loaded(extraWithdrawal)},
	{"exact-withdrawals", bad, plain(func(b *block.Block) {
		b.Pegins = []block.Pegin{{}}
		extraWithdrawal(b)
		extraWithdrawal(b)
	})},
	{"unique-pegins", bad, plain(func(b *block.Block) { b.Pegins = []block.Pegin{{}, {BlockHash: [32]byte{1}}} })},
	{"exact-aux-header", bad, loaded(func(b *block.Block) { b.AuxPowHeader.Bits++ })},
	{"exact-aux-header", bad, loaded(func(b *block.Block) { b.AuxPowHeader.Height++ })},
	{"exact-aux-header", bad, loaded(func(b *block.Block) { b.AuxPowHeader.ChainID++ })},
	{"range-on-branch", bad, offBranch},
	{"author", bad, plain(func(b *block.Block) { b.Slot = 0 })},
	{"author", unknown, after(plain(nil), func(w *world, s *block.Signed) {
		author := aura.Author(s.Block.Slot, members)
		w.sign(s, (author+1)%members, (author+2)%members)
	})},
	{"slot-timestamp", bad, plain(func(b *block.Block) { b.Slot++ })},
	{"slot-timestamp", bad, plain(func(b *block.Block) { b.Payload.Timestamp++ })},
	{"burn-recipient", bad, plain(func(b *block.Block) { b.Payload.FeeRecipient = common.Address{1} })},
}

// TestHoles: what legacy accepts a signer withholds from at once, and all refuse
// from the activation height on, not before.
func TestHoles(t *testing.T) {
	const height = 7 // of every block judged
	tested := map[string]bool{}
	for _, c := range holeCases {
		tested[c.hole] = true
		hole := holeOf(t, c.hole)
		for _, from := range []uint64{0, height + 1, height} {
			w := newWorld(t, func(s *spec.Chain) { activate(t, s, hole.Key, from) })
			w.grow(6)
			s := c.make(w)
			want := fault.Grade(0)
			if from == height {
				want = c.grade
			}
			if v := w.judge(s); v.Grade != want || want != 0 && v.Rule != "C17 "+hole.Key {
				t.Errorf("%s from %d: %s, want grade %d", c.hole, from, v, want)
			}
			if v := w.rules.CheckSigner(s, s.Block.Root(), w); v.Rule != c.hole || v.Grade != c.grade {
				t.Errorf("%s: the signer says %s", c.hole, v)
			}
		}
	}
	for _, h := range rules.Holes {
		if h.Test == "TestHoles" && !tested[h.Name] {
			t.Errorf("no case breaks %s", h.Name)
		}
	}
	// The good blocks pass all of them.
	w := newWorld(t, func(s *spec.Chain) {
		s.Activations = spec.Activations{
			Finality: 1, ExactWithdrawals: 1, UniquePegins: 1, ExactAuxHeader: 1, RangeOnBranch: 1, Author: 1, SlotTimestamp: 1, BurnRecipient: 1,
		}
	})
	w.grow(6)
	for _, s := range []*block.Signed{plain(nil)(w), loaded(nil)(w)} {
		if v := w.judge(s); !v.Valid() {
			t.Error(v)
		}
		if v := w.rules.CheckSigner(s, s.Block.Root(), w); !v.Valid() {
			t.Error(v)
		}
	}
}

func holeOf(t *testing.T, name string) rules.Hole {
	t.Helper()
	for _, h := range rules.Holes {
		if h.Name == name {
			return h
		}
	}
	t.Fatalf("no hole %q", name)
	return rules.Hole{}
}

// activate sets an activation height by its key in the chain spec.
func activate(t *testing.T, s *spec.Chain, key string, from uint64) {
	t.Helper()
	a := &s.Activations
	heights := map[string]*uint64{
		"finality": &a.Finality, "exactWithdrawals": &a.ExactWithdrawals, "uniquePegins": &a.UniquePegins, "exactAuxHeader": &a.ExactAuxHeader,
		"rangeOnBranch": &a.RangeOnBranch, "author": &a.Author, "slotTimestamp": &a.SlotTimestamp, "burnRecipient": &a.BurnRecipient,
	}
	if heights[key] == nil {
		t.Fatalf("no activation %q", key)
	}
	*heights[key] = from
}

// TestHolesAreDocumented compares the table with its page, and finds the tests
// that it names.
func TestHolesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/decisions/0027-signer-policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, dir := range []string{".", "../../../actors/chain", "../../../actors/bridge"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(data)
		}
	}
	rows := 0
	for _, line := range strings.Split(string(page), "\n") {
		if strings.HasPrefix(line, "| `") {
			rows++
		}
	}
	if rows != len(rules.Holes) {
		t.Errorf("the page has %d rows, the table %d", rows, len(rules.Holes))
	}
	for _, h := range rules.Holes {
		key := "`" + h.Key + "`"
		if h.Key == "" {
			key = "none: " + h.Why
		}
		if row := fmt.Sprintf("| `%s` | %s | %s | %s | `%s` |", h.Name, h.Hole, h.Signer, key, h.Test); !strings.Contains(string(page), row) {
			t.Errorf("the page lacks\n%s", row)
		}
		if !strings.Contains(tests.String(), "func "+h.Test+"(t *testing.T)") {
			t.Errorf("%s names %s, which is no test", h.Name, h.Test)
		}
	}
}
