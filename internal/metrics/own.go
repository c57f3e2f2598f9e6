package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// own holds our metrics of the chain actor and of the edges.
type own struct {
	finalizedHeight   prometheus.Gauge
	blocksReverted    counter
	reorgDepth        histogram
	branchesExcluded  counter
	branchesDecided   counter
	finalityConflict  prometheus.Gauge
	approvalsMade     counter
	approvalsWithheld counter
	locksEnded        counter
	statements        counter
	workQueued        counter
	workDropped       counter
	edgeRequests      counter
	edgeSeconds       histogram
	edgeCannotJudge   counter
	bitcoinCalls      counter
	bitcoinSeconds    histogram
	blocksReceived    counter
	approvalsReceived counter

	finalized uint64 // height before
	reverted  int    // blocks of the reorganisation under way in the facts
}

// edges are the edges of this program and what each is asked. timed says that
// the time to the answer is of interest: it is not where the answer is to wait.
var edges = []struct {
	name     string
	timed    bool
	requests []string
}{
	{"engine", true, []string{"import_payloads", "update_forkchoice", "build_payload"}},
	{"signer", true, []string{"sign_block", "sign_approval", "sign_statement"}},
	{"bitcoin", false, []string{"follow_bitcoin", "fetch_transaction", "broadcast_transaction"}},
	{"timer", false, []string{"start_timer"}},
	{"answer", false, []string{"aux_block", "aux_block_judged", "signing_answer", "operator_answer"}},
	{"peers", false, []string{"publish_block", "publish_approval", "publish_work", "publish_signatures", "fetch_blocks", "fetch_range", "fetch_approvals", "fetch_signatures", "guide_connections", "disconnect_peer"}},
	{"process", false, []string{"stop_process"}},
}

func (s *Set) registerOwn() {
	o := &s.own
	o.finalizedHeight = s.gauge("chain_finalized_height", "Height of the last finalised block.")
	o.blocksReverted = s.counter("chain_blocks_reverted_total", "Blocks that left the head's branch in this run.")
	o.reorgDepth = s.histogram("chain_reorg_depth_blocks", "Blocks reverted by a reorganisation; its count is the number of reorganisations.", []float64{1, 2, 3, 5, 10, 30, 100, 300, 1000})
	o.branchesExcluded = s.counter("chain_branches_excluded_total", "Quorum branches longer than the head's that exclude the finalised block.")
	o.branchesDecided = s.counter("chain_branches_decided_total", "Such branches that an operator decided to follow.")
	o.finalityConflict = s.gauge("chain_finality_conflict", "1 after two conflicting ranges were finalised; the node stops.")
	o.approvalsMade = s.counter("chain_approvals_made_total", "Blocks of others that this node approved.")
	o.approvalsWithheld = s.counter("chain_approvals_withheld_total", "Valid blocks that this node did not approve, by grade.",
		label{"grade", []string{gradeValue(fault.Invalid), gradeValue(fault.CannotJudge)}})
	o.locksEnded = s.counter("chain_locks_ended_total", "Approval locks that ended.", label{"by", []string{"finality", "operator"}})
	o.statements = s.counter("chain_statements_made_total", "Signed statements never to approve a range end.")
	o.workQueued = s.counter("miner_work_queued_total", "Proofs that were queued for the next block.")
	o.workDropped = s.counter("miner_work_dropped_total", "Proofs that were dropped.")
	o.blocksReceived = s.counter("chain_blocks_received_total", "Blocks taken in from outside, by origin.", label{"origin", []string{"gossip", "sync", "legacy"}})
	o.approvalsReceived = s.counter("chain_approvals_received_total", "Approvals taken in from outside.")
	s.registerBitcoin()
	s.registerPeers()
	s.registerEdges()
}

func (s *Set) registerEdges() {
	edge, request := label{name: "edge"}, label{name: "request"}
	for _, e := range edges {
		edge.values = append(edge.values, e.name)
		request.values = append(request.values, e.requests...)
	}
	// At first only the pairs that happen, so that a scrape stays short.
	o := &s.own
	o.edgeRequests = s.newCounter("edge_requests_total", "Effects handed to edges.", edge, request)
	o.edgeSeconds = s.newHistogram("edge_answer_seconds", "Time from handing an effect to its edge to the answer.",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, edge, request)
	o.edgeCannotJudge = s.counter("edge_cannot_judge_total", "Answers by which the outside cannot judge yet: it is away or behind.", label{"edge", []string{"engine"}})
	for _, e := range edges {
		for _, r := range e.requests {
			o.edgeRequests.vec.WithLabelValues(e.name, r)
			if e.timed {
				o.edgeSeconds.vec.WithLabelValues(e.name, r)
			}
		}
	}
}

func (o *own) fact(m any) {
	switch m := m.(type) {
	case *message.BlockReverted:
		o.blocksReverted.inc()
		o.reverted++
	case *message.HeadChanged:
		if o.reverted > 0 {
			o.reorgDepth.observe(float64(o.reverted))
			o.reverted = 0
		}
	case *message.BlockFinalized:
		o.finalizedHeight.Set(float64(m.Number))
	case *message.BranchExcluded:
		o.branchesExcluded.inc()
	case *message.BranchDecided:
		o.branchesDecided.inc()
		if m.Ancestor != nil {
			o.finalizedHeight.Set(float64(m.Ancestor.Number))
		}
	case *message.FinalityConflict:
		o.finalityConflict.Set(1)
	case *message.WorkQueued:
		o.workQueued.inc()
	case *message.WorkDropped:
		o.workDropped.inc()
	default:
		o.approvalFact(m)
	}
}

func (o *own) approvalFact(m any) {
	switch m := m.(type) {
	case *message.ApprovalMade:
		o.approvalsMade.inc()
	case *message.ApprovalWithheld:
		o.approvalsWithheld.inc(gradeValue(fault.Grade(m.Grade)))
	case *message.LockEnded:
		o.locksEnded.inc(m.By)
	case *message.StatementMade:
		o.statements.inc()
	}
}

// answered notes the time of an answer, unless it is to wait.
func (o *own) answered(edge, request string, took time.Duration) {
	for _, e := range edges {
		if e.name == edge && !e.timed {
			return
		}
	}
	o.edgeSeconds.observe(took.Seconds(), edge, request)
}
