package node

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/AnduroProject/alys-go/actors"
	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/metrics"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// Telemetry is what a process shows of a node: figures, and whether it can do its
// work. It exists before the node, so that both are served from the first second.
type Telemetry struct {
	Metrics *metrics.Set
	Health  *health.Board
	node    atomic.Pointer[Node] // nil until the node has opened
}

// NewTelemetry returns the telemetry of a node that is starting. rpc are the names
// of RPC methods beside legacy's.
func NewTelemetry(rpc ...string) *Telemetry {
	t := &Telemetry{Metrics: metrics.New(rpc...), Health: health.NewBoard()}
	t.register()
	t.Health.Source(func() map[health.Code]string {
		if n := t.node.Load(); n != nil {
			return n.problems()
		}
		return nil
	})
	return t
}

// Serve begins to answer /livez, /readyz and /metrics at addr, and goes on until
// ctx ends. The error is Invalid when nothing can listen there.
func (t *Telemetry) Serve(ctx context.Context, addr string) (net.Addr, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "metrics.addr")
	}
	go func() { _ = t.Health.Serve(ctx, l, promhttp.HandlerFor(t.Metrics.Registry(), promhttp.HandlerOpts{})) }()
	return l.Addr(), nil
}

// opened tells the chain's rules and heights of a node that has opened.
func (t *Telemetry) opened(n *Node, c *spec.Chain) {
	t.Metrics.Chain(time.Duration(c.SlotDuration)*time.Millisecond, len(c.Authorities))
	v := n.view.snapshot()
	t.Metrics.Heights(v.Head.Number, v.Finalized.Number, v.LatestPow.Number)
	t.node.Store(n)
}

// metered counts what an edge is asked and answers.
type metered struct {
	edge core.Edge
	to   actors.Executor
	t    *Telemetry
}

// Execute implements actors.Executor.
func (m *metered) Execute(ctx context.Context, r actors.Request) {
	m.t.Metrics.Asked(m.edge, r.Message)
	started, reply, request := time.Now(), r.Reply, r.Message
	r.Reply = func(answer core.Message) {
		m.t.Metrics.Answered(m.edge, request, answer, time.Since(started))
		m.t.executionSays(answer)
		reply(answer)
	}
	m.to.Execute(ctx, r)
}

// executionSays takes from an answer whether the execution client can judge.
func (t *Telemetry) executionSays(answer core.Message) {
	status, reason := uint8(0), ""
	switch m := answer.(type) {
	case *message.PayloadsImported:
		for i := range m.Results {
			if status = m.Results[i].Status; status == message.ExecutionUnknown {
				reason = m.Results[i].Reason
			}
		}
	case *message.ForkchoiceUpdated:
		status, reason = m.Status, m.Reason
	case *message.PayloadFailed:
		if fault.Grade(m.Grade) == fault.CannotJudge {
			status, reason = message.ExecutionUnknown, m.Reason
		}
	case *message.PayloadBuilt:
		status = message.ExecutionValid
	}
	switch status {
	case message.ExecutionUnknown:
		t.Health.Raise(health.ExecutionAway, "the execution layer cannot judge yet: "+clip(reason))
	case message.ExecutionValid:
		t.Health.Clear(health.ExecutionAway)
	}
}

// clip bounds a text that came from outside.
func clip(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
