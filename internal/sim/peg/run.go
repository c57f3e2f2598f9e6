package peg

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Stats is what runs did.
type Stats struct {
	Runs          int
	Turns         int // of all members
	Made          int // blocks
	Executed      int
	Refused       int // times nothing could be built
	Lies          int
	Reorgs        int // of a member's head
	BitcoinReorgs int
	Finalised     int // ranges
	Signed        int // payments, by a member each
	Stolen        int // payments that a thief broadcast
	Paid          int // burns that Bitcoin pays
	Crashes       int
	Halts         int
	Wallets       int // compared with the model
	Settled       int // runs in which everything is paid in the end
	Stuck         int // runs in which it is not, because of a thief, a deep reorganisation or a payment signed elsewhere
	Alarms        map[string]int
}

// Add adds what another run did.
func (s *Stats) Add(o Stats) {
	s.Runs += o.Runs
	s.Turns += o.Turns
	s.Made += o.Made
	s.Executed += o.Executed
	s.Refused += o.Refused
	s.Lies += o.Lies
	s.Reorgs += o.Reorgs
	s.BitcoinReorgs += o.BitcoinReorgs
	s.Finalised += o.Finalised
	s.Signed += o.Signed
	s.Stolen += o.Stolen
	s.Paid += o.Paid
	s.Crashes += o.Crashes
	s.Halts += o.Halts
	s.Wallets += o.Wallets
	s.Settled += o.Settled
	s.Stuck += o.Stuck
	if s.Alarms == nil {
		s.Alarms = map[string]int{}
	}
	for rule, n := range o.Alarms {
		s.Alarms[rule] += n
	}
}

// String lists the counts.
func (s *Stats) String() string {
	return fmt.Sprintf("%d runs, %d turns: %d blocks made and %d executed, %d times none could be, %d lies; %d reorganisations of heads, %d of Bitcoin; "+
		"%d ranges final; %d signings, %d payments by a thief, %d burns paid; %d crashes, %d halts; %d wallets compared; %d runs settled, %d stuck; alarms %v",
		s.Runs, s.Turns, s.Made, s.Executed, s.Refused, s.Lies, s.Reorgs, s.BitcoinReorgs, s.Finalised, s.Signed, s.Stolen, s.Paid, s.Crashes, s.Halts, s.Wallets, s.Settled, s.Stuck, s.Alarms)
}

// Running is a run that is over.
type Running struct {
	Stats  Stats
	script []string
}

// Script says what happened, a line each.
func (r *Running) Script() string { return strings.Join(r.script, "\n") }

// Run draws so many actions, does them, and settles. The error is a [*Failure] when a
// property does not hold.
func Run(src Source, steps int) (r *Running, err error) {
	r = new(Running)
	var w *world
	defer func() {
		caught := recover()
		if w != nil {
			r.Stats, r.script = w.stats, w.script
			r.Stats.Runs = 1
		}
		switch f := caught.(type) {
		case nil:
		case *Failure:
			err = f
		default:
			err = &Failure{Check: "nothing panics", Detail: fmt.Sprintf("%v\n%s", f, debug.Stack())}
		}
	}()
	w = newWorld(src)
	w.prelude()
	for range steps {
		w.act()
		w.check()
	}
	w.settle()
	return r, nil
}
