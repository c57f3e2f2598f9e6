package main

import (
	"errors"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/progress"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

// replayResult is what `alys replay --json` prints.
type replayResult struct {
	Equal      bool               `json:"equal"`
	Journal    string             `json:"journal"`
	From       uint64             `json:"from"` // position before the first turn
	To         uint64             `json:"to"`
	Turns      uint64             `json:"turns_equal"`
	Digests    uint64             `json:"digests_equal"`
	Failed     uint64             `json:"turns_failed"`   // then and now alike
	Mark       uint64             `json:"mark,omitempty"` // event whose states it began with
	Skipped    uint64             `json:"turns_decoded_only,omitempty"`
	Before     []replay.Span      `json:"turns_of_other_behaviour,omitempty"`
	Sequence   uint64             `json:"head_sequence"`
	Hash       string             `json:"head_hash"`
	Height     uint64             `json:"chain_height"`
	ChainHead  string             `json:"chain_head"`
	Seconds    float64            `json:"seconds"`
	TurnsSec   float64            `json:"turns_per_second"`
	Divergence *replay.Divergence `json:"divergence,omitempty"`
	Error      string             `json:"error,omitempty"`
}

func replayCommand() *cli.Command {
	return &cli.Command{
		Name: "replay", Usage: "re-run every turn of the journal and compare",
		Description: `Handles every message again and compares each output, outcome and state digest
with the journal, byte for byte. The first difference is printed with the turn
and its causes; the exit code is then 3.

Turns of an older behaviour, before the newest upgrade in the journal, are
checked and decoded only; the program of that behaviour re-runs them.

Examples:
  alys replay --data-dir /var/lib/alys
  alys replay --from snapshot
  alys replay --to 120000 --json`,
		Flags: append(readFlags(),
			&cli.StringFlag{Name: "from", Usage: "`START` at genesis or at the newest snapshot", Value: "genesis"},
			&cli.BoolFlag{Name: "from-snapshot", Usage: "short for --from snapshot"},
			&cli.Uint64Flag{Name: "to", Usage: "last `SEQUENCE`; 0 for the head"},
			jsonFlag),
		Action: replayAction,
	}
}

func replayAction(cc *cli.Context) (err error) {
	from := strings.ToLower(cc.String("from"))
	if from != "genesis" && from != "snapshot" {
		return usage("--from %q: it is genesis or snapshot", cc.String("from"))
	}
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	src, err := openSource(cc.Context, s)
	if err != nil {
		return replayFailed(cc, replayResult{}, err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	to, last := cc.Uint64("to"), src.journal.Durable().Sequence
	if to > last {
		return usage("--to %d: the journal's last event is %d", to, last)
	}
	work, err := workFor(src.journal)
	if err != nil {
		return err
	}
	var machine *actors.Machine
	var after journal.Hash
	if from == "snapshot" || cc.Bool("from-snapshot") {
		atMost := last
		if to != 0 {
			atMost = to
		}
		machine, after, err = node.Restore(src.journal, src.snapshots, work, atMost)
	} else {
		machine, err = node.NewMachine(src.journal.ID(), work)
	}
	if err != nil {
		return err
	}
	bar := startJob(cc, s, "replay", "seq", machine.Sequence())
	report, err := replay.Run(cc.Context, src.journal, machine, replay.Options{
		To: to, After: after, Prepare: work.Prepare, Behaviour: node.Behaviour,
		Progress: func(r replay.Report) {
			height := machine.State(chain.ID).(*chain.State).Head.Number
			bar.set(progress.Update{Done: r.Sequence, Total: r.To, Bytes: r.Bytes, Height: height})
		},
	})
	bar.stop()
	return printReplay(cc, replayReport(src, machine, report), err)
}

func replayReport(src *source, machine *actors.Machine, report replay.Report) replayResult {
	head := machine.State(chain.ID).(*chain.State).Head
	r := replayResult{
		Journal: src.journal.ID().String(), From: report.From, To: report.To, Turns: report.Turns, Digests: report.Digests,
		Failed: report.Failed, Mark: report.Mark, Skipped: report.Skipped, Before: report.Before, Sequence: report.Head.Sequence, Hash: report.Head.Hash.String(),
		Height: head.Number, ChainHead: head.Root.Hex(), Seconds: report.Elapsed.Seconds(),
	}
	if r.Seconds > 0 {
		r.TurnsSec = float64(r.Turns) / r.Seconds
	}
	return r
}

func printReplay(cc *cli.Context, r replayResult, err error) error {
	if err != nil {
		return replayFailed(cc, r, err)
	}
	r.Equal = true
	return outcome(cc, r, func(w io.Writer) {
		printf(w, "replay: %d turns equal, %d digests equal, head %d %s, chain head height %d %s, %.1fs, %.0f turns/s\n",
			r.Turns, r.Digests, r.Sequence, r.Hash, r.Height, r.ChainHead, r.Seconds, r.TurnsSec)
		for _, b := range r.Before {
			printf(w, "replay: turns %d to %d are of behaviour %d: chain checked and decoded, not handled again; the program of that behaviour can\n", b.First, b.Last, b.Behaviour)
		}
		if r.Mark > 0 {
			printf(w, "replay: began with the states that event %d carries, whose digest is right\n", r.Mark)
		}
		if r.Failed > 0 {
			printf(w, "replay: %d of these turns failed, then as now\n", r.Failed)
		}
	})
}

// replayFailed reports why a replay was not equal as JSON too, if asked for.
func replayFailed(cc *cli.Context, r replayResult, err error) error {
	if !cc.Bool(jsonFlag.Name) {
		return err
	}
	r.Error = describe(err)
	errors.As(err, &r.Divergence)
	return errors.Join(err, writeJSON(cc.App.Writer, r))
}
