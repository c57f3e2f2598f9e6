package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
)

// running is a node on a data directory that is given made blocks and started again.
type running struct {
	t      testing.TB
	dir    string
	chain  *spec.Chain
	node   *node.Node
	cancel context.CancelFunc
	done   chan error
	change func(*node.Options) // nil for none

	mu    sync.Mutex
	facts []core.Message // of the current run
	log   bytes.Buffer
}

func newRunning(t testing.TB, c *spec.Chain) *running { return newRunningWith(t, c, nil) }

// newRunningWith is one whose every run has changed options.
func newRunningWith(t testing.TB, c *spec.Chain, change func(*node.Options)) *running {
	r := &running{t: t, dir: t.TempDir(), chain: c, change: change}
	r.start()
	t.Cleanup(func() {
		if r.node != nil {
			r.stop()
		}
	})
	return r
}

// Write takes the log.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *running) open(ctx context.Context) (*node.Node, error) {
	genesis, err := json.Marshal(engine.DevGenesis(uint64(r.chain.ChainID)))
	if err != nil {
		r.t.Fatal(err)
	}
	o := node.Options{
		DataDir: r.dir, ChainSpec: r.chain.Encode(), GenesisJSON: genesis, SnapshotTurns: 20,
		Logger: slog.New(slog.NewTextHandler(r, nil)),
		OnFact: func(f node.Fact) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.facts = append(r.facts, f.Message)
		},
	}
	if r.change != nil {
		r.change(&o)
	}
	return node.Open(ctx, o)
}

func (r *running) start() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	n, err := r.open(ctx)
	if err != nil {
		cancel()
		r.t.Fatal(err)
	}
	r.node, r.cancel, r.facts = n, cancel, nil
	started, done := make(chan struct{}), make(chan error, 1)
	r.done = done
	go func() { done <- n.Run(ctx, func() { close(started) }) }()
	select {
	case <-started:
	case err := <-done:
		r.t.Fatal(err)
	}
}

func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	err := errors.Join(<-r.done, r.node.Close())
	r.node = nil
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

// give has the node receive blocks, as from a peer.
func (r *running) give(blocks ...*block.Signed) {
	r.t.Helper()
	for some := range slices.Chunk(blocks, 100) {
		if err := r.node.Blocks(r.t.Context(), received(some)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// await fails unless the node soon has this head and finalised block, and its
// execution layer the same ones. No finalised block is asked for with nil.
func (r *running) await(head, finalised *block.Signed) {
	r.t.Helper()
	var text string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s := r.node.Status()
		executed, final := r.node.ExecutionHeads(r.t.Context())
		ours := s.Head.Hash == head.Block.Root().Hex() && executed == head.Block.Payload.BlockHash
		if finalised != nil {
			ours = ours && s.Finalized.Hash == finalised.Block.Root().Hex() && final == finalised.Block.Payload.BlockHash
		}
		if ours {
			return
		}
		text = strings.Join([]string{"head", s.Head.Hash, "finalised", s.Finalized.Hash, "executed", executed.Hex(), "its finalised", final.Hex()}, " ")
	}
	r.t.Fatalf("no head %d %s (payload %s): %s\n%s", head.Block.Payload.BlockNumber, head.Block.Root(), head.Block.Payload.BlockHash, text, r.logged())
}

// awaitFact returns the first fact of this run of the type of like.
func awaitFact[M core.Message](r *running) (m M) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if all := factsOf[M](r); len(all) > 0 {
			return all[0]
		}
	}
	r.t.Fatalf("no fact %s\n%s", m.Type(), r.logged())
	return m
}

// awaitMove fails unless the head was moved to a block in one turn, with a
// reorganisation of this depth from the common ancestor.
func (r *running) awaitMove(to *block.Signed, depth int, ancestor *block.Signed) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, m := range factsOf[*message.HeadChanged](r) {
			if m.Root != id(to).Root {
				continue
			}
			if m.Depth != uint64(depth) || *m.Ancestor != id(ancestor) {
				r.t.Errorf("the head moved by %+v, want %d deep from %+v", m, depth, id(ancestor))
			}
			return
		}
	}
	r.t.Fatalf("the head never moved to %+v\n%s", id(to), r.logged())
}

// factsOf returns the facts of this run of one type.
func factsOf[M core.Message](r *running) (list []M) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.facts {
		if m, ok := f.(M); ok {
			list = append(list, m)
		}
	}
	return list
}

func (r *running) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// wantLine fails unless a line of the log has all these parts.
func (r *running) wantLine(parts ...string) {
	r.t.Helper()
	for line := range strings.Lines(r.logged()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return
		}
	}
	r.t.Errorf("no line of the log has %q\n%s", parts, r.logged())
}

// branchOf is one branch of the chain that a maker makes.
type branchOf struct {
	*maker
	blocks []*block.Signed // by height less one
}

// fork returns the branch as it was at a height. Its next block leaves out slots, by
// which it differs.
func (b *branchOf) fork(height int, later uint64) *branchOf {
	m := *b.maker
	f := &branchOf{maker: &m, blocks: slices.Clone(b.blocks[:height])}
	m.head, m.open, m.carrier, m.later = b.blocks[height-1], nil, 0, later
	for i, s := range f.blocks {
		if s.Block.AuxPowHeader != nil {
			m.carrier, m.open = uint64(i+1), nil
		}
		m.open = append(m.open, s.Block.Root())
	}
	return f
}

// extend makes count blocks; the last is a carrier when that is asked for. It
// returns them.
func (b *branchOf) extend(count int, carrier bool) []*block.Signed {
	b.t.Helper()
	for i := range count {
		b.every = 1 << 30
		if carrier && i == count-1 {
			b.every = len(b.open)
		}
		b.next()
		b.blocks = append(b.blocks, b.head)
	}
	return b.blocks[len(b.blocks)-count:]
}

func (b *branchOf) at(height int) *block.Signed { return b.blocks[height-1] }

func newBranch(t *testing.T, c *spec.Chain) *branchOf { return &branchOf{maker: newMaker(t, c)} }

func id(s *block.Signed) message.BlockID {
	return message.BlockID{Root: s.Block.Root(), Number: s.Block.Payload.BlockNumber}
}

// TestReaderAtTheStart: a command that reads the stopped node's journal at the moment the
// node starts does not keep it from starting; one that stays does, by name.
func TestReaderAtTheStart(t *testing.T) {
	dir := t.TempDir()
	runUntil(t, devOptions(t, dir), func(node.Fact) bool { return true })
	read := func() *journal.Journal {
		j, err := journal.Open(journal.Options{Dir: node.JournalDir(dir), ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	short := read()
	timer := time.AfterFunc(200*time.Millisecond, func() { _ = short.Close() })
	defer timer.Stop()
	n, err := node.Open(t.Context(), devOptions(t, dir))
	if err != nil {
		t.Fatalf("a reader of a moment keeps the node from starting: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	long := read()
	defer long.Close()
	if n, err := node.Open(t.Context(), devOptions(t, dir)); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("a journal that stays in use is opened: %v %v", n, err)
	}
}
