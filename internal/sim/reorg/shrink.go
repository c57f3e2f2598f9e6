package reorg

import (
	"errors"
	"slices"
)

// Shrink makes a failing scenario smaller while the same check fails: runs of
// actions go, then nodes' words, as long as at most tries scenarios are run.
// Every action can be done in every state, so what is left is a scenario.
func Shrink(s Scenario, check string, o Options, tries int) Scenario {
	fails := func(candidate Scenario) bool {
		if tries--; tries < 0 {
			return false
		}
		var f *Failure
		_, err := Run(candidate, o)
		return errors.As(err, &f) && f.Check == check
	}
	for before := -1; before != size(s) && tries > 0; {
		before = size(s)
		s = dropActions(s, fails)
		s = dropWords(s, fails)
		s = dropNodes(s, fails)
	}
	return s
}

func size(s Scenario) (words int) {
	for _, a := range s.Actions {
		words += len(a)
	}
	return words + len(s.Network.Nodes)
}

// dropActions leaves runs out, long ones first.
func dropActions(s Scenario, fails func(Scenario) bool) Scenario {
	for length := max(len(s.Actions)/2, 1); length > 0; length /= 2 {
		for at := len(s.Actions) - length; at >= 0; at -= length {
			if at+length > len(s.Actions) {
				continue
			}
			candidate := Scenario{s.Network, slices.Delete(slices.Clone(s.Actions), at, at+length)}
			if fails(candidate) {
				s = candidate
			}
		}
	}
	return s
}

// optional are words with what follows them that an action can do without.
var optional = map[string]int{"txs": 2, "tip": 2, "time": 2, "slot": 2, "unpaid": 1, "spoil": 2, "carry": 5}

// dropWords leaves words out of actions.
func dropWords(s Scenario, fails func(Scenario) bool) Scenario {
	for i := range s.Actions {
		for at := len(s.Actions[i]) - 1; at > 1; at-- {
			a := s.Actions[i]
			n, droppable := optional[a[at]]
			if a[0] == "give" && at > 2 {
				n, droppable = 1, true
			}
			if !droppable || at+n > len(a) {
				continue
			}
			candidate := Scenario{s.Network, slices.Clone(s.Actions)}
			candidate.Actions[i] = slices.Delete(slices.Clone(a), at, at+n)
			if fails(candidate) {
				s = candidate
			}
		}
	}
	return s
}

// dropNodes leaves the last nodes out; the others keep their names.
func dropNodes(s Scenario, fails func(Scenario) bool) Scenario {
	for len(s.Network.Nodes) > 1 {
		candidate := s
		candidate.Network.Nodes = s.Network.Nodes[:len(s.Network.Nodes)-1]
		if !fails(candidate) {
			break
		}
		s = candidate
	}
	return s
}
