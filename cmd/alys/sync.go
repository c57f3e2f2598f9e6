package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/projections/heads"
)

func syncCommand() *cli.Command {
	return &cli.Command{
		Name: "sync", Usage: "see whether this node knows the federation's head, and say that it does",
		Description: `A node that talks to others makes blocks when it is synced only: a quorum of
members at its head, give or take two blocks, and Bitcoin followed to its tip.`,
		Subcommands: []*cli.Command{syncStatusCommand(), syncAssumeCommand()},
	}
}

// syncResult is what `alys sync` prints with --json.
type syncResult struct {
	Running bool `json:"running"`
	Peers   bool `json:"peers"` // this node talks to others
	heads.Synced
	KeyInUse string `json:"key_in_use,omitempty"`
	Height   uint64 `json:"height"`
	Hash     string `json:"hash"`
}

func syncOf(s node.Status) syncResult {
	r := syncResult{Running: s.Running, Height: s.Head.Height, Hash: s.Head.Hash, KeyInUse: s.Chain.Members.KeyInUse}
	if s.Chain.Synced != nil {
		r.Peers, r.Synced = true, *s.Chain.Synced
	}
	return r
}

func syncStatusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show whether this node is synced, or what it waits for",
		Description: `Asks the running node, or reads the files of a stopped one (exit code 2, as alys
status). Exit code 2 too while it is not synced.

Examples:
  alys sync status --data-dir /var/lib/alys
  alys sync status --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: syncStatus,
	}
}

func syncStatus(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	status, err := liveStatus(cc.Context, s.dataDir)
	if errors.Is(err, admin.ErrNotRunning) {
		stored, storedErr := storedStatus(cc.Context, s)
		if storedErr != nil {
			return storedErr
		}
		return errors.Join(printSync(cc, syncOf(stored)), err)
	}
	if err != nil {
		return err
	}
	r := syncOf(status)
	if err := printSync(cc, r); err != nil || !r.Peers || r.Synced.Synced {
		return err
	}
	return fault.New(fault.CannotJudge, "not synced: %s", r.Needs)
}

func printSync(cc *cli.Context, r syncResult) error {
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "head       %d %s\n", r.Height, r.Hash)
		switch {
		case !r.Peers:
			printf(w, "this node talks to no others, and waits for none\n")
			return
		case r.Synced.Synced:
			printf(w, "synced     heads of %d members agree, %d are needed\n", r.Members, r.Quorum)
		default:
			printf(w, "not synced %s\n", r.Needs)
		}
		if r.Assumed != "" {
			printf(w, "assumed    %s\n", r.Assumed)
		}
		if r.KeyInUse != "" {
			printf(w, "key in use %s\n", r.KeyInUse)
		}
	})
}

func syncAssumeCommand() *cli.Command {
	return &cli.Command{
		Name: "assume", Usage: "say that this node's head is the federation's (a decision kept in the journal)",
		Description: `After everyone was down, a member goes on by itself as soon as so many members are
at one head that the others cannot have gone on without one of them. With fewer it
waits, and only you can know that the others have no newer block. What you say
counts until a quorum of members can be asked. It does not replace Bitcoin.

Without --yes it says what it would do and ends with exit code 4, as it does when
nothing is waited for.

Examples:
  alys sync assume --reason "members 2 and 3 are lost, their last block is ours" --yes
  alys sync assume --reason "test network" --yes --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: syncAssume,
	}
}

func syncAssume(cc *cli.Context) error {
	return decide(cc, func(client *admin.Client, reason string) error {
		var status node.Status
		if err := client.Status(cc.Context, &status); err != nil {
			return err
		}
		r := syncOf(status)
		switch {
		case !r.Peers || r.Synced.Synced:
			return fmt.Errorf("this node waits for no other: there is nothing to assume: %w", node.ErrRefused)
		case !cc.Bool("yes"):
			return fmt.Errorf("this would have the node make blocks on its head %d although %s; be sure that no member has a newer block, then add --yes: %w", r.Height, r.Needs, node.ErrRefused)
		}
		if err := client.AssumeSynced(cc.Context, reason); err != nil {
			return err
		}
		r.Assumed = reason
		return printSync(cc, r)
	})
}
