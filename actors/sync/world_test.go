package sync_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/sync"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// made is a block of the world. Blocks of branch 0 are the federation's.
type made struct {
	root, parent common.Hash
	number       uint64
	quorum       bool
	size         int
}

// branch is a line of blocks from genesis on.
type branch struct {
	blocks []made
	byRoot map[common.Hash]uint64
}

// rootOf names a block; genesis and what is below the fork is that of branch 0.
func rootOf(name byte, number uint64) common.Hash {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte{name}, number))
}

// grow returns a branch that leaves another above fork and is n blocks high.
func grow(name byte, on *branch, fork, n uint64, quorum bool) *branch {
	b := &branch{byRoot: map[common.Hash]uint64{}}
	if on == nil {
		b.add(made{root: rootOf(name, 0), quorum: true})
	} else {
		for _, m := range on.blocks[:fork+1] {
			b.add(m)
		}
	}
	for h := uint64(len(b.blocks)); h <= n; h++ {
		b.add(made{root: rootOf(name, h), parent: b.blocks[h-1].root, number: h, quorum: quorum, size: 1000})
	}
	return b
}

func (b *branch) add(m made) {
	b.blocks = append(b.blocks, m)
	b.byRoot[m.root] = m.number
}

func (b *branch) head() message.BlockID { return b.id(uint64(len(b.blocks) - 1)) }

func (b *branch) id(number uint64) message.BlockID {
	return message.BlockID{Root: b.blocks[number].root, Number: number}
}

// event is something that happens at a time.
type event struct {
	at    int64
	order int
	do    func()
}

// world is the core between a chain actor, peers and clocks of the test.
type world struct {
	core     *sync.Sync
	state    core.State
	sequence uint64
	now      int64 // virtual, milliseconds
	wall     int64 // what turns are told beside it
	events   []event
	made     int
	contents map[common.Hash]made
	data     map[[32]byte][]byte
	chain    *chainActor
	peers    map[string]*peer
	pending  map[core.Ref]bool // effects without an answer
	random   *rand.Rand
	sends    []core.Message // to the core, in order
	blamed   map[string][]string
	log      strings.Builder
	broken   []string // invariants
	asked    int
	progress *message.SyncProgressed
}

func newWorld(seed uint64, head, finalized message.BlockID, known ...*branch) *world {
	w := &world{
		core: sync.New(), state: sync.New().NewState(), contents: map[common.Hash]made{}, data: map[[32]byte][]byte{},
		peers: map[string]*peer{}, pending: map[core.Ref]bool{}, blamed: map[string][]string{},
		random: rand.New(rand.NewPCG(seed, 1)), wall: 1_700_000_000_000,
	}
	w.chain = &chainActor{w: w, known: map[common.Hash]made{}, done: map[common.Hash]bool{}, offered: map[common.Hash]bool{}, perBlock: 1, head: head, finalized: finalized}
	for i, b := range known {
		for _, m := range b.blocks {
			if i == 0 && m.number <= head.Number || i > 0 {
				w.chain.known[m.root], w.chain.done[m.root] = m, true
			}
		}
	}
	return w
}

// start configures the node and tells the core its head.
func (w *world) start() {
	c := spec.Dev()
	c.Authorities = nil
	for i := range 3 {
		c.Authorities = append(c.Authorities, aura.DevKey(uint64(i+1)).PublicKey())
	}
	w.handle(&message.NodeConfigured{ChainSpec: record.NewContent(c.Encode()), Peers: true}, core.Ref{})
	w.chain.told = message.FollowSync{}
	w.chain.tell()
	w.drain()
}

// restart ends the connections and answers what is pending, as a node does that was killed.
func (w *world) restart() {
	refs := make([]core.Ref, 0, len(w.pending))
	for ref := range w.pending {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b core.Ref) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Index, b.Index))
	})
	clear(w.pending)
	w.reload()
	w.start()
	for _, ref := range refs {
		w.handle(&core.Expired{Reason: "restart"}, ref)
	}
	for _, p := range w.order() {
		if p.connected {
			w.see(p)
		}
	}
}

// reload puts the state through its snapshot form.
func (w *world) reload() {
	again := sync.New().NewState()
	var last []byte
	err := w.state.Walk(func(key, value []byte) error {
		if last != nil && bytes.Compare(last, key) >= 0 {
			w.fail("snapshot keys out of order: %x after %x", key, last)
		}
		last = append([]byte{}, key...)
		return again.Load(bytes.Clone(key), bytes.Clone(value), func(hash [32]byte) ([]byte, error) { return w.data[hash], nil })
	})
	if err != nil {
		w.fail("reload: %v", err)
	}
	if a, b := walked(w.state), walked(again); a != b {
		w.fail("a state read back differs")
	}
	w.state = again
}

func walked(s core.State) string {
	h := sha256.New()
	_ = s.Walk(func(key, value []byte) error {
		fmt.Fprintf(h, "%x=%x;", key, value)
		return nil
	})
	return fmt.Sprintf("%x", h.Sum(nil))
}

func (w *world) fail(format string, args ...any) {
	if len(w.broken) < 10 {
		w.broken = append(w.broken, fmt.Sprintf("at %d ms: ", w.now)+fmt.Sprintf(format, args...))
	}
}

func (w *world) after(ms int64, do func()) {
	w.made++
	w.events = append(w.events, event{w.now + ms, w.made, do})
}

// run lets time pass until done or a limit.
func (w *world) run(limit int64, done func() bool) bool {
	for !done() {
		if len(w.events) == 0 {
			return false
		}
		next := 0
		for i, e := range w.events {
			if f := w.events[next]; e.at < f.at || e.at == f.at && e.order < f.order {
				next = i
			}
		}
		e := w.events[next]
		if e.at > limit {
			w.now = limit
			return false
		}
		w.events = slices.Delete(w.events, next, next+1)
		w.wall += e.at - w.now
		w.now = e.at
		e.do()
		w.drain()
	}
	return true
}

// handle makes one turn and does what comes of it.
func (w *world) handle(m core.Message, cause core.Ref) {
	w.sequence++
	var out core.Out
	w.state = w.state.Clone()
	w.core.Handle(w.state, m, core.Turn{Sequence: w.sequence, Time: w.wall, Cause: cause}, &out)
	blocks, spans, size := w.state.(*sync.State).Window()
	if blocks > 8192+1024 || spans > 512 || size > 64<<20 {
		w.fail("the window holds %d blocks in %d spans, %d bytes", blocks, spans, size)
	}
	for i, o := range out.List() {
		w.output(core.Ref{Sequence: w.sequence, Index: uint32(i)}, o)
	}
}

func (w *world) drain() {
	for len(w.sends) > 0 {
		m := w.sends[0]
		w.sends = w.sends[1:]
		w.handle(m, core.Ref{Sequence: 1})
	}
}

func (w *world) output(ref core.Ref, o core.Output) {
	switch m := o.Message.(type) {
	case *message.BlocksReceived:
		fmt.Fprintf(&w.log, "%6d hand %d..%d of %s\n", w.now, w.of(m.Blocks[0]).number, w.of(m.Blocks[len(m.Blocks)-1]).number, m.Peer)
		w.chain.receive(m)
	case *message.PeerFault:
		fmt.Fprintf(&w.log, "%6d fault %s %s\n", w.now, m.Peer, m.Kind)
		w.blamed[m.Peer] = append(w.blamed[m.Peer], m.Kind)
	case *message.FetchRange:
		w.asked++
		fmt.Fprintf(&w.log, "%6d ask %s for %d of %d\n", w.now, m.Peer, m.Count, m.From)
		w.pending[ref] = true
		w.serve(ref, m)
	case *message.StartTimer:
		w.pending[ref] = true
		w.after(int64(m.After), func() {
			if w.pending[ref] {
				delete(w.pending, ref)
				w.handle(&message.TimerFired{}, ref)
			}
		})
	case *message.SyncStalled:
		fmt.Fprintf(&w.log, "%6d stalled: %s\n", w.now, m.Reason)
	case *message.SyncProgressed:
		w.progress = m
	default:
		w.fail("unexpected output %s", o.Message.Type())
	}
}

func (w *world) of(b message.Block) made { return w.contents[common.Hash(b.Signed.Hash)] }

func (w *world) content(m made) record.Content {
	c := record.NewContent(append(m.root[:], make([]byte, 8)...))
	w.contents[common.Hash(c.Hash)] = m
	w.data[c.Hash] = c.Data
	return c
}

// reply answers a request after a time, if nobody answered it before.
func (w *world) reply(ref core.Ref, ms int64, m core.Message) {
	w.after(ms, func() {
		if w.pending[ref] {
			delete(w.pending, ref)
			w.handle(m, ref)
		}
	})
}

// chainActor takes blocks as the chain actor does: it executes what has a quorum, one after the other.
type chainActor struct {
	w         *world
	known     map[common.Hash]made
	done      map[common.Hash]bool // executed
	offered   map[common.Hash]bool // handed on, taken or not
	queue     []made
	perBlock  int64
	head      message.BlockID
	finalized message.BlockID
	told      message.FollowSync
	refuses   common.Hash
	working   bool
}

func (c *chainActor) receive(m *message.BlocksReceived) {
	if m.Origin != "sync" || len(m.Blocks) == 0 || len(m.Blocks) > 256 {
		c.w.fail("%d blocks of origin %q in a message", len(m.Blocks), m.Origin)
	}
	for _, content := range m.Blocks {
		b := c.w.of(content)
		if _, ok := c.known[b.parent]; !ok && !c.offered[b.parent] {
			c.w.fail("block %d was handed on before its parent", b.number)
			return
		}
		c.offered[b.root] = true
		_, parent := c.known[b.parent]
		if _, ok := c.known[b.root]; ok || b.root == c.refuses || !parent {
			continue
		}
		c.known[b.root] = b
		if b.quorum {
			c.schedule(b)
		}
	}
	c.tell()
	c.work()
}

// schedule queues a block that would be the head, with those below it that are not executed.
func (c *chainActor) schedule(b made) {
	top := c.head.Number
	for _, q := range c.queue {
		top = max(top, q.number)
	}
	if b.number <= top {
		return
	}
	var path []made
	for at := b; !c.done[at.root]; at = c.known[at.parent] {
		if _, ok := c.known[at.root]; !ok || slices.ContainsFunc(c.queue, func(q made) bool { return q.root == at.root }) {
			break
		}
		path = append(path, at)
	}
	slices.Reverse(path)
	c.queue = append(c.queue, path...)
}

func (c *chainActor) work() {
	if c.working || len(c.queue) == 0 {
		return
	}
	c.working = true
	n := min(len(c.queue), 256)
	c.w.after(max(c.perBlock*int64(n), 1), func() {
		c.working = false
		for _, b := range c.queue[:n] {
			c.done[b.root] = true
			if b.quorum && b.number > c.head.Number {
				c.head = message.BlockID{Root: b.root, Number: b.number}
			}
		}
		c.queue = c.queue[n:]
		c.tell()
		c.work()
	})
}

func (c *chainActor) tell() {
	head, finalized := c.head, c.finalized
	m := message.FollowSync{Head: &head, Finalized: &finalized, Backlog: uint32(len(c.queue))}
	if t := c.told; t.Head != nil && *t.Head == head && t.Backlog == m.Backlog {
		return
	}
	c.told = m
	c.w.sends = append(c.w.sends, &m)
}
