package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

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

const (
	// bitcoinEvery is how often a Bitcoin node is asked for a new tip, as legacy does.
	// (peg.md A1)
	bitcoinEvery = time.Second
	// bitcoinPause bounds the pause between attempts to reach a node that is away.
	bitcoinPause = 10 * time.Second
	// bitcoinAgain is after what time the same kind of trouble is told with another text.
	bitcoinAgain = time.Minute
	// bitcoinCalls is how many transactions are fetched or sent at once.
	bitcoinCalls = 4
)

// bitcoinEdge executes the bridge actor's effects on a Bitcoin node. While the node is
// away it answers once and asks on; trouble that lasts is one message and one line.
type bitcoinEdge struct {
	reader  *bitcoin.Reader
	content func(record.Content) ([]byte, error)
	log     *slog.Logger
	stop    func(cause error)
	calls   chan struct{} // a place for each call at once
	every   time.Duration
	running sync.WaitGroup

	mu      sync.Mutex
	spoken  bool // an answer of this run told where the chain is
	trouble fault.Grade
	reason  string
	told    time.Time
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
	n.bitcoin = &bitcoinEdge{
		reader:  bitcoin.NewReader(node, federation, bitcoin.NetworkName(n.bitcoinNetwork())),
		content: n.content, log: n.log.With("edge", string(bitcoinName)), stop: n.stopFor,
		calls: make(chan struct{}, bitcoinCalls), every: bitcoinEvery,
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

// follow asks until there is something to tell.
func (e *bitcoinEdge) follow(ctx context.Context, m *message.FollowBitcoin, reply func(core.Message)) {
	for pause := e.every; ; {
		followed, err := e.reader.Follow(ctx, m)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if away := e.away(err); away != nil {
				reply(away)
				return
			}
			pause = min(2*pause, bitcoinPause)
		case followed != nil:
			e.back(followed)
			reply(followed)
			return
		default:
			pause = e.every
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// away notes trouble. It is nil when the same was told already.
func (e *bitcoinEdge) away(err error) *message.BitcoinAway {
	grade, reason := fault.Temporary, err.Error()
	if fault.Is(err, fault.Invalid) {
		grade = fault.Invalid
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	same := e.trouble == grade && (e.reason == reason || time.Since(e.told) < bitcoinAgain)
	e.trouble, e.reason = grade, reason
	if same {
		return nil
	}
	e.told = time.Now()
	e.log.Warn("Bitcoin cannot be followed, it is asked again", "error", err)
	return &message.BitcoinAway{Grade: uint8(grade), Reason: reason}
}

// back notes that the node answers.
func (e *bitcoinEdge) back(followed *message.BitcoinFollowed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trouble != 0 || !e.spoken {
		e.log.Info("Bitcoin is followed", "tip", followed.Tip.Height, "hash", followed.Tip.Hash.String())
	}
	e.spoken, e.trouble, e.reason = true, 0, ""
}

// now says what the trouble is, if there is any.
func (e *bitcoinEdge) now() (reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reason
}

// fetch asks until the node gives the transaction or says that it has none.
func (e *bitcoinEdge) fetch(ctx context.Context, m *message.FetchTransaction, reply func(core.Message)) {
	for pause := e.every; ; pause = min(2*pause, bitcoinPause) {
		if !e.enter(ctx) {
			return
		}
		fetched, err := e.reader.Fetch(ctx, m)
		e.leave()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			reply(fetched)
			return
		case !fault.Is(err, fault.Temporary):
			reply(&message.TransactionMissing{Txid: m.Txid, Block: m.Block, Reason: err.Error()})
			return
		}
		if !sleep(ctx, pause) {
			return
		}
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

// sleep returns false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
