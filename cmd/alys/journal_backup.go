package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/backup"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// backupResult is what `alys journal backup --json` and restore print.
type backupResult struct {
	Directory string  `json:"directory"`
	Journal   string  `json:"journal"`
	Head      uint64  `json:"head_sequence"` // acknowledged when the copy began; it may hold later events
	HeadHash  string  `json:"head_hash"`
	Files     int     `json:"files"`
	Bytes     int64   `json:"bytes"`
	Live      bool    `json:"live"`     // of a running node
	Verified  bool    `json:"verified"` // read back, every event and content hashed
	Seconds   float64 `json:"seconds"`

	// What the backup refers to and does not hold; absent when it holds all.
	ArchivedAt    string `json:"archived_at,omitempty"`
	ArchivedUpTo  uint64 `json:"archived_up_to,omitempty"`
	ArchivedBytes int64  `json:"archived_bytes,omitempty"`
}

func newBackupResult(dir string, m backup.Manifest, started time.Time) backupResult {
	r := backupResult{
		Directory: dir, Journal: m.Journal.String(), Head: m.Head.Sequence, HeadHash: m.Head.Hash.String(),
		Files: len(m.Files), Bytes: m.Bytes(), Seconds: time.Since(started).Seconds(),
	}
	if e := m.Elsewhere; e != nil {
		r.ArchivedAt, r.ArchivedUpTo, r.ArchivedBytes = e.Storage, e.Last, e.Bytes
	}
	return r
}

// elsewhere says what the backup does not hold.
func (r *backupResult) elsewhere(w io.Writer) {
	if r.ArchivedAt != "" {
		printf(w, "events 1 to %d (%s) are not in it: they are in %s and must stay there\n", r.ArchivedUpTo, size(r.ArchivedBytes), r.ArchivedAt)
	}
}

func journalBackupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "copy journal, archive, snapshots and genesis while the node runs",
		Description: `Writes a directory that a data directory can be restored from: a consistent copy
of the journal with everything acknowledged when the command began, its archive,
the snapshots, the genesis, and a MANIFEST with the SHA-256 of every file. Keys and
settings are not part of it, nor are archived events in a bucket (journal.archive):
that each segment is there in its size is checked, and the result says so. --verify reads it back and verifies the journal in it.

Examples:
  alys journal backup --to /mnt/backup/alys-$(date +%F) --verify
  alys journal verify --data-dir /mnt/backup/alys-2026-01-31`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "to", Usage: "new `DIRECTORY` for the backup", Required: true},
			&cli.BoolFlag{Name: "verify", Usage: "read the backup back and verify it"},
			jsonFlag),
		Action: journalBackup,
	}
}

func journalBackup(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(cc.String("to"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--to")
	}
	started := time.Now()
	live := false
	bar := startJob(cc, s, "backup", "bytes", 0)
	tell := func(bytes int64) { bar.set(progress.Update{Done: uint64(bytes), Bytes: bytes}) }
	m, err := backup.Write(cc.Context, to, backup.Source{DataDir: s.dataDir, Progress: tell,
		Journal: func(ctx context.Context) (backup.Still, error) {
			src, err := openSource(ctx, s)
			if err != nil {
				return backup.Still{}, err
			}
			live = src.live
			still := backup.Still{Dir: src.dir, ID: src.journal.ID(), Head: src.journal.Durable(), Release: src.Close}
			if s.archive != nil {
				still.Elsewhere, err = backup.FindElsewhere(ctx, s.archive, src.journal.Archived())
			}
			if err != nil {
				return backup.Still{}, errors.Join(err, src.Close())
			}
			return still, nil
		}})
	bar.stop()
	if err != nil {
		return err
	}
	if cc.Bool("verify") {
		if err := verifyBackup(cc, s, to); err != nil {
			return err
		}
	}
	r := newBackupResult(to, m, started)
	r.Live, r.Verified = live, cc.Bool("verify")
	return outcome(cc, r, func(w io.Writer) {
		checked := "not read back"
		if r.Verified {
			checked = "read back and verified"
		}
		printf(w, "backup: journal %s up to event %d, %d files (%s) in %s, %s, %.1fs\n", r.Journal, r.Head, r.Files, size(r.Bytes), to, checked, r.Seconds)
		r.elsewhere(w)
	})
}

// verifyBackup reads every byte twice: the files against the manifest, and the
// events and contents against the chain.
func verifyBackup(cc *cli.Context, s *settings, dir string) (err error) {
	bar := startJob(cc, s, "verify", "bytes", 0)
	defer bar.stop()
	tell := func(bytes int64) { bar.set(progress.Update{Done: uint64(bytes), Bytes: bytes}) }
	if _, err := backup.Check(cc.Context, dir, tell); err != nil {
		return err
	}
	j, err := openReadOnly(node.JournalDir(dir), s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	_, err = j.Verify(cc.Context, 0, 0, func(_, _ uint64, bytes int64) { tell(bytes) })
	return err
}

func journalRestoreCommand() *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "make a data directory of a backup",
		Description: `Checks every byte of the backup against its MANIFEST while copying it into a data
directory that does not exist or is empty. What the node signed after the backup
was made is not known here, so an incident is written into the journal and the
node signs nothing until that is resolved ("alys signing", docs/operator.md). Never
run the original and the restored node at the same time.

Examples:
  alys journal restore --from /mnt/backup/alys-2026-01-31 --data-dir /var/lib/alys`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "from", Usage: "`DIRECTORY` of the backup", Required: true},
			jsonFlag),
		Action: journalRestore,
	}
}

func journalRestore(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	started := time.Now()
	bar := startJob(cc, s, "restore", "bytes", 0)
	m, err := backup.Restore(cc.Context, cc.String("from"), s.dataDir, s.archive, func(bytes int64) {
		bar.set(progress.Update{Done: uint64(bytes), Bytes: bytes})
	})
	bar.stop()
	if err != nil {
		return err
	}
	r := newBackupResult(s.dataDir, m, started)
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "restore: journal %s up to event %d, %d files (%s) in %s, %.1fs; signing is off until the incident is resolved\n",
			r.Journal, r.Head, r.Files, size(r.Bytes), s.dataDir, r.Seconds)
		r.elsewhere(w)
	})
}
