package main

import (
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	witnesses "github.com/AnduroProject/alys-go/journal/witness"
)

// witnessesResult is what `alys journal witnesses --json` prints.
type witnessesResult struct {
	Witnesses      []witnessed         `json:"witnesses"`      // of this node's journal
	Seen           []witnessed         `json:"seen"`           // of other members' journals
	Contradictions []witnesses.Finding `json:"contradictions"` // in what they signed
}

// witnessed is a checkpoint that a member signed.
type witnessed struct {
	Authority uint8     `json:"authority"` // who signed
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"` // events
	Root      string    `json:"root"`
	Time      time.Time `json:"time"` // when it came
	Key       string    `json:"key"`
	Note      string    `json:"note"`
}

func journalWitnessesCommand() *cli.Command {
	return &cli.Command{
		Name: "witnesses", Usage: "which members signed checkpoints of this journal, and what was seen of theirs",
		Description: `A member that is connected signs this node's newest checkpoint when it continues
the one that it signed before: after that, nobody can show it another history of the
first events. The other way round this node signs theirs; two checkpoints of a
member that contradict each other are listed with both notes, which the member's key
checks: alys journal check-proof --known.

Exit code 3 when there is a contradiction.

Examples:
  alys journal witnesses
  alys journal witnesses --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: journalWitnesses,
	}
}

func journalWitnesses(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	book, err := witnesses.Open(witnesses.Options{Dir: node.WitnessDir(s.dataDir)})
	if err != nil {
		return err
	}
	r := witnessesResult{Witnesses: describeWitnessed(book.Ours()), Seen: describeWitnessed(book.Seen()), Contradictions: book.Findings()}
	if r.Contradictions == nil {
		r.Contradictions = []witnesses.Finding{}
	}
	err = outcome(cc, r, func(w io.Writer) {
		if len(r.Witnesses) == 0 {
			printf(w, "no member has signed a checkpoint of this journal\n")
		}
		for _, e := range r.Witnesses {
			printf(w, "authority %d signed the first %d events of %s, root %s, %s\n", e.Authority, e.Size, e.Origin, e.Root, e.Time.Format(time.RFC3339))
		}
		for _, e := range r.Seen {
			printf(w, "seen of authority %d: %d events of %s, root %s, %s\n", e.Authority, e.Size, e.Origin, e.Root, e.Time.Format(time.RFC3339))
		}
		for _, f := range r.Contradictions {
			printf(w, "CONTRADICTION of authority %d (%s), %s: %s\nkey %s\n%s%s", f.Authority, f.Kind, f.Time.Format(time.RFC3339), f.Text, f.Key, f.First, f.Second)
		}
	})
	if err == nil && len(r.Contradictions) > 0 {
		err = fault.New(fault.Corrupt, "members signed %d times what contradicts what they signed before", len(r.Contradictions))
	}
	return err
}

func describeWitnessed(list []witnesses.Entry) []witnessed {
	out := []witnessed{}
	for _, e := range list {
		c := e.Checkpoint
		out = append(out, witnessed{Authority: e.Key.Authority, Origin: c.Origin, Size: c.Size, Root: c.Root.String(), Time: e.Time, Key: e.Key.Key, Note: e.Note})
	}
	return out
}
