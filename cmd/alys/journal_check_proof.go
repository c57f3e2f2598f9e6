package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/mod/sumdb/note"

	"github.com/AnduroProject/alys-go/internal/eventjson"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/tree"
)

// checkResult is what `alys journal check-proof --json` prints.
type checkResult struct {
	Valid     bool            `json:"valid"`
	Origin    string          `json:"origin,omitempty"`
	Size      uint64          `json:"size,omitempty"`
	Root      string          `json:"root,omitempty"`
	OlderSize uint64          `json:"older_size,omitempty"`
	OlderRoot string          `json:"older_root,omitempty"`
	Event     *eventjson.View `json:"event,omitempty"`
	Error     string          `json:"error,omitempty"`
}

func journalCheckProofCommand() *cli.Command {
	return &cli.Command{
		Name: "check-proof", Usage: "check a proof with a public key, and print the event it proves",
		Description: `Needs the proof and the public key, and nothing else: no node, no data directory.
Checks the signature of the checkpoint, that the event is in the tree it signs, or
that the older tree is a prefix of it. Exit code 3 when any of that is not so.
--known compares with a checkpoint seen before: for a proof of consistency it must
be the older one. With --witness it is one that a witness signed (alys journal
witnesses --json has note and key), by that key alone; --key is still the owner's.

Examples:
  alys journal check-proof --key alys+1a2b3c4d+AYz... --file proof.json
  alys journal prove --consistency 1000 | alys journal check-proof --key alys+1a2b3c4d+AYz... --known checkpoint.note`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "public `KEY` as alys journal key prints it, or the file with that output", Required: true},
			&cli.StringFlag{Name: "file", Usage: "`FILE` with the proof; - for standard input", Value: "-"},
			&cli.StringFlag{Name: "known", Usage: "`FILE` with a checkpoint of the same key that was seen before"},
			&cli.StringSliceFlag{Name: "witness", Usage: "public `KEY` of a witness that must have signed the known checkpoint, or that of the proof when there is none; may be given several times"},
			jsonFlag,
		},
		Action: journalCheckProof,
	}
}

func journalCheckProof(cc *cli.Context) error {
	v, err := publicKey(cc.String("key"))
	if err != nil {
		return err
	}
	data, err := readProof(cc.String("file"))
	if err != nil {
		return err
	}
	witnesses, err := publicKeys(cc.StringSlice("witness"))
	if err != nil {
		return err
	}
	r, e, err := checkProof(data, cc.String("known"), v, witnesses)
	if err != nil {
		if cc.Bool(jsonFlag.Name) {
			return errors.Join(err, writeJSON(cc.App.Writer, checkResult{Error: err.Error()}))
		}
		return err
	}
	return showProof(cc, r, e)
}

// publicKey reads a key, or the first line of the file that is named instead.
func publicKey(key string) (note.Verifier, error) {
	if data, err := os.ReadFile(key); err == nil {
		key, _, _ = strings.Cut(string(data), "\n")
	}
	return tree.ReadPublicKey(key)
}

func readProof(name string) (data []byte, err error) {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "proof")
		}
		defer f.Close()
		in = f
	}
	data, err = io.ReadAll(io.LimitReader(in, tree.MaxProof+1))
	return data, fault.Wrap(fault.Invalid, err, "proof")
}

// checkProof checks everything, and says what is proven.
func checkProof(data []byte, known string, v note.Verifier, witnesses []note.Verifier) (checkResult, *journal.Event, error) {
	p, err := tree.DecodeProof(data)
	if err != nil {
		return checkResult{}, nil, err
	}
	c, e, err := p.Verify(v)
	if err != nil {
		return checkResult{}, nil, err
	}
	r := checkResult{Valid: true, Origin: c.Origin, Size: c.Size, Root: c.Root.String()}
	proven := map[uint64]journal.Hash{c.Size: c.Root}
	if p.Consistency != nil {
		r.OlderSize, r.OlderRoot = p.Consistency.Size, journal.Hash(p.Consistency.Root).String()
		proven[r.OlderSize] = journal.Hash(p.Consistency.Root)
	}
	if known == "" {
		_, err := signedByAll([]byte(p.Checkpoint), witnesses)
		return r, e, err
	}
	signed, err := os.ReadFile(known)
	if err != nil {
		return r, e, fault.Wrap(fault.Invalid, err, "known checkpoint")
	}
	signers := witnesses
	if len(signers) == 0 {
		signers = []note.Verifier{v}
	}
	k, err := signedByAll(signed, signers)
	if err != nil {
		return r, e, fmt.Errorf("known checkpoint %s: %w", known, err)
	}
	switch root, ok := proven[k.Size]; {
	case k.Origin != c.Origin:
		err = fault.New(fault.Corrupt, "the known checkpoint is about %s, the proof about %s", k.Origin, c.Origin)
	case !ok:
		err = fault.New(fault.Invalid, "the known checkpoint covers %d events, which the proof says nothing of: ask for prove --consistency %d", k.Size, k.Size)
	case root != k.Root:
		err = fault.New(fault.Corrupt, "over %d events the known checkpoint has the root %s and the proof %s, both signed: the signer shows two histories", k.Size, k.Root, root)
	}
	return r, e, err
}

// signedByAll checks the signatures of a checkpoint by every one of some keys.
func signedByAll(signed []byte, by []note.Verifier) (c tree.Checkpoint, err error) {
	for _, v := range by {
		if c, err = tree.OpenCheckpoint(signed, v); err != nil {
			return c, fmt.Errorf("key %s+%08x: %w", v.Name(), v.KeyHash(), err)
		}
	}
	return c, nil
}

func publicKeys(keys []string) (list []note.Verifier, err error) {
	for _, key := range keys {
		v, err := publicKey(key)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func showProof(cc *cli.Context, r checkResult, e *journal.Event) error {
	machine, err := node.NewMachine(journal.ID{}, memo.New())
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cc.App.Writer)
	p := &eventPrinter{machine: machine, out: out, json: cc.Bool(jsonFlag.Name)}
	if e != nil {
		view, err := p.view(e, journal.Hash{})
		if err != nil {
			return err
		}
		r.Event = &view
	}
	err = outcome(cc, r, func(w io.Writer) {
		printf(w, "valid: %s has %d events, root %s\n", r.Origin, r.Size, r.Root)
		if r.OlderSize > 0 {
			printf(w, "valid: it continues the journal of %d events, root %s\n", r.OlderSize, r.OlderRoot)
		}
	})
	if err == nil && r.Event != nil && !p.json {
		err = p.text(e, *r.Event)
	}
	return errors.Join(err, fault.Wrap(fault.Temporary, out.Flush(), "writing the event"))
}
