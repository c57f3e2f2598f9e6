package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
)

func chainCommand() *cli.Command {
	return &cli.Command{
		Name: "chain", Usage: "decide between branches where the rules do not",
		Description: `Below the activation height of finality a longer branch with a quorum may
exclude the finalised block. The node reports it (alys status) and stays on its
own branch until an operator decides. And where approval locks on several branches
stall finality, the operators agree which branch their members keep to.`,
		Subcommands: []*cli.Command{chainFollowCommand(), chainKeepCommand()},
	}
}

func chainFollowCommand() *cli.Command {
	return &cli.Command{
		Name: "follow", Usage: "follow a branch that excludes the finalised block (a decision kept in the journal)",
		Description: `Blocks that were final on this node are reverted, and with them every payment
that relied on them. Do it only when the other members agree which branch is the
chain. The branch is executed first; the finalised block then moves down to the
last block that both branches have, in the turn that changes the branch.

Without --yes it says what it would do and ends with exit code 4, as it does when
the branch has no quorum, is not longer than the head's, or the finalised block is
final by a carrier from the activation height on, which no decision reverts.

Examples:
  alys chain follow --block 0x5a... --reason "all members agreed on the call of Monday" --yes
  alys chain follow --block 0x5a... --reason "development chain" --yes --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "block", Usage: "`ROOT` of the last block of the branch, 64 hex digits"},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that the journal keeps, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: chainFollow,
	}
}

// followResult is what `alys chain follow` prints with --json.
type followResult struct {
	Followed string `json:"followed"` // root of the block
	Reason   string `json:"reason"`
}

func chainFollow(cc *cli.Context) error {
	root, err := node.ParseRoot(cc.String("block"))
	if err != nil {
		return fmt.Errorf("--block: %w", err)
	}
	return decide(cc, func(client *admin.Client, reason string) error {
		var status node.Status
		if err := client.Status(cc.Context, &status); err != nil {
			return err
		}
		switch excluded := status.Chain.Excluded; {
		case excluded == nil:
			return fmt.Errorf("no branch with a quorum excludes the finalised block: there is nothing to decide: %w", node.ErrRefused)
		case !cc.Bool("yes"):
			return fmt.Errorf("this would revert blocks that are final on this node (%s); be sure that the other members agree, then add --yes: %w",
				excluded.Text, node.ErrRefused)
		}
		if err := client.FollowBranch(cc.Context, root.Hex(), reason); err != nil {
			return err
		}
		return outcome(cc, followResult{Followed: root.Hex(), Reason: reason}, func(w io.Writer) {
			printf(w, "the branch of block %s is followed\n", root)
		})
	})
}
