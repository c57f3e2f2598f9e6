package metrics

import (
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// maxAuthorities is how many members a federation has at most (C1).
const maxAuthorities = 15

// unbounded stands in the two labels of legacy that took a height: a series for
// every height would grow with the chain, so there is one.
const unbounded = "any"

// Values of legacy's labels that we use.
const (
	success  = "success"
	failed   = "failed"
	rejected = "rejected"
	called   = "called"
	standard = "default" // reason of what needs none
)

func status(values ...string) label { return label{"status", values} }

func reasons(grades ...fault.Grade) label {
	l := label{"reason", []string{standard}}
	for _, g := range grades {
		l.values = append(l.values, gradeValue(g))
	}
	return l
}

// gradeValue is a grade as a label value.
func gradeValue(g fault.Grade) string {
	if g == fault.CannotJudge {
		return "cannot_judge"
	}
	return g.String()
}

// legacy holds the metrics of consensus.md C18, in its order.
type legacy struct {
	producedBlocks       counter
	slotAuthorRetrievals counter
	latestSlotAuthor     prometheus.Gauge
	verifySignedBlock    counter
	slotClaims           counter
	createAuxBlock       counter
	submitAuxBlock       counter
	hashesProcessed      histogram
	processAttempts      counter
	processTotals        counter
	gossip               counter
	lastApproved         prometheus.Gauge
	blockHeight          prometheus.Gauge
	production           counter
	lastFinalized        prometheus.Gauge
	lastProcessed        prometheus.Gauge
	pegIns               counter
	pegInAmount          prometheus.Gauge
	bitcoinMonitor       counter
	discoveredPeers      prometheus.Gauge
	syncing              counter
	buildCalls           counter
	commitCalls          counter
	rpcRequests          counter
	rpcDuration          histogram

	produced common.Hash // root of the last block of ours
}

// gossipTypes are the messages of legacy's topics (wire.md 9.4).
var gossipTypes = []string{"consensus_block", "approve_block", "queue_pow", "pegout_sigs"}

func (s *Set) registerLegacy(methods []string) {
	authorities := label{name: "authority_index"}
	for i := range maxAuthorities {
		authorities.values = append(authorities.values, strconv.Itoa(i))
	}
	l := &s.legacy
	l.producedBlocks = s.counter("aura_produced_blocks_total", "Slots of ours that gave a block (success) or none (error).", status(success, "error"))
	s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "aura_current_slot", Help: "Slot of now by the wall clock; 0 until the chain is known."}, s.currentSlot))
	l.slotAuthorRetrievals = s.counter("aura_slot_author_retrievals", "Blocks connected, by the authority whose slot they are of.", status(success), authorities)
	l.latestSlotAuthor = s.gauge("aura_latest_slot_author", "Index of the authority whose slot the newest connected block is of.")
	l.verifySignedBlock = s.counter("aura_verify_signed_block_total", "Blocks whose approvals were judged.", status(success, failed))
	l.slotClaims = s.counter("aura_slot_claim_totals", "Slots of ours that were acted on.", status(success, failed))
	l.createAuxBlock = s.counter("create_aux_block_calls_total", "Requests for merge-mining work.", status(called, success, failed))
	l.submitAuxBlock = s.counter("auxpow_submit_block_calls_total", "Proofs handed in by miners.", status(called, success, failed))
	l.hashesProcessed = s.histogram("auxpow_hashes_processed", "Blocks of a range that was finalised.", prometheus.ExponentialBuckets(1, 2, 14))
	l.pegIns = s.counter("chain_pegin_totals", "Deposits that became deep enough (add), that blocks of the head's branch minted (process), and those that wait no more (remove).", status("add", "remove", "process"))
	l.pegInAmount = s.gauge("chain_total_pegin_amount", "Satoshi that blocks connected in this run minted.")
	l.processAttempts = s.counter("chain_process_block_attempts_total", "Blocks taken in, from outside or our own.")
	l.processTotals = s.counter("chain_process_block_totals", "Blocks connected (success) or refused (rejected, by grade).", status(success, rejected), reasons(fault.Invalid, fault.CannotJudge))
	l.gossip = s.counter("chain_network_gossip_totals", "Gossip messages admitted (success) and given to the network (published).", label{"message_type", gossipTypes}, status(success, failed, "published"))
	l.lastApproved = s.gauge("last_approved_block", "Height of the last block that this node approved, its own included.")
	l.blockHeight = s.gauge("chain_block_height", "Height of the head.")
	l.bitcoinMonitor = s.counter("chain_btc_block_monitor_totals", "Transactions to the federation in Bitcoin blocks: deposits (queued), and those that credit nobody (ignored). One series for all heights.", label{"block_height", []string{unbounded}}, status("queued", "ignored"))
	l.discoveredPeers = s.gauge("chain_discovered_peers", "Connected peers.")
	l.syncing = s.counter("chain_syncing_operation_totals", "Range requests of synchronisation; one series for all heights.", label{"start_height", []string{unbounded}}, status(success, failed))
	l.production = s.counter("chain_block_production_totals", "Slots of ours that gave a block or none.", label{"message_type", []string{"attempted", "pegouts_created"}}, status(success, failed))
	l.lastFinalized = s.gauge("chain_last_finalized_block", "Height of the block that carries the newest work, as legacy counts it; the finalised height is alys_chain_finalized_height.")
	l.lastProcessed = s.gauge("chain_last_processed_block", "Height of the block connected last.")
	l.buildCalls = s.counter("engine_build_block_calls_total", "Payloads asked of the execution layer.", status(called, success, failed), reasons(fault.Temporary, fault.CannotJudge, fault.Invalid))
	l.commitCalls = s.counter("engine_commit_block_calls_total", "Payloads given to the execution layer to execute.", status(called, success, failed))
	l.rpcRequests = s.counter("rpc_requests_total", "RPC calls.", label{"method", methods}, status(success, "error", "limited"))
	l.rpcDuration = s.histogram("rpc_request_duration_seconds", "Time to answer an RPC call.", prometheus.DefBuckets, label{"method", methods})
}

// rpcMethods are legacy's (rpc.md).
var rpcMethods = []string{
	"createauxblock", "submitauxblock", "getdepositaddress", "getheadblock", "getblockbyheight", "getblockbyhash", "getqueuedpow", "unknown",
}

// fact counts in legacy's terms.
func (l *legacy) fact(s *Set, m any) {
	switch m := m.(type) {
	case *message.BlockProduced:
		l.producedBlocks.inc(success)
		l.slotClaims.inc(success)
		l.production.inc("attempted", success)
		l.processAttempts.inc()
		l.lastApproved.Set(float64(m.Number)) // the author approves by signing
		l.produced = m.Root
	case *message.SlotSkipped:
		l.producedBlocks.inc("error")
		l.slotClaims.inc(success) // ours, and acted on
		l.production.inc("attempted", failed)
	case *message.BlockConnected:
		l.blockConnected(s, m)
	case *message.BlockRefused:
		l.processTotals.inc(rejected, gradeValue(fault.Grade(m.Grade)))
		if approvalField(m.Field) {
			l.verifySignedBlock.inc(failed)
		}
	case *message.HeadChanged:
		l.blockHeight.Set(float64(m.Number))
	case *message.BlockFinalized:
		l.lastFinalized.Set(float64(m.CarrierNumber))
	case *message.ApprovalMade:
		l.lastApproved.Set(float64(m.Number))
	default:
		l.pegFact(m)
	}
}

func (l *legacy) blockConnected(s *Set, m *message.BlockConnected) {
	l.lastProcessed.Set(float64(m.Number))
	if m.Number == 0 {
		return // genesis is judged by nobody (C3)
	}
	l.verifySignedBlock.inc(success)
	l.processTotals.inc(success, standard)
	if n := s.authorities.Load(); n > 0 {
		author := m.Slot % n
		l.slotAuthorRetrievals.inc(success, strconv.FormatUint(author, 10))
		l.latestSlotAuthor.Set(float64(author))
	}
}

// approvalField reports whether a refusal is about the approvals of a block.
func approvalField(field string) bool { return field == "approvals" }
