package main

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/chain"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/engine"
	"github.com/AnduroProject/alys-go/actors/network"
	"github.com/AnduroProject/alys-go/internal/cores"
	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/edge/p2p/host"
	"github.com/AnduroProject/alys-go/internal/memo"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/sim/standin"
	"github.com/AnduroProject/alys-go/journal"
)

// victim is a full node: the real cores with real signatures, and the real edge of
// peers on a port of its own. Its execution layer is a stand-in, and its turns are kept
// in memory only.
type victim struct {
	net   *p2p.Network
	world *world
	memo  *memo.Memo

	machine *actors.Machine // and what follows belong to the goroutine of run
	layer   *standin.Layer
	begun   time.Time
	inbox   chan actors.Input
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	contents map[[32]byte][]byte
	branch   []common.Hash // roots by height
	raw      map[common.Hash][]byte
	head     message.BlockID
	final    message.BlockID
	facts    []core.Message // of the network actor
	failed   string         // a turn that failed
}

// inboxSize is how many messages wait; an edge that brings more waits too.
const inboxSize = 1024

func startVictim(ctx context.Context, w *world, dir string) (*victim, error) {
	v := &victim{
		world: w, memo: memo.New(), layer: standin.NewLayer(), begun: time.Now(), inbox: make(chan actors.Input, inboxSize),
		contents: map[[32]byte][]byte{}, raw: map[common.Hash][]byte{},
	}
	var err error
	if v.machine, err = cores.NewMachine(journal.ID{1}, v.memo); err != nil {
		return nil, err
	}
	ctx, v.stop = context.WithCancel(ctx)
	key, err := host.Identity(filepath.Join(dir, "peer.key"))
	if err != nil {
		return nil, err
	}
	config := &message.NodeConfigured{
		ChainSpec: record.NewContent(w.spec.Encode()), GenesisPayload: record.NewContent(standin.Genesis().Encode()),
		Behaviour: cores.Behaviour, Software: standin.Software + " byzantine", Peers: true,
	}
	v.memo.Prepare(config)
	v.inbox <- actors.Input{Actor: core.Supervisor, Message: config}
	for _, b := range w.blocks[:w.known] {
		v.inbox <- actors.Input{Actor: chain.ID, Message: &message.BlocksReceived{Origin: chain.Sync, Blocks: []message.Block{{Signed: record.NewContent(b)}}}}
	}
	opened := make(chan struct{})
	v.running.Go(func() { v.run(ctx, opened) })
	v.net, err = p2p.Open(ctx, v.options(key))
	close(opened)
	return v, err
}

// Close ends the node.
func (v *victim) Close() error {
	err := v.net.Close()
	v.stop()
	v.running.Wait()
	return err
}

// run is the sequencer: one message after the other.
func (v *victim) run(ctx context.Context, opened <-chan struct{}) {
	select {
	case <-opened:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case in := <-v.inbox:
			v.step(ctx, in)
			for in, ok := v.machine.NextSend(); ok; in, ok = v.machine.NextSend() {
				v.step(ctx, in)
			}
		}
	}
}

func (v *victim) step(ctx context.Context, in actors.Input) {
	in.Time = time.Now().UnixMilli()
	made, err := v.machine.Step(in)
	if err != nil {
		return // an answer that nobody waits for any more
	}
	v.mu.Lock()
	for _, c := range made.Contents {
		v.contents[c.Hash] = append([]byte(nil), c.Data...)
	}
	if made.Event.Outcome == journal.OutcomeFailed {
		v.failed = made.Event.Note
	}
	v.mu.Unlock()
	sequence := made.Event.Sequence
	for i, o := range append([]core.Output(nil), made.Outputs...) {
		switch o.Kind {
		case core.Fact:
			v.fact(o.Message)
		case core.Effect:
			v.execute(ctx, core.Edge(o.Target), in.Actor, core.Ref{Sequence: sequence, Index: uint32(i)}, o)
		}
	}
}

// fact keeps what is shown and served.
func (v *victim) fact(m core.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch f := m.(type) {
	case *message.BlockConnected:
		v.branch = append(v.branch, f.Root)
		v.raw[f.Root] = v.contents[f.Signed.Hash]
	case *message.BlockReverted:
		v.branch = v.branch[:len(v.branch)-1]
	case *message.HeadChanged:
		v.head = message.BlockID{Root: f.Root, Number: f.Number}
	case *message.BlockFinalized:
		v.final = message.BlockID{Root: f.Root, Number: f.Number}
	case *message.PeerScored, *message.PeerBanned, *message.PeerJoined, *message.PeerLeft:
		v.facts = append(v.facts, m)
	}
}

// execute gives an effect to its edge; results come back through the inbox.
func (v *victim) execute(ctx context.Context, edge core.Edge, by core.ID, ref core.Ref, o core.Output) {
	reply := func(m core.Message) {
		if !o.Class.Pending() {
			return
		}
		v.running.Go(func() {
			v.memo.Prepare(m)
			select {
			case v.inbox <- actors.Input{Actor: by, Message: m, Cause: ref}:
			case <-ctx.Done():
			}
		})
	}
	switch edge {
	case chain.TimerEdge:
		if m, ok := o.Message.(*message.StartTimer); ok {
			v.timer(m, reply)
		}
	case engine.Edge:
		if m := v.engine(o.Message); m != nil {
			reply(m)
		}
	case chain.PeersEdge:
		v.running.Go(func() { v.net.Execute(ctx, o.Message, func(m p2p.Message) { reply(m) }) })
	}
}

func (v *victim) timer(m *message.StartTimer, reply func(core.Message)) {
	wait := time.Duration(m.After) * time.Millisecond
	if m.At != 0 {
		wait = time.Until(time.UnixMilli(m.At))
	}
	time.AfterFunc(wait, func() {
		reply(&message.TimerFired{Due: m.At, Wall: time.Now().UnixMilli(), Monotonic: time.Since(v.begun).Milliseconds()})
	})
}

// engine is the execution layer.
func (v *victim) engine(m core.Message) core.Message {
	switch m := m.(type) {
	case *message.ImportPayloads:
		blocks := append([]message.Block(nil), m.Blocks...)
		for i := range blocks {
			blocks[i].Signed.Data, _ = v.content(blocks[i].Signed)
		}
		result, err := v.layer.Import(&message.ImportPayloads{Blocks: blocks, Finalized: m.Finalized}, v.memo.Decode)
		if err != nil {
			return nil
		}
		return result
	case *message.UpdateForkchoice:
		return v.layer.Forkchoice(m)
	}
	return nil
}

func (v *victim) content(c record.Content) ([]byte, error) {
	if c.Data != nil {
		return c.Data, nil
	}
	return v.Content(context.Background(), c.Hash)
}

// deliver takes what the edge admitted.
func (v *victim) deliver(ctx context.Context, m p2p.Message) error {
	to := network.ID
	switch m.(type) {
	case *message.BlocksReceived, *message.ApprovalReceived, *message.QueueWork:
		to = chain.ID
	case *message.SignaturesReceived:
		to = bridge.ID
	}
	v.memo.Prepare(m)
	select {
	case v.inbox <- actors.Input{Actor: to, Message: m}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status implements p2p.Source.
func (v *victim) Status() (head, finalized message.BlockID, synced bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.head, v.final, true
}

// Blocks implements p2p.Source.
func (v *victim) Blocks(_ context.Context, from uint64, each func([]byte) error) error {
	for {
		v.mu.Lock()
		var raw []byte
		if from < uint64(len(v.branch)) {
			raw = v.raw[v.branch[from]]
		}
		v.mu.Unlock()
		if raw == nil {
			return nil
		}
		if err := each(raw); err != nil {
			return err
		}
		from++
	}
}

// Descend implements p2p.Source.
func (v *victim) Descend(_ context.Context, root common.Hash, lowest uint64, each func([]byte) error) error {
	for {
		v.mu.Lock()
		raw := v.raw[root]
		v.mu.Unlock()
		if raw == nil {
			return nil
		}
		b, _, err := v.memo.Decode(raw)
		if err != nil || b.Block.Payload.BlockNumber < lowest {
			return err
		}
		if err := each(raw); err != nil {
			return err
		}
		root = b.Block.ParentHash
	}
}

// Content implements p2p.Source.
func (v *victim) Content(_ context.Context, hash [32]byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	data := v.contents[hash]
	if data != nil && sha256.Sum256(data) != hash {
		panic("a content has another hash")
	}
	return data, nil
}

// Approvals implements p2p.Source.
func (v *victim) Approvals(context.Context, common.Hash) ([]aura.Approval, error) { return nil, nil }

// Signatures implements p2p.Source.
func (v *victim) Signatures(context.Context, [32]byte) ([]message.PaymentSignatures, error) {
	return nil, nil
}

// Transaction implements p2p.Source.
func (v *victim) Transaction(common.Hash) []byte { return nil }
