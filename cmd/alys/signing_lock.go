package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
)

func signingStatementCommand() *cli.Command {
	return &cli.Command{
		Name: "statement", Usage: "state, signed, that this member never approves a range end",
		Description: `Other members who approved a carrier of ROOT (the root of the block that
its range ends at) are locked on it. When it can never become final, n - Q + 1
such statements release them. The statement binds this member for good, and it
is refused when this member approved a carrier of ROOT.

Without --yes it says what it would do and ends with exit code 4.

Examples:
  alys signing statement --range-end 0x5f2a...c1 --yes
  alys signing statement --range-end 0x5f2a...c1 --yes --json`,
		Flags:  append(readFlags(), rangeEndFlag, &cli.BoolFlag{Name: "yes", Usage: "do it"}, jsonFlag),
		Action: signingStatement,
	}
}

// statementResult is what `alys signing statement` prints with --json.
type statementResult struct {
	RangeEnd  string `json:"range_end"`
	Statement string `json:"statement"`
}

func signingStatement(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	end, err := oneRangeEnd(cc)
	if err != nil {
		return err
	}
	if !cc.Bool("yes") {
		return fmt.Errorf("this would bind the member never to approve a carrier of range end %s; add --yes: %w", end, node.ErrRefused)
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	r := statementResult{RangeEnd: end}
	if r.Statement, err = client.Statement(cc.Context, end); err != nil {
		return err
	}
	return outcome(cc, r, func(w io.Writer) { printf(w, "%s\n", r.Statement) })
}

// rangeEndFlag is what both commands are about.
var rangeEndFlag = &cli.StringFlag{Name: "range-end", Usage: "`ROOT` of the block that the range ends at"}

// oneRangeEnd is its value.
func oneRangeEnd(cc *cli.Context) (string, error) {
	end := cc.String("range-end")
	if end == "" {
		return "", usage("--range-end is missing: the root of the block that the range ends at, 0x and 64 hex digits")
	}
	return end, nil
}

func signingReleaseCommand() *cli.Command {
	return &cli.Command{
		Name: "release", Usage: "end this member's lock on a range end by statements of others",
		Description: `A member that approved a carrier approves no carrier whose branch excludes its
range end, until a conflicting one is final. When the federation stands still by
that, statements of n - Q + 1 members that they never approve ROOT end it:
no quorum can approve it any more. The reason is kept in the journal.

Without --yes it says what it would do and ends with exit code 4.

Examples:
  alys signing release --range-end 0x5f2a...c1 --statement 0:8c1d... --statement 2:97ab... --reason "range lost with the old miner" --yes`,
		Flags: append(readFlags(), rangeEndFlag,
			&cli.StringSliceFlag{Name: "statement", Usage: "`INDEX:HEX` of another member, as alys signing statement prints it"},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: signingRelease,
	}
}

// releaseResult is what `alys signing release` prints with --json.
type releaseResult struct {
	RangeEnd string `json:"range_end"`
	Released bool   `json:"released"`
}

func signingRelease(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	end, err := oneRangeEnd(cc)
	if err != nil {
		return err
	}
	statements, reason := cc.StringSlice("statement"), cc.String("reason")
	for _, text := range statements {
		if _, err := node.ParseStatement(text); err != nil {
			return fmt.Errorf("--statement: %w", err)
		}
	}
	if err := node.CheckReason(reason); err != nil {
		return fmt.Errorf("--reason: %w", err)
	}
	if !cc.Bool("yes") {
		return fmt.Errorf("this would end the lock on range end %s by %d statements; add --yes: %w", end, len(statements), node.ErrRefused)
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.ReleaseLock(cc.Context, end, statements, reason); err != nil {
		return err
	}
	return outcome(cc, releaseResult{RangeEnd: end, Released: true}, func(w io.Writer) {
		printf(w, "the lock on %s is released\n", end)
	})
}
