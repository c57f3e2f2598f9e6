package reorg

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
)

// Source makes the choices of a scenario: a seeded one here, rapid's in tests.
type Source interface {
	// Int is a number from low to high.
	Int(label string, low, high int) int
}

// Seeded is the source of a seed.
func Seeded(seed uint64) Source { return seeded{rand.New(rand.NewPCG(seed, 0x616c7973))} }

type seeded struct{ *rand.Rand }

func (s seeded) Int(_ string, low, high int) int { return low + s.IntN(high-low+1) }

// maxDeep is the longest branch of a deep scenario.
const maxDeep = 1000

// Generate draws a scenario and does it, action by action, so that later choices
// can look at what came of the earlier ones. It settles at the end.
func Generate(src Source, steps int, o Options) (*Running, error) {
	g := &generator{Source: src}
	deep := g.oneIn(40, "deep")
	g.Running = Begin(g.drawNetwork(deep), o)
	if deep {
		g.deep()
		steps = min(steps, 6)
	}
	for i := 0; i < steps && g.err == nil; i++ {
		g.action()
	}
	g.do("settle")
	return g.Running, g.err
}

type generator struct {
	Source
	*Running
	made int
	// honest: generated approvals never finalise two ranges that exclude each other.
	honest bool
	ends   []common.Hash // of ranges that generated approvals finalise
}

func (g *generator) oneIn(n int, label string) bool { return g.Int(label, 1, n) == n }

func (g *generator) do(words ...string) { _ = g.Do(words) }

func (g *generator) drawNetwork(deep bool) Network {
	n := Network{Members: []int{1, 3, 3, 4, 4, 5, 7}[g.Int("members", 0, 6)], Spacing: uint64(g.Int("spacing", 4, 40))}
	switch k := g.Int("activation", 0, 9); {
	case k < 3:
	case k < 9:
		n.Activation = 1
	default:
		n.Activation = uint64(g.Int("height", 2, 12))
	}
	if deep || g.oneIn(3, "far") {
		n.Spacing = 100_000
	}
	g.honest = !g.oneIn(12, "dishonest")
	for i := range g.Int("nodes", 1, 3) {
		role := Role{Member: i, Producing: g.oneIn(3, "producing")}
		if i >= n.Members || g.oneIn(3, "follower") {
			role = Role{Member: -1}
		}
		n.Nodes = append(n.Nodes, role)
	}
	return n
}

func (g *generator) node() string {
	return g.world.nodes[g.Int("node", 0, len(g.world.nodes)-1)].name
}

// block picks one, more often a new one.
func (g *generator) block() *made {
	last := len(g.world.order) - 1
	if g.oneIn(5, "head") {
		n := g.world.nodes[g.Int("of", 0, len(g.world.nodes)-1)]
		return g.world.roots[n.state().Head.Root]
	}
	if g.oneIn(8, "any") {
		return g.world.order[g.Int("block", 0, last)]
	}
	return g.world.order[last-min(g.Int("recent", 0, 9), last)]
}

// action draws one action and does it.
func (g *generator) action() {
	if g.world == nil {
		return
	}
	switch k := g.Int("action", 0, 99); {
	case k < 38:
		g.extend()
	case k < 56:
		g.again()
	case k < 70:
		g.approve()
	case k < 74:
		g.do("mine", g.node(), strconv.Itoa(g.Int("to", 1, 9)))
	case k < 76:
		g.work()
	case k < 80:
		g.do("wait", strconv.Itoa(g.Int("ms", 0, 8000)))
	case k < 83:
		g.do("answer", g.node())
	case k < 88:
		g.trouble()
	case k < 90:
		g.do("snapshot", g.node())
	case k < 93:
		g.do("restart", g.node(), strconv.Itoa(g.Int("from", 0, 3)))
	case k < 96:
		g.do("crash", g.node(), strconv.Itoa(g.Int("turns", 0, 8)), strconv.Itoa(g.Int("from", 0, 3)))
	case k < 99:
		g.decide()
	default:
		g.do("garbage", g.node(), strconv.Itoa(g.Int("seed", 0, 1<<20)))
	}
}

// extend makes some blocks in a row, on a head or elsewhere, and gives them to
// some of the nodes.
func (g *generator) extend() {
	parent := g.block()
	var made []string
	for range g.Int("blocks", 1, 4) {
		g.made++
		name := "b" + strconv.Itoa(g.made)
		if g.do(g.plan(name, parent)...); g.world.blocks[name] == nil {
			break
		}
		parent = g.world.blocks[name]
		made = append(made, name)
	}
	if len(made) == 0 {
		return
	}
	for _, n := range g.world.nodes {
		if g.oneIn(3, "late") {
			continue
		}
		g.do(append([]string{"give", n.name, g.origin()}, made...)...)
	}
}

func (g *generator) origin() string {
	return []string{chain.Gossip, chain.Gossip, chain.Sync}[g.Int("origin", 0, 2)]
}

// plan is the words of make for one block on parent.
func (g *generator) plan(name string, parent *made) []string {
	words := []string{"make", name, parent.name}
	quorum := g.world.spec.Quorum()
	signers := quorum
	if g.oneIn(3, "short") {
		signers = g.Int("signers", 1, g.world.network.Members)
	}
	if g.oneIn(4, "carrier") {
		if carry, end := g.carry(parent); carry != nil {
			if g.honest && g.conflicts(end) {
				signers = 1
			} else if signers >= quorum {
				g.ends = append(g.ends, end)
			}
			words = append(words, carry...)
		}
	}
	words = append(words, "by", list(g.signers(signers)), "time", strconv.Itoa(g.Int("seconds", 1, 3)))
	if txs := g.Int("txs", 0, 3); txs > 0 {
		words = append(words, "txs", strconv.Itoa(txs), "tip", strconv.Itoa(g.Int("tip", 0, 5)))
	}
	switch g.Int("wrong", 0, 39) {
	case 0:
		words = append(words, "spoil", "extra")
	case 1:
		words = append(words, "spoil", spoils[g.Int("spoil", 0, len(spoils)-1)])
	case 2:
		words = append(words, "unpaid")
	}
	return words
}

var spoils = []string{"parent", "payload", "number", "low", "hash", "state", "time", "slot", "start", "end", "proof", "structure"}

func (g *generator) signers(count int) (by []int) {
	first := g.Int("first", 0, g.world.network.Members-1)
	for i := range min(count, g.world.network.Members) {
		by = append(by, (first+i)%g.world.network.Members)
	}
	return by
}

// carry is a range for a carrier on parent: the open blocks of the branch or the
// first of them, now and then one of another branch or nonsense.
func (g *generator) carry(parent *made) (words []string, end common.Hash) {
	if parent.truth == nil || parent.truth.Wrong != "" {
		return nil, end
	}
	var open []*made
	final := g.world.model.Final(parent.truth)
	for m := parent; m != nil && m.root != final; m = m.parent {
		open = append([]*made{m}, open...)
	}
	if len(open) == 0 {
		return nil, end
	}
	first, last := open[0], open[len(open)-1]
	switch g.Int("range", 0, 11) {
	case 0:
		first = g.block()
	case 1:
		last = g.block()
	case 2, 3:
		last = open[g.Int("end", 0, len(open)-1)]
	}
	return []string{"carry", first.name, last.name, "to", strconv.Itoa(g.Int("to", 1, 9))}, last.root
}

// conflicts reports whether a range end excludes one that is final already.
func (g *generator) conflicts(end common.Hash) bool {
	for _, other := range g.ends {
		if !g.world.model.Above(end, other) && !g.world.model.Above(other, end) {
			return true
		}
	}
	return false
}

// again gives blocks a second time, or late ones for the first, in any order and
// in copies with other approvals.
func (g *generator) again() {
	words := []string{"give", g.node(), g.origin()}
	for range g.Int("count", 1, 4) {
		m := g.block()
		if m.number() == 0 {
			continue
		}
		name := m.name
		switch g.Int("copy", 0, 9) {
		case 0:
			name += "!" + list(g.signers(g.Int("signers", 1, g.world.network.Members)))
		case 1, 2:
			if !g.honest || m.signed.Block.AuxPowHeader == nil {
				name += "+" + list(g.signers(g.Int("signers", 1, g.world.network.Members)))
			}
		}
		words = append(words, name)
	}
	if len(words) > 3 {
		g.do(words...)
	}
}

// approve gives one approval, early or late, good or not.
func (g *generator) approve() {
	m := g.block()
	words := []string{"approve", g.node(), m.name, strconv.Itoa(g.Int("member", 0, g.world.network.Members))}
	if g.oneIn(5, "forged") {
		words = append(words, []string{"other", "root", "empty"}[g.Int("kind", 0, 2)])
	} else if h := m.signed.Block.AuxPowHeader; g.honest && h != nil && m.number() > 0 {
		if g.conflicts(h.RangeEnd) {
			return
		}
		g.ends = append(g.ends, h.RangeEnd)
	}
	g.do(words...)
}

func (g *generator) work() {
	parent := g.block()
	if carry, _ := g.carry(parent); carry != nil {
		g.do("work", g.node(), carry[1], carry[2], parent.name)
	}
}

// decide follows a branch that a node reported, or asks for what is none.
func (g *generator) decide() {
	n := g.world.nodes[g.Int("node", 0, len(g.world.nodes)-1)]
	root := g.block().root
	if len(n.reported) > 0 {
		root = n.reported[g.Int("reported", 0, len(n.reported)-1)]
	}
	g.do("decide", n.name, g.world.name(root))
}

func (g *generator) trouble() {
	node := g.node()
	edge := []string{"engine", "signer", "peers"}[g.Int("edge", 0, 2)]
	switch g.Int("trouble", 0, 3) {
	case 0, 1:
		g.do("hold", node, edge)
	case 2:
		g.do("free", node, edge)
	default:
		g.do("limit", node, strconv.Itoa(g.Int("judges", -1, 2)))
	}
}

// deep makes two branches of up to a thousand blocks from one fork and lets nodes
// change between them.
func (g *generator) deep() {
	if g.world == nil {
		return
	}
	length := min(1<<g.Int("size", 3, 9)+g.Int("rest", 0, 488), maxDeep)
	by := list(g.signers(g.world.spec.Quorum()))
	g.do("grow", "t", strconv.Itoa(g.Int("trunk", 1, 5)), "genesis", "by", by)
	fork := g.world.order[len(g.world.order)-1].name
	weak := g.oneIn(4, "weak") // only the tips have a quorum
	parents := map[string]string{"x": fork, "y": fork}
	count := map[string]int{}
	rounds := g.Int("rounds", 1, 4)
	for round := range rounds {
		for k, branch := range []string{"x", "y"} {
			more := max(length/rounds, 1) + round + k
			prefix := branch + strings.Repeat("'", round)
			signers := by
			if weak {
				signers = "0"
			}
			g.do("grow", prefix, strconv.Itoa(more), parents[branch], "by", signers, "txs", strconv.Itoa(g.Int("txs", 0, 1)), "tip", "2")
			parents[branch] = prefix + strconv.Itoa(more)
			count[branch] += more
			for _, n := range g.world.nodes {
				if g.oneIn(6, "misses") {
					continue
				}
				g.do("give", n.name, chain.Sync, fmt.Sprintf("%s1..%s", prefix, parents[branch]))
				if weak {
					for _, i := range g.signers(g.world.spec.Quorum()) {
						g.do("approve", n.name, parents[branch], strconv.Itoa(i))
					}
				}
			}
		}
	}
}
