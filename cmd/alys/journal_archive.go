package main

import (
	"errors"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

// archiveResult is what `alys journal archive --json` prints.
type archiveResult struct {
	First    uint64   `json:"first_in_database"`
	Events   uint64   `json:"events"`
	Contents uint64   `json:"contents"`
	RawBytes uint64   `json:"raw_bytes"`
	Bytes    int64    `json:"bytes"`
	Segments []string `json:"segments"`
	Seconds  float64  `json:"seconds"`
}

func journalArchiveCommand() *cli.Command {
	return &cli.Command{
		Name: "archive", Usage: "move old events into compressed segment files",
		Description: `Moves the events before a sequence, and the contents that only they name, into
files below journal/archive, or into the bucket that journal.archive names. Everything reads them as if they were in place. Each
file is synced, read back and compared before its events leave the database;
after an interruption the same command goes on. A whole snapshot at or after the
last of these events must exist, else the exit code is 4. A running node is asked
to do it.

Examples:
  alys journal archive --before 100000
  alys journal archive --before 100000 --segment-mib 256 --json`,
		Flags: append(readFlags(),
			&cli.Uint64Flag{Name: "before", Usage: "first `SEQUENCE` that stays in the database", Required: true},
			&cli.Int64Flag{Name: "segment-mib", Usage: "size of a segment before compression, in `MIB`", Value: 64},
			jsonFlag),
		Action: journalArchive,
	}
}

func journalArchive(cc *cli.Context) error {
	mib := cc.Int64("segment-mib")
	if mib < 1 || mib > 4096 {
		return usage("--segment-mib %d: from 1 to 4096", mib)
	}
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	started := time.Now()
	before, o := cc.Uint64("before"), journal.ArchiveOptions{SegmentBytes: mib << 20}
	bar := startJob(cc, s, "archive", "seq", 0)
	o.Progress = func(sequence, goal uint64, bytes int64) {
		bar.set(progress.Update{Done: sequence, Total: goal, Bytes: bytes})
	}
	report, err := node.ArchiveStopped(cc.Context, s.dataDir, s.archive, before, o, s.log)
	if errors.Is(err, journal.ErrLocked) {
		report, err = archiveRunning(cc, s.dataDir, before, o)
	}
	bar.stop()
	if err != nil {
		return err
	}
	r := archiveResult{
		First: report.First, Events: report.Events, Contents: report.Contents, RawBytes: report.RawBytes, Bytes: report.Bytes,
		Segments: []string{}, Seconds: time.Since(started).Seconds(),
	}
	for i := range report.Segments {
		r.Segments = append(r.Segments, report.Segments[i].Name)
	}
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "archive: %d events and %d contents (%s) moved into %d files (%s), the database begins with event %d, %.1fs\n",
			r.Events, r.Contents, size(int64(r.RawBytes)), len(r.Segments), size(r.Bytes), r.First, r.Seconds)
	})
}

func archiveRunning(cc *cli.Context, dataDir string, before uint64, o journal.ArchiveOptions) (r journal.ArchiveReport, err error) {
	client, err := admin.Dial(dataDir)
	if errors.Is(err, admin.ErrNotRunning) {
		return r, fault.New(fault.Temporary, "a process holds the journal of %s but no node answers there: another command reads it; try again: %w", dataDir, journal.ErrLocked)
	}
	if err != nil {
		return r, err
	}
	defer client.Close()
	return r, client.Archive(cc.Context, before, o.SegmentBytes, &r)
}
