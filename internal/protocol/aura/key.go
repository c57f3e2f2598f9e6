package aura

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	blst "github.com/supranational/blst/bindings/go"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// domain is the ciphersuite of the proof-of-possession scheme. (consensus.md C2)
var domain = []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")

// SecretKey is a BLS12-381 secret key. It prints as a placeholder. The zero value
// is no key: it signs nothing and its public key is zero.
type SecretKey struct {
	key *blst.SecretKey
}

// NewSecretKey returns the key of a 32-byte big-endian scalar. The scalar must be
// above zero and below the order of the group.
func NewSecretKey(scalar [32]byte) (SecretKey, error) {
	key := new(blst.SecretKey).Deserialize(scalar[:])
	if key == nil {
		return SecretKey{}, fault.New(fault.Invalid, "BLS secret key: the 32 bytes are zero or not below the group order; check the key file")
	}
	return SecretKey{key}, nil
}

// DevKey returns secret key number n, which everybody knows, for development
// chains and tests. n counts from 1; DevKey(0) is the zero value.
func DevKey(n uint64) SecretKey {
	var scalar [32]byte
	binary.BigEndian.PutUint64(scalar[24:], n)
	key, err := NewSecretKey(scalar)
	if err != nil {
		return SecretKey{}
	}
	return key
}

// String returns a placeholder, so that a key never reaches a log.
func (k SecretKey) String() string { return "BLS secret key (hidden)" }

// Format writes the placeholder of [SecretKey.String] for every verb.
func (k SecretKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// PublicKey returns the compressed public key.
func (k SecretKey) PublicKey() PublicKey {
	if k.key == nil {
		return PublicKey{}
	}
	return PublicKey(new(blst.P1Affine).From(k.key).Compress())
}

// Sign signs a block root. The signature is a function of key and root alone.
func (k SecretKey) Sign(root common.Hash) Signature {
	if k.key == nil {
		return Signature{}
	}
	return Signature(new(blst.P2Affine).Sign(k.key, root[:], domain).Compress())
}

// point decompresses and validates a public key: on the curve, in the subgroup,
// not infinity.
func (p *PublicKey) point() (*blst.P1Affine, error) {
	point := new(blst.P1Affine).Uncompress(p[:])
	if point == nil || !point.KeyValidate() {
		return nil, fault.New(fault.Invalid, "BLS public key %#x is not a point of the G1 subgroup; check the chain spec's authorities", p[:])
	}
	return point, nil
}

// point decompresses a signature and checks its subgroup.
func (s *Signature) point() (*blst.P2Affine, error) {
	if s.None() {
		return nil, fault.New(fault.Invalid, "BLS signature is empty")
	}
	point := new(blst.P2Affine).Uncompress(s[:])
	if point == nil || !point.SigValidate(true) {
		return nil, fault.New(fault.Invalid, "BLS signature %#x... is not a point of the G2 subgroup", s[:8])
	}
	return point, nil
}

// None reports whether the signature is the all-zero value that means "none".
func (s *Signature) None() bool { return *s == Signature{} }
