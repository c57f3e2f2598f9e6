package main

import (
	"context"
	"time"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/actors/sync"
	"github.com/AnduroProject/alys-go/internal/edge/p2p"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// input is a message for the sync core.
type input struct {
	message core.Message
	cause   core.Ref
}

// download is the sync core between the network and a chain actor that takes every block as
// executed: what is left is what a download takes without execution and without a journal.
type download struct {
	core     *sync.Sync
	state    core.State
	sequence uint64
	inbox    chan input
	network  *p2p.Network
	head     message.BlockID
	genesis  message.BlockID
}

// downloaded has the chain downloaded and checked, and not executed.
func (b *bench) downloaded(ctx context.Context, c *madeChain, boot []string) (took time.Duration, err error) {
	first, err := c.first()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &download{core: sync.New(), state: sync.New().NewState(), inbox: make(chan input, 1024)}
	d.genesis = message.BlockID{Root: first.Block.Root()}
	d.head = d.genesis
	d.network, err = c.open(ctx, b.log, boot, nothing{served{&madeChain{}}, d.genesis}, func(_ context.Context, m p2p.Message) error {
		if joined, ok := m.(*message.PeerConnected); ok && joined.Head != nil {
			seen := message.SyncPeer{Peer: joined.Peer, Head: joined.Head, Finalized: joined.Finalized}
			d.inbox <- input{message: &message.PeersSeen{Peers: []message.SyncPeer{seen}}}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		if closed := d.network.Close(); err == nil {
			err = closed
		}
	}()
	started := time.Now()
	d.handle(ctx, input{message: &message.NodeConfigured{ChainSpec: record.NewContent(c.spec.Encode()), Peers: true}})
	d.follow(ctx)
	limit := time.After(10 * time.Minute)
	for d.head.Number < uint64(len(c.blocks)) {
		select {
		case in := <-d.inbox:
			if _, first := in.message.(*message.PeersSeen); first && d.sequence <= 2 {
				started = time.Now() // connected
			}
			d.handle(ctx, in)
		case <-limit:
			return 0, fault.New(fault.Fatal, "after ten minutes the download is at block %d of %d", d.head.Number, len(c.blocks))
		}
	}
	return time.Since(started), nil
}

func (d *download) follow(ctx context.Context) {
	head, finalized := d.head, d.genesis
	d.handle(ctx, input{message: &message.FollowSync{Head: &head, Finalized: &finalized}})
}

func (d *download) handle(ctx context.Context, in input) {
	d.sequence++
	var out core.Out
	d.state = d.state.Clone()
	d.core.Handle(d.state, in.message, core.Turn{Sequence: d.sequence, Time: time.Now().UnixMilli(), Cause: in.cause}, &out)
	took := false
	for i, o := range out.List() {
		ref := core.Ref{Sequence: d.sequence, Index: uint32(i)}
		switch m := o.Message.(type) {
		case *message.FetchRange:
			d.network.Execute(ctx, m, func(answer p2p.Message) { d.inbox <- input{answer.(core.Message), ref} })
		case *message.StartTimer:
			time.AfterFunc(time.Duration(m.After)*time.Millisecond, func() {
				select {
				case d.inbox <- input{&message.TimerFired{}, ref}:
				case <-ctx.Done():
				}
			})
		case *message.BlocksReceived:
			took = true
		}
	}
	if took {
		d.head = d.state.(*sync.State).Handed
		d.follow(ctx)
	}
}

// nothing is a source that has genesis only.
type nothing struct {
	served
	genesis message.BlockID
}

// Status implements p2p.Source.
func (n nothing) Status() (head, finalized message.BlockID, synced bool) {
	return n.genesis, n.genesis, false
}
