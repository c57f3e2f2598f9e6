package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	actorengine "github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
	"github.com/AnduroProject/alys-go/journal"
)

// chainFigures measures the chain: its cores without execution layer and disk, and
// imports with both beside their reference.
func (b *bench) chainFigures(ctx context.Context) error {
	for _, part := range []func(context.Context) error{b.validated, b.reorgs, b.treeMemory, b.signatures, b.imports, b.generated} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// line is the cores of a node, driven without journal: an execution layer that
// stands in answers at once, and its time is not counted.
type line struct {
	spec    *spec.Chain
	genesis *block.Signed
	machine *actors.Machine
	layer   *standin.Layer
	work    *standin.Work
	blocks  map[[32]byte][]byte
	waiting []actors.Input // answers of the execution layer
	outside time.Duration  // time in the layer
	longest time.Duration  // of one turn
	head    uint64
}

func newLine() (*line, error) {
	l := &line{spec: standin.Spec(3), layer: standin.NewLayer(), work: standin.NewWork(), blocks: make(map[[32]byte][]byte)}
	l.spec.MaxBlocksWithoutPow = 1 << 40
	l.genesis = block.Genesis(l.spec, *standin.Genesis())
	var err error
	if l.machine, err = cores.NewMachine(journal.ID{1}, l.work); err != nil {
		return nil, err
	}
	return l, l.run(actors.Input{Actor: core.Supervisor, Message: &message.NodeConfigured{
		ChainSpec: record.NewContent(l.spec.Encode()), GenesisPayload: record.NewContent(standin.Genesis().Encode()),
		Behaviour: cores.Behaviour, Software: standin.Software,
	}})
}

// run handles a message and all that follows from it.
func (l *line) run(in actors.Input) error {
	l.waiting = append(l.waiting, in)
	for len(l.waiting) > 0 {
		next := l.waiting[0]
		l.waiting = l.waiting[1:]
		if err := l.step(next); err != nil {
			return err
		}
		for {
			send, ok := l.machine.NextSend()
			if !ok {
				break
			}
			if err := l.step(send); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *line) step(in actors.Input) error {
	in.Time = l.machine.Time() + 1
	started := time.Now()
	turn, err := l.machine.Step(in)
	l.longest = max(l.longest, time.Since(started))
	if err != nil {
		return err
	}
	if turn.Event.Outcome == journal.OutcomeFailed {
		return fmt.Errorf("turn %d failed: %s", turn.Event.Sequence, turn.Event.Note)
	}
	started = time.Now()
	defer func() { l.outside += time.Since(started) }()
	for i, o := range turn.Outputs {
		switch m := o.Message.(type) {
		case *message.HeadChanged:
			l.head = m.Number
		case *message.BlockRefused:
			return fmt.Errorf("block %d refused: %s: %s", m.Number, m.Field, m.Reason)
		case *message.ImportPayloads:
			if err := l.execute(m, in.Actor, core.Ref{Sequence: turn.Event.Sequence, Index: uint32(i)}); err != nil {
				return err
			}
		case *message.UpdateForkchoice:
			l.waiting = append(l.waiting, actors.Input{Actor: in.Actor, Message: l.layer.Forkchoice(m), Cause: core.Ref{Sequence: turn.Event.Sequence, Index: uint32(i)}})
		}
	}
	return nil
}

func (l *line) execute(m *message.ImportPayloads, by core.ID, cause core.Ref) error {
	whole := &message.ImportPayloads{Finalized: m.Finalized}
	for _, b := range m.Blocks {
		if b.Signed.Data == nil {
			b.Signed.Data = l.blocks[b.Signed.Hash]
		}
		whole.Blocks = append(whole.Blocks, b)
	}
	result, err := l.layer.Import(whole, l.work.Decode)
	if err == nil {
		l.waiting = append(l.waiting, actors.Input{Actor: by, Message: result, Cause: cause})
	}
	return err
}

// grow makes n blocks above a parent, each signed by all three members.
func (l *line) grow(parent *block.Signed, n int, extra string) (branch []*block.Signed) {
	for range n {
		parent = standin.Make(l.spec, standin.Plan{Parent: parent, By: []int{0, 1, 2}, Extra: extra})
		branch = append(branch, parent)
	}
	return branch
}

// feed hands over blocks as gossip, so many a message, and returns the time of the cores.
func (l *line) feed(branch []*block.Signed, atOnce int) (time.Duration, error) {
	var messages []*message.BlocksReceived
	for at := 0; at < len(branch); at += atOnce {
		m := &message.BlocksReceived{Origin: chain.Gossip}
		for _, s := range branch[at:min(at+atOnce, len(branch))] {
			c := record.NewContent(s.Encode())
			l.blocks[c.Hash] = c.Data
			m.Blocks = append(m.Blocks, message.Block{Signed: c})
		}
		messages = append(messages, m)
	}
	l.outside, l.longest = 0, 0
	started := time.Now()
	for _, m := range messages {
		if err := l.run(actors.Input{Actor: chain.ID, Message: m}); err != nil {
			return 0, err
		}
	}
	return time.Since(started) - l.outside, nil
}

// validated measures blocks from the message to the head: every rule, the turns of
// all actors and their events, without signatures, execution and disk.
func (b *bench) validated(context.Context) error {
	const n = 5000
	l, err := newLine()
	if err != nil {
		return err
	}
	took, err := l.feed(l.grow(l.genesis, n, ""), 1)
	if err != nil {
		return err
	}
	if l.head != n {
		return fmt.Errorf("%d blocks led to head %d", n, l.head)
	}
	row("blocks to the head, one a message, no execution", "%s blocks/s (every rule and turn; stand-in signatures)", thousands(n/took.Seconds()))
	return nil
}

// reorgRuns is how often each depth is measured; the median is told.
const reorgRuns = 5

// reorgs measures the change to a branch that is one block longer, from the block
// that decides it: the side blocks are executed then, and one turn moves the head.
func (b *bench) reorgs(context.Context) error {
	for _, depth := range []int{1, 100, 1000} {
		var whole, turns []time.Duration
		for range reorgRuns {
			took, turn, err := reorg(depth)
			if err != nil {
				return err
			}
			whole, turns = append(whole, took), append(turns, turn)
		}
		slices.Sort(whole)
		slices.Sort(turns)
		row(fmt.Sprintf("reorg of depth %d without execution layer", depth), "%v, longest turn %v%s",
			whole[reorgRuns/2].Round(10*time.Microsecond), turns[reorgRuns/2].Round(10*time.Microsecond), target(depth))
	}
	return nil
}

// reorg makes one reorganisation on cores of its own.
func reorg(depth int) (took, longest time.Duration, err error) {
	l, err := newLine()
	if err != nil {
		return 0, 0, err
	}
	if _, err = l.feed(l.grow(l.genesis, depth, ""), 64); err != nil {
		return 0, 0, err
	}
	other := l.grow(l.genesis, depth+1, "b")
	if _, err = l.feed(other[:depth], 64); err != nil {
		return 0, 0, err
	}
	if l.head != uint64(depth) || l.headRoot() == other[depth-1].Block.Root() {
		return 0, 0, fmt.Errorf("a branch of equal height replaced the head at %d", depth)
	}
	runtime.GC() // of what was made until now
	if took, err = l.feed(other[depth:], 1); err != nil {
		return 0, 0, err
	}
	if l.headRoot() != other[depth].Block.Root() {
		return 0, 0, fmt.Errorf("no reorganisation of depth %d: head %d", depth, l.head)
	}
	return took, l.longest, nil
}

func target(depth int) string {
	if depth == 1000 {
		return " (target 100 ms)"
	}
	return ""
}

func (l *line) headRoot() common.Hash {
	return l.machine.State(chain.ID).(*chain.State).Head.Root
}

// treeMemory measures what 10,000 blocks above the finalised one take in the states
// of the actors.
func (b *bench) treeMemory(context.Context) error {
	const n = 10_000
	l, err := newLine()
	if err != nil {
		return err
	}
	if _, err := l.feed(l.grow(l.genesis, n, ""), 256); err != nil {
		return err
	}
	l.layer, l.work, l.blocks, l.waiting, l.genesis = nil, nil, nil, nil, nil
	entries := l.machine.State(chain.ID).(*chain.State).Head.Number
	states := []core.State{l.machine.State(chain.ID).Clone(), l.machine.State(actorengine.ID).Clone()}
	l.machine = nil
	with := heapBytes()
	runtime.KeepAlive(states)
	clear(states)
	without := heapBytes()
	row("memory of a tree of 10,000 blocks", "%.1f MB, %d bytes a block (chain and engine actor, head %d)",
		float64(with-without)/1e6, (with-without)/n, entries)
	return nil
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
