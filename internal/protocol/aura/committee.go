package aura

import (
	"github.com/ethereum/go-ethereum/common"
	blst "github.com/supranational/blst/bindings/go"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Committee is a validated authority set with its keys decompressed, since that
// costs a good part of a signature check. It is read-only after creation and safe
// for concurrent use.
type Committee struct {
	keys   []PublicKey
	points []*blst.P1Affine
}

// NewCommittee validates 1 to 15 distinct public keys, in chain-spec order.
// Errors are graded Invalid and name the key.
func NewCommittee(keys []PublicKey) (*Committee, error) {
	if len(keys) == 0 || len(keys) > MaxAuthorities {
		return nil, fault.New(fault.Invalid, "%d authorities, want 1 to %d; check the chain spec", len(keys), MaxAuthorities)
	}
	c := &Committee{keys: append([]PublicKey(nil), keys...), points: make([]*blst.P1Affine, len(keys))}
	for i := range c.keys {
		for j := range i {
			if c.keys[i] == c.keys[j] {
				return nil, fault.New(fault.Invalid, "authorities %d and %d have the same key %#x; check the chain spec", j, i, keys[i][:])
			}
		}
		point, err := c.keys[i].point()
		if err != nil {
			return nil, err
		}
		c.points[i] = point
	}
	return c, nil
}

// Len returns the number of authorities.
func (c *Committee) Len() int { return len(c.keys) }

// Quorum returns how many approvals import a block. (consensus.md C1)
func (c *Committee) Quorum() int { return Quorum(len(c.keys)) }

// Index returns the position of a key, or -1.
func (c *Committee) Index(key PublicKey) int {
	for i := range c.keys {
		if c.keys[i] == key {
			return i
		}
	}
	return -1
}

// Verify checks the aggregate signature over root by the flagged authorities. It
// fails when no authority of the set is flagged, when the signature is empty or
// no valid point, and when it does not match. Flags of authorities that do not
// exist are passed over, as legacy does. It says nothing about a quorum.
// (consensus.md C2, C5.5, C17)
func (c *Committee) Verify(a *Approvals, root common.Hash) error {
	signers := make([]*blst.P1Affine, 0, MaxAuthorities)
	for i, point := range c.points {
		if a.Has(i) {
			signers = append(signers, point)
		}
	}
	if len(signers) == 0 {
		return fault.New(fault.Invalid, "block %s: none of the %d authorities approved it", root, len(c.keys))
	}
	point, err := a.Signature.point()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "block "+root.Hex())
	}
	if !point.FastAggregateVerify(false, signers, root[:], domain) {
		return fault.New(fault.Invalid, "block %s: aggregate signature does not match the %d flagged authorities", root, len(signers))
	}
	return nil
}

// VerifyApproval checks one authority's signature over root.
func (c *Committee) VerifyApproval(a Approval, root common.Hash) error {
	if int(a.Authority) >= len(c.points) {
		return fault.New(fault.Invalid, "approval of block %s by authority %d: there are %d", root, a.Authority, len(c.points))
	}
	point, err := a.Signature.point()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "approval of block "+root.Hex())
	}
	if !point.Verify(false, c.points[a.Authority], false, root[:], domain) {
		return fault.New(fault.Invalid, "approval of block %s: signature is not by authority %d", root, a.Authority)
	}
	return nil
}

// Key returns the public key of authority i, 0 <= i < Len.
func (c *Committee) Key(i int) PublicKey { return c.keys[i] }
