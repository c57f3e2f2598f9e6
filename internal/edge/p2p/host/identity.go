package host

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Identity returns the Ed25519 key in a file, made when there is none: the peer id
// that follows from it is the same at every start, unlike legacy's. (wire.md 9.1)
// Errors: Corrupt when the file holds no such key, Fatal when it cannot be read or
// written.
func Identity(file string) (crypto.PrivKey, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newIdentity(file)
	case err != nil:
		return nil, fault.Wrap(fault.Fatal, err, "reading the peer key")
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "peer key %s: %w; move it away, and the node takes a new peer id", file, err)
	}
	return key, nil
}

func newIdentity(file string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "making the peer key")
	}
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "making the peer key")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "directory of the peer key")
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "writing the peer key")
	}
	return key, nil
}
