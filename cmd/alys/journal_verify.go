package main

import (
	"errors"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/journal"
)

// verifyResult is what `alys journal verify --json` prints.
type verifyResult struct {
	Journal       string  `json:"journal"`
	From          uint64  `json:"from"`
	To            uint64  `json:"to"`
	Events        uint64  `json:"events"`
	EventBytes    int64   `json:"event_bytes"`
	Contents      uint64  `json:"contents"`
	ContentBytes  int64   `json:"content_bytes"`
	Orphans       uint64  `json:"orphans"` // contents that no event names
	Complete      bool    `json:"complete"`
	HeadSequence  uint64  `json:"head_sequence"`
	HeadHash      string  `json:"head_hash"`
	TreeEvents    uint64  `json:"tree_events"`               // hashed into the Merkle tree
	TreeNodes     uint64  `json:"tree_nodes"`                // of the index, compared
	TreeRoot      string  `json:"tree_root,omitempty"`       // over all events
	Signed        uint64  `json:"checkpoint_size,omitempty"` // of the kept checkpoint, whose root is right
	Seconds       float64 `json:"seconds"`
	Error         string  `json:"error,omitempty"`
	ErrorSequence uint64  `json:"error_sequence,omitempty"`
}

func journalVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "re-read and re-hash every byte of the journal",
		Description: `Computes the hash chain, decodes every event and hashes every content again.
Without a range it also hashes all events into the Merkle tree, and compares every
node of the index, and the root of the kept signed checkpoint.
The first thing wrong is named with its sequence; the exit code is then 3.

Examples:
  alys journal verify --data-dir /var/lib/alys
  alys journal verify --from 1000 --to 2000 --json`,
		Flags: append(readFlags(),
			&cli.Uint64Flag{Name: "from", Usage: "first `SEQUENCE`", Value: 1},
			&cli.Uint64Flag{Name: "to", Usage: "last `SEQUENCE`; 0 for the last durable one"},
			jsonFlag),
		Action: journalVerify,
	}
}

func journalVerify(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return verifyFailed(cc, verifyResult{}, err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	started := time.Now()
	bar := startJob(cc, s, "verify", "events", 0)
	report, err := src.journal.Verify(cc.Context, cc.Uint64("from"), cc.Uint64("to"), func(done, total uint64, bytes int64) {
		bar.set(progress.Update{Done: done, Total: total, Bytes: bytes})
	})
	bar.stop()
	var t treeReport
	if err == nil && report.Complete {
		t, err = verifyTree(cc, s, src, report.To)
	}
	r := verifyResult{
		Journal: src.journal.ID().String(), From: report.From, To: report.To, Events: report.Events, EventBytes: report.EventBytes,
		Contents: report.Contents, ContentBytes: report.ContentBytes, Orphans: report.Orphans, Complete: report.Complete,
		HeadSequence: report.Head.Sequence, HeadHash: report.Head.Hash.String(), Seconds: time.Since(started).Seconds(),
		TreeEvents: t.events, TreeNodes: t.nodes, TreeRoot: t.root, Signed: t.signed,
	}
	if err != nil {
		return verifyFailed(cc, r, err)
	}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "verify: %d events (%s), %d contents (%s), %d orphans: every hash is right, head %d %s, %.1fs\n",
			r.Events, size(r.EventBytes), r.Contents, size(r.ContentBytes), r.Orphans, r.HeadSequence, r.HeadHash, r.Seconds)
		if r.TreeEvents > 0 {
			printf(w, "tree: root %s over %d events, %d nodes of the index are right, ", r.TreeRoot, r.TreeEvents, r.TreeNodes)
			if r.Signed == 0 {
				printf(w, "no signed checkpoint\n")
			} else {
				printf(w, "the signed checkpoint over %d events too\n", r.Signed)
			}
		}
	})
}

// verifyFailed reports damage as JSON too, if that was asked for: a journal that
// does not even open is a result of verifying it.
func verifyFailed(cc *cli.Context, r verifyResult, err error) error {
	if !cc.Bool(jsonFlag.Name) {
		return err
	}
	r.Error = describe(err)
	var damage *journal.CorruptError
	if errors.As(err, &damage) {
		r.ErrorSequence = damage.Sequence
	}
	return errors.Join(err, writeJSON(cc.App.Writer, r))
}
