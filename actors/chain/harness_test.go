package chain_test

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/actors/supervisor"
	"github.com/AnduroProject/alys-go/actors/sync"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/snapshot"
)

// failer is what testing and rapid tests share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// startWall is the wall clock of a new rig, Unix milliseconds: slot 1000 of 1 s.
const startWall = 1_000_000

// rig is one node without disks, sockets and clocks: the machine with all four
// cores, real blocks, signatures and proofs, and edges that answer at once
// unless they are held.
type rig struct {
	t       failer
	id      journal.ID
	keep    func(actors.Turn) // may be nil
	spec    *spec.Chain
	config  *message.NodeConfigured
	machine *actors.Machine
	twin    *actors.Machine // restored from a snapshot and fed the same inputs
	work    *memo.Memo
	content map[[32]byte][]byte // what a journal would hold
	layer   *layer
	peg     *paper

	wall, mono int64
	timers     []timer
	effects    []effect // not executed yet
	held       map[core.Edge]bool
	aux        *message.AuxBlock // the newest work handed out
	signed     map[uint64]common.Hash

	names    map[common.Hash]string // of roots and payload hashes
	blocks   map[string]*block.Signed
	order    []string // names in the order the blocks were made
	log      strings.Builder
	failed   int  // turns
	refusing bool // the signer refuses
	backup   *actors.Machine
	ahead    int64 // of the clock that a restore is dated by, milliseconds
	// refuseThrough is what the signer is told at the start of a run, as a node does.
	refuseThrough uint64
	each          func()                  // called after every turn
	proof         []*message.Equivocation // that were told
	from          string                  // the peer who sends blocks
}

type timer struct {
	ref core.Ref
	by  core.ID
	at  int64 // wall clock, as asked
	due int64 // monotonic
}

type effect struct {
	ref     core.Ref
	actor   core.ID
	edge    core.Edge
	request core.Message
}

// newRig configures a node of a network with as many members. change may adjust
// chain spec and configuration.
func newRig(t failer, members int, change func(*spec.Chain, *message.NodeConfigured)) *rig {
	t.Helper()
	return newRigOf(t, journal.ID{1}, members, change, nil)
}

// newRigOf is newRig for the journal with this identity; keep gets every turn.
func newRigOf(t failer, id journal.ID, members int, change func(*spec.Chain, *message.NodeConfigured), keep func(actors.Turn)) *rig {
	t.Helper()
	c := spec.Dev()
	c.Authorities = nil
	for i := range members {
		c.Authorities = append(c.Authorities, aura.DevKey(uint64(i+1)).PublicKey())
	}
	r := &rig{
		t: t, id: id, keep: keep, spec: c, work: memo.New(), content: map[[32]byte][]byte{}, layer: newLayer(), peg: newPaper(), wall: startWall,
		held: map[core.Edge]bool{}, signed: map[uint64]common.Hash{},
		names: map[common.Hash]string{}, blocks: map[string]*block.Signed{},
	}
	r.config = &message.NodeConfigured{Producing: true, HasAuthority: true, Judging: true, Behaviour: 1, Software: "test", BuildWaitMs: 5}
	if change != nil {
		change(c, r.config)
	}
	genesis := r.layer.genesis()
	r.config.ChainSpec = record.NewContent(c.Encode())
	r.config.GenesisPayload = record.NewContent(genesis.Encode())
	r.add("genesis", block.Genesis(c, *genesis))
	r.machine = r.newMachine()
	r.input(actors.Input{Actor: core.Supervisor, Message: r.config})
	return r
}

func (r *rig) newMachine() *actors.Machine {
	m, err := actors.NewMachine(r.id, []core.Core{
		supervisor.New(chain.ID, engine.ID, miner.ID), chain.New(r.work), engine.New(), miner.New(), paperBridge{r.peg}, sync.New(), network.New(sync.ID),
	}, []core.Message{
		&message.StartTimer{}, &message.SignBlock{}, &message.ImportPayloads{}, &message.BuildPayload{}, &message.UpdateForkchoice{},
		&message.AuxBlock{}, &message.AuxBlockJudged{}, &message.StopProcess{}, &message.SigningAnswer{}, &message.OperatorAnswer{},
		&message.PublishBlock{}, &message.PublishWork{}, &message.PublishApproval{}, &message.FetchBlocks{}, &message.FetchApprovals{}, &message.SignApproval{}, &message.SignStatement{},
		&message.GuideConnections{}, &message.DisconnectPeer{},
	})
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	return m
}

func (r *rig) add(name string, b *block.Signed) {
	r.names[b.Block.Root()] = name
	if _, ok := r.names[b.Block.Payload.BlockHash]; !ok {
		r.names[b.Block.Payload.BlockHash] = name
	}
	if r.blocks[name] == nil {
		r.order = append(r.order, name)
	}
	r.blocks[name] = b
}

func (r *rig) state() *chain.State { return r.machine.State(chain.ID).(*chain.State) }

// input handles a message, everything it leads to, and the edges' answers.
func (r *rig) input(in actors.Input) {
	r.step(in)
	r.drain()
	r.run()
}

func (r *rig) send(to core.ID, m core.Message) { r.input(actors.Input{Actor: to, Message: m}) }

func (r *rig) drain() {
	for in, ok := r.machine.NextSend(); ok; in, ok = r.machine.NextSend() {
		r.step(in)
	}
}

// step makes one turn, keeps its contents and effects, and writes it down.
func (r *rig) step(in actors.Input) {
	in.Time = r.wall
	turn, err := r.machine.Step(in)
	if err != nil {
		r.t.Fatalf("%s of %s is no turn: %v", in.Message.Type(), in.Actor, err)
	}
	if r.keep != nil {
		r.keep(turn)
	}
	for _, c := range turn.Contents {
		r.content[c.Hash] = c.Data
	}
	for _, h := range turn.Event.Contents {
		if _, ok := r.content[h]; !ok {
			r.t.Fatalf("%s refers to content %x, which no turn carried", in.Message.Type(), h[:4])
		}
	}
	if turn.Event.Outcome == journal.OutcomeFailed {
		r.failed++
		fmt.Fprintf(&r.log, "FAILED %s %s: %s\n", in.Actor, in.Message.Type(), turn.Event.Note)
	}
	for i, o := range turn.Outputs {
		ref := core.Ref{Sequence: turn.Event.Sequence, Index: uint32(i)}
		r.output(in.Actor, ref, o)
	}
	if r.twin != nil {
		r.stepTwin(in, turn.Event.AppendTo(nil))
	}
	if len(r.peg.wrong) > 0 {
		r.t.Fatalf("the bridge is told or asked wrongly: %v", r.peg.wrong)
	}
	if r.each != nil {
		r.each()
	}
}

func (r *rig) stepTwin(in actors.Input, want []byte) {
	if in.Sent {
		in.Message = nil
		if own, ok := r.twin.NextSend(); ok {
			in.Message = own.Message
		}
	}
	turn, err := r.twin.Step(in)
	if err != nil {
		r.t.Fatalf("the restored machine refuses: %v", err)
	}
	if got := turn.Event.AppendTo(nil); !bytes.Equal(got, want) {
		r.t.Fatalf("event %d differs after a restore:\n%x\n%x", turn.Event.Sequence, got, want)
	}
}

func (r *rig) output(by core.ID, ref core.Ref, o core.Output) {
	switch m := o.Message.(type) {
	case *message.StartTimer:
		at := m.At
		if at == 0 {
			at = r.wall + int64(m.After)
		}
		r.timers = append(r.timers, timer{ref: ref, by: by, at: at, due: r.mono + at - r.wall})
		return
	case *message.SignBlock:
		r.onSign(m.Root, m.Slot)
		r.names[m.Root] = fmt.Sprintf("s%d", m.Slot)
	case *message.SignApproval:
		r.onSign(m.Root, m.Slot)
	case *message.ApprovalMade:
		if _, ok := r.names[m.Root]; !ok {
			r.names[m.Root] = fmt.Sprintf("s%d", m.Slot)
		}
	case *message.BlockProduced:
		b, _, err := r.work.Decode(m.Signed.Data)
		if err != nil {
			r.t.Fatalf("our own block: %v", err)
		}
		r.add(r.names[m.Root], b)
	case *message.AuxBlock:
		if m.Error == "" {
			r.aux = m
		}
	}
	if o.Kind == core.Effect && o.Class.Pending() {
		r.effects = append(r.effects, effect{ref, by, core.Edge(o.Target), o.Message})
	}
	if line := r.line(o); line != "" {
		fmt.Fprintf(&r.log, "%s\n", line)
	}
}

// onSign fails when a second block of a slot is signed, or one while signing is held.
func (r *rig) onSign(root common.Hash, slot uint64) {
	if hold := r.state().Hold; hold != nil {
		r.t.Fatalf("a signature of slot %d is asked for while signing is held since turn %d", slot, hold.Sequence)
	}
	if before, ok := r.signed[slot]; ok && before != root {
		r.t.Fatalf("slot %d is signed for %s and %s", slot, before, root)
	}
	r.signed[slot] = root
}

// run executes effects whose edge is not held, oldest first, until none is left.
func (r *rig) run() {
	for i := 0; i < len(r.effects); {
		e := r.effects[i]
		if r.held[e.edge] {
			i++
			continue
		}
		r.effects = append(r.effects[:i:i], r.effects[i+1:]...)
		r.step(actors.Input{Actor: e.actor, Message: r.execute(e), Cause: e.ref})
		r.drain()
		i = 0
	}
}

func (r *rig) execute(e effect) core.Message {
	switch m := e.request.(type) {
	case *message.ImportPayloads:
		return r.layer.run(r, m)
	case *message.UpdateForkchoice:
		return r.layer.move(m)
	case *message.BuildPayload:
		return r.layer.build(m)
	case *message.SignBlock:
		if r.refusing {
			return &message.SignRefused{Root: m.Root, Reason: "no key"}
		}
		if e.ref.Sequence <= r.refuseThrough {
			return &message.SignRefused{Root: m.Root, Reason: "it was asked for before signing was held"}
		}
		return &message.BlockSigned{Root: m.Root, Signature: aura.DevKey(uint64(r.config.Authority) + 1).Sign(m.Root)}
	case *message.SignApproval:
		if r.refusing {
			return &message.SignRefused{Root: m.Root, Reason: "no key"}
		}
		if e.ref.Sequence <= r.refuseThrough {
			return &message.SignRefused{Root: m.Root, Reason: "it was asked for before signing was held"}
		}
		return &message.ApprovalSigned{Root: m.Root, Signature: aura.DevKey(uint64(r.config.Authority) + 1).Sign(m.Root)}
	case *message.SignStatement:
		return &message.StatementSigned{RangeEnd: m.RangeEnd, Signature: aura.DevKey(uint64(r.config.Authority) + 1).Sign(aura.NeverApproveRoot(m.RangeEnd))}
	default:
		r.t.Fatalf("no edge for %s", m.Type())
		return nil
	}
}

// wait lets time pass; timers fire on the way.
func (r *rig) wait(ms int64) {
	end := r.mono + ms
	for {
		next := -1
		for i, t := range r.timers {
			if t.due <= end && (next < 0 || t.due < r.timers[next].due) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		t := r.timers[next]
		r.timers = append(r.timers[:next:next], r.timers[next+1:]...)
		r.pass(max(t.due-r.mono, 0))
		r.input(actors.Input{Actor: t.by, Cause: t.ref, Message: &message.TimerFired{Due: t.at, Wall: r.wall, Monotonic: r.mono}})
	}
	r.pass(end - r.mono)
}

func (r *rig) pass(ms int64) { r.wall, r.mono = r.wall+ms, r.mono+ms }

// restored returns a machine loaded from a snapshot of r's, and fails when the
// two differ in any entry or digest.
func (r *rig) restored() *actors.Machine {
	m := r.newMachine()
	resolve := func(h [32]byte) ([]byte, error) {
		data, ok := r.content[h]
		if !ok {
			return nil, fmt.Errorf("content %x is in no journal", h[:4])
		}
		return data, nil
	}
	before := r.machine.Freeze()
	for _, s := range before {
		err := s.Walk(func(key, value []byte) error {
			return m.Load(s.Name, bytes.Clone(key), bytes.Clone(value), resolve)
		})
		if err != nil {
			r.t.Fatalf("restoring %s: %v", s.Name, err)
		}
	}
	for i, s := range m.Freeze() {
		want, err1 := snapshot.Digest(before[i])
		got, err2 := snapshot.Digest(s)
		if err1 != nil || err2 != nil || got != want {
			r.t.Fatalf("state of %s restores with digest %s, not %s (%v, %v)", s.Name, got, want, err1, err2)
		}
	}
	return m
}

// restart ends the process and starts another from a snapshot of the last turn:
// configuration first, then what was pending.
func (r *rig) restart(change func(*message.NodeConfigured)) { r.start(change, nil) }

// restore ends the process, puts the backup in the place of the state, and
// starts from it as a node does whose journal was restored.
func (r *rig) restore(kind string, change func(*message.NodeConfigured)) {
	lost := r.machine.Sequence()
	r.machine = r.backup
	r.start(change, &message.JournalIncident{
		Number: 1, Kind: kind, After: r.machine.Sequence(), HeadBefore: lost, At: r.wall + r.ahead, Text: "by a test",
	})
}

// start starts a process from a snapshot of the last turn: an incident before
// everything else, sends that wait, the configuration, what was pending.
func (r *rig) start(change func(*message.NodeConfigured), incident *message.JournalIncident) {
	r.machine, r.twin = r.restored(), nil
	pending := r.machine.PendingEffects()
	r.timers, r.effects, r.mono = nil, nil, 0
	config := *r.config
	r.config = &config
	if change != nil {
		change(r.config)
	}
	if incident != nil {
		r.step(actors.Input{Actor: chain.ID, Message: incident})
	}
	if hold := r.state().Hold; hold != nil {
		r.refuseThrough = hold.Sequence
	}
	r.drain()
	r.step(actors.Input{Actor: core.Supervisor, Message: r.config})
	r.drain()
	for _, e := range pending {
		if e.Class == core.Expiring {
			r.step(actors.Input{Actor: e.Actor(), Message: &core.Expired{Reason: "restart"}, Cause: e.Ref})
			r.drain()
			continue
		}
		r.effects = append(r.effects, effect{e.Ref, e.Actor(), e.Edge, e.Request})
	}
	r.run()
}

// take returns what was written down since the last call.
func (r *rig) take() string {
	defer r.log.Reset()
	return r.log.String()
}
