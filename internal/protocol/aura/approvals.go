package aura

import (
	"encoding/binary"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
	blst "github.com/supranational/blst/bindings/go"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// lengthMark is the bit of the SSZ bitlist that ends it.
const lengthMark = 1 << MaxAuthorities

// None returns the approvals of a block nobody has approved: bits 0x0080 on the
// wire and an all-zero signature.
func None() Approvals {
	var a Approvals
	binary.LittleEndian.PutUint16(a.Bits[:], lengthMark)
	return a
}

// Valid reports whether Bits carry the length mark, as every encoding of them
// must. The zero value of Approvals does not; [None] does.
func (a *Approvals) Valid() bool { return a.Bits[1]&0x80 != 0 }

func (a *Approvals) mask() uint16 {
	return binary.LittleEndian.Uint16(a.Bits[:]) &^ lengthMark
}

// Empty reports whether no authority is flagged.
func (a *Approvals) Empty() bool { return a.mask() == 0 }

// Has reports whether authority i is flagged.
func (a *Approvals) Has(i int) bool {
	return i >= 0 && i < MaxAuthorities && a.mask()>>i&1 != 0
}

// Count returns the number of flagged bits as legacy's quorum rule counts them:
// bits of authorities that do not exist count too, though nothing verifies them.
// It decides what legacy imported; for approving anything use
// [Approvals.CountReal]. (consensus.md C5.11, C17)
func (a *Approvals) Count() int { return bits.OnesCount16(a.mask()) }

// CountReal returns the number of flagged bits that belong to one of n
// authorities. (consensus.md C17)
func (a *Approvals) CountReal(n int) int {
	n = min(max(n, 0), MaxAuthorities)
	return bits.OnesCount16(a.mask() & (1<<n - 1))
}

// Add flags the approval's authority and adds its signature to the aggregate. It
// does not verify the signature against the block, see [Committee.VerifyApproval].
// An approval already present, an index of 15 or more and a signature that is no
// valid point are errors graded Invalid and leave a unchanged.
func (a *Approvals) Add(approval Approval) error {
	i := int(approval.Authority)
	if i >= MaxAuthorities {
		return fault.New(fault.Invalid, "approval by authority %d: indexes end at %d; drop it", i, MaxAuthorities-1)
	}
	if a.Has(i) {
		return fault.New(fault.Invalid, "approval by authority %d is already in the aggregate; drop it", i)
	}
	point, err := approval.Signature.point()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "approval")
	}
	sum := approval.Signature
	if !a.Signature.None() {
		old, err := a.Signature.point()
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "aggregate so far")
		}
		var aggregate blst.P2Aggregate
		if !aggregate.Aggregate([]*blst.P2Affine{old, point}, false) {
			return fault.New(fault.Invalid, "approval by authority %d cannot be added to the aggregate", i)
		}
		sum = Signature(aggregate.ToAffine().Compress())
	}
	a.Signature = sum
	binary.LittleEndian.PutUint16(a.Bits[:], a.mask()|1<<i|lengthMark)
	return nil
}

// Verify is [Committee.Verify] for a list of keys used once: it decompresses all
// of them, so whoever checks more than one block keeps a [Committee].
func (a *Approvals) Verify(authorities []PublicKey, root common.Hash) error {
	c, err := NewCommittee(authorities)
	if err != nil {
		return err
	}
	return c.Verify(a, root)
}

// Verify is [Committee.VerifyApproval] for a list of keys used once.
func (a Approval) Verify(authorities []PublicKey, root common.Hash) error {
	c, err := NewCommittee(authorities)
	if err != nil {
		return err
	}
	return c.VerifyApproval(a, root)
}
