package standin

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var keys = sync.OnceValue(func() (list [aura.MaxAuthorities]aura.PublicKey) {
	for i := range list {
		list[i] = aura.DevKey(uint64(i) + 1).PublicKey()
	}
	return list
})

// Key is the public key of member i of every simulated network. It is a real
// key, because a chain specification holds real ones.
func Key(i int) aura.PublicKey { return keys()[i] }

// Sign is the signature of a key over a root: 32 bytes of hash, 64 of zero.
func Sign(key aura.PublicKey, root common.Hash) (s aura.Signature) {
	var buf [len(key) + len(root)]byte
	copy(buf[:], key[:])
	copy(buf[len(key):], root[:])
	hash := sha256.Sum256(buf[:])
	copy(s[:], hash[:])
	return s
}

// Approve is member i's approval of a block.
func Approve(i int, root common.Hash) aura.Approval {
	return aura.Approval{Authority: uint8(i), Signature: Sign(Key(i), root)}
}

// Approvals is the aggregate of these members' approvals.
func Approvals(root common.Hash, by ...int) aura.Approvals {
	a := aura.None()
	for _, i := range by {
		if !a.Has(i) {
			join(&a, Approve(i, root))
		}
	}
	return a
}

// join flags the authority and adds its signature.
func join(a *aura.Approvals, approval aura.Approval) {
	for i := range a.Signature {
		a.Signature[i] ^= approval.Signature[i]
	}
	bits := binary.LittleEndian.Uint16(a.Bits[:])
	binary.LittleEndian.PutUint16(a.Bits[:], bits|1<<approval.Authority)
}

// add is Approvals.Add for signatures of [Sign].
func add(a *aura.Approvals, approval aura.Approval) error {
	i := int(approval.Authority)
	switch {
	case i >= aura.MaxAuthorities:
		return fault.New(fault.Invalid, "approval by authority %d: indexes end at %d; drop it", i, aura.MaxAuthorities-1)
	case a.Has(i):
		return fault.New(fault.Invalid, "approval by authority %d is already in the aggregate; drop it", i)
	case approval.Signature.None():
		return fault.New(fault.Invalid, "approval by authority %d has no signature; drop it", i)
	}
	join(a, approval)
	return nil
}

// verify is Committee.Verify for aggregates of [Sign].
func verify(c *aura.Committee, a *aura.Approvals, root common.Hash) error {
	var sum aura.Signature
	signers := 0
	for i := range c.Len() {
		if a.Has(i) {
			signers++
			s := Sign(c.Key(i), root)
			for j := range sum {
				sum[j] ^= s[j]
			}
		}
	}
	switch {
	case signers == 0:
		return fault.New(fault.Invalid, "block %s: none of the %d authorities approved it", root, c.Len())
	case sum != a.Signature:
		return fault.New(fault.Invalid, "block %s: aggregate signature does not match the %d flagged authorities", root, signers)
	}
	return nil
}
