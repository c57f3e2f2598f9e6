package devnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/devnet/netlab"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Environment variables of the lane.
const (
	programEnv = "ALYS_BIN"
	blocksEnv  = "ALYS_LANE_BLOCKS" // 300 unless given
	slotEnv    = "ALYS_LANE_SLOT"   // 1s unless given
)

const (
	lanePatience = 3 * time.Minute // that a condition may take
	laneLook     = 100 * time.Millisecond
)

// lane is a federation of three members and a full node, through what happens to real
// ones.
type lane struct {
	*testing.T
	ctx     context.Context
	lab     *netlab.Lab // nil where this machine allows none
	n       *Network
	slot    time.Duration
	blocks  uint64
	bitcoin *Process
	running map[string]*Process
	traffic *Traffic
	steps   []step
}

// step is a part of the lane, by time.
type step struct {
	name       string
	begin, end time.Time
	back       time.Time // when a restarted node answered again
}

// Three members and a full node as processes, through kills, partitions, latency, loss and
// restarts. make e2e-federation.
func TestFederationLane(t *testing.T) {
	program := os.Getenv(programEnv)
	if program == "" {
		t.Skipf("%s names no alys: make e2e-federation", programEnv)
	}
	l := newLane(t, program)
	l.step("at rest", func() { l.grow(l.all(), 12) })
	l.step("a member killed", l.killed)
	l.step("a member alone", func() { l.apart([]string{"member-2"}, []string{"member-0", "member-1", "full-0"}) })
	l.step("split 2-1", func() { l.apart([]string{"member-2", "full-0"}, []string{"member-0", "member-1"}) })
	l.step("200 ms and 5 % loss", l.slow)
	l.step("restarts one by one", l.rolling)
	l.step("to the end", l.rest)
	l.stop()
	l.judge()
}

// environment reads a variable, with a default.
func environment[T any](t *testing.T, name string, otherwise T, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func newLane(t *testing.T, program string) *lane {
	t.Helper()
	l := &lane{T: t, ctx: t.Context(), running: make(map[string]*Process)}
	l.blocks = environment(t, blocksEnv, 300, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 32) })
	l.slot = environment(t, slotEnv, time.Second, time.ParseDuration)
	dir, err := os.MkdirTemp("", "alysnet") // sockets need short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("everything is left in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	o := Options{Dir: filepath.Join(dir, "n"), Program: program, Members: 3, Full: 1, Chain: laneChain(l.slot), Port: 32000, Mine: 3 * time.Second}
	l.onNetworks(&o)
	if l.n, err = Make(o); err != nil {
		t.Fatal(err)
	}
	if l.bitcoin, err = l.n.StartBitcoin(l.ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.bitcoin.Kill() })
	for i := range l.n.Layout.Nodes {
		l.start(&l.n.Layout.Nodes[i])
	}
	t.Cleanup(func() {
		for _, p := range l.running {
			p.Kill()
		}
	})
	if l.traffic, err = l.n.NewTraffic(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.ctx)
	done := make(chan struct{})
	go func() { defer close(done); l.traffic.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

// laneChain has every rule that is tighter than legacy's from the first block on.
func laneChain(slot time.Duration) *spec.Chain {
	c := spec.Dev()
	c.SlotDuration, c.Confirmations, c.BitcoinStartHeight = uint64(slot.Milliseconds()), 3, regtest.Ready
	c.Activations = spec.Activations{
		Finality: 1, ExactWithdrawals: 1, UniquePegins: 1, ExactAuxHeader: 1, RangeOnBranch: 1, Author: 1, SlotTimestamp: 1, BurnRecipient: 1,
		StrictPegins: 1, StrictPegouts: 1,
	}
	return c
}

// onNetworks puts every process on a network of its own, where this machine allows it.
func (l *lane) onNetworks(o *Options) {
	names := []string{"member-0", "member-1", "member-2", "full-0", Bitcoin}
	lab, err := netlab.Open(names)
	if err != nil {
		l.Logf("LOOPBACK PORTS: this machine allows no network namespaces with TUN devices (%v): no partition, latency and loss", err)
		return
	}
	l.Logf("namespaces: a network namespace for each of %s, joined by TUN devices and a router in this process", strings.Join(names, ", "))
	l.lab = lab
	l.Cleanup(func() { _ = lab.Close() })
	for _, name := range names[:4] {
		o.Hosts = append(o.Hosts, lab.IP(name))
	}
	o.BitcoinHost = lab.IP(Bitcoin)
	o.Launch = lab.Do
	o.Dial = func(name string) func(ctx context.Context, network, addr string) (net.Conn, error) {
		return lab.Dial(name)
	}
}

func (l *lane) node(name string) *federation.Node {
	i := slices.IndexFunc(l.n.Layout.Nodes, func(n federation.Node) bool { return n.Name == name })
	if i < 0 {
		l.Fatalf("there is no node %s", name)
	}
	return &l.n.Layout.Nodes[i]
}

func (l *lane) start(n *federation.Node) {
	l.Helper()
	p, err := l.n.StartNode(n)
	if err != nil {
		l.Fatal(err)
	}
	l.running[n.Name] = p
}

func (l *lane) all() []string { return []string{"member-0", "member-1", "member-2", "full-0"} }

// step runs a part of the lane and tells how long it took.
func (l *lane) step(name string, f func()) {
	l.Helper()
	s := step{name: name, begin: time.Now()}
	f()
	s.end = time.Now()
	l.steps = append(l.steps, s)
	l.Logf("%-22s %5.1f s, heads %s", name, s.end.Sub(s.begin).Seconds(), l.heads())
}

func (l *lane) heads() string {
	var out []string
	for _, name := range l.all() {
		at := "-"
		if s := l.status(name); s != nil {
			at = fmt.Sprintf("%d/%d", s.Head.Height, s.Finalized.Height)
		}
		out = append(out, name+" "+at)
	}
	return strings.Join(out, ", ")
}

func (l *lane) status(name string) *node.Status {
	ctx, cancel := context.WithTimeout(l.ctx, askLimit)
	defer cancel()
	s, err := l.n.NodeStatus(ctx, l.node(name))
	if err != nil {
		return nil
	}
	return s
}

// eventually waits until done says so.
func (l *lane) eventually(what string, done func() bool) {
	l.Helper()
	for deadline := time.Now().Add(lanePatience); time.Now().Before(deadline); time.Sleep(laneLook) {
		if done() {
			return
		}
		for name, p := range l.running {
			select {
			case <-p.Done():
				l.Fatalf("%s: %s ended with code %d\n%s", what, name, p.Code(), l.tail(name))
			default:
			}
		}
	}
	l.Fatalf("%s: not within %s; heads %s\n%s", what, lanePatience, l.heads(), l.tail("member-0"))
}

// tail is the end of a log.
func (l *lane) tail(name string) string {
	const most = 4 << 10
	data, err := os.ReadFile(l.n.Log(name))
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-most):])
}

// height is the highest head of some nodes.
func (l *lane) height(names []string) (high uint64) {
	for _, name := range names {
		if s := l.status(name); s != nil {
			high = max(high, s.Head.Height)
		}
	}
	return high
}

// grow waits until each of some nodes has so many blocks more than the highest of them.
func (l *lane) grow(names []string, blocks uint64) {
	l.Helper()
	want := l.height(names) + blocks
	l.eventually(fmt.Sprintf("%s at height %d", names, want), func() bool { return l.reach(names, want) })
}

func (l *lane) reach(names []string, height uint64) bool {
	for _, name := range names {
		if s := l.status(name); s == nil || s.Head.Height < height {
			return false
		}
	}
	return true
}

// together waits until some nodes go on with the others.
func (l *lane) together() {
	l.Helper()
	l.grow(l.all(), 4)
}

func (l *lane) killed() {
	l.Helper()
	l.running["member-1"].Kill()
	delete(l.running, "member-1")
	l.grow([]string{"member-0", "member-2", "full-0"}, 8)
	l.start(l.node("member-1"))
	l.together()
}

// apart cuts a minority off and heals. The others go on; it finalises nothing alone.
func (l *lane) apart(minority, majority []string) {
	l.Helper()
	if l.lab == nil {
		l.Log("skipped: no partitions on loopback ports")
		return
	}
	l.lab.Split(minority, majority)
	members := slices.DeleteFunc(slices.Clone(majority), func(s string) bool { return s == "full-0" })
	time.Sleep(2 * l.slot) // what was on its way has arrived
	before := l.status(minority[0])
	l.grow(members, 10)
	after := l.status(minority[0])
	if before == nil || after == nil {
		l.Fatalf("%s does not answer", minority[0])
	}
	if before.Finalized != after.Finalized {
		l.Errorf("%s finalised %v after %v, alone", minority[0], after.Finalized, before.Finalized)
	}
	l.lab.Heal()
	l.together()
	if n := l.lab.Counts(); n.Cut == 0 {
		l.Error("the cut stopped no packet")
	}
}

func (l *lane) slow() {
	l.Helper()
	if l.lab == nil {
		l.Log("skipped: no latency and loss on loopback ports")
		return
	}
	l.lab.Shape(netlab.Path{Latency: 200 * time.Millisecond, Loss: 0.05}, Bitcoin)
	l.grow(l.all(), 15)
	l.lab.Shape(netlab.Path{})
	n := l.lab.Counts()
	l.Logf("packets: %d carried, %d lost, %d cut, %d dropped", n.Carried, n.Lost, n.Cut, n.Dropped)
	if n.Lost == 0 {
		l.Error("no packet was lost")
	}
}

// rolling restarts one member at a time. Its slots without a block are counted in judge.
func (l *lane) rolling() {
	l.Helper()
	for _, name := range []string{"member-0", "member-1", "member-2"} {
		s := step{name: "restart " + name, begin: time.Now()}
		if err := l.running[name].Stop(); err != nil {
			l.Errorf("%v\n%s", err, l.tail(name))
		}
		l.start(l.node(name))
		l.eventually(name+" answers", func() bool { return l.status(name) != nil })
		s.back = time.Now()
		l.together()
		s.end = time.Now()
		l.steps = append(l.steps, s)
	}
}

func (l *lane) rest() {
	l.Helper()
	sent := l.traffic.Sent()
	if len(sent.Deposits) == 0 || len(sent.PegOuts) == 0 || sent.Transfers == 0 {
		l.Errorf("traffic: %+v", sent)
	}
	if high := l.height(l.all()); high < l.blocks {
		for deadline := l.blocks - high; deadline > 0; deadline = l.blocks - min(l.blocks, l.height(l.all())) {
			l.grow(l.all(), min(deadline, 20)) // each wait is bounded
		}
	}
	l.eventually("finality", func() bool {
		for _, name := range l.all() {
			if s := l.status(name); s == nil || s.Finalized.Height+30 < s.Head.Height {
				return false
			}
		}
		return true
	})
}

// stop ends all nodes, members first.
func (l *lane) stop() {
	l.Helper()
	for _, p := range l.running {
		p.Interrupt()
	}
	for name, p := range l.running {
		if err := p.Stop(); err != nil {
			l.Errorf("%v\n%s", err, l.tail(name))
		}
		delete(l.running, name)
	}
}
