package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/sim"
)

// simFederationResult is what `alys sim federation --json` prints.
type simFederationResult struct {
	Seed       uint64   `json:"seed"`
	Members    int      `json:"members"`
	Finality   uint64   `json:"finality_from"`
	Oracle     string   `json:"oracle,omitempty"` // that found something
	Failure    string   `json:"failure,omitempty"`
	Lines      []string `json:"lines,omitempty"` // what happened last
	Events     uint64   `json:"events"`
	Turns      uint64   `json:"turns"`
	Kills      int      `json:"kills"`
	Cuts       int      `json:"power_cuts"`
	Faults     int      `json:"disk_faults"`
	Partitions int      `json:"partitions"`
	Reorgs     int      `json:"reorganisations"`
	MaxDepth   uint64   `json:"deepest_reorganisation"`
	Dishonest  int      `json:"dishonest"`
	Gone       int      `json:"gone"`
	Releases   int      `json:"locks_released"`
	Decisions  int      `json:"branches_decided"`
	Height     uint64   `json:"height"`
	Finalized  uint64   `json:"finalized_height"`
	StallMs    int64    `json:"longest_stall_ms"`
	Digest     string   `json:"digest"`
	Out        string   `json:"out,omitempty"`
	Seconds    float64  `json:"seconds"`
}

func simFederationCommand() *cli.Command {
	return &cli.Command{
		Name: "federation", Usage: "run a whole federation on virtual time and check its oracles",
		Description: `A seed is one run, exactly: members with the real cores and journals, a network
that delays, drops, duplicates and parts, crashes, power cuts, failing disks,
dishonest members, and a miner. Then everything heals and finality must go on.
With --out every member's journal and snapshots are written as a data directory.
Signatures and execution layers are stand-ins, which the journals say.

An oracle that finds something is exit code 3; the last turns of the members
concerned are printed.

Examples:
  alys sim federation --seed 7 --members 4 --out four
  alys replay --data-dir four/member-0
  alys sim federation --seed 7 --members 7 --finality 40 --json`,
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "seed", Usage: "`NUMBER` of the run"},
			&cli.IntFlag{Name: "members", Usage: "`COUNT` of members", Value: 4},
			&cli.Uint64Flag{Name: "finality", Usage: "`HEIGHT` from which a carrier finalises whenever it is learnt; 0 for never", Value: 1},
			&cli.IntFlag{Name: "dishonest", Usage: "`COUNT` of dishonest members; -1: as the seed says, at most what is tolerated", Value: -1},
			&cli.IntFlag{Name: "troubled", Usage: "`SLOTS` before everything heals", Value: 90},
			&cli.IntFlag{Name: "calm", Usage: "`SLOTS` after that", Value: 90},
			&cli.StringFlag{Name: "out", Usage: "`DIR` for the members' journals; it must not exist or be empty"},
			jsonFlag,
		},
		Action: simFederation,
	}
}

func simFederation(cc *cli.Context) error {
	out := cc.String("out")
	if out != "" {
		if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
			return usage("--out %s: the directory is not empty; name another", out)
		}
	}
	if cc.Int("troubled") < 1 || cc.Int("calm") < 1 {
		return usage("--troubled and --calm are at least one slot")
	}
	o := sim.Options{
		Seed: cc.Uint64("seed"), Members: cc.Int("members"), Finality: cc.Uint64("finality"),
		Dishonest: cc.Int("dishonest"), Troubled: cc.Int("troubled"), Calm: cc.Int("calm"),
	}
	if out != "" {
		o.Keep = func(member int, disk *sim.Disk) error {
			return disk.Copy(filepath.Join(out, fmt.Sprintf("member-%d", member)))
		}
	}
	begun := time.Now()
	r, err := sim.Run(o)
	var violation *sim.Violation
	if err != nil && !errors.As(err, &violation) {
		return err
	}
	return printFederation(cc, r, violation, out, time.Since(begun))
}

func printFederation(cc *cli.Context, r *sim.Result, v *sim.Violation, out string, took time.Duration) error {
	shown := simFederationResult{
		Seed: r.Seed, Members: r.Members, Finality: r.Finality, Events: r.Events, Turns: r.Turns,
		Kills: r.Kills, Cuts: r.Cuts, Faults: r.Faults, Partitions: r.Partitions, Reorgs: r.Reorgs, MaxDepth: r.MaxDepth,
		Dishonest: r.Dishonest, Gone: r.Gone, Releases: r.Releases, Decisions: r.Decisions, Height: r.Height,
		Finalized: r.Finalized, StallMs: r.Stall, Digest: hex.EncodeToString(r.Digest[:]), Out: out, Seconds: took.Seconds(),
	}
	if v != nil {
		shown.Oracle, shown.Failure, shown.Lines, shown.Out = v.Oracle, v.Error(), v.Lines, ""
	}
	err := outcome(cc, shown, func(w io.Writer) {
		printf(w, "%s\n", r)
		for _, line := range shown.Lines {
			printf(w, "%s\n", line)
		}
		if shown.Out != "" {
			printf(w, "journals of the members in %s\n", out)
		}
	})
	if err == nil && v != nil {
		err = fault.Wrap(fault.Corrupt, v, "simulation")
	}
	return err
}
