package aura_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func committee(tb testing.TB, n int) *aura.Committee {
	tb.Helper()
	keys := make([]aura.PublicKey, n)
	for i := range keys {
		keys[i] = aura.DevKey(uint64(i + 1)).PublicKey()
	}
	c, err := aura.NewCommittee(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func approval(i int, root common.Hash) aura.Approval {
	return aura.Approval{Signature: aura.DevKey(uint64(i + 1)).Sign(root), Authority: uint8(i)}
}

func TestSlots(t *testing.T) {
	for _, c := range []struct {
		slot, timestamp, duration, older uint64
		ok                               bool
	}{
		{0, 0, 1000, 0, true},
		{1, 0, 1000, 0, true},
		{2, 0, 1000, 0, false},
		{101, 100, 1000, 0, true},
		{102, 100, 1000, 0, false},
		{34, 100, 5000, 3000, true}, // 20+1 by its own length, 33+1 by the older
		{35, 100, 5000, 3000, false},
		{101, 100, 1000, 3000, true}, // the longer of the two lengths does not hurt
		{math.MaxUint64, math.MaxUint64, 1, 0, true},
		{math.MaxUint64, 1, 1, 3000, false},
	} {
		err := aura.CheckSlotWith(c.slot, c.timestamp, c.duration, c.older)
		if c.ok != (err == nil) || (err != nil && (!errors.Is(err, aura.ErrSlotInFuture) || !fault.Is(err, fault.Invalid))) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if aura.SlotAt(4999, 5000) != 0 || aura.SlotAt(5000, 5000) != 1 || aura.SlotAt(5000, 0) != 0 {
		t.Error("slot of a time")
	}
	if aura.Author(7, 3) != 1 || aura.Author(7, 0) != -1 || aura.Author(math.MaxUint64, 15) != 0 {
		t.Error("author of a slot")
	}
}

func TestQuorum(t *testing.T) {
	for n, want := range []int{0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10} {
		if got := aura.Quorum(n); got != want {
			t.Errorf("of %d: %d, want %d", n, got, want)
		}
	}
}

// TestApprovals draws signers in any order: bits, counts and the aggregate follow
// from the set, and a changed root, key or bit does not verify.
func TestApprovals(t *testing.T) {
	c := committee(t, 7)
	rapid.Check(t, func(t *rapid.T) {
		root := common.Hash{rapid.Byte().Draw(t, "root")}
		order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6}).Draw(t, "order")
		order = order[:rapid.IntRange(1, 7).Draw(t, "signers")]
		a := aura.None()
		for _, i := range order {
			if err := a.Add(approval(i, root)); err != nil {
				t.Fatal(err)
			}
		}
		before := a
		if err := a.Add(approval(order[0], root)); err == nil || a != before {
			t.Fatalf("approval twice: %v", err)
		}
		if a.Count() != len(order) || a.CountReal(7) != len(order) || a.Empty() || !a.Valid() || !a.Has(order[0]) {
			t.Fatalf("%x of %v", a.Bits, order)
		}
		if err := c.Verify(&a, root); err != nil {
			t.Fatal(err)
		}
		if c.Verify(&a, common.Hash{1, 1}) == nil {
			t.Fatal("another root verifies")
		}
		flipped := a
		flipped.Bits[0] ^= 1 << rapid.IntRange(0, 6).Draw(t, "flip")
		if c.Verify(&flipped, root) == nil {
			t.Fatal("other bits verify")
		}
	})
}

// TestBitsWithoutMember pins the hole of consensus.md C17: bits of authorities
// that do not exist count and are not verified.
func TestBitsWithoutMember(t *testing.T) {
	c, root := committee(t, 3), common.Hash{9}
	a := aura.None()
	if err := a.Add(approval(1, root)); err != nil {
		t.Fatal(err)
	}
	a.Bits[1] |= 0x60
	if err := c.Verify(&a, root); err != nil {
		t.Error(err)
	}
	if a.Count() != 3 || a.CountReal(3) != 1 || a.CountReal(15) != 3 || a.CountReal(99) != 3 || a.CountReal(-1) != 0 {
		t.Errorf("counts %d and %d", a.Count(), a.CountReal(3))
	}
	a.Bits[0] = 0
	if c.Verify(&a, root) == nil {
		t.Error("only bits without member verify")
	}
}

func TestRefused(t *testing.T) {
	c, root := committee(t, 3), common.Hash{9}
	none := aura.None()
	flagged := none
	flagged.Bits[0] = 1
	infinity := flagged
	infinity.Signature[0] = 0xc0
	junk := flagged
	junk.Signature = aura.Signature{0x80, 1}
	badKey := aura.PublicKey{0x80, 1}
	infiniteKey := aura.PublicKey{0xc0}
	good := aura.DevKey(1).PublicKey()
	_, errZero := aura.NewSecretKey([32]byte{})
	_, errOrder := aura.NewSecretKey([32]byte{0xff})
	keys := func(k ...aura.PublicKey) error {
		_, err := aura.NewCommittee(k)
		return err
	}
	add := func(a aura.Approval) error { x := aura.None(); return x.Add(a) }
	for name, err := range map[string]error{
		"nobody":                  c.Verify(&none, root),
		"empty signature":         c.Verify(&flagged, root),
		"infinity":                c.Verify(&infinity, root),
		"no point":                c.Verify(&junk, root),
		"approval by nobody":      c.VerifyApproval(approval(3, root), root),
		"approval by another":     c.VerifyApproval(aura.Approval{Signature: approval(1, root).Signature}, root),
		"approval without":        c.VerifyApproval(aura.Approval{}, root),
		"add index 15":            add(aura.Approval{Authority: 15, Signature: approval(1, root).Signature}),
		"add no point":            add(aura.Approval{Signature: junk.Signature}),
		"add none":                add(aura.Approval{}),
		"no keys":                 keys(),
		"sixteen keys":            keys(make([]aura.PublicKey, 16)...),
		"key off the curve":       keys(badKey),
		"key at infinity":         keys(infiniteKey),
		"key zero":                keys(aura.PublicKey{}),
		"same key":                keys(good, good),
		"zero scalar":             errZero,
		"scalar above the order":  errOrder,
		"Verify with no keys":     flagged.Verify(nil, root),
		"Approval with no keys":   approval(0, root).Verify(nil, root),
		"Approval of another set": approval(0, root).Verify([]aura.PublicKey{aura.DevKey(2).PublicKey()}, root),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	key := aura.DevKey(1)
	for _, format := range []string{"%v", "%s", "%+v", "%#v", "%x", "%d"} {
		if text := fmt.Sprintf(format, key); !strings.Contains(text, "hidden") {
			t.Errorf("%s prints %s", format, text)
		}
	}
	var zero aura.SecretKey
	if zero.Sign(common.Hash{}) != (aura.Signature{}) || zero.PublicKey() != (aura.PublicKey{}) || aura.DevKey(0) != zero {
		t.Error("the zero key signs")
	}
	c := committee(t, 3)
	if c.Index(aura.DevKey(2).PublicKey()) != 1 || c.Index(aura.PublicKey{}) != -1 || c.Len() != 3 || c.Quorum() != 2 {
		t.Error("committee of three")
	}
}

// FuzzVerify gives the checks arbitrary bits and signatures.
func FuzzVerify(f *testing.F) {
	c := committee(f, 3)
	sig := approval(0, common.Hash{}).Signature
	f.Add([]byte{1, 0x80}, sig[:])
	f.Fuzz(func(t *testing.T, bits, signature []byte) {
		var a aura.Approvals
		copy(a.Bits[:], bits)
		copy(a.Signature[:], signature)
		if err := c.Verify(&a, common.Hash{1}); !fault.Is(err, fault.Invalid) {
			t.Fatalf("verifies or has another grade: %v", err)
		}
		_ = a.Add(approval(1, common.Hash{}))
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1, 3, 15} {
		b.Run(fmt.Sprintf("signers=%d", n), func(b *testing.B) {
			c, root := committee(b, n), common.Hash{1}
			a := aura.None()
			for i := range n {
				if err := a.Add(approval(i, root)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Verify(&a, root); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
		})
	}
}

func BenchmarkSign(b *testing.B) {
	key := aura.DevKey(1)
	b.ReportAllocs()
	for b.Loop() {
		key.Sign(common.Hash{1})
	}
}

func BenchmarkAdd(b *testing.B) {
	first, second := approval(0, common.Hash{1}), approval(1, common.Hash{1})
	b.ReportAllocs()
	for b.Loop() {
		a := aura.None()
		if err := errors.Join(a.Add(first), a.Add(second)); err != nil {
			b.Fatal(err)
		}
	}
}
