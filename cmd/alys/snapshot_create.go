package main

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
)

func snapshotCreateCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "take a snapshot now",
		Description: `Of a stopped node: handles the turns after the newest snapshot again and writes
a snapshot at the journal's end, as a clean stop does. That is what a program of
newer behaviour needs to start after a crash. A running node is asked to take
one between two turns; it goes on meanwhile.

Examples:
  alys snapshot create --data-dir /var/lib/alys
  alys snapshot create --json`,
		Flags:  append(config.Flags(config.Data, config.Log, config.Snapshot), jsonFlag),
		Action: snapshotCreate,
	}
}

func snapshotCreate(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	info, err := takeSnapshot(cc.Context, s)
	if err != nil {
		return err
	}
	return outcome(cc, info, func(w io.Writer) {
		printf(w, "snapshot of sequence %d: %d entries in %d chunks, %s, root %s\n", info.Sequence, info.Entries, info.Chunks, size(int64(info.Bytes)), info.Root)
	})
}

func takeSnapshot(ctx context.Context, s *settings) (info node.SnapshotInfo, err error) {
	m, err := node.TakeSnapshot(ctx, s.dataDir, s.archive, s.Snapshot.Keep, s.log)
	if !errors.Is(err, journal.ErrLocked) {
		return node.DescribeSnapshot(m), err
	}
	locked := err
	client, err := admin.Dial(s.dataDir)
	if errors.Is(err, admin.ErrNotRunning) {
		return info, fault.New(fault.Temporary, "a process holds the journal of %s but no node answers there: it is starting or stopping, or another command reads it; try again: %w", s.dataDir, locked)
	}
	if err != nil {
		return info, err
	}
	defer client.Close()
	err = client.Snapshot(ctx, &info)
	return info, err
}
