package reorg

import (
	"fmt"
	"strconv"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/sim/reorg/model"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
)

// startWall is the wall clock at the beginning, Unix milliseconds: slot 1000 of
// one second.
const startWall = 1_000_000

// world is everything outside the nodes: the blocks that exist, clocks, and the
// model that says what is right.
type world struct {
	network Network
	spec    *spec.Chain
	work    *standin.Work
	model   *model.Model
	wall    int64 // Unix milliseconds
	nodes   []*node
	blocks  map[string]*made
	roots   map[common.Hash]*made
	order   []*made
	// approvals are those that nodes published or scenarios gave, by block.
	approvals map[common.Hash][]aura.Approval
	stats     Stats
	options   Options
}

// made is a block with its name.
type made struct {
	name   string
	signed *block.Signed
	bytes  record.Content // as given by default
	root   common.Hash
	parent *made // nil for genesis
	truth  *model.Block
}

func (m *made) number() uint64 { return m.signed.Block.Payload.BlockNumber }

func newWorld(n Network, o Options) *world {
	w := &world{
		network: n, work: standin.NewWork(), wall: startWall, options: o,
		blocks: map[string]*made{}, roots: map[common.Hash]*made{}, approvals: map[common.Hash][]aura.Approval{},
	}
	w.spec = standin.Spec(n.Members)
	w.spec.MaxBlocksWithoutPow = n.Spacing
	w.spec.Activations.Finality = n.Activation
	w.spec.Activations.RangeOnBranch = 1
	genesis := block.Genesis(w.spec, *standin.Genesis())
	w.model = model.New(w.spec, genesis, true)
	w.add("genesis", genesis)
	for i, role := range n.Nodes {
		w.nodes = append(w.nodes, w.newNode(i, role))
	}
	return w
}

// add gives a block a name, unless it has one.
func (w *world) add(name string, s *block.Signed) *made {
	root := s.Block.Root()
	if known := w.roots[root]; known != nil {
		return known
	}
	m := &made{name: name, signed: s, root: root, parent: w.roots[s.Block.ParentHash], bytes: record.NewContent(s.Encode())}
	m.truth = w.model.Add(s)
	w.blocks[name], w.roots[root] = m, m
	w.order = append(w.order, m)
	w.stats.Blocks++
	w.approvalsOf(s, root)
	return m
}

// approvalsOf lets everybody learn the approvals of a copy one by one.
func (w *world) approvalsOf(s *block.Signed, root common.Hash) {
	for i := range w.spec.Authorities {
		if s.Approvals.Has(i) {
			w.approval(root, standin.Approve(i, root))
		}
	}
}

// name is what a scenario calls a block.
func (w *world) name(root common.Hash) string {
	if m := w.roots[root]; m != nil {
		return m.name
	}
	return fmt.Sprintf("%x", root[:4])
}

// make is the action of that name, for one block.
func (w *world) make(name string, parent *made, a Action) *made {
	if parent == nil || w.blocks[name] != nil {
		return nil
	}
	on := &parent.signed.Block
	p := standin.Plan{
		Parent: parent.signed, By: a.members("by"), Slot: uint64(a.count("slot")),
		Timestamp: max(on.Payload.Timestamp, startWall/1000-1) + uint64(max(a.count("time"), 1)),
	}
	for i := range a.count("txs") {
		p.Transactions = append(p.Transactions, standin.Transfer(on.Payload.BlockNumber<<8+uint64(i), int64(a.count("tip"))))
	}
	if start, carries := a.option("carry", 0); carries {
		end, _ := a.option("carry", 1)
		if p.Header = w.proof(start, end, parent, a.count("to")); p.Header == nil {
			return nil
		}
		if _, unpaid := a.option("unpaid", 0); !unpaid {
			p.Withdrawals = w.credits(parent, p.Header.FeeRecipient)
		}
	}
	kind, _ := a.option("spoil", 0)
	if kind == "extra" {
		p.Extra = standin.BadExtra
	}
	p.Change = breakers[kind]
	return w.add(name, standin.Make(w.spec, p))
}

// proof is a header over named blocks, or nil.
func (w *world) proof(start, end string, parent *made, to int) *block.AuxPowHeader {
	first, last := w.blocks[start], w.blocks[end]
	if first == nil || last == nil || last.parent == nil {
		return nil
	}
	h, err := w.model.Proof(first.root, last.root, parent.root, recipient(to))
	if err != nil {
		panic(err) // the target of these chains is met by every second hash
	}
	return h
}

func recipient(to int) common.Address { return common.Address{0xa1, byte(to)} }

// credits are the withdrawals that a carrier on parent owes.
func (w *world) credits(parent *made, to common.Address) (list []block.Withdrawal) {
	if parent.truth == nil || parent.truth.Fees.Sign() == 0 {
		return nil
	}
	miner, each, _ := w.model.Split(parent.truth)
	list = append(list, block.Withdrawal{Address: to, Amount: miner})
	for _, member := range w.spec.Federation {
		list = append(list, block.Withdrawal{Address: member, Amount: each})
	}
	return list
}

// grow is the action of that name.
func (w *world) grow(a Action) {
	parent := w.blocks[a.word(3)]
	for i := 1; i <= min(a.number(2), maxRun) && parent != nil; i++ {
		parent = w.make(a.word(1)+strconv.Itoa(i), parent, a)
	}
}

// breakers spoil a block in one place each, before it is signed.
var breakers = map[string]func(*block.Block){
	"parent":  func(b *block.Block) { b.ParentHash = common.Hash{1} },
	"payload": func(b *block.Block) { b.Payload.ParentHash = common.Hash{2}; reseal(b) },
	"number":  func(b *block.Block) { b.Payload.BlockNumber++; reseal(b) },
	"low":     func(b *block.Block) { b.Payload.BlockNumber = 0; reseal(b) },
	"hash":    func(b *block.Block) { b.Payload.BlockHash = common.Hash{3} },
	"state":   func(b *block.Block) { b.Payload.StateRoot = common.Hash{4}; reseal(b) },
	"time":    func(b *block.Block) { b.Payload.Timestamp = 1; b.Slot = 0; reseal(b) },
	"slot":    func(b *block.Block) { b.Slot += 1_000_000 },
	"start":   carrierBreaker(func(h *block.AuxPowHeader) { h.RangeStart = common.Hash{5} }),
	"end":     carrierBreaker(func(h *block.AuxPowHeader) { h.RangeEnd = common.Hash{6} }),
	"proof":   carrierBreaker(func(h *block.AuxPowHeader) { h.AuxPow = nil }),
	"structure": carrierBreaker(func(h *block.AuxPowHeader) {
		p := *h.AuxPow
		p.Coinbase = p.Coinbase.Copy()
		p.Coinbase.LockTime++
		h.AuxPow = &p
	}),
}

func carrierBreaker(spoil func(*block.AuxPowHeader)) func(*block.Block) {
	return func(b *block.Block) {
		if b.AuxPowHeader != nil {
			spoil(b.AuxPowHeader)
		}
	}
}

// reseal makes the payload's hash right again, so that only one thing is wrong.
func reseal(b *block.Block) { b.Payload.BlockHash = standin.PayloadHash(&b.Payload) }
