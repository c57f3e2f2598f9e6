package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/lease"
	"github.com/AnduroProject/alys-go/internal/node"
)

func keyLeaseCommand() *cli.Command {
	return &cli.Command{
		Name: "lease", Usage: "see which journal of this machine signs with which key, and end that",
		Description: `A member that talks to others binds its keys to its journal and data directory: what
a key signed is in that journal, and a node with another, or an older copy, would
sign a second block of a slot. Keys of --dev are not bound.`,
		Subcommands: []*cli.Command{keyLeaseStatusCommand(), keyLeaseReleaseCommand()},
	}
}

func keyLeaseStatusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "list the keys that journals of this machine signed with",
		Description: `Public keys only. Held: a running process has the key.

Examples:
  alys key lease status
  alys key lease status --lease-dir /var/lib/alys-leases --json`,
		Flags:  append(config.Flags(config.Data, config.Log), jsonFlag),
		Action: keyLeaseStatus,
	}
}

func keyLeaseStatus(cc *cli.Context) error {
	dir, err := leaseDir(cc)
	if err != nil {
		return err
	}
	list, err := lease.List(dir)
	if err != nil {
		return err
	}
	return outcome(cc, list, func(w io.Writer) {
		if len(list) == 0 {
			printf(w, "no key is bound in %s\n", dir)
		}
		for _, l := range list {
			switch {
			case l.Error != "":
				printf(w, "%s: %s\n", l.File, l.Error)
				continue
			case l.Released != "":
				printf(w, "%s key %s: released %s\n", l.Purpose, l.Key, l.Released)
				continue
			}
			state := "not held"
			if l.Held {
				state = fmt.Sprintf("held by process %d", l.Process)
			}
			printf(w, "%s key %s: journal %s in %s, %s\n", l.Purpose, l.Key, l.Journal, l.DataDir, state)
		}
	})
}

func leaseDir(cc *cli.Context) (string, error) {
	s, err := readSettings(cc)
	if err != nil {
		return "", err
	}
	return s.LeaseDir()
}

func keyLeaseReleaseCommand() *cli.Command {
	return &cli.Command{
		Name: "release", Usage: "let another journal sign with a key (a decision kept in the lease's file)",
		Description: `Only you can know that the journal which signed with the key is gone, or moved whole,
and that nothing signs with it any more. A node that then begins with an older
journal should be told so: alys journal restore holds its signature by itself.

Without --yes it says what it would do and ends with exit code 4, as it does while
a process has the key.

Examples:
  alys key lease release --key 0xa1b2... --reason "moved to the new disk, the old one is wiped" --yes`,
		Flags: append(config.Flags(config.Data, config.Log),
			&cli.StringFlag{Name: "key", Usage: "public key, `HEX`"},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that is kept, at most 1024 bytes"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag),
		Action: keyLeaseRelease,
	}
}

func keyLeaseRelease(cc *cli.Context) error {
	dir, err := leaseDir(cc)
	if err != nil {
		return err
	}
	reason := cc.String("reason")
	if err := node.CheckReason(reason); err != nil {
		return fmt.Errorf("--reason: %w", err)
	}
	if cc.String("key") == "" {
		return usage("name the public key with --key; alys key lease status lists them")
	}
	if !cc.Bool("yes") {
		return fmt.Errorf("this would let another journal sign with key %s; be sure that nothing signs with it any more, then add --yes: %w", cc.String("key"), node.ErrRefused)
	}
	b, err := lease.Release(dir, cc.String("key"), reason)
	if errors.Is(err, lease.ErrRefused) {
		return errors.Join(err, node.ErrRefused)
	}
	if err != nil {
		return err
	}
	return outcome(cc, b, func(w io.Writer) { printf(w, "key %s is released: %s\n", b.Key, b.Released) })
}
