package peg

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// node is an honest member: a bridge core with a journal in memory and its edges.
type node struct {
	w      *world
	index  int
	config *message.NodeConfigured
	core   core.Core
	state  core.State

	log     []entry
	content map[[32]byte][]byte
	saved   []saved // a snapshot, and the turn after which it was taken
	savedAt int

	pending []effect // without an answer
	away    bool     // Bitcoin does not answer
	mute    bool     // the signer does not answer

	told     map[common.Hash]bool
	head     *block
	judged   map[common.Hash]*message.PegJudged
	planned  *message.PegPlanned
	ledger   ledger
	alarms   map[string]int
	halted   bool
	checked  map[common.Hash]*bridge.Wallet // wallets that were checked
	answered map[chainhash.Hash]bool        // the signer signed
}

// maxAlarms is how often the same alarm may be raised: each order to sign raises its own.
const maxAlarms = 60

// entry is one turn as a journal has it.
type entry struct {
	typ   string
	body  []byte
	cause core.Ref
	time  int64
	out   []byte
}

type saved struct{ key, value []byte }

type effect struct {
	ref     core.Ref
	edge    core.Edge
	class   core.Class
	request core.Message
}

func (w *world) newNode(index int) *node {
	n := &node{
		w: w, index: index, core: bridge.New(), content: map[[32]byte][]byte{}, told: map[common.Hash]bool{}, judged: map[common.Hash]*message.PegJudged{},
		ledger: newLedger(), alarms: map[string]int{}, checked: map[common.Hash]*bridge.Wallet{}, answered: map[chainhash.Hash]bool{},
		config: &message.NodeConfigured{
			ChainSpec: record.NewContent(w.spec.Encode()), Judging: true, HasAuthority: true, Bitcoin: true, HasPegKey: true, PegMember: uint32(index),
			Behaviour: 2, MinFeeRate: minRate, MaxFeeRate: maxRate, FallbackFeeRate: 2000, PayoutConfirmations: 3,
		},
	}
	n.state = n.core.NewState()
	n.input(core.Ref{}, n.config)
	n.tell(w.genesis)
	return n
}

func (n *node) bridge() *bridge.State { return n.state.(*bridge.State) }

// input handles a message and what the edges answer at once.
func (n *node) input(cause core.Ref, m core.Message) {
	n.turn(cause, m)
	n.run()
}

func (n *node) turn(cause core.Ref, m core.Message) {
	body, contents := record.Encode(m)
	n.keep(contents)
	e := entry{typ: m.Type(), body: bytes.Clone(body), cause: cause, time: n.w.time}
	n.log = append(n.log, e)
	list := n.handle(len(n.log), e)
	n.log[len(n.log)-1].out = n.spell(list)
	n.pending = slices.DeleteFunc(n.pending, func(p effect) bool { return !cause.None() && p.ref == cause })
	for i, o := range list {
		n.take(core.Ref{Sequence: uint64(len(n.log)), Index: uint32(i)}, o)
	}
	n.w.stats.Turns++
}

// handle runs the turn with a sequence on a copy of the state, from the journaled bytes.
func (n *node) handle(sequence int, e entry) []core.Output {
	next := n.state.Clone()
	var out core.Out
	n.core.Handle(next, n.decode(e), core.Turn{Sequence: uint64(sequence), Time: e.time, Cause: e.cause}, &out)
	n.state = next
	return out.List()
}

func (n *node) keep(contents []record.Content) {
	for _, c := range contents {
		n.content[c.Hash] = c.Data
	}
}

// spell is what a turn's outputs are, in bytes.
func (n *node) spell(list []core.Output) []byte {
	var b []byte
	for _, o := range list {
		body, contents := record.Encode(o.Message)
		n.keep(contents)
		b = append(fmt.Appendf(b, "%d %s %d %s ", o.Kind, o.Target, o.Class, o.Message.Type()), body...)
	}
	return b
}

func (n *node) decode(e entry) core.Message {
	for _, known := range n.core.Messages() {
		if known.Type() == e.typ {
			m := reflect.New(reflect.TypeOf(known).Elem()).Interface().(core.Message)
			if err := record.Decode(e.body, m, n.resolve); err != nil {
				panic(err)
			}
			return m
		}
	}
	panic("the bridge does not handle " + e.typ)
}

func (n *node) resolve(hash [32]byte) ([]byte, error) {
	data, ok := n.content[hash]
	if !ok {
		return nil, fmt.Errorf("content %x is in no journal", hash[:4])
	}
	return data, nil
}

// take notes an output.
func (n *node) take(ref core.Ref, o core.Output) {
	switch o.Kind {
	case core.Send:
		switch m := o.Message.(type) {
		case *message.PegJudged:
			n.w.verdict(n, m)
		case *message.PegPlanned:
			n.planned = m
		}
	case core.Fact:
		n.fact(o.Message)
	case core.Effect:
		if m, ok := o.Message.(*message.PublishSignatures); ok {
			n.w.hear(m)
		}
		if o.Class.Pending() {
			n.pending = append(n.pending, effect{ref, core.Edge(o.Target), o.Class, o.Message})
		}
	}
}

func (n *node) fact(m core.Message) {
	n.ledger.fold(m)
	switch m := m.(type) {
	case *message.PegAlarm:
		n.alarms[m.Rule+m.Reason]++
		if n.alarms[m.Rule+m.Reason] > maxAlarms {
			n.w.fail("an alarm is told once", n, "%s: %s", m.Rule, m.Reason)
		}
		n.w.stats.Alarms[m.Rule]++
	case *message.PegHalted:
		n.halted = true
		n.w.stats.Halts++
	case *message.PegResumed:
		n.halted = false
	}
}

// run has the edges answer until none does.
func (n *node) run() {
	for {
		i := slices.IndexFunc(n.pending, func(e effect) bool { return n.answer(e.request) != nil })
		if i < 0 {
			return
		}
		e := n.pending[i]
		n.turn(e.ref, n.perform(e.request))
	}
}

// answer is an edge's answer without its doings, nil for none now.
func (n *node) answer(request core.Message) core.Message {
	switch r := request.(type) {
	case *message.FollowBitcoin:
		if n.away {
			return nil
		}
		return n.w.bitcoin.follow(r)
	case *message.FetchTransaction, *message.BroadcastTransaction:
		if n.away {
			return nil
		}
		return r
	case *message.SignPayout:
		if n.mute {
			return nil
		}
		return r
	}
	return nil
}

// perform does what an effect asks for, and answers.
func (n *node) perform(request core.Message) core.Message {
	switch r := request.(type) {
	case *message.FollowBitcoin:
		return n.w.bitcoin.follow(r)
	case *message.FetchTransaction:
		return n.w.bitcoin.fetch(r)
	case *message.BroadcastTransaction:
		return n.w.bitcoin.broadcast(r)
	case *message.SignPayout:
		return n.sign(r)
	}
	panic("no edge performs " + request.Type())
}

// sign signs what it is asked to. The signatures are known to the thief from now on.
func (n *node) sign(r *message.SignPayout) core.Message {
	tx := readTx(r.Raw.Data)
	var spent []*wire.TxOut
	for _, s := range r.Spent {
		spent = append(spent, wire.NewTxOut(int64(s.Amount), s.Script))
	}
	list := n.w.signatures(n.index, tx, spent)
	n.w.learn(tx, spent, n.index, list)
	n.answered[r.Txid] = true
	n.w.stats.Signed++
	return &message.PayoutSigned{Txid: r.Txid, Signatures: list}
}

// wake fires the timers.
func (n *node) wake() {
	for _, e := range slices.Clone(n.pending) {
		if _, timer := e.request.(*message.StartTimer); timer {
			n.input(e.ref, &message.TimerFired{})
		}
	}
}

// tell gives the node executed blocks, parents first, and has its head move to the last.
func (n *node) tell(to *block) {
	m := &message.FollowChain{Head: &message.BlockID{Root: to.Root, Number: to.Number}}
	if n.w.final.under(to) {
		m.Finalized = &message.BlockID{Root: n.w.final.Root, Number: n.w.final.Number}
	}
	for b := to; b != nil && !n.told[b.Root]; b = b.parent {
		m.Blocks = append(m.Blocks, b.PegBlock)
		n.told[b.Root] = true
	}
	slices.Reverse(m.Blocks)
	if n.head != nil && !n.head.under(to) {
		n.w.stats.Reorgs++
	}
	n.head = to
	n.input(core.Ref{}, m)
}

// plan asks for the peg's part of a block.
func (n *node) plan(parent *block, start, end *block) *message.PegPlanned {
	m := &message.PlanPeg{Slot: uint64(n.w.time), Parent: parent.Root, Room: 16}
	if end != nil {
		m.RangeStart, m.RangeEnd = start.Root, end.Root
	}
	n.planned = nil
	n.input(core.Ref{}, m)
	if n.planned == nil {
		n.w.fail("every plan is answered", n, "on %s", parent.name)
	}
	return n.planned
}

// save takes a snapshot.
func (n *node) save() {
	n.saved, n.savedAt = n.walk(n.state), len(n.log)
}

func (n *node) walk(s core.State) (list []saved) {
	if err := s.Walk(func(key, value []byte) error {
		if k := len(list); k > 0 && bytes.Compare(list[k-1].key, key) >= 0 {
			return fmt.Errorf("key %x follows %x", key, list[k-1].key)
		}
		list = append(list, saved{bytes.Clone(key), bytes.Clone(value)})
		return nil
	}); err != nil {
		n.w.fail("snapshots are canonical", n, "%v", err)
	}
	return list
}

// crash ends the process and starts the next from the snapshot, or from the beginning, and
// the turns after it, which must come out as they were. Effects that were performed and
// whose answers are lost are performed again.
func (n *node) crash(performed bool) {
	n.w.stats.Crashes++
	if performed {
		for _, e := range n.pending {
			if e.class == core.UntilDone {
				n.perform(e.request)
			}
		}
	}
	before := n.walk(n.state)
	n.state = n.core.NewState()
	for _, s := range n.saved {
		if err := n.state.Load(bytes.Clone(s.key), bytes.Clone(s.value), n.resolve); err != nil {
			n.w.fail("snapshots load", n, "key %x: %v", s.key, err)
		}
	}
	for i := n.savedAt; i < len(n.log); i++ {
		if out := n.spell(n.handle(i+1, n.log[i])); !bytes.Equal(out, n.log[i].out) {
			n.w.fail("replay equals live", n, "turn %d, %s, from turn %d", i+1, n.log[i].typ, n.savedAt)
		}
	}
	if after := n.walk(n.state); !slices.EqualFunc(before, after, func(a, b saved) bool { return bytes.Equal(a.key, b.key) && bytes.Equal(a.value, b.value) }) {
		n.w.fail("replay equals live", n, "the state differs after %d turns, from turn %d", len(n.log), n.savedAt)
	}
	expired := slices.Clone(n.pending)
	n.turn(core.Ref{}, n.config)
	for _, e := range expired {
		if e.class == core.Expiring {
			n.turn(e.ref, &core.Expired{Reason: "restart"})
		}
	}
	n.run()
}
