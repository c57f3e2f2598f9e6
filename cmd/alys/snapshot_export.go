package main

import (
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/restart"
	"github.com/AnduroProject/alys-go/snapshot"
)

func snapshotExportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write a snapshot as one file that another machine can start from",
		Description: `The file holds the snapshot's manifest and chunks, the genesis, and every block of
the head's branch, from which the other machine builds its execution layer. The
newest whole snapshot is taken unless --sequence names another.

Examples:
  alys snapshot export --to alys.export --data-dir /var/lib/alys
  alys snapshot export --to alys.export --sequence 120000 --json`,
		Flags: append(readFlags(),
			&cli.PathFlag{Name: "to", Usage: "`FILE` to write; it must not exist", Required: true},
			&cli.Uint64Flag{Name: "sequence", Usage: "the snapshot of this `SEQUENCE`"},
			jsonFlag),
		Action: snapshotExport,
	}
}

func snapshotExport(cc *cli.Context) (err error) {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	to := cc.Path("to")
	if _, err := os.Lstat(to); err == nil {
		return usage("--to %s: it exists; name a new file", to)
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	m, err := chooseSnapshot(src, cc.Uint64("sequence"))
	if err != nil {
		return err
	}
	bar := startJob(cc, s, "export", "blocks", 0)
	defer bar.stop()
	store := restart.Store{Journal: src.journal, Snapshots: src.snapshots}
	size64, err := writeWhole(to, func(w io.Writer) error {
		return node.ExportSnapshot(cc.Context, s.dataDir, store, m, w, func(done, total uint64) {
			bar.set(progress.Update{Done: done, Total: total})
		})
	})
	bar.stop()
	if err != nil {
		return err
	}
	info := struct {
		node.SnapshotInfo
		To       string `json:"to"`
		FileSize int64  `json:"file_bytes"`
	}{node.DescribeSnapshot(m), to, size64}
	return outcome(cc, info, func(w io.Writer) {
		printf(w, "exported the snapshot of sequence %d, root %s, to %s (%s)\n", info.Sequence, info.Root, to, size(size64))
	})
}

// chooseSnapshot returns the snapshot of a sequence, or the newest whole one.
func chooseSnapshot(src *source, sequence uint64) (snapshot.Manifest, error) {
	store := restart.Store{Journal: src.journal, Snapshots: src.snapshots}
	m, found, err := src.snapshots.Newest(func(m snapshot.Manifest) error {
		if sequence != 0 && m.Sequence != sequence || m.Sequence > src.journal.Durable().Sequence {
			return snapshot.ErrSkip
		}
		_, err := store.Check(m)
		return err
	})
	if err == nil && !found {
		err = fault.New(fault.Invalid, "there is no whole snapshot to export: run alys snapshot create")
	}
	return m, err
}

// writeWhole writes a file that is whole and synced, or absent.
func writeWhole(path string, write func(io.Writer) error) (size int64, err error) {
	temporary := path + ".tmp"
	f, err := os.Create(temporary)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "file to write")
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if info, statErr := f.Stat(); statErr == nil {
		size = info.Size()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(temporary))
	}
	return size, nil
}
