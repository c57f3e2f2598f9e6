package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/projections/heads"
	"github.com/AnduroProject/alys-go/replay"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show heads, journal and warnings of a node",
		Description: `Asks the running node over its control socket. When none runs, reads journal and
snapshots of the data directory, says so, and ends with exit code 2.

Examples:
  alys status --data-dir /var/lib/alys
  alys status --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: statusAction,
	}
}

func statusAction(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	status, err := liveStatus(cc.Context, s.dataDir)
	if err == nil {
		return printStatus(cc, status)
	}
	if !errors.Is(err, admin.ErrNotRunning) {
		return err
	}
	stored, storedErr := storedStatus(cc.Context, s)
	if storedErr != nil {
		return storedErr
	}
	return errors.Join(printStatus(cc, stored), err)
}

func liveStatus(ctx context.Context, dataDir string) (status node.Status, err error) {
	client, err := admin.Dial(dataDir)
	if err != nil {
		return status, err
	}
	defer client.Close()
	err = client.Status(ctx, &status)
	return status, err
}

// storedStatus reads the state of a stopped node: its newest snapshot and the
// facts after it. Nothing is replayed, so that it is quick and right also for a
// journal of another behaviour.
func storedStatus(ctx context.Context, s *settings) (status node.Status, err error) {
	src, err := openSource(ctx, s)
	if err != nil {
		return status, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	durable := src.journal.Durable()
	var view heads.View // of another behaviour's journal: folded from its beginning
	var from uint64
	machine, _, err := node.Restore(src.journal, src.snapshots, memo.New(), durable.Sequence)
	var foreign *replay.BehaviourError
	switch {
	case err == nil:
		view, from = node.ViewOf(machine.State(chain.ID).(*chain.State)), machine.Sequence()
	case !errors.As(err, &foreign):
		return status, err
	}
	if err := view.Follow(ctx, src.journal, from+1); err != nil {
		return status, err
	}
	warnings := append([]string{}, src.journal.Opened().Warnings...)
	if i, pending := src.journal.PendingIncident(); pending {
		warnings = append(warnings, fmt.Sprintf("the journal is not the whole history since its %s after event %d: signing will be held from the next start on", i.Kind, i.After))
	}
	status = node.Status{
		Version: version, DataDir: s.dataDir, Chain: view, Snapshot: from,
		Head: blockStatus(view.Head), Finalized: blockStatus(view.Finalized), LatestPow: blockStatus(view.LatestPow),
		Journal:  node.JournalStatus{ID: src.journal.ID().String(), Head: durable.Sequence, Durable: durable.Sequence, Hash: durable.Hash.String()},
		Warnings: warnings,
	}
	return status, nil
}

func blockStatus(id message.BlockID) node.BlockStatus {
	return node.BlockStatus{Height: id.Number, Hash: id.Root.Hex()}
}

func printStatus(cc *cli.Context, s node.Status) error {
	return outcome(cc, s, func(w io.Writer) {
		state := "not running"
		if s.Running {
			state = "running for " + s.Uptime
		}
		printf(w, "alys %s: %s, data directory %s\n", s.Version, state, s.DataDir)
		printf(w, "head       %d %s\n", s.Head.Height, s.Head.Hash)
		printf(w, "finalised  %d %s\n", s.Finalized.Height, s.Finalized.Hash)
		printf(w, "latest PoW %d %s\n", s.LatestPow.Height, s.LatestPow.Hash)
		printf(w, "journal    head %d, durable %d %s\n", s.Journal.Head, s.Journal.Durable, s.Journal.Hash)
		printf(w, "snapshot   %d\n", s.Snapshot)
		if s.Chain.Signing.Held {
			printf(w, "signing    held by incident %s\n", s.Chain.Signing.Since())
		}
		printSynced(w, s.Chain)
		printBranches(w, s.Chain)
		if s.Running {
			printRunning(w, s)
		}
		for _, warning := range s.Warnings {
			printf(w, "warning    %s\n", warning)
		}
	})
}

// printSynced prints what a node beside others waits for, and what it found out of them.
func printSynced(w io.Writer, c heads.View) {
	if x := c.Synced; x != nil {
		state := "yes"
		if !x.Synced {
			state = "no, " + x.Needs
		}
		printf(w, "synced     %s\n", state)
	}
	if c.Members.Equivocations > 0 {
		printf(w, "members    %d signed two blocks of one slot, last: %s\n", c.Members.Equivocations, c.Members.Last)
	}
}

// printBranches prints what happened beside the head's branch, if anything did.
func printBranches(w io.Writer, c heads.View) {
	if r := c.Reorgs; r.Last != nil {
		printf(w, "reorgs     %d, deepest %d, last %s\n", r.Count, r.Deepest, r.Last.Text)
	}
	if a := c.Approving; a.Made+a.Withheld > 0 || len(a.Locks)+len(a.Statements) > 0 {
		printf(w, "approvals  %d made, %d withheld, %d locks, %d statements\n", a.Made, a.Withheld, len(a.Locks), len(a.Statements))
		if a.LastWithheld != "" {
			printf(w, "withheld   last by %s\n", a.LastWithheld)
		}
	}
	if c.Excluded != nil {
		printf(w, "excluded   %s\n", c.Excluded.Text)
	}
	if c.Conflict != nil {
		printf(w, "conflict   %s\n", c.Conflict.Text)
	}
}

func printRunning(w io.Writer, s node.Status) {
	producing := "no"
	if s.Producing && s.Authority != nil {
		producing = "yes"
		printf(w, "authority  %d\n", *s.Authority)
	}
	clock := "steady"
	if s.Chain.ClockStepped {
		clock = "stepped"
	}
	if s.Peg != nil {
		printPegLine(w, s.Peg)
	}
	if p := s.Peers; p != nil {
		printf(w, "peers      %d connected, %d members of others (a quorum takes %d), %d legacy, %d known, this one %s\n", p.Connected, p.Members, p.Quorum, p.Legacy, p.Known, p.ID)
	}
	printf(w, "producing  %s, blocks %d, slots skipped %d\n", producing, s.Chain.Produced, s.Chain.SlotsSkipped)
	printf(w, "inbox      %d waiting, %d dropped, %d turns failed\n", s.Inbox, s.Dropped, s.FailedTurns)
	printf(w, "clock      %s\nmemory     %d MiB\n", clock, s.MemoryMB)
	if x := s.Scrub; x != nil {
		printf(w, "scrub      %d of %d read, %d whole passes, %d findings\n", x.Covered, x.Total, x.Passes, x.Findings)
	}
	if x := s.Execution; x.Client != "" {
		state := "reached"
		switch {
		case x.Problem != "":
			state = "not reached: " + x.Problem
		case x.Behind > 0:
			state = fmt.Sprintf("behind by %d payloads, which it is fed", x.Behind)
		}
		printf(w, "execution  %s %s, %s\n", x.Client, x.Version, state)
	}
	if s.HTTP != "" {
		printf(w, "RPC        %s\n", s.HTTP)
	}
	if x := s.P2P; x != nil {
		printf(w, "peer id    %s, %d blocks too large for legacy peers\n", x.PeerID, x.LargeBlocks)
	}
}
