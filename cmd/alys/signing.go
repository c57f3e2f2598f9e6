package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/projections/heads"
)

func signingCommand() *cli.Command {
	return &cli.Command{
		Name: "signing", Usage: "see and end a hold of the signature, and approval locks",
		Description: `After a restore, a repair, or a start from another node's checkpoint nobody
knows what this node signed in the turns that are gone. It then makes and
approves no block until others finalise a block of a later slot without it, or
an operator decides.`,
		Subcommands: []*cli.Command{signingStatusCommand(), signingAllowCommand(), signingStatementCommand(), signingReleaseCommand()},
	}
}

// signingResult is what `alys signing` prints with --json.
type signingResult struct {
	heads.Signing
	Approving heads.Approving `json:"approving"`
	Conflict  *heads.Conflict `json:"finality_conflict,omitempty"`
	Running   bool            `json:"running"`
	Pending   string          `json:"pending,omitempty"` // an incident that the next start will hold for
	Authority *uint32         `json:"authority,omitempty"`
}

// signingOf is what a node's status says of its signature.
func signingOf(s node.Status) signingResult {
	return signingResult{Signing: s.Chain.Signing, Approving: s.Chain.Approving, Conflict: s.Chain.Conflict, Running: s.Running, Authority: s.Authority}
}

func signingStatusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show whether this node signs, its approval locks and statements",
		Description: `A hold of the signature and its end; the last slot in which a block was
approved; the range ends that this member is locked on, since when, and how a
lock ends; its statements; a conflict of finality. Asks the running node, or reads the files of a stopped one (exit code 2, as
alys status).

Examples:
  alys signing status --data-dir /var/lib/alys
  alys signing status --json`,
		Flags:  append(readFlags(), jsonFlag),
		Action: signingStatus,
	}
}

func signingStatus(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	status, err := liveStatus(cc.Context, s.dataDir)
	if err == nil {
		return printSigning(cc, signingOf(status))
	}
	if !errors.Is(err, admin.ErrNotRunning) {
		return err
	}
	stored, storedErr := storedStatus(cc.Context, s)
	if storedErr != nil {
		return storedErr
	}
	r := signingOf(stored)
	if r.Pending, storedErr = pendingIncident(cc.Context, s); storedErr != nil {
		return storedErr
	}
	return errors.Join(printSigning(cc, r), err)
}

// pendingIncident names the incident that no turn tells of yet, if there is one.
func pendingIncident(ctx context.Context, s *settings) (text string, err error) {
	src, err := openSource(ctx, s)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if i, pending := src.journal.PendingIncident(); pending {
		text = fmt.Sprintf("%s after event %d", i.Kind, i.After)
	}
	return text, nil
}

func printSigning(cc *cli.Context, r signingResult) error {
	return outcome(cc, r, func(w io.Writer) {
		switch {
		case r.Held:
			printf(w, "signing is held: %s of the journal, incident %s\n", r.Kind, r.Since())
			if r.Text != "" {
				printf(w, "  %s\n", r.Text)
			}
			printf(w, "released by a block of a slot after %d that others finalise, or by alys signing allow\n", r.Slot)
		case r.Pending != "":
			printf(w, "signing will be held from the next start on: %s\n", r.Pending)
		case r.ReleasedBy != "":
			printf(w, "signing is not held; incident %d was released by %s: %s\n", r.Incident, r.ReleasedBy, r.Reason)
		default:
			printf(w, "signing is not held\n")
		}
		if r.Running && r.Authority == nil {
			printf(w, "this node holds no authority key and signs nothing anyway\n")
		}
		printVows(w, r)
	})
}

// printVows prints what this member bound itself to, and the ways out.
func printVows(w io.Writer, r signingResult) {
	a := r.Approving
	if a.LastSlot > 0 {
		printf(w, "last approved slot %d\n", a.LastSlot)
	}
	for _, l := range a.Locks {
		printf(w, "locked on range end %s", l.RangeEnd)
		if l.Number > 0 {
			printf(w, " at height %d", l.Number)
		}
		if l.Slot > 0 {
			printf(w, " since slot %d", l.Slot)
		}
		if l.Carrier == "" {
			printf(w, ", by the payments of its range")
		} else {
			printf(w, ", by carrier %s", l.Carrier)
		}
		if l.CarrierNumber > 0 {
			printf(w, " at height %d", l.CarrierNumber)
		}
		printf(w, "\n")
	}
	if len(a.Locks) > 0 {
		printf(w, "a lock ends when its range or a conflicting one is final. When neither can be, n - Q + 1 members state that\n"+
			"they never approve it: alys signing statement --range-end ROOT --yes; then, here: alys signing release\n"+
			"--range-end ROOT --statement INDEX:HEX (one for each) --reason TEXT --yes\n")
	}
	for _, end := range a.Statements {
		printf(w, "stated never to approve range end %s\n", end)
	}
	if a.LastWithheld != "" {
		printf(w, "withheld %d approvals, the last by %s\n", a.Withheld, a.LastWithheld)
	}
	if r.Conflict != nil {
		printf(w, "conflict of finality: %s; nothing is signed any more\n", r.Conflict.Text)
	}
}

func signingAllowCommand() *cli.Command {
	return &cli.Command{
		Name: "allow", Usage: "let the running node sign again (a decision kept in the journal)",
		Description: `Only you can know that no other copy of this node runs, and that nothing it
signed in the turns that are gone matters: two signatures of one slot are
equivocation, and a member that approves against what it approved before can
split the chain. When others still make blocks, wait instead: the hold ends by
itself with the next block that they finalise.

Without --yes it says what it would do and ends with exit code 4, as it does
when nothing is held.

Examples:
  alys signing allow --reason "old machine destroyed, restored from the backup of Monday" --yes
  alys signing allow --reason "development chain" --yes --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: signingAllow,
	}
}

func signingAllow(cc *cli.Context) error {
	return decide(cc, func(client *admin.Client, reason string) error {
		var status node.Status
		if err := client.Status(cc.Context, &status); err != nil {
			return err
		}
		hold := status.Chain.Signing
		switch {
		case !hold.Held:
			return fmt.Errorf("signing is not held: there is nothing to allow: %w", node.ErrRefused)
		case !cc.Bool("yes"):
			return fmt.Errorf("this would let the node sign again, although its journal is not the whole history since the %s of incident %s; be sure that no other copy of it runs, then add --yes: %w",
				hold.Kind, hold.Since(), node.ErrRefused)
		}
		if err := client.AllowSigning(cc.Context, reason); err != nil {
			return err
		}
		r := signingOf(status)
		r.Held, r.ReleasedBy, r.Reason = false, "operator", reason
		return printSigning(cc, r)
	})
}
