package federation

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"

	"github.com/ethereum/go-ethereum/common"
	ethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// secrets are the keys of one node. Nothing prints them.
type secrets struct {
	authority  []byte // hex
	federation []byte // hex
	fees       []byte // hex
	peer       []byte // as libp2p marshals it

	sealer *pegsigner.Secret

	// What is public of them.
	authorityKey  aura.PublicKey
	federationKey [33]byte
	account       common.Address
	peerID        string
}

// zero forgets the keys.
func (s *secrets) zero() {
	clear(s.authority)
	clear(s.federation)
	clear(s.fees)
	clear(s.peer)
	if s.sealer != nil {
		s.sealer.Zero()
	}
}

// newSecrets makes the keys of a node.
func newSecrets(member bool) (s *secrets, err error) {
	s = new(secrets)
	if err := s.makePeer(); err != nil || !member {
		return s, err
	}
	authority, err := scalar(func(k [32]byte) error {
		key, err := aura.NewSecretKey(k)
		if err == nil {
			s.authorityKey = key.PublicKey()
		}
		return err
	})
	if err != nil {
		return s, err
	}
	federation, err := scalar(func(k [32]byte) error {
		var err error
		if s.sealer, err = pegsigner.NewSecret(k); err == nil {
			s.federationKey = s.sealer.PublicKey()
		}
		return err
	})
	if err != nil {
		return s, err
	}
	s.authority, s.federation = authority, federation
	fees, err := ethcrypto.GenerateKey()
	if err != nil {
		return s, fault.Wrap(fault.Fatal, err, "making an account")
	}
	s.account = ethcrypto.PubkeyToAddress(fees.PublicKey)
	s.fees = hex.AppendEncode(nil, ethcrypto.FromECDSA(fees))
	return s, nil
}

// scalar draws 32 bytes until they are a key, and returns them as hex. The order of
// BLS12-381 refuses more than half of all draws, that of secp256k1 none that one will see.
func scalar(take func([32]byte) error) (text []byte, err error) {
	var k [32]byte
	defer clear(k[:])
	for range 256 {
		if _, err := rand.Read(k[:]); err != nil {
			return nil, fault.Wrap(fault.Fatal, err, "making a key")
		}
		if err = take(k); err == nil {
			return hex.AppendEncode(nil, k[:]), nil
		}
	}
	return nil, fault.Wrap(fault.Fatal, err, "making a key")
}

func (s *secrets) makePeer() error {
	key, public, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "making a peer key")
	}
	id, err := peer.IDFromPublicKey(public)
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "making a peer key")
	}
	s.peerID = id.String()
	s.peer, err = crypto.MarshalPrivateKey(key)
	return fault.Wrap(fault.Fatal, err, "making a peer key")
}

// newPassphrase makes one of 192 bits.
func newPassphrase() (string, error) {
	var b [24]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fault.Wrap(fault.Fatal, err, "making a passphrase")
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}
