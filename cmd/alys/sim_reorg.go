package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/sim/reorg"
)

// maxSteps bounds a scenario: its journal is kept in memory.
const maxSteps = 100_000

// simReorgResult is what `alys sim reorg --json` prints.
type simReorgResult struct {
	Seed    uint64      `json:"seed"`
	Script  string      `json:"script"`
	Failure string      `json:"failure,omitempty"`
	Shrunk  string      `json:"shrunk,omitempty"` // the failing scenario, made small
	Events  uint64      `json:"events,omitempty"` // of the first node's journal
	Hash    string      `json:"hash,omitempty"`
	DataDir string      `json:"data_dir,omitempty"`
	Seconds float64     `json:"seconds"`
	Deepest int         `json:"deepest_reorganisation"`
	Stats   reorg.Stats `json:"stats"`
}

func simReorgCommand() *cli.Command {
	return &cli.Command{
		Name: "reorg", Usage: "run a scenario of reorganisations and check its properties",
		Description: `A seed is a scenario: one to three nodes get blocks, approvals and proofs of work
in odd orders, some of them wrong, and are stopped and started; in the end all
must agree with an independent model. With --out the first node's journal and
snapshots are written as a data directory, the scenario beside them as a script.
Signatures and the execution layer are stand-ins, which the journal says.

A property that does not hold is exit code 3; the scenario is printed as short
as it gets. --script runs such a text instead of a seed.

Examples:
  alys sim reorg --seed 7 --steps 60 --out seven
  alys replay --data-dir seven
  alys sim reorg --script seven/scenario.txt --json`,
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "seed", Usage: "`NUMBER` of the scenario"},
			&cli.IntFlag{Name: "steps", Usage: "`COUNT` of actions drawn", Value: 40},
			&cli.StringFlag{Name: "script", Usage: "`FILE` with a scenario to run instead of a seed"},
			&cli.StringFlag{Name: "out", Usage: "`DIR` for the first node's journal; it must not exist or be empty"},
			jsonFlag,
		},
		Action: simReorg,
	}
}

func simReorg(cc *cli.Context) error {
	if steps := cc.Int("steps"); steps < 0 || steps > maxSteps {
		return usage("--steps %d: it is 0 to %d", steps, maxSteps)
	}
	if cc.IsSet("script") && cc.IsSet("seed") {
		return usage("--script and --seed: a scenario comes from one of them")
	}
	out := cc.String("out")
	if out != "" {
		if err := emptyDir(out); err != nil {
			return err
		}
	}
	begun := time.Now()
	running, err := simulate(cc)
	if running == nil {
		return err
	}
	var failure *reorg.Failure
	if err != nil && !errors.As(err, &failure) {
		return err
	}
	result := simReorgResult{
		Seed: cc.Uint64("seed"), Script: running.Scenario().String(), Seconds: time.Since(begun).Seconds(),
		Deepest: running.Stats().Deepest, Stats: running.Stats(),
	}
	if out != "" {
		if err := result.write(cc, running, out); err != nil {
			return err
		}
	}
	if failure != nil {
		small := reorg.Shrink(running.Scenario(), failure.Check, reorg.Options{Seed: result.Seed}, 500)
		result.Failure, result.Shrunk = failure.Error(), small.String()
	}
	return result.print(cc)
}

// simulate runs the script or the seed. The error is a *reorg.Failure when a
// property does not hold.
func simulate(cc *cli.Context) (*reorg.Running, error) {
	seed := cc.Uint64("seed")
	options := reorg.Options{Seed: seed}
	name := cc.String("script")
	if name == "" {
		return reorg.Generate(reorg.Seeded(seed), cc.Int("steps"), options)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "--script")
	}
	s, err := reorg.Parse(string(text))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "--script "+name)
	}
	return reorg.Play(s, options)
}

// emptyDir refuses a directory that has something in it.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "--out")
	case len(entries) > 0:
		return usage("--out %s: the directory is not empty; name another", dir)
	}
	return nil
}

func (r *simReorgResult) write(cc *cli.Context, running *reorg.Running, out string) error {
	if err := os.MkdirAll(out, 0o700); err != nil {
		return fault.Wrap(fault.Temporary, err, "--out")
	}
	head, err := running.Write(cc.Context, reorg.Store{Journal: node.JournalDir(out), Snapshots: node.SnapshotDir(out)})
	if err != nil {
		return err
	}
	r.Events, r.Hash, r.DataDir = head.Sequence, head.Hash.String(), out
	return fault.Wrap(fault.Temporary, os.WriteFile(filepath.Join(out, "scenario.txt"), []byte(r.Script), 0o600), "the scenario")
}

func (r *simReorgResult) print(cc *cli.Context) error {
	err := outcome(cc, r, func(w io.Writer) {
		if r.Shrunk != "" {
			printf(w, "%s", r.Shrunk)
			return
		}
		var b strings.Builder
		reorg.WriteReport(&b, &r.Stats, time.Duration(r.Seconds*float64(time.Second)))
		printf(w, "%severy property holds\n", b.String())
		if r.DataDir != "" {
			printf(w, "journal: %d events, head %s; alys replay --data-dir %s\n", r.Events, r.Hash, r.DataDir)
		}
	})
	if err == nil && r.Failure != "" {
		err = fault.New(fault.Corrupt, "a property does not hold: %s", r.Failure)
	}
	return err
}
