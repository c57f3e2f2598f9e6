package sim

import (
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// story is what happened outside of turns, the newest lines of it.
type story struct {
	lines []string
}

const storyLines = 400

func (s *story) add(at int64, line string) {
	if len(s.lines) >= storyLines {
		s.lines = s.lines[1:]
	}
	s.lines = append(s.lines, fmt.Sprintf("%8.3f  %s", since(at), line))
}

// name is a block's root as lines show it.
func name(root common.Hash) string { return root.Hex()[2:10] }

// Violation is an oracle's word that a run went wrong. Lines hold what happened
// last, oldest first: crashes and partitions, then the turns of the members
// concerned.
type Violation struct {
	Options Options
	Oracle  string
	At      int64 // virtual, Unix milliseconds
	Text    string
	Lines   []string
}

// Error implements error.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d with %d members, finality from %d: oracle %s at %.3f s: %s",
		v.Options.Seed, v.Options.Members, v.Options.Finality, v.Oracle, since(v.At), v.Text)
}

// Unwrap grades a violation: a program that does so contradicts itself.
func (v *Violation) Unwrap() error { return fault.New(fault.Corrupt, "oracle %s", v.Oracle) }

// Report is the violation with its lines.
func (v *Violation) Report() string {
	return v.Error() + "\n" + strings.Join(v.Lines, "\n")
}

// fail ends the run with the first violation.
func (w *world) fail(oracle string, concerned []*member, format string, args ...any) {
	if w.failure != nil {
		return
	}
	w.failure = &Violation{Options: w.opt, Oracle: oracle, At: w.now, Text: fmt.Sprintf(format, args...)}
	w.failure.Lines = append(w.failure.Lines, w.story.lines...)
	for _, m := range concerned {
		w.failure.Lines = append(w.failure.Lines, m.lastTurns()...)
	}
}

// turnLines is how many of a member's last turns a violation shows.
const turnLines = 40
