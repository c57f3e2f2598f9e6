package metrics

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// Set is the metrics of one node, with a registry of its own. Create it with [New].
type Set struct {
	registry *prometheus.Registry
	now      func() time.Time

	slotMs      atomic.Uint64
	authorities atomic.Uint64

	mu     sync.Mutex // of what facts change
	legacy legacy
	own    own
	peers  peers
}

// New returns a set with every metric at zero. methods are the names of RPC
// methods beside legacy's; calls of any other count as "other".
func New(methods ...string) *Set {
	s := &Set{registry: prometheus.NewRegistry(), now: time.Now}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.registerLegacy(slices.Concat(rpcMethods, methods))
	s.registerOwn()
	return s
}

// Registry returns the registry, for serving and for what the node adds.
func (s *Set) Registry() *prometheus.Registry { return s.registry }

// Chain tells the rules of the chain once they are known: the length of a slot
// and the number of authorities.
func (s *Set) Chain(slot time.Duration, authorities int) {
	s.slotMs.Store(uint64(max(slot.Milliseconds(), 0)))
	s.authorities.Store(uint64(max(authorities, 0)))
}

// Heights tells where a node begins, for no fact of this run says so.
func (s *Set) Heights(head, finalized, latestPow uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.legacy.blockHeight.Set(float64(head))
	s.legacy.lastProcessed.Set(float64(head))
	s.legacy.lastFinalized.Set(float64(latestPow))
	s.own.finalizedHeight.Set(float64(finalized))
	s.own.finalized = finalized
}

// currentSlot is the slot of now (C4).
func (s *Set) currentSlot() float64 {
	if ms := s.slotMs.Load(); ms > 0 {
		return float64(uint64(max(s.now().UnixMilli(), 0)) / ms)
	}
	return 0
}

// Fact counts one durable fact. Facts come in order.
func (s *Set) Fact(m core.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.legacy.fact(s, m)
	s.own.fact(m)
	s.peers.fact(s, m)
	if f, ok := m.(*message.BlockFinalized); ok {
		if f.Number > s.own.finalized {
			s.legacy.hashesProcessed.observe(float64(f.Number - s.own.finalized))
		}
		s.own.finalized = f.Number
	}
}

// Received counts a message that an edge admitted.
func (s *Set) Received(m core.Message) {
	switch m := m.(type) {
	case *message.BlocksReceived:
		s.legacy.processAttempts.add(len(m.Blocks))
		s.own.blocksReceived.add(len(m.Blocks), m.Origin)
		if m.Origin == "gossip" {
			s.legacy.gossip.add(len(m.Blocks), "consensus_block", success)
		}
	case *message.ApprovalReceived:
		s.own.approvalsReceived.inc()
		s.legacy.gossip.inc("approve_block", success)
	case *message.QueueWork:
		s.legacy.gossip.inc("queue_pow", success)
	case *message.SignaturesReceived:
		s.legacy.gossip.inc("pegout_sigs", success)
	case *message.CreateAuxBlock:
		s.legacy.createAuxBlock.inc(called)
	case *message.SubmitAuxBlock:
		s.legacy.submitAuxBlock.inc(called)
	}
}

// Asked counts an effect that an edge was handed.
func (s *Set) Asked(edge core.Edge, request core.Message) {
	s.own.edgeRequests.inc(string(edge), request.Type())
	switch m := request.(type) {
	case *message.BuildPayload:
		s.legacy.buildCalls.inc(called, standard)
	case *message.ImportPayloads:
		s.legacy.commitCalls.add(len(m.Blocks), called)
	case *message.AuxBlock:
		s.legacy.createAuxBlock.inc(outcome(m.Error == ""))
	case *message.AuxBlockJudged:
		s.legacy.submitAuxBlock.inc(outcome(m.Accepted))
	case *message.PublishBlock:
		s.legacy.gossip.inc("consensus_block", "published")
	case *message.PublishApproval:
		s.legacy.gossip.inc("approve_block", "published")
	case *message.PublishSignatures:
		s.legacy.gossip.inc("pegout_sigs", "published")
	case *message.PublishWork:
		s.legacy.gossip.inc("queue_pow", "published")
	}
}

// Answered counts the result of an effect, after the time it took.
func (s *Set) Answered(edge core.Edge, request, answer core.Message, took time.Duration) {
	s.own.answered(string(edge), request.Type(), took)
	switch m := answer.(type) {
	case *message.PayloadBuilt:
		s.legacy.buildCalls.inc(success, standard)
	case *message.PayloadFailed:
		grade := fault.Grade(m.Grade)
		s.legacy.buildCalls.inc(failed, gradeValue(grade))
		if grade == fault.CannotJudge {
			s.own.edgeCannotJudge.inc(string(edge))
		}
	case *message.PayloadsImported:
		for i := range m.Results {
			s.legacy.commitCalls.inc(outcome(m.Results[i].Status == message.ExecutionValid))
			if m.Results[i].Status == message.ExecutionUnknown {
				s.own.edgeCannotJudge.inc(string(edge))
			}
		}
	case *message.RangeFetched:
		s.peers.ranged(s, true)
	case *message.RangeFailed:
		s.peers.ranged(s, false)
	case *message.ForkchoiceUpdated:
		if m.Status == message.ExecutionUnknown {
			s.own.edgeCannotJudge.inc(string(edge))
		}
	}
}

// RPC counts a call of a method, how it ended ("ok", "refused" or "limited") and
// the time it took.
func (s *Set) RPC(method, status string, took time.Duration) {
	switch status { // legacy's words
	case "ok":
		status = success
	case "refused":
		status = "error"
	}
	s.legacy.rpcRequests.inc(method, status)
	s.legacy.rpcDuration.observe(took.Seconds(), method)
}

func outcome(ok bool) string {
	if ok {
		return success
	}
	return failed
}
