package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

func TestExitCode(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"nothing":        {nil, exitOK},
		"usage":          {usage("no"), exitUsage},
		"ungraded":       {errors.New("no"), exitUsage},
		"fatal":          {fault.New(fault.Fatal, "no"), exitUsage},
		"absent":         {journal.ErrAbsent, exitUsage},
		"temporary":      {fault.New(fault.Temporary, "no"), exitNotReady},
		"cannot judge":   {fault.New(fault.CannotJudge, "no"), exitNotReady},
		"locked":         {fmt.Errorf("open: %w", journal.ErrLocked), exitNotReady},
		"not running":    {fmt.Errorf("dial: %w", admin.ErrNotRunning), exitNotReady},
		"interrupted":    {fmt.Errorf("replay: %w", context.Canceled), exitNotReady},
		"corrupt":        {fmt.Errorf("open: %w", &journal.CorruptError{Sequence: 7}), exitDamaged},
		"divergence":     {fmt.Errorf("recovering: %w", &replay.Divergence{Sequence: 7}), exitDamaged},
		"differs":        {errDiffers, exitDamaged},
		"refused":        {errors.Join(fault.New(fault.Invalid, "no"), node.ErrRefused), exitRefused},
		"refused, close": {errors.Join(errors.Join(fault.New(fault.Invalid, "no"), node.ErrRefused), errors.New("close")), exitRefused},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%s: code %d, want %d", name, got, test.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	if got := describe(errors.Join(errors.New("a"), errors.New("b"))); got != "a; b" {
		t.Errorf("two errors: %q", got)
	}
	d := &replay.Divergence{Sequence: 7, Differences: []replay.Difference{{Field: "note", Stored: "a", Replayed: "b"}}}
	if got := describe(d); strings.Count(got, "\n") < 3 {
		t.Errorf("divergence: %q", got)
	}
}
