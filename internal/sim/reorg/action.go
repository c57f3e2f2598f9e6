package reorg

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Action is one line of a scenario: a verb and its words. Every action can be
// done in every state: one that names what does not exist does nothing, so any
// part of a scenario is a scenario.
//
//	make NAME PARENT [by 0,2] [time 2] [slot N] [txs 3] [carry START END] [to 7] [unpaid] [spoil KIND]
//	grow PREFIX COUNT PARENT [by 0,2] ...   blocks PREFIX1 to PREFIXn, each on the one before
//	give NODE ORIGIN BLOCK...               blocks arrive; c1..c9 is a run of them
//	approve NODE BLOCK MEMBER [KIND]        an approval arrives; KIND spoils it
//	answer NODE                             peers send what the node asked for
//	mine NODE ADDRESS                       a miner asks for work and hands a proof in
//	work NODE START END PARENT              another's proof arrives
//	wait MS                                 time passes for all
//	hold NODE EDGE, free NODE EDGE          effects of an edge wait, or go on
//	limit NODE N                            the execution layer judges N payloads an import; -1: all
//	snapshot NODE                           states are kept for later
//	restart NODE SNAPSHOT                   a stop, and a start from the SNAPSHOT-th newest snapshot
//	crash NODE TURNS SNAPSHOT               the same after a crash that loses up to TURNS turns
//	decide NODE BLOCK                       an operator follows a branch
//	garbage NODE SEED                       bytes that nobody should send
//	flood NODE COUNT                        orphans and approvals of nothing
//	settle                                  everybody learns everything; then all must agree
type Action []string

// String is the action's line.
func (a Action) String() string { return strings.Join(a, " ") }

// word is the i-th word, empty beyond the end.
func (a Action) word(i int) string {
	if i >= len(a) {
		return ""
	}
	return a[i]
}

// number is the i-th word as a number, 0 when it is none.
func (a Action) number(i int) int {
	n, _ := strconv.Atoi(a.word(i))
	return n
}

// option is the word after a keyword, and whether the keyword is there.
func (a Action) option(key string, skip int) (string, bool) {
	for i, w := range a {
		if w == key {
			return a.word(i + 1 + skip), true
		}
	}
	return "", false
}

func (a Action) count(key string) int {
	w, _ := a.option(key, 0)
	n, _ := strconv.Atoi(w)
	return n
}

// members reads a list such as 0,2.
func (a Action) members(key string) (by []int) {
	w, _ := a.option(key, 0)
	for _, part := range strings.Split(w, ",") {
		if i, err := strconv.Atoi(part); err == nil && i >= 0 {
			by = append(by, i)
		}
	}
	return by
}

func list(by []int) string {
	parts := make([]string, len(by))
	for i, n := range by {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ",")
}

// names expands runs such as c1..c9.
func names(words []string) (out []string) {
	for _, w := range words {
		from, to, run := strings.Cut(w, "..")
		prefix := strings.TrimRight(from, "0123456789")
		first, err1 := strconv.Atoi(from[len(prefix):])
		last, err2 := strconv.Atoi(strings.TrimPrefix(to, prefix))
		if !run || err1 != nil || err2 != nil || last-first > maxRun {
			out = append(out, w)
			continue
		}
		for n := first; n <= last; n++ {
			out = append(out, prefix+strconv.Itoa(n))
		}
	}
	return out
}

// maxRun bounds a run of names and the blocks of one grow.
const maxRun = 100_000

// Scenario is a network and what happens to it.
type Scenario struct {
	Network Network
	Actions []Action
}

// Network is what a scenario begins with.
type Network struct {
	Members    int    // 1 to 15
	Activation uint64 // of the finality rule; 0: never
	Spacing    uint64 // blocks without proof of work
	Nodes      []Role // one node each: a, b, c
}

// Role is what a node is.
type Role struct {
	Member    int // index, or -1 for a follower
	Producing bool
}

// String returns the line of a script that makes the network.
func (n Network) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "network members %d activation %d spacing %d nodes", n.Members, n.Activation, n.Spacing)
	for _, r := range n.Nodes {
		switch {
		case r.Member < 0:
			b.WriteString(" follower")
		case r.Producing:
			fmt.Fprintf(&b, " producer:%d", r.Member)
		default:
			fmt.Fprintf(&b, " member:%d", r.Member)
		}
	}
	return b.String()
}

// String is the scenario as a script: one line each.
func (s Scenario) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, s.Network)
	for _, a := range s.Actions {
		fmt.Fprintln(&b, a)
	}
	return b.String()
}

// maxMembers is the capacity of the approvals of a block.
const maxMembers = 15

// Parse reads a script. Empty lines and those that begin with # are passed over.
func Parse(text string) (Scenario, error) {
	var s Scenario
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[0] == "network" {
			n, err := parseNetwork(words)
			if err != nil {
				return s, fault.Wrap(fault.Invalid, err, fmt.Sprintf("line %d", i+1))
			}
			s.Network = n
			continue
		}
		if verbs[words[0]] == nil {
			return s, fault.New(fault.Invalid, "line %d: %q is no action", i+1, words[0])
		}
		s.Actions = append(s.Actions, words)
	}
	if s.Network.Members == 0 {
		return s, fault.New(fault.Invalid, "the script has no line that begins with network")
	}
	return s, nil
}

func parseNetwork(a Action) (Network, error) {
	n := Network{Members: a.count("members"), Activation: uint64(a.count("activation")), Spacing: uint64(a.count("spacing"))}
	at := 0
	for i, w := range a {
		if w == "nodes" {
			at = i + 1
		}
	}
	if n.Members < 1 || n.Members > maxMembers || n.Spacing < 1 || at == 0 || len(a) == at {
		return n, fault.New(fault.Invalid, "%q: want network members 1..%d activation N spacing 1.. nodes follower|member:I|producer:I ...", a, maxMembers)
	}
	for _, w := range a[at:] {
		kind, index, _ := strings.Cut(w, ":")
		i, err := strconv.Atoi(index)
		switch {
		case kind == "follower" && index == "":
			n.Nodes = append(n.Nodes, Role{Member: -1})
		case (kind == "member" || kind == "producer") && err == nil && i >= 0 && i < n.Members:
			n.Nodes = append(n.Nodes, Role{Member: i, Producing: kind == "producer"})
		default:
			return n, fault.New(fault.Invalid, "node %q: want follower, member:I or producer:I with a member below %d", w, n.Members)
		}
	}
	return n, nil
}
