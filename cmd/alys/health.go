package main

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var readyFlag = &cli.BoolFlag{Name: "ready", Usage: "end with exit code 2 also when the node lives but is not ready"}

func healthCommand() *cli.Command {
	return &cli.Command{
		Name: "health", Usage: "whether a node lives and is ready, for probes",
		Description: `Asks metrics.addr, which answers from the first second, or the control socket.
Exit code 0 when the node lives, with --ready when it can do its work, else 2.

Examples:
  alys health
  alys health --ready --json`,
		Flags:  append(config.Flags(config.Data, config.Telemetry, config.Log), readyFlag, jsonFlag),
		Action: healthAction,
	}
}

// healthResult is what `alys health` prints with --json.
type healthResult struct {
	Live bool `json:"live"`
	health.Answer
}

func healthAction(cc *cli.Context) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	r := healthResult{Live: true}
	if r.Answer, err = askHealth(cc.Context, s); err != nil {
		return err
	}
	err = outcome(cc, r, func(w io.Writer) {
		if r.Ready {
			printf(w, "ready\n")
		} else {
			printf(w, "live, not ready\n")
		}
		for _, p := range r.Reasons {
			printf(w, "reason   %s\n", problemLine(p))
		}
		for _, p := range r.Warnings {
			printf(w, "warning  %s\n", problemLine(p))
		}
	})
	if err == nil && cc.Bool(readyFlag.Name) && !r.Ready {
		err = fault.New(fault.Temporary, "the node is not ready")
	}
	return err
}

func problemLine(p health.Problem) string {
	if p.Code == "" {
		return p.Text
	}
	return string(p.Code) + ": " + p.Text + "; " + p.Do
}

// askHealth asks the control socket, which belongs to the data directory, and
// while there is none yet the address of metrics and health.
func askHealth(ctx context.Context, s *settings) (a health.Answer, err error) {
	client, err := admin.Dial(s.dataDir)
	if errors.Is(err, admin.ErrNotRunning) && s.Metrics.Addr != "" {
		if a, asked := health.Ask(ctx, s.Metrics.Addr); asked == nil {
			return a, nil
		}
	}
	if err != nil {
		return a, err
	}
	defer client.Close()
	texts, err := client.Ready(ctx)
	a = health.Answer{Ready: len(texts) == 0, Reasons: []health.Problem{}, Warnings: []health.Problem{}}
	for _, text := range texts {
		a.Reasons = append(a.Reasons, health.Problem{Text: text})
	}
	return a, err
}
