package pegsigner

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	secretSize = 32
	hidden     = "(hidden)"
	// wantSecret is what errors say of a key, which they never repeat.
	wantSecret = "a federation key is 32 bytes as 64 hex digits, above zero and below the order of secp256k1"
)

// Secret is a federation key. It formats as a placeholder. (peg.md A1, A11)
type Secret struct {
	key *btcec.PrivateKey
}

// NewSecret takes the 32 bytes of a key, big endian.
func NewSecret(scalar [secretSize]byte) (*Secret, error) {
	defer clear(scalar[:])
	var value btcec.ModNScalar
	if overflow := value.SetBytes(&scalar); overflow != 0 || value.IsZero() {
		return nil, fault.New(fault.Invalid, "%s", wantSecret)
	}
	return &Secret{key: btcec.PrivKeyFromScalar(&value)}, nil
}

// DevSecret returns the well-known key n, which --dev and tests use. (peg.md A1)
func DevSecret(n uint32) (*Secret, error) {
	var scalar [secretSize]byte
	binary.BigEndian.PutUint32(scalar[secretSize-4:], n)
	return NewSecret(scalar)
}

// ParseSecret reads a key as 64 hex digits, with or without 0x and white space around
// them.
func ParseSecret(text string) (*Secret, error) {
	digits := strings.TrimPrefix(strings.TrimSpace(text), "0x")
	var scalar [secretSize]byte
	defer clear(scalar[:])
	if len(digits) != 2*secretSize {
		return nil, fault.New(fault.Invalid, "%s", wantSecret)
	}
	if _, err := hex.Decode(scalar[:], []byte(digits)); err != nil { // the error would show a digit
		return nil, fault.New(fault.Invalid, "%s", wantSecret)
	}
	return NewSecret(scalar)
}

// PublicKey returns the compressed public key.
func (s *Secret) PublicKey() [33]byte { return [33]byte(s.key.PubKey().SerializeCompressed()) }

// Zero overwrites the key; the secret cannot sign any more. Copies that the runtime
// made of memory are out of reach.
func (s *Secret) Zero() { s.key.Zero() }

// sign makes a checked BIP 340 signature.
func (s *Secret) sign(hash [32]byte) (out [64]byte, err error) {
	var aux [32]byte
	_, _ = rand.Read(aux[:]) // it never fails: without randomness the process ends
	signature, err := schnorr.Sign(s.key, hash[:], schnorr.CustomNonce(aux))
	if err != nil {
		return out, fault.Wrap(fault.Fatal, err, "signing with the federation key")
	}
	return [64]byte(signature.Serialize()), nil
}

// String returns a placeholder.
func (*Secret) String() string { return hidden }

// Format writes the placeholder for every verb.
func (*Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText returns the placeholder, for JSON and the like.
func (*Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements slog.LogValuer.
func (*Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
