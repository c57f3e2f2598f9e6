package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

// makeSigner makes what signs the payments of a federation.
type makeSigner = func(*peg.Federation) (pegsigner.Signer, error)

// federationSigner returns what signs payments by the settings, nil when they name
// nothing. A passphrase is asked for at once.
func federationSigner(s *settings, prompt io.Writer) (makeSigner, error) {
	f := &s.Federation
	if f.Signer != "" {
		return func(*peg.Federation) (pegsigner.Signer, error) { return dialSigner(s) }, nil
	}
	secret, err := federationSecret(s, prompt)
	if secret == nil || err != nil {
		return nil, err
	}
	return localSigner(secret), nil
}

// dialSigner prepares the way to the signer process of the settings.
func dialSigner(s *settings) (*pegsigner.RemoteSigner, error) {
	f := &s.Federation
	public, err := pegsigner.ParsePublicKey(f.SignerKey)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "federation-signer-key")
	}
	return pegsigner.Dial(pegsigner.Remote{
		Address: f.Signer, PublicKey: public, CertFile: f.SignerCert, KeyFile: f.SignerCertKey, CAFile: f.SignerCA,
	})
}

// developmentSigner signs with the key of --dev.
func developmentSigner() (makeSigner, error) {
	secret, err := pegsigner.DevSecret(1)
	return localSigner(secret), err
}

// localSigner signs with a key in this process.
func localSigner(secret *pegsigner.Secret) makeSigner {
	return func(f *peg.Federation) (pegsigner.Signer, error) { return pegsigner.NewLocal(secret, f) }
}

// federationSecret reads the key that the settings hold or name, nil when they do not.
func federationSecret(s *settings, prompt io.Writer) (*pegsigner.Secret, error) {
	f := &s.Federation
	switch {
	case f.Key != "":
		secret, err := pegsigner.ParseSecret(string(f.Key))
		return secret, fault.Wrap(fault.Invalid, err, fmt.Sprintf("federation-key (%s)", s.Origin("federation-key")))
	case f.KeyFile != "":
		passphrase, err := federationPassphrase(s, prompt, "passphrase of "+f.KeyFile+": ")
		if err != nil {
			return nil, err
		}
		return pegsigner.OpenSealed(f.KeyFile, passphrase)
	}
	return nil, nil
}

// federationPassphrase returns the passphrase of the sealed key: of the settings, else
// from the terminal.
func federationPassphrase(s *settings, prompt io.Writer, ask string) (string, error) {
	f := &s.Federation
	switch {
	case f.PassphraseFile != "":
		return pegsigner.ReadPassphrase(f.PassphraseFile)
	case f.Passphrase != "":
		return string(f.Passphrase), nil
	}
	return askPassphrase(prompt, ask)
}

// askPassphrase reads a line from the terminal without showing it. Stdin may be something
// else.
func askPassphrase(prompt io.Writer, ask string) (string, error) {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return "", fault.New(fault.Invalid, "there is no terminal to ask for the passphrase: set federation-key-passphrase-file or ALYS_FEDERATION_KEY_PASSPHRASE")
	}
	defer func() { _ = tty.Close() }()
	printf(prompt, "%s", ask)
	text, err := term.ReadPassword(int(tty.Fd()))
	printf(prompt, "\n")
	defer clear(text)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "reading the passphrase")
	}
	return string(text), nil
}
