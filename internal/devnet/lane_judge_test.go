package devnet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// history is what a node's journal says.
type history struct {
	name      string
	chain     map[uint64]string // root by number, as it ended
	slots     map[string]uint64 // slot of a connected block
	final     map[uint64]string
	highest   uint64
	signed    map[uint64]map[string]bool // roots that this member approved, by slot
	produced  map[string]time.Time
	approvals map[string][]heard
	carriers  int
}

// heard is an approval of a block that came from another member.
type heard struct {
	authority uint32
	at        time.Time
}

// record is an event as alys journal cat --json prints it.
type record struct {
	TimeMs  int64           `json:"time_ms"`
	Type    string          `json:"type"`
	Message json.RawMessage `json:"message"`
	Outputs []struct {
		Kind    string          `json:"kind"`
		Type    string          `json:"type"`
		Payload json.RawMessage `json:"payload"`
	} `json:"outputs"`
}

// blockEvent has the members of all facts about blocks that are looked at.
type blockEvent struct {
	Root      string `json:"root"`
	Number    uint64 `json:"number"`
	Slot      uint64 `json:"slot"`
	Carrier   any    `json:"carrier"`
	Authority uint32 `json:"authority"`
}

// alys runs the program on a node's data directory.
func (l *lane) alys(name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(l.ctx, l.n.o.Program, append(args, "--data-dir", l.n.Layout.DataDir(l.node(name)))...)
	command.Env = inherited()
	var problem strings.Builder
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: alys %s: %w: %s", name, strings.Join(args, " "), err, problem.String())
	}
	return out, err
}

func (l *lane) read(name string) *history {
	l.Helper()
	out, err := l.alys(name, "journal", "cat", "--json")
	if err != nil {
		l.Fatal(err)
	}
	h := &history{
		name: name, chain: make(map[uint64]string), slots: make(map[string]uint64), final: make(map[uint64]string),
		signed: make(map[uint64]map[string]bool), produced: make(map[string]time.Time), approvals: make(map[string][]heard),
	}
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			l.Fatalf("%s: %v: %.200s", name, err, lines.Bytes())
		}
		h.take(&r)
	}
	if err := lines.Err(); err != nil {
		l.Fatal(err)
	}
	return h
}

func (h *history) take(r *record) {
	at := time.UnixMilli(r.TimeMs)
	if r.Type == "approval_received" {
		var e blockEvent
		if json.Unmarshal(r.Message, &e) == nil {
			h.approvals[e.Root] = append(h.approvals[e.Root], heard{e.Authority, at})
		}
	}
	for _, o := range r.Outputs {
		if o.Kind != "fact" {
			continue
		}
		var e blockEvent
		if json.Unmarshal(o.Payload, &e) != nil {
			continue
		}
		switch o.Type {
		case "block_connected":
			h.chain[e.Number], h.slots[e.Root] = e.Root, e.Slot
			h.highest = max(h.highest, e.Number)
			if e.Carrier == true {
				h.carriers++
			}
		case "block_reverted":
			if h.chain[e.Number] == e.Root {
				delete(h.chain, e.Number)
			}
		case "block_finalized":
			h.final[e.Number] = e.Root
		case "approval_made":
			h.sign(e)
		case "block_produced":
			h.sign(e)
			h.produced[e.Root] = at
		}
	}
}

func (h *history) sign(e blockEvent) {
	if h.signed[e.Slot] == nil {
		h.signed[e.Slot] = make(map[string]bool)
	}
	h.signed[e.Slot][e.Root] = true
}

// judge compares what all nodes hold.
func (l *lane) judge() {
	l.Helper()
	var all []*history
	for _, name := range l.all() {
		if out, err := l.alys(name, "replay"); err != nil {
			l.Errorf("replay: %v\n%s", err, out)
		}
		if out, err := l.alys(name, "peg", "verify"); err != nil {
			l.Errorf("peg verify: %v\n%s", err, out)
		}
		all = append(all, l.read(name))
	}
	common := l.sameChain(all)
	l.samePeg(common)
	l.noDoubleSignature(all)
	l.missedSlots(all)
	l.rounds(all)
}

// sameChain compares blocks and finality, and returns the highest block that all finalised.
func (l *lane) sameChain(all []*history) (common uint64) {
	l.Helper()
	first := all[0]
	lowest, common := first.highest, slices.Max(slices.Collect(maps.Keys(first.final)))
	for _, h := range all[1:] {
		lowest = min(lowest, h.highest)
		common = min(common, slices.Max(slices.Collect(maps.Keys(h.final))))
	}
	// The nodes do not stop in one instant: the last blocks may have reached some only.
	const last = 2
	for _, h := range all[1:] {
		for number := uint64(1); number+last <= lowest; number++ {
			if h.chain[number] != first.chain[number] {
				l.Errorf("block %d: %s has %s, %s has %s", number, first.name, first.chain[number], h.name, h.chain[number])
			}
		}
		for number, root := range h.final {
			if other, ok := first.final[number]; ok && other != root {
				l.Errorf("finalised %d: %s has %s, %s has %s", number, first.name, other, h.name, root)
			}
		}
	}
	l.Logf("blocks: heads %d to %d, all the same up to %d; all finalised %d; %d carriers", lowest, slices.MaxFunc(all, func(a, b *history) int { return int(a.highest) - int(b.highest) }).highest, lowest-last, common, first.carriers)
	if lowest+last < l.blocks {
		l.Errorf("%d blocks, wanted %d", lowest, l.blocks)
	}
	if common == 0 || first.carriers == 0 {
		l.Errorf("finalised up to %d with %d carriers", common, first.carriers)
	}
	return common
}

// samePeg compares what backs the chain at a block that all finalised, and asks for work
// done.
func (l *lane) samePeg(at uint64) {
	l.Helper()
	var first string
	for i, name := range l.all() {
		out, err := l.alys(name, "peg", "reserves", "--block", fmt.Sprint(at), "--json")
		if err != nil {
			l.Error(err)
			continue
		}
		var r struct { // the rest is of the journal that was read
			Block  string          `json:"block"`
			Height uint64          `json:"height"`
			Totals json.RawMessage `json:"totals"`
		}
		if err := json.Unmarshal(out, &r); err != nil {
			l.Error(err)
		}
		if sums := fmt.Sprintf("%s %d %s", r.Block, r.Height, r.Totals); i == 0 {
			first = sums
		} else if sums != first {
			l.Errorf("reserves at block %d: %s has %s, %s has %s", at, l.all()[0], first, name, sums)
		}
	}
	var minted, paid int
	for kind, count := range map[string]*int{"deposit": &minted, "request": &paid} {
		out, err := l.alys("full-0", "peg", "list", "--kind", kind, "--json")
		if err != nil {
			l.Error(err)
			continue
		}
		*count = strings.Count(string(out), `"finalised"`) + strings.Count(string(out), `"confirmed"`)
	}
	sent := l.traffic.Sent()
	l.Logf("peg: %d deposits and %d peg-outs sent, entries that are final %d and %d; %d transfers sent; reserves equal at block %d", len(sent.Deposits), len(sent.PegOuts), minted, paid, sent.Transfers, at)
	if minted == 0 || paid == 0 {
		l.Error("no deposit was minted for good, or no peg-out was paid for good")
	}
}

func (l *lane) noDoubleSignature(all []*history) {
	l.Helper()
	signatures := 0
	for _, h := range all {
		for slot, roots := range h.signed {
			signatures++
			if len(roots) > 1 {
				l.Errorf("%s signed %d blocks of slot %d: %v", h.name, len(roots), slot, slices.Collect(maps.Keys(roots)))
			}
		}
	}
	l.Logf("signatures: %d slots signed by three members, none twice", signatures)
}

// missedSlots counts the slots of each member without a block of its own while it was
// restarted by plan. How long the program takes to start is the machine's: once it answers,
// it misses one slot at most.
func (l *lane) missedSlots(all []*history) {
	l.Helper()
	taken := make(map[uint64]bool)
	for _, root := range all[0].chain {
		taken[all[0].slots[root]] = true
	}
	for _, s := range l.steps {
		name, ok := strings.CutPrefix(s.name, "restart ")
		if !ok {
			continue
		}
		me := uint64(*l.node(name).Member)
		missed, own, late := 0, 0, 0
		first, last := uint64(s.begin.UnixMilli())/uint64(l.slot.Milliseconds())+1, uint64(s.end.UnixMilli())/uint64(l.slot.Milliseconds())
		for slot := first; slot < last; slot++ {
			if slot%3 != me {
				continue
			}
			own++
			if taken[slot] {
				continue
			}
			missed++
			if slot*uint64(l.slot.Milliseconds()) > uint64(s.back.UnixMilli()) {
				late++
			}
		}
		l.Logf("%s: away for %.1f s; %d of its %d slots missed in %.1f s, %d of them after it answered", s.name, s.back.Sub(s.begin).Seconds(), missed, own, s.end.Sub(s.begin).Seconds(), late)
		if late > 1 {
			l.Errorf("%s missed %d slots after its restart, one is allowed", name, late)
		}
	}
}

// rounds tells how long an approval round takes: from a block's production to its quorum
// at the producer, whose own approval is the first of two.
func (l *lane) rounds(all []*history) {
	l.Helper()
	took := make(map[string][]time.Duration)
	for _, h := range all {
		for root, made := range h.produced {
			if len(h.approvals[root]) == 0 {
				continue
			}
			first := h.approvals[root][0]
			for _, s := range l.steps {
				if made.After(s.begin) && made.Before(s.end) && !strings.HasPrefix(s.name, "restart ") {
					took[s.name] = append(took[s.name], max(0, first.at.Sub(made)))
				}
			}
		}
	}
	for _, s := range l.steps {
		d := took[s.name]
		if len(d) == 0 {
			continue
		}
		slices.Sort(d)
		at := func(q float64) time.Duration { return d[min(len(d)-1, int(q*float64(len(d))))] }
		l.Logf("approval rounds, %-22s %3d: p50 %s, p99 %s, most %s", s.name, len(d), at(0.5), at(0.99), d[len(d)-1])
	}
}
