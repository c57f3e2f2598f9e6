package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

const acceptLoss = "accept-loss-after"

// repairResult is what `alys journal repair --json` prints.
type repairResult struct {
	Dir     string     `json:"dir"`
	Journal string     `json:"journal,omitempty"`
	Healthy bool       `json:"healthy"`
	Whole   headResult `json:"whole"`   // last event up to which everything verifies
	Claimed headResult `json:"claimed"` // last event that anything knows of
	Damage  string     `json:"damage,omitempty"`
	Resumes bool       `json:"resumes"`
	Command string     `json:"command,omitempty"`
	// Of a repair that was made.
	Repaired *headResult     `json:"repaired,omitempty"`
	Incident *incidentResult `json:"incident,omitempty"`
	Aside    string          `json:"damaged_files,omitempty"`
}

func journalRepairCommand() *cli.Command {
	return &cli.Command{
		Name: "repair", Usage: "explain a damaged journal, and cut it behind its last whole event",
		Description: `Without --accept-loss-after nothing is changed: it reads everything, and prints
what is damaged, up to which event all verifies, what would be lost, and the
command that does it. A backup that holds more is better than any repair.

With it, the events up to SEQUENCE are kept and all others are given up: what
those turns asked for may have left the process. The damaged files are put aside
beside the journal's directory and never deleted; snapshots behind SEQUENCE are
passed over. The next start writes the gap into the journal as an event.

Examples:
  alys journal repair --data-dir /var/lib/alys
  alys journal repair --data-dir /var/lib/alys --accept-loss-after 104217`,
		Flags: append(readFlags(),
			&cli.Uint64Flag{Name: acceptLoss, Usage: "keep the events up to `SEQUENCE` and give up what follows"},
			jsonFlag),
		Action: journalRepair,
	}
}

func journalRepair(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	dir := node.JournalDir(s.dataDir)
	bar := startJob(cc, s, "repair", "events", 0)
	o := journal.RepairOptions{
		Options: journal.Options{Dir: dir, Archive: s.archive, CacheBytes: 32 << 20, Logger: s.log},
		Time:    time.Now(),
		Source:  salvaged(cc.Context, dir),
		Progress: func(events uint64, bytes int64) {
			bar.set(progress.Update{Done: events, Bytes: bytes})
		},
	}
	a, err := journal.Assess(cc.Context, o)
	if err != nil {
		bar.stop()
		return err
	}
	r := repairResult{
		Dir: dir, Healthy: a.Healthy(), Whole: headOf(a.Whole), Claimed: headOf(a.Claimed), Resumes: a.Resumes,
	}
	if a.ID != (journal.ID{}) {
		r.Journal = a.ID.String()
	}
	damage := damageOf(a)
	if damage != nil {
		r.Damage = describe(damage)
	}
	if !cc.IsSet(acceptLoss) {
		bar.stop()
		return explainRepair(cc, s, r, damage)
	}
	done, err := journal.Repair(cc.Context, o, cc.Uint64(acceptLoss))
	bar.stop()
	if err != nil {
		return err
	}
	head, i := headOf(done.Head), done.Incident
	r.Repaired, r.Aside = &head, done.Aside
	r.Incident = &incidentResult{Number: i.Number, Kind: string(i.Kind), After: i.After, Before: headOf(i.Before), TimeMs: i.Time, Text: i.Text}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "repair: the journal ends at event %d %s\n", head.Sequence, head.Hash)
		printf(w, "incident %d: %s\n", i.Number, i.Text)
	})
}

// damageOf is what makes a repair necessary; nil for nothing.
func damageOf(a journal.Assessment) error {
	switch {
	case a.Resumes:
		return fault.New(fault.Corrupt, "a repair that keeps the events up to %d was interrupted", a.Whole.Sequence)
	case a.Stopped != nil:
		return a.Stopped
	default:
		return a.Plan.Refusal
	}
}

// explainRepair prints what a repair would do. A damaged journal ends with the
// exit code of damage.
func explainRepair(cc *cli.Context, s *settings, r repairResult, damage error) error {
	if !r.Healthy {
		r.Command = fmt.Sprintf("alys journal repair --data-dir %s --%s %d", s.dataDir, acceptLoss, r.Whole.Sequence)
	}
	err := outcome(cc, r, func(w io.Writer) {
		if r.Healthy {
			printf(w, "repair: all %d events verify, nothing to repair\n", r.Whole.Sequence)
			return
		}
		printf(w, "damage    %s\n", r.Damage)
		printf(w, "whole     events 1 to %d, with their contents\n", r.Whole.Sequence)
		if r.Claimed.Sequence > r.Whole.Sequence {
			printf(w, "lost      events %d to %d: what these turns asked for may have left the process\n", r.Whole.Sequence+1, r.Claimed.Sequence)
		} else {
			printf(w, "lost      nothing that is known of; whether event %d was the last one nobody can tell\n", r.Whole.Sequence)
		}
		printf(w, "first     a backup that holds more: see docs/operator.md\n")
		printf(w, "command   %s\n", r.Command)
	})
	if r.Healthy {
		return err
	}
	return errors.Join(err, damage)
}
