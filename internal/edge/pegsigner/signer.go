package pegsigner

import (
	"context"
	"crypto/rand"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// Signer holds one member's federation key or reaches the process that does. Errors are
// graded: Temporary when it cannot be asked now, CannotJudge when its policy refuses,
// Invalid when the request is wrong.
type Signer interface {
	// PublicKey returns the compressed key that it signs with.
	PublicKey() [33]byte
	// Sign signs each input of a payment, in order.
	Sign(ctx context.Context, p *Payment) ([][64]byte, error)
	// SignDryRun signs [DryRunHash] of a challenge.
	SignDryRun(ctx context.Context, challenge [32]byte) ([64]byte, error)
	// Close ends it and overwrites a key in this process.
	Close() error
}

// Member returns the index of a public key in a federation. Members are told apart by
// the x coordinate: the script has no more of a key. (peg.md A2.2)
func Member(f *peg.Federation, key [33]byte) (int, error) {
	if i, ok := f.Member(key); ok {
		return i, nil
	}
	return 0, fault.New(fault.Invalid, "federation key %x is none of the chain spec's %d federationBitcoinPubkeys: use another key, or none", key, len(f.Keys))
}

// Local signs with a key in this process.
type Local struct {
	secret     *Secret
	federation *peg.Federation
}

// NewLocal returns the signer of a member's key, which it owns from now on. It refuses
// a key of nobody.
func NewLocal(secret *Secret, f *peg.Federation) (*Local, error) {
	if _, err := Member(f, secret.PublicKey()); err != nil {
		return nil, err
	}
	return &Local{secret: secret, federation: f}, nil
}

// PublicKey implements [Signer].
func (l *Local) PublicKey() [33]byte { return l.secret.PublicKey() }

// Sign implements [Signer].
func (l *Local) Sign(ctx context.Context, p *Payment) ([][64]byte, error) {
	hashes, err := p.SigHashes(l.federation)
	if err != nil {
		return nil, err
	}
	signatures := make([][64]byte, len(hashes))
	for i, hash := range hashes {
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap(fault.Temporary, err, "payment "+p.Txid.String()+" is not signed")
		}
		if signatures[i], err = l.secret.sign(hash); err != nil {
			return nil, err
		}
	}
	return signatures, nil
}

// SignDryRun implements [Signer].
func (l *Local) SignDryRun(_ context.Context, challenge [32]byte) ([64]byte, error) {
	return l.secret.sign(DryRunHash(challenge))
}

// Close implements [Signer].
func (l *Local) Close() error {
	l.secret.Zero()
	return nil
}

// dryRunTag is unlike TapSighash, so that no signature of a dry run is one of a
// transaction. (BIP 340, "Design": tagged hashes)
var dryRunTag = []byte("Alys/FederationDryRun")

// DryRunHash is what a dry run signs: a tagged hash of the challenge.
func DryRunHash(challenge [32]byte) [32]byte {
	return [32]byte(*chainhash.TaggedHash(dryRunTag, challenge[:]))
}

// DryRun has a signer sign a random challenge, checks the signature and discards it.
func DryRun(ctx context.Context, s Signer) error {
	var challenge [32]byte
	_, _ = rand.Read(challenge[:]) // it never fails
	signature, err := s.SignDryRun(ctx, challenge)
	if err != nil {
		return err
	}
	if !valid(s.PublicKey(), DryRunHash(challenge), signature) {
		return fault.New(fault.Invalid, "the signer's dry run is not signed with key %x; check which key it holds", s.PublicKey())
	}
	return nil
}

// valid checks a BIP 340 signature.
func valid(public [33]byte, hash [32]byte, signature [64]byte) bool {
	parsed, err := schnorr.ParseSignature(signature[:])
	if err != nil {
		return false
	}
	key, err := schnorr.ParsePubKey(public[1:])
	return err == nil && parsed.Verify(hash[:], key)
}

// Answer executes a request of the bridge actor: PayoutSigned, or an error for
// PayoutRefused. No signature leaves that is not the signer's over the payment of this
// federation. Invalid is a request that no signer signs; a signer with the wrong key or
// policy is CannotJudge, since its operator can change that.
func Answer(ctx context.Context, s Signer, f *peg.Federation, m *message.SignPayout) (message.PayoutSigned, error) {
	out := message.PayoutSigned{Txid: m.Txid}
	p, err := NewPayment(m)
	if err != nil {
		return out, err
	}
	hashes, err := p.SigHashes(f)
	if err != nil {
		return out, err
	}
	signatures, err := s.Sign(ctx, p)
	if err != nil {
		return out, err
	}
	if len(signatures) != len(hashes) {
		return out, fault.New(fault.CannotJudge, "payment %s has %d inputs, the signer gave %d signatures; check its version", m.Txid, len(hashes), len(signatures))
	}
	for i := range signatures {
		if !valid(s.PublicKey(), hashes[i], signatures[i]) {
			return message.PayoutSigned{}, fault.New(fault.CannotJudge, "payment %s: the signature of input %d is not that of key %x; check which key the signer holds", m.Txid, i, s.PublicKey())
		}
		out.Signatures = append(out.Signatures, message.PayoutSignature{Value: signatures[i]})
	}
	return out, nil
}
