package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func keyCommand() *cli.Command {
	return &cli.Command{
		Name: "key", Usage: "seal a federation key, show the public key of one, and see which journal signs with which key",
		Description: `A federation key signs payments out of the pool. It is kept in a file sealed with
a passphrase, or by a signer process: alys signer serve. No command prints a
secret key.`,
		Subcommands: []*cli.Command{keySealCommand(), keyShowCommand(), keyLeaseCommand()},
	}
}

func keySealCommand() *cli.Command {
	return &cli.Command{
		Name: "seal", Usage: "seal a federation key, given as hex on stdin, with a passphrase",
		Description: `Reads 64 hex digits from stdin and writes the sealed file, which must not be there
yet. The passphrase comes from federation-key-passphrase-file, from
ALYS_FEDERATION_KEY_PASSPHRASE, or is asked for twice on the terminal. The file is
opened once more before the command says that it is well. age -d opens it too.

Examples:
  alys key seal --out federation.key < hex
  alys key seal --out federation.key --federation-key-passphrase-file pass --json < hex`,
		Flags: append(config.Flags(config.Federation, config.Log),
			&cli.StringFlag{Name: "out", Usage: "`FILE` to write"}, jsonFlag),
		Action: keySeal,
	}
}

// keyOutcome is what the commands about keys print with --json.
type keyOutcome struct {
	PublicKey string `json:"public_key"`
	File      string `json:"file,omitempty"`
	Signer    string `json:"signer,omitempty"`
	Payments  uint64 `json:"payments_signed,omitempty"` // by a signer process
}

func keySeal(cc *cli.Context) error {
	out := cc.String("out")
	if out == "" {
		return usage("name the file to write with --out")
	}
	s, err := sealSettings(cc)
	if err != nil {
		return err
	}
	digits, err := bufio.NewReader(io.LimitReader(os.Stdin, 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fault.Wrap(fault.Invalid, err, "reading the key from stdin")
	}
	secret, err := pegsigner.ParseSecret(digits)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "stdin")
	}
	defer secret.Zero()
	passphrase, err := newPassphrase(s, cc.App.ErrWriter, out)
	if err != nil {
		return err
	}
	sealed, err := pegsigner.Seal(secret, passphrase)
	if err != nil {
		return err
	}
	if err := writeNew(out, sealed); err != nil {
		return err
	}
	opened, err := pegsigner.OpenSealed(out, passphrase)
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "what was written does not open")
	}
	defer opened.Zero()
	public := opened.PublicKey()
	r := keyOutcome{PublicKey: hex.EncodeToString(public[:]), File: out}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "%s\nsealed in %s; remove every other copy but the one in your safe\n", r.PublicKey, out)
	})
}

// sealSettings are the settings of a passphrase: it is for the file to be made, not for
// one that is named.
func sealSettings(cc *cli.Context) (*settings, error) {
	if err := cc.Set("federation-key-file", cc.String("out")); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "--out")
	}
	return readSettings(cc)
}

// newPassphrase asks twice when it asks.
func newPassphrase(s *settings, prompt io.Writer, path string) (string, error) {
	passphrase, err := federationPassphrase(s, prompt, "new passphrase of "+path+": ")
	if err != nil || s.Federation.Passphrase != "" || s.Federation.PassphraseFile != "" {
		return passphrase, err
	}
	again, err := askPassphrase(prompt, "once more: ")
	if err == nil && again != passphrase {
		err = usage("the two passphrases differ")
	}
	return passphrase, err
}

// writeNew writes a file that must not be there, and makes it durable.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already and is not overwritten: %w", path, node.ErrRefused)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--out")
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if dir, failed := os.Open(filepath.Dir(path)); failed == nil {
		err = errors.Join(err, dir.Sync(), dir.Close())
	}
	return fault.Wrap(fault.Fatal, err, "writing "+path)
}

func keyShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "print the public key of a federation key",
		Description: `Of the sealed file, of the key in the environment, or of the signer process that
the settings name. It is the line of federationBitcoinPubkeys, and what
federation-signer-key takes.

Examples:
  alys key show --federation-key-file federation.key
  alys key show --config alys.toml --json`,
		Flags: append(config.Flags(config.Federation, config.Log), jsonFlag),
		Action: func(cc *cli.Context) error {
			s, err := readSettings(cc)
			if err != nil {
				return err
			}
			r, err := showKey(cc, s)
			if err != nil {
				return err
			}
			return outcome(cc, r, func(w io.Writer) { printf(w, "%s\n", r.PublicKey) })
		},
	}
}

func showKey(cc *cli.Context, s *settings) (r keyOutcome, err error) {
	if s.Federation.Signer != "" {
		remote, err := dialSigner(s)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, remote.Close()) }()
		d, err := remote.Describe(cc.Context)
		if err == nil && d.PublicKey != remote.PublicKey() {
			err = fault.New(fault.Invalid, "the signer holds key %x, federation-signer-key says %x: correct one", d.PublicKey, remote.PublicKey())
		}
		return keyOutcome{PublicKey: hex.EncodeToString(d.PublicKey[:]), Signer: s.Federation.Signer, Payments: d.Payments}, err
	}
	secret, err := federationSecret(s, cc.App.ErrWriter)
	switch {
	case err != nil:
		return r, err
	case secret == nil:
		return r, usage("the settings name no federation key: give --federation-key-file or --federation-signer")
	}
	defer secret.Zero()
	public := secret.PublicKey()
	return keyOutcome{PublicKey: hex.EncodeToString(public[:]), File: s.Federation.KeyFile}, nil
}
