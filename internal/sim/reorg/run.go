package reorg

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"strconv"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/reorg/model"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// Options of a run.
type Options struct {
	Seed uint64 // is part of the identity of the nodes' journals
}

// Stats is what a run did.
type Stats struct {
	Scenarios int
	Actions   map[string]int // by verb
	Blocks    int            // made
	Turns     int            // of all nodes
	Produced  int            // blocks by nodes
	Approved  int            // blocks by nodes
	Finalised int            // facts of finality
	Reverted  int            // blocks
	Restarts  int
	Decided   int     // branches by an operator
	Conflicts int     // of finality
	Depths    [16]int // reorganisations by depth: 1, 2-3, 4-7, ...
	Deepest   int     // blocks reverted by one turn
}

func (s *Stats) reorg(depth int) {
	s.Depths[min(bits.Len(uint(depth))-1, len(s.Depths)-1)]++
	s.Deepest = max(s.Deepest, depth)
}

// Add adds what another run did.
func (s *Stats) Add(o Stats) {
	s.Scenarios += o.Scenarios
	s.Blocks += o.Blocks
	s.Turns += o.Turns
	s.Produced += o.Produced
	s.Approved += o.Approved
	s.Finalised += o.Finalised
	s.Reverted += o.Reverted
	s.Restarts += o.Restarts
	s.Decided += o.Decided
	s.Conflicts += o.Conflicts
	s.Deepest = max(s.Deepest, o.Deepest)
	for i := range s.Depths {
		s.Depths[i] += o.Depths[i]
	}
	if s.Actions == nil {
		s.Actions = map[string]int{}
	}
	for verb, n := range o.Actions {
		s.Actions[verb] += n
	}
}

// verbs are the actions. Each can be done in every state.
var verbs map[string]func(*world, Action)

func init() {
	verbs = map[string]func(*world, Action){
		"make": func(w *world, a Action) { w.make(a.word(1), w.blocks[a.word(2)], a) },
		"grow": func(w *world, a Action) { w.grow(a) },
		"give": onNode(func(n *node, a Action) {
			if len(a) > 3 {
				n.give(a.word(2), n.w.copies(a[3:]))
			}
		}),
		"approve": onNode((*node).approveAction),
		"answer":  onNode(func(n *node, _ Action) { n.answer() }),
		"mine":    onNode((*node).mine),
		"work":    onNode((*node).otherWork),
		"wait": func(w *world, a Action) {
			ms := int64(max(a.number(1), 0))
			for _, n := range w.nodes {
				n.wait(ms, func(timer) bool { return true })
			}
			w.wall += ms
		},
		"hold":     onNode(func(n *node, a Action) { n.held[core.Edge(a.word(2))] = true }),
		"free":     onNode(func(n *node, a Action) { delete(n.held, core.Edge(a.word(2))); n.run() }),
		"limit":    onNode(func(n *node, a Action) { n.layer.Limit = a.number(2) }),
		"snapshot": onNode(func(n *node, _ Action) { n.snapshot() }),
		"restart": onNode(func(n *node, a Action) {
			if !n.stopped {
				n.restart(a.number(2))
			}
		}),
		"crash":   onNode(func(n *node, a Action) { n.crash(a.number(2), a.number(3)) }),
		"decide":  onNode((*node).decide),
		"garbage": onNode((*node).garbage),
		"flood":   onNode((*node).flood),
		"settle":  func(w *world, _ Action) { w.settle() },
	}
}

func onNode(do func(*node, Action)) func(*world, Action) {
	return func(w *world, a Action) {
		for _, n := range w.nodes {
			if n.name == a.word(1) {
				do(n, a)
			}
		}
	}
}

// Run does a scenario and settles at its end. The error is a *Failure when a
// property does not hold.
func Run(s Scenario, o Options) (Stats, error) {
	r, err := Play(s, o)
	return r.Stats(), err
}

// Play is Run for those who want to look at what is left.
func Play(s Scenario, o Options) (*Running, error) {
	r := Begin(s.Network, o)
	for _, a := range s.Actions {
		_ = r.Do(a) // after a failure nothing is done
	}
	if len(s.Actions) == 0 || s.Actions[len(s.Actions)-1].word(0) != "settle" {
		_ = r.Do(Action{"settle"})
	}
	return r, r.err
}

// Running is a scenario under way.
type Running struct {
	world *world
	done  []Action
	err   error
}

// Begin starts the nodes of a network.
func Begin(n Network, o Options) *Running {
	r := &Running{}
	r.err = guard(func() { r.world = newWorld(n, o) })
	return r
}

// Do does one action. After a failure nothing is done any more.
func (r *Running) Do(a Action) error {
	if r.err != nil || r.world == nil {
		return r.err
	}
	r.done = append(r.done, a)
	if r.world.stats.Actions == nil {
		r.world.stats.Actions = map[string]int{}
	}
	r.world.stats.Actions[a.word(0)]++
	r.err = guard(func() {
		if do := verbs[a.word(0)]; do != nil {
			do(r.world, a)
		}
	})
	if f, ok := r.err.(*Failure); ok {
		f.Action = len(r.done) - 1
	}
	return r.err
}

// guard turns the panic of a check into its failure.
func guard(do func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Failure:
			err = p
		default:
			panic(p)
		}
	}()
	do()
	return nil
}

// Scenario is what was done so far.
func (r *Running) Scenario() Scenario { return Scenario{r.world.network, r.done} }

// Stats is what happened so far.
func (r *Running) Stats() Stats {
	if r.world == nil {
		return Stats{}
	}
	s := r.world.stats
	s.Scenarios = 1
	return s
}

// approveAction is approve NODE BLOCK MEMBER [KIND].
func (n *node) approveAction(a Action) {
	m := n.w.blocks[a.word(2)]
	if m == nil {
		return
	}
	i := a.number(3)
	approval := aura.Approval{Authority: uint8(i)}
	if i < maxMembers {
		approval = standin.Approve(i, m.root)
	}
	switch a.word(4) {
	case "": // good
		if i < n.w.network.Members && m.truth != nil {
			n.w.approval(m.root, approval)
		}
	case "other":
		approval.Signature = standin.Approve((i+1)%maxMembers, m.root).Signature
	case "root":
		approval.Signature = standin.Approve(i%maxMembers, common.Hash{1}).Signature
	case "empty":
		approval.Signature = aura.Signature{}
	}
	n.approve(m.root, approval)
}

// mine is a miner that asks for work and hands a proof in.
func (n *node) mine(a Action) {
	n.aux = nil
	n.send(miner.ID, &message.CreateAuxBlock{Request: 1, FeeRecipient: recipient(a.number(2))})
	if n.aux == nil {
		return
	}
	proof, err := standin.Solve(n.aux.Hash, n.aux.ChainID, n.aux.Bits)
	if err != nil {
		n.fail("work can be done", "bits %08x: %v", n.aux.Bits, err)
	}
	n.send(miner.ID, &message.SubmitAuxBlock{Request: 2, Hash: n.aux.Hash, AuxPow: proof.Namecoin()})
}

// otherWork is a proof that another member gossips.
func (n *node) otherWork(a Action) {
	if parent := n.w.blocks[a.word(4)]; parent != nil {
		if h := n.w.proof(a.word(2), a.word(3), parent, 9); h != nil {
			n.send(chain.ID, &message.QueueWork{Header: h.Encode()})
		}
	}
}

// decide is an operator who follows a branch.
func (n *node) decide(a Action) {
	if m := n.w.blocks[a.word(2)]; m != nil && n.machine.Accepts(chain.ID, &message.DecideBranch{}) {
		n.send(chain.ID, &message.DecideBranch{Request: 3, Root: m.root, Reason: "a scenario says so"})
	}
}

// garbage sends real content with a few bytes changed, and messages of nothing.
func (n *node) garbage(a Action) {
	r := rand.New(rand.NewPCG(uint64(a.number(2)), 1))
	spoil := func(data []byte) []byte {
		data = append([]byte(nil), data...)
		for range r.IntN(4) {
			if len(data) > 0 {
				data[r.IntN(len(data))] = byte(r.Uint32())
			}
		}
		return data[:len(data)-r.IntN(len(data)+1)*r.IntN(2)]
	}
	m := n.w.order[r.IntN(len(n.w.order))]
	data := spoil(m.bytes.Data)
	if s, _, err := n.w.work.Decode(data); err == nil {
		n.w.add("garbage"+strconv.Itoa(len(n.w.order)), s)
		n.learn(func(k *model.Known) { k.Learn(s) })
	}
	n.send(chain.ID, &message.BlocksReceived{Origin: "gossip", Blocks: []message.Block{{Signed: record.NewContent(data)}}})
	n.send(chain.ID, &message.BlocksReceived{Origin: a.word(2)})
	if h := n.w.proof(m.name, m.name, m, 1); h != nil {
		n.send(chain.ID, &message.QueueWork{Header: spoil(h.Encode())})
		n.send(miner.ID, &message.SubmitAuxBlock{Hash: m.root, AuxPow: spoil(h.AuxPow.Namecoin())})
	}
	var signature aura.Signature
	for i := range signature {
		signature[i] = byte(r.Uint32())
	}
	n.send(chain.ID, &message.ApprovalReceived{Root: m.root, Authority: uint8(r.Uint32()), Signature: signature})
}

// flood sends orphans and approvals of blocks that nobody will ever see.
func (n *node) flood(a Action) {
	var m message.BlocksReceived
	m.Origin = chain.Gossip
	for i := range min(a.number(2), maxRun) {
		var root common.Hash
		binary.BigEndian.PutUint64(root[8:], uint64(i)+1)
		root[0] = 0xf1
		orphan := *n.w.order[len(n.w.order)-1].signed
		orphan.Block.ParentHash = root
		orphan.Approvals = standin.Approvals(orphan.Block.Root(), i%n.w.network.Members)
		m.Blocks = append(m.Blocks, message.Block{Signed: record.NewContent(orphan.Encode())})
		n.send(chain.ID, &message.ApprovalReceived{
			Root: root, Authority: uint8(i % n.w.network.Members), Signature: standin.Approve(i%n.w.network.Members, root).Signature,
		})
		if len(m.Blocks) == 256 {
			n.send(chain.ID, &message.BlocksReceived{Origin: m.Origin, Blocks: m.Blocks})
			m.Blocks = nil
		}
	}
	n.send(chain.ID, &m)
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
