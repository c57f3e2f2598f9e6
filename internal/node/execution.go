package node

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	gethcore "github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// watchEvery is how often an external client is looked at.
const watchEvery = 5 * time.Second

// executionState is what is known of the execution layer, for status and readiness.
type executionState struct {
	mu      sync.Mutex
	problem string // of the last call; empty when it was answered
	behind  int    // payloads that are to be fed
}

// answered notes how a call sequence ended.
func (s *executionState) answered(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem = ""
	if err != nil && !errors.Is(err, context.Canceled) {
		s.problem = err.Error()
	}
}

func (s *executionState) feeding(behind int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = behind
}

func (s *executionState) now() (problem string, behind int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem, s.behind
}

// ExecutionStatus is what status shows of the execution layer.
type ExecutionStatus struct {
	Kind    string `json:"kind"`              // "embedded" or "external"
	Client  string `json:"client,omitempty"`  // address of an external one, without secrets
	Version string `json:"version,omitempty"` // what an external one says of itself
	Problem string `json:"problem,omitempty"` // why the last call was not answered
	Behind  int    `json:"behind,omitempty"`  // payloads that are being fed
}

func (n *Node) executionStatus() ExecutionStatus {
	s := ExecutionStatus{Kind: "embedded"}
	s.Problem, s.Behind = n.engine.state.now()
	if n.external == nil {
		return s
	}
	s.Kind, s.Client = "external", n.external.Name()
	if peer := n.external.Peer(); peer != nil {
		s.Version = peer.Version
	}
	return s
}

// executionHTTP is the address of the embedded execution layer's JSON-RPC, if there is one.
func (n *Node) executionHTTP() string {
	if n.embedded == nil {
		return ""
	}
	return n.embedded.HTTPEndpoint()
}

// openExecution opens the embedded execution layer, or prepares calls to an external
// client, and returns block 0.
func (n *Node) openExecution(ctx context.Context) (*block.Payload, error) {
	genesis, err := n.genesis()
	if err != nil {
		return nil, err
	}
	api, err := n.openClient(ctx, genesis)
	if err != nil {
		return nil, err
	}
	n.engine = &engineEdge{api: api, x: engine.NewExecutor(api), journal: n.journal, memo: n.memo, content: n.content, log: n.log.With("actor", "engine"), stop: func(cause error) {
		if n.stop != nil {
			n.stop(cause)
		}
	}}
	payload, err := engine.GenesisPayload(genesis)
	return &payload, err
}

func (n *Node) openClient(ctx context.Context, genesis *gethcore.Genesis) (engine.API, error) {
	var err error
	if n.opt.EngineURL == "" {
		n.embedded, err = engine.OpenEmbedded(engine.EmbeddedOptions{
			Dir: filepath.Join(n.opt.DataDir, "execution"), Genesis: genesis,
			CacheMB: n.opt.EngineCacheMB, HTTPAddr: n.opt.EngineHTTPAddr, Logger: n.log,
		})
		return n.embedded, err
	}
	n.external, err = engine.DialExternal(engine.ExternalOptions{URL: n.opt.EngineURL, Secret: n.opt.JWTSecret, EthURL: n.opt.EthURL}, engine.IdentityOf(genesis))
	if err != nil {
		return nil, err
	}
	peer, err := n.external.Check(ctx)
	switch {
	case fault.Is(err, fault.Invalid):
		return nil, err
	case err != nil:
		n.log.Warn("execution client is not there yet; calls are tried again", "client", n.external.Name(), "error", err)
	default:
		n.log.Info("execution client", "client", n.external.Name(), "version", peer.Version)
	}
	return n.external, nil
}

// watchExecution looks at an external client every few seconds. One that lost blocks
// when it was restarted, or whose head someone else moved, is brought level without
// waiting for the next block.
func (n *Node) watchExecution(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			n.engine.watch(ctx)
		}
	}
}

// watch compares the execution layer's head with the one it was told. An execution that
// took it elsewhere is followed by a move, which is not its matter.
func (e *engineEdge) watch(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	head, err := e.api.HeaderByNumber(ctx, rpc.LatestBlockNumber)
	if err == nil && e.told != nil && head.Hash() != e.told.Head && !e.x.Displaced() {
		e.log.Warn("execution layer has another head than it was told: it is told again", "head", head.Hash(), "height", head.Number, "told", e.told.Head)
		_, err = e.move(ctx, e.told)
	}
	if ctx.Err() == nil {
		e.state.answered(err)
	}
}
