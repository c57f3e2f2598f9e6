package sync_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/sync"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// TestScripts plays testdata/scripts. Each command prints what the core asked, handed on and
// said, one a line with the time in milliseconds; -rewrite writes what is printed.
//
//	branch NAME [on=BRANCH] [fork=N] height=N [unproven]   blocks
//	node on=BRANCH head=N final=N [ms=N]      a node whose head is there; a block takes ms
//	peer NAME has=BRANCH [does=WHAT] [tells=N] [legacy] [most=N] [member=N]
//	gone NAME | back NAME        a connection ends, or begins again
//	moves NAME has=BRANCH        a peer tells a new head
//	head N                       gossip brings the chain actor that far
//	refuses N of=BRANCH          the chain actor does not take that block
//	run MS [quiet]               time passes
//	restart                      the process is killed and started
//	state
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{branches: map[string]*branch{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if out := s.command(t, d); out != "" {
				return out
			}
			out := s.w.log.String()
			s.w.log.Reset()
			for _, b := range s.w.broken {
				out += "BROKEN " + b + "\n"
			}
			if out == "" || d.HasArg("quiet") {
				return "ok\n"
			}
			return out
		})
	})
}

type script struct {
	w        *world
	branches map[string]*branch
}

var does = map[string]answerer{
	"honest": plain, "silent": silent, "drip": drip, "forged": forged, "grafted": grafted, "gappy": gappy,
	"disordered": disordered, "generous": generous, "single": plainSingle,
}

// plain is honest without chance.
func plain(_ *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	return p.part(p.has, m), "", 20
}

func plainSingle(_ *world, p *peer, m *message.FetchRange) ([]made, string, int64) {
	blocks := p.part(p.has, m)
	return blocks[:min(len(blocks), 1)], "", 20
}

func word(d *datadriven.TestData, key, otherwise string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) > 0 {
			return a.Vals[0]
		}
	}
	return otherwise
}

func number(t *testing.T, d *datadriven.TestData, key string) uint64 {
	n, err := strconv.ParseUint(word(d, key, "0"), 10, 64)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return n
}

func first(t *testing.T, d *datadriven.TestData) uint64 {
	n, err := strconv.ParseUint(d.CmdArgs[0].Key, 10, 64)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return n
}

func (s *script) command(t *testing.T, d *datadriven.TestData) string {
	w := s.w
	switch d.Cmd {
	case "branch":
		name := d.CmdArgs[0].Key
		s.branches[name] = grow(name[0], s.branches[word(d, "on", "")], number(t, d, "fork"), number(t, d, "height"), !d.HasArg("unproven"))
		return "ok\n"
	case "node":
		b := s.branches[word(d, "on", "")]
		s.w = newWorld(1, b.id(number(t, d, "head")), b.id(number(t, d, "final")), b)
		s.w.chain.perBlock = int64(number(t, d, "ms"))
		s.w.start()
	case "peer":
		w.add(&peer{
			name: d.CmdArgs[0].Key, has: s.branches[word(d, "has", "")], answer: does[word(d, "does", "honest")],
			tells: number(t, d, "tells"), legacy: d.HasArg("legacy"), most: int(number(t, d, "most")), member: int(number(t, d, "member")),
		})
	case "gone":
		w.peers[d.CmdArgs[0].Key].connected = false
		w.handle(&message.PeersSeen{Gone: []message.GonePeer{{Peer: d.CmdArgs[0].Key}}}, core.Ref{})
	case "back":
		w.connect(w.peers[d.CmdArgs[0].Key])
	case "moves":
		p := w.peers[d.CmdArgs[0].Key]
		p.has = s.branches[word(d, "has", "")]
		w.see(p)
	case "head":
		b := s.branches[word(d, "of", "A")]
		for _, m := range b.blocks[:first(t, d)+1] {
			w.chain.known[m.root], w.chain.done[m.root] = m, true
		}
		w.chain.head = b.id(first(t, d))
		w.chain.tell()
		w.drain()
	case "refuses":
		w.chain.refuses = s.branches[word(d, "of", "A")].id(first(t, d)).Root
	case "run":
		w.run(w.now+int64(first(t, d)), func() bool { return false })
		w.now = max(w.now, 0)
	case "restart":
		w.restart()
	case "state":
		return describeState(w)
	default:
		d.Fatalf(t, "no command %q", d.Cmd)
	}
	return ""
}

func describeState(w *world) string {
	s := w.state.(*sync.State)
	blocks, spans, _ := s.Window()
	var b strings.Builder
	fmt.Fprintf(&b, "head %d, handed %d, proven %d, backlog %d, target %d, window %d blocks in %d spans\n",
		s.Head.Number, s.Handed.Number, s.Proven.Number, s.Backlog, s.Target(), blocks, spans)
	if s.Guide != "" {
		fmt.Fprintf(&b, "guide %s\n", s.Guide)
	}
	for _, p := range w.order() {
		if k := s.Peer(p.name); k != nil {
			rest := ""
			if k.Rest > s.Now {
				rest = fmt.Sprintf(", rests %d ms", k.Rest-s.Now)
			}
			fmt.Fprintf(&b, "  %s size %d, failed %d%s\n", k.Peer, k.Size, k.Failures, rest)
		}
	}
	if faults := slices.Sorted(slices.Values(faultsOf(w))); len(faults) > 0 {
		fmt.Fprintf(&b, "  faults: %s\n", strings.Join(faults, ", "))
	}
	return b.String()
}

func faultsOf(w *world) (list []string) {
	for _, p := range w.order() {
		counts := map[string]int{}
		for _, k := range w.blamed[p.name] {
			counts[k]++
		}
		for k, n := range counts {
			list = append(list, fmt.Sprintf("%s %s %d", p.name, k, n))
		}
	}
	return list
}
