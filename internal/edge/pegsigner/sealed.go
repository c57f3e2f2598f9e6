package pegsigner

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"

	"filippo.io/age"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	sealedTitle = "alys-federation-key-1 "
	maxSealed   = 4096 // bytes of a sealed file; one of ours has some 300
	workFactor  = 18   // scrypt cost of files that we write: 2^18, which takes 256 MiB and a second
	// maxWorkFactor bounds what a file can make us spend: 2^20 takes 1 GiB.
	maxWorkFactor = 20
	maxPassphrase = 1024 // bytes
)

// Seal returns a key sealed with a passphrase, in the format of age.
func Seal(secret *Secret, passphrase string) ([]byte, error) {
	return seal(secret, passphrase, workFactor)
}

func seal(secret *Secret, passphrase string, cost int) ([]byte, error) {
	if err := checkPassphrase(passphrase); err != nil {
		return nil, err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the passphrase cannot be used")
	}
	recipient.SetWorkFactor(cost)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "sealing the federation key")
	}
	scalar := secret.key.Serialize()
	text := append(hex.AppendEncode([]byte(sealedTitle), scalar), '\n')
	defer clear(scalar)
	defer clear(text)
	if _, err := w.Write(text); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "sealing the federation key")
	}
	if err := w.Close(); err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "sealing the federation key")
	}
	return out.Bytes(), nil
}

// Unseal opens what [Seal] returned. Wrong passphrases and damaged files are Invalid;
// neither is told from the other where the format does not.
func Unseal(sealed []byte, passphrase string) (*Secret, error) {
	if err := checkPassphrase(passphrase); err != nil {
		return nil, err
	}
	if len(sealed) > maxSealed {
		return nil, fault.New(fault.Invalid, "a sealed key has at most %d bytes, this has more; is it the right file?", maxSealed)
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the passphrase cannot be used")
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return nil, fault.New(fault.Invalid, "the passphrase is not that of the sealed key, or the file is sealed otherwise")
	} else if err != nil {
		// The library's text quotes the file, which may be a key that is not sealed.
		return nil, fault.New(fault.Invalid, "it is no sealed key, or damaged; make it with alys key seal")
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSealed))
	defer clear(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the sealed key is damaged; restore it from a copy")
	}
	digits, ours := bytes.CutPrefix(text, []byte(sealedTitle))
	if !ours {
		return nil, fault.New(fault.Invalid, "what is sealed is no federation key; make the file with alys key seal")
	}
	return ParseSecret(string(digits))
}

// OpenSealed reads a sealed key from a file.
func OpenSealed(path, passphrase string) (*Secret, error) {
	sealed, err := readFile(path, maxSealed)
	if err != nil {
		return nil, err
	}
	secret, err := Unseal(sealed, passphrase)
	return secret, fault.Wrap(fault.Invalid, err, "federation key "+path)
}

// ReadPassphrase reads a passphrase from a file, without the line's end. It refuses one
// that every user of the machine can read.
func ReadPassphrase(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fault.Wrap(fault.Invalid, reason(err), "passphrase file "+path)
	case info.Mode().Perm()&0o007 != 0:
		return "", fault.New(fault.Invalid, "passphrase file %s can be read by every user (mode %#o); chmod 600 it", path, info.Mode().Perm())
	}
	text, err := readFile(path, maxPassphrase+2)
	defer clear(text)
	if err != nil {
		return "", err
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return string(text), nil
}

func checkPassphrase(passphrase string) error {
	switch {
	case passphrase == "":
		return fault.New(fault.Invalid, "the passphrase is empty")
	case len(passphrase) > maxPassphrase:
		return fault.New(fault.Invalid, "the passphrase has more than %d bytes", maxPassphrase)
	}
	return nil
}

// readFile reads a regular file of at most so many bytes.
func readFile(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, reason(err), path)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fault.New(fault.Invalid, "%s is no file", path)
	}
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, reason(err), path)
	case int64(len(data)) > limit:
		clear(data)
		return nil, fault.New(fault.Invalid, "%s has more than %d bytes; is it the right file?", path, limit)
	}
	return data, nil
}

// reason is an error of the file system without the path, which the caller names.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
