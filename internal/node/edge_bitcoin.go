package node

import (
	"context"
	"sync"

	"github.com/btcsuite/btcd/chaincfg"

	"github.com/AnduroProject/alys-go/actors"
	actorbridge "github.com/AnduroProject/alys-go/actors/bridge"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// bitcoinName is the edge to Bitcoin.
const bitcoinName = actorbridge.BitcoinEdge

// bitcoinCalls is how many transactions are fetched or sent at once.
const bitcoinCalls = 4

// bitcoinEdge executes the bridge actor's effects on a Bitcoin node.
type bitcoinEdge struct {
	reader  *bitcoin.Reader
	watch   *bitcoin.Watch
	content func(record.Content) ([]byte, error)
	stop    func(cause error)
	calls   chan struct{} // a place for each call at once
	running sync.WaitGroup
}

// bitcoinNetwork is the Bitcoin network of this node.
func (n *Node) bitcoinNetwork() *chaincfg.Params {
	if n.opt.BitcoinNetwork == nil {
		return &chaincfg.RegressionNetParams
	}
	return n.opt.BitcoinNetwork
}

// openBitcoin connects to the Bitcoin node, if there is one. The node need not run.
func (n *Node) openBitcoin(c *spec.Chain) error {
	node := n.opt.Bitcoin
	if node == nil && n.opt.BitcoinRPC.URL != "" {
		o := n.opt.BitcoinRPC
		o.OnCall = n.opt.Telemetry.Metrics.BitcoinCall
		client, err := bitcoin.Dial(o)
		if err != nil {
			return err
		}
		node = client
	}
	if node == nil && n.opt.DevBitcoin {
		var err error
		if n.development, err = n.openDevelopmentBitcoin(c); err != nil {
			return err
		}
		node = n.development.chain
	}
	if node == nil {
		return nil
	}
	n.bitcoinNode = node
	federation, err := peg.NewFederation(c.FederationKeys)
	if err != nil {
		return err
	}
	reader := bitcoin.NewReader(node, federation, bitcoin.NetworkName(n.bitcoinNetwork()))
	n.bitcoin = &bitcoinEdge{
		reader: reader, watch: bitcoin.NewWatch(reader, n.log.With("edge", string(bitcoinName))),
		content: n.content, stop: n.stopFor, calls: make(chan struct{}, bitcoinCalls),
	}
	return nil
}

// Execute implements actors.Executor. The answers come in any order.
func (e *bitcoinEdge) Execute(ctx context.Context, r actors.Request) {
	switch m := r.Message.(type) {
	case *message.FollowBitcoin:
		e.running.Go(func() { e.follow(ctx, m, r.Reply) })
	case *message.FetchTransaction:
		e.running.Go(func() { e.fetch(ctx, m, r.Reply) })
	case *message.BroadcastTransaction:
		e.running.Go(func() { e.broadcast(ctx, m, r.Reply) })
	}
}

func (e *bitcoinEdge) follow(ctx context.Context, m *message.FollowBitcoin, reply func(core.Message)) {
	switch followed, away := e.watch.Follow(ctx, m); {
	case followed != nil:
		reply(followed)
	case away != nil:
		reply(away)
	}
}

func (e *bitcoinEdge) fetch(ctx context.Context, m *message.FetchTransaction, reply func(core.Message)) {
	enter := func() func() {
		if !e.enter(ctx) {
			return nil
		}
		return e.leave
	}
	switch fetched, missing := e.watch.Fetch(ctx, m, enter); {
	case fetched != nil:
		reply(fetched)
	case missing != nil:
		reply(missing)
	}
}

func (e *bitcoinEdge) broadcast(ctx context.Context, m *message.BroadcastTransaction, reply func(core.Message)) {
	raw, err := e.content(m.Raw)
	if err != nil {
		e.stop(fault.Wrap(fault.Of(err), err, "payment "+m.Txid.String()+" to broadcast"))
		return
	}
	if !e.enter(ctx) {
		return
	}
	defer e.leave()
	if answer := e.reader.Broadcast(ctx, m.Txid, raw); ctx.Err() == nil {
		reply(answer)
	}
}

// enter waits for a place among the calls at once; false when the node stops before.
func (e *bitcoinEdge) enter(ctx context.Context) bool {
	select {
	case e.calls <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *bitcoinEdge) leave() { <-e.calls }
