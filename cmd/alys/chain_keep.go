package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
)

func chainKeepCommand() *cli.Command {
	return &cli.Command{
		Name: "keep", Usage: "keep to the branch of a block until finality passes it (a decision kept in the journal)",
		Description: `For a federation whose finality stalls because members locked range ends of
branches that exclude each other. The head goes to the highest block with a quorum on
the branch of the block, though another branch be longer; blocks are made on it, and
no carrier beside it is approved. Nothing final is reverted. It ends by itself when
finality has passed the block or takes another branch; the finalised block as --block
ends it before.

It does its work when all members keep to the same block and then release the locks
on range ends that its branch excludes: see "A stalled federation" in
docs/operator.md.

Without --yes it says what it would do and ends with exit code 4, as it does when the
block is not known or does not stand on the finalised block.

Examples:
  alys chain keep --block 0x5a... --reason "agreed on the call of Monday" --yes
  alys chain keep --block 0x5a... --reason "finality stalls" --yes --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "block", Usage: "`ROOT` of the block, 64 hex digits"},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: chainKeep,
	}
}

// keepResult is what `alys chain keep` prints with --json.
type keepResult struct {
	Kept   string `json:"kept"` // root of the block
	Reason string `json:"reason"`
}

func chainKeep(cc *cli.Context) error {
	root, err := node.ParseRoot(cc.String("block"))
	if err != nil {
		return fmt.Errorf("--block: %w", err)
	}
	return decide(cc, func(client *admin.Client, reason string) error {
		if !cc.Bool("yes") {
			return fmt.Errorf("this would move the head to the branch of block %s, though another be longer, and approve no carrier beside it; be sure that all members keep to the same block, then add --yes: %w",
				root, node.ErrRefused)
		}
		if err := client.KeepToBranch(cc.Context, root.Hex(), reason); err != nil {
			return err
		}
		return outcome(cc, keepResult{Kept: root.Hex(), Reason: reason}, func(w io.Writer) {
			printf(w, "the branch of block %s is kept to until finality passes it\n", root)
		})
	})
}
