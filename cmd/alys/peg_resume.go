package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/projections/peg"
)

func pegResumeCommand() *cli.Command {
	return &cli.Command{
		Name: "resume", Usage: "have a halted peg go on (a decision kept in the journal)",
		Description: `The peg halts when Bitcoin leaves a block that was as deep as deposits need: what
was minted from it may be gone. Compare what was minted with Bitcoin first
(alys peg list --state reorged-out, alys peg verify), and agree with the other
members. After that the peg follows Bitcoin as it is.

Without --yes it says why the peg is halted and ends with exit code 4, as it does
when the peg is not halted.

Examples:
  alys peg resume --reason "the reorganisation of block 900,000 was checked by all members" --yes
  alys peg resume --reason "development chain" --yes --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: pegResume,
	}
}

// resumeResult is what `alys peg resume` prints with --json.
type resumeResult struct {
	Halted string `json:"halted"` // why it was
	Reason string `json:"reason"`
}

func pegResume(cc *cli.Context) error {
	return decide(cc, func(client *admin.Client, reason string) error {
		var summary peg.Summary
		if err := client.Peg(cc.Context, "status", 0, &summary); err != nil {
			return err
		}
		switch h := summary.Halted; {
		case h == nil:
			return fmt.Errorf("the peg is not halted: there is nothing to resume: %w", node.ErrRefused)
		case !cc.Bool("yes"):
			return fmt.Errorf("the peg is halted since %s: %s; be sure that what was minted is there, then add --yes: %w", h.Since, h.Reason, node.ErrRefused)
		}
		if err := client.ResumePeg(cc.Context, reason); err != nil {
			return err
		}
		r := resumeResult{Halted: summary.Halted.Reason, Reason: reason}
		return outcome(cc, r, func(w io.Writer) { printf(w, "the peg goes on\n") })
	})
}
