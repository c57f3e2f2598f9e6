package metrics_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	dto "github.com/prometheus/client_model/go"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/metrics"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// c18 is consensus.md C18, word for word.
const c18 = `aura_produced_blocks_total{status}, aura_current_slot, aura_slot_author_retrievals{status,authority_index}, aura_latest_slot_author, aura_verify_signed_block_total{status}, aura_slot_claim_totals{status}, create_aux_block_calls_total{status}, auxpow_submit_block_calls_total{status}, auxpow_hashes_processed (histogram), chain_pegin_totals{status}, chain_total_pegin_amount, chain_process_block_attempts_total, chain_process_block_totals{status,reason}, chain_network_gossip_totals{message_type,status}, last_approved_block, chain_block_height, chain_btc_block_monitor_totals{block_height,status}, chain_discovered_peers, chain_syncing_operation_totals{start_height,status} (unbounded label), chain_block_production_totals{message_type,status}, chain_last_finalized_block (holds the **carrier** height, not range_end), chain_last_processed_block, engine_build_block_calls_total{status,reason}, engine_commit_block_calls_total{status}, rpc_requests_total{method,status}, rpc_request_duration_seconds{method}`

func gather(t *testing.T, s *metrics.Set) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := s.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		out[f.GetName()] = f
	}
	return out
}

// Every name of C18 is served from the first moment on, at zero, with legacy's
// labels and no other.
func TestLegacyNames(t *testing.T) {
	families := gather(t, metrics.New())
	listed := regexp.MustCompile(`([a-z_]+)(?:\{([a-z_,]+)\})?(?: \([^)]*\))?(?:, |$)`).FindAllStringSubmatch(c18, -1)
	if len(listed) != 26 {
		t.Fatalf("C18 lists 26 names, read %d", len(listed))
	}
	for _, m := range listed {
		f := families["alys_"+m[1]]
		if f == nil {
			t.Errorf("%s is not served", m[1])
			continue
		}
		want := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
		slices.Sort(want)
		for _, series := range f.GetMetric() {
			var got []string
			for _, l := range series.GetLabel() {
				got = append(got, l.GetName())
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s has labels %q, legacy has %q", m[1], got, want)
			}
			if v := value(series); v != 0 {
				t.Errorf("%s begins at %v", m[1], v)
			}
		}
	}
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	default:
		return float64(m.Histogram.GetSampleCount())
	}
}

// sample is the value of a series, whose labels are named as in the text format.
func sample(t *testing.T, s *metrics.Set, name string) float64 {
	t.Helper()
	name, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	f := gather(t, s)["alys_"+name]
	for _, m := range f.GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(have, ",") == labels {
			return value(m)
		}
	}
	t.Fatalf("no series %s{%s}", name, labels)
	return 0
}

func series(t *testing.T, s *metrics.Set) int {
	n := 0
	for _, f := range gather(t, s) {
		n += len(f.GetMetric())
	}
	return n
}

// No input makes a label grow: ten thousand different ones add the series
// "other" and nothing else.
func TestLabelsAreBounded(t *testing.T) {
	s := metrics.New("node_status")
	s.Chain(time.Second, 15)
	before := series(t, s)
	var after int
	for i := range 10_000 {
		text := fmt.Sprintf("peer text %d", i)
		n := uint64(i)
		for _, m := range []core.Message{
			&message.BlockProduced{Number: n, Slot: n}, &message.SlotSkipped{Slot: n, Reason: text},
			&message.BlockConnected{Number: n, Slot: n * 7, Carrier: i%2 == 0}, &message.BlockReverted{Number: n},
			&message.HeadChanged{Number: n}, &message.BlockFinalized{Number: n, CarrierNumber: n + 1},
			&message.BlockRefused{Number: n, Grade: uint8(i), Field: text, Reason: text, Origin: text},
			&message.ApprovalMade{Number: n}, &message.ApprovalWithheld{Number: n, Grade: uint8(i), Rule: text, Reason: text},
			&message.LockEnded{By: text}, &message.StatementMade{}, &message.BranchExcluded{Number: n}, &message.BranchDecided{Number: n},
			&message.WorkQueued{Height: n}, &message.WorkDropped{Reason: text},
		} {
			s.Fact(m)
		}
		s.Received(&message.BlocksReceived{Origin: text, Blocks: make([]message.Block, 1)})
		s.Received(&message.BlocksReceived{Origin: "gossip", Blocks: make([]message.Block, 1)})
		s.Received(&message.ApprovalReceived{Authority: uint8(i)})
		s.RPC(text, text, time.Millisecond)
		s.Asked(core.Edge(text), named(text))
		s.Answered(core.Edge(text), named(text), &message.PayloadFailed{Grade: uint8(i), Reason: text}, time.Second)
		s.Answered("engine", &message.ImportPayloads{}, &message.PayloadsImported{Results: []message.Execution{{Status: uint8(i), Reason: text}}}, time.Second)
		if i == 300 { // every grade and status was there
			after = series(t, s)
		}
	}
	if end := series(t, s); end != after {
		t.Errorf("%d series after 300 inputs, %d after 10,000", after, end)
	}
	if after-before > 20 {
		t.Errorf("%d series at the start, %d after 300 inputs: more than one \"other\" a label", before, after)
	}
}

type named string

func (n named) Type() string        { return string(n) }
func (named) Schema() uint32        { return 1 }
func (named) Fields(*record.Fields) {}

func TestCounts(t *testing.T) {
	s := metrics.New()
	s.Chain(time.Second, 3)
	s.Heights(10, 4, 8)
	for _, m := range []core.Message{
		&message.BlockConnected{Number: 11, Slot: 7}, &message.HeadChanged{Number: 11},
		&message.BlockReverted{Number: 11}, &message.BlockReverted{Number: 10}, &message.BlockReverted{Number: 9},
		&message.BlockConnected{Number: 9, Slot: 8}, &message.BlockConnected{Number: 10, Slot: 9}, &message.BlockConnected{Number: 11, Slot: 10}, &message.BlockConnected{Number: 12, Slot: 11, Carrier: true},
		&message.BlockFinalized{Number: 9, CarrierNumber: 12},
		&message.HeadChanged{Number: 12},
		&message.BlockRefused{Number: 13, Grade: uint8(fault.CannotJudge), Field: "parent_hash"},
		&message.BlockRefused{Number: 13, Grade: uint8(fault.Invalid), Field: "approvals"},
		&message.SlotSkipped{Slot: 12, Reason: "no payload"},
		&message.BlockProduced{Root: common.Hash{1}, Number: 13},
		&message.ApprovalMade{Number: 14},
		&message.ApprovalWithheld{Number: 15, Grade: uint8(fault.Invalid)},
	} {
		s.Fact(m)
	}
	s.Asked("engine", &message.ImportPayloads{Blocks: make([]message.Block, 3)})
	s.Answered("engine", &message.ImportPayloads{}, &message.PayloadsImported{Results: []message.Execution{
		{Status: message.ExecutionValid}, {Status: message.ExecutionUnknown}}}, 20*time.Millisecond)
	s.RPC("getheadblock", "ok", time.Millisecond)
	for name, want := range map[string]float64{
		"chain_block_height": 12, "chain_last_finalized_block": 12, "chain_finalized_height": 9, "chain_last_processed_block": 12,
		"chain_process_block_totals{reason=default,status=success}": 5, "chain_process_block_totals{reason=cannot_judge,status=rejected}": 1,
		"chain_process_block_totals{reason=invalid,status=rejected}": 1, "aura_verify_signed_block_total{status=failed}": 1,
		"aura_produced_blocks_total{status=success}": 1, "aura_produced_blocks_total{status=error}": 1, "aura_latest_slot_author": 2,
		"aura_slot_author_retrievals{authority_index=1,status=success}": 2, "last_approved_block": 14,
		"chain_approvals_withheld_total{grade=invalid}": 1, "chain_reorg_depth_blocks": 1, "chain_blocks_reverted_total": 3,
		"auxpow_hashes_processed": 1, "engine_commit_block_calls_total{status=called}": 3, "engine_commit_block_calls_total{status=success}": 1,
		"engine_commit_block_calls_total{status=failed}": 1, "edge_cannot_judge_total{edge=engine}": 1,
		"edge_answer_seconds{edge=engine,request=import_payloads}": 1, "rpc_requests_total{method=getheadblock,status=success}": 1,
		"rpc_request_duration_seconds{method=getheadblock}": 1,
	} {
		if got := sample(t, s, name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

// Counting costs the releasing goroutine little.
func BenchmarkFact(b *testing.B) {
	s := metrics.New()
	s.Chain(time.Second, 3)
	facts := []core.Message{&message.BlockConnected{Number: 11, Slot: 7}, &message.HeadChanged{Number: 11}, &message.BlockFinalized{Number: 9, CarrierNumber: 11}}
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range facts {
			s.Fact(m)
		}
	}
}
