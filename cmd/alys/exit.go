package main

import (
	"context"
	"errors"
	"strings"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/edge/bridge"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/replay"
)

// The exit codes of every command. docs/operator.md lists them for operators.
const (
	exitOK       = 0
	exitUsage    = 1 // wrong flags, settings or input files; anything unexpected
	exitNotReady = 2 // not running, in use, interrupted, cannot judge yet: try again
	exitDamaged  = 3 // stored bytes, a replay or a comparison differ
	exitRefused  = 4 // the node could and will not, for safety
)

// exitCode maps an error to the code of the process. The order matters: what
// is refused for safety also has a grade, and so has a locked journal.
func exitCode(err error) int {
	var foreign *replay.BehaviourError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, node.ErrRefused), errors.Is(err, admin.ErrRefused), errors.As(err, &foreign),
		errors.Is(err, bridge.ErrRefused), errors.Is(err, bridge.ErrExposed):
		return exitRefused
	case fault.Is(err, fault.Corrupt):
		return exitDamaged
	case errors.Is(err, journal.ErrLocked), errors.Is(err, admin.ErrNotRunning), errors.Is(err, context.Canceled),
		fault.Is(err, fault.Temporary), fault.Is(err, fault.CannotJudge):
		return exitNotReady
	default:
		return exitUsage
	}
}

// describe is what stderr shows of an error: one line, except for a divergence,
// which is a report.
func describe(err error) string {
	var divergence *replay.Divergence
	if errors.As(err, &divergence) {
		return err.Error()
	}
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}

// usage is an error in how a command was called.
func usage(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }
