package main

import (
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/journal/index"
)

// keyResult is what `alys journal key --json` prints.
type keyResult struct {
	Key        string `json:"key"`
	Origin     string `json:"origin"`
	Checkpoint string `json:"checkpoint,omitempty"`
}

func journalKeyCommand() *cli.Command {
	return &cli.Command{
		Name: "key", Usage: "print the public key that checks this node's proofs, and its newest checkpoint",
		Description: `The first line is the key: give it to whoever checks proofs. The origin names the
history that checkpoints are about. The newest signed checkpoint follows, if there
is one.

Examples:
  alys journal key
  alys journal key --json`,
		Flags: append(readFlags(), jsonFlag),
		Action: func(cc *cli.Context) (err error) {
			w, err := openWitness(cc)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, w.Close()) }()
			_, signed := w.notary.Kept()
			r := keyResult{Key: w.notary.PublicKey(), Origin: w.notary.Origin(), Checkpoint: string(signed)}
			return outcome(cc, r, func(out io.Writer) {
				printf(out, "%s\norigin %s\n", r.Key, r.Origin)
				if r.Checkpoint != "" {
					printf(out, "\n%s", r.Checkpoint)
				}
			})
		},
	}
}

// witness is a journal with its tree and notary, to be read.
type witness struct {
	*source
	settings *settings
	index    *index.Index
	notary   *node.Notary
}

// openWitness opens what the commands about proofs read.
func openWitness(cc *cli.Context) (*witness, error) {
	s, err := readSettings(cc)
	if err != nil {
		return nil, err
	}
	w := &witness{settings: s}
	if w.source, err = openSource(cc.Context, s); err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *witness) open() error {
	machine, err := node.NewMachine(w.journal.ID(), memo.New())
	if err != nil {
		return err
	}
	if w.index, err = w.openIndex(machine, w.settings.log); err != nil {
		return err
	}
	if w.notary, err = node.OpenNotary(w.settings.dataDir, w.journal, w.index, false, w.settings.log); err != nil {
		return err
	}
	if kept, _ := w.notary.Kept(); w.live && kept.Size > w.journal.Durable().Sequence {
		w.notary.Forget() // signed after the copy was made
	}
	return nil
}

// Close closes all.
func (w *witness) Close() error {
	var err error
	if w.index != nil {
		err = w.index.Close()
	}
	return errors.Join(err, w.source.Close())
}
