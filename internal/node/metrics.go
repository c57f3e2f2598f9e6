package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/scrub"
	"github.com/AnduroProject/alys-go/journal"
)

// register adds the metrics that are read from the parts of a running node; they
// are 0 until it has opened. Names and meaning: docs/operator.md.
func (t *Telemetry) register() {
	registry := t.Metrics.Registry()
	value := func(f func(*Node) float64) func() float64 {
		return func() float64 {
			if n := t.node.Load(); n != nil {
				return f(n)
			}
			return 0
		}
	}
	f := functions{
		gauge: func(name, help string, v func(*Node) float64) {
			registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value(v)))
		},
		counter: func(name, help string, v func(*Node) float64) {
			registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value(v)))
		},
	}
	f.disk()
	f.chain()
	f.journal()
	f.scrubber()
	f.witnesses()
	f.runtime()
	f.peg(registry, value)
	for _, k := range health.Problems() {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "alys_health_problem", Help: "1 while the node has the problem; /readyz says more.", ConstLabels: prometheus.Labels{"code": string(k.Code)},
		}, func() float64 { return t.Health.Has(k.Code) }))
	}
}

// functions registers metrics that are asked at a scrape.
type functions struct {
	gauge, counter func(name, help string, value func(*Node) float64)
}

func (f functions) disk() {
	f.gauge("alys_disk_free_bytes", "Free space of the file system with the data directory.", func(n *Node) float64 {
		free, _ := freeBytes(n.opt.DataDir)
		return float64(free)
	})
	f.gauge("alys_disk_reserve_bytes", "Free space below which the node stops cleanly; 0 when that is off.", func(n *Node) float64 { return float64(n.opt.DiskReserve) })
}

func (f functions) chain() {
	gauge, counter := f.gauge, f.counter
	gauge("alys_chain_latest_pow_block", "Height of the latest block that carries proof of work.", func(n *Node) float64 { return float64(n.view.snapshot().LatestPow.Number) })
	counter("alys_chain_blocks_connected_total", "Blocks that joined the head's branch in this run.", func(n *Node) float64 { return float64(n.view.snapshot().Connected) })
	counter("alys_chain_blocks_produced_total", "Blocks this node produced in this run.", func(n *Node) float64 { return float64(n.view.snapshot().Produced) })
	counter("alys_chain_blocks_refused_total", "Blocks this node refused in this run.", func(n *Node) float64 { return float64(n.view.snapshot().Refused) })
	counter("alys_chain_slots_skipped_total", "Slots of ours that passed without a block in this run.", func(n *Node) float64 { return float64(n.view.snapshot().SlotsSkipped) })
	gauge("alys_chain_signing_held", "1 while this node signs nothing because of an incident of its journal.", func(n *Node) float64 {
		if n.view.snapshot().Signing.Held {
			return 1
		}
		return 0
	})
}

func (f functions) journal() {
	gauge, counter := f.gauge, f.counter
	gauge("alys_journal_head_sequence", "Sequence of the newest event.", func(n *Node) float64 { return float64(n.journal.Head().Sequence) })
	gauge("alys_journal_durable_sequence", "Sequence of the newest event on disk.", func(n *Node) float64 { return float64(n.journal.Durable().Sequence) })
	gauge("alys_journal_index_lag_events", "Durable events that are not in the index and the Merkle tree yet.", func(n *Node) float64 { return float64(n.indexLag()) })
	journalCounter := func(name, help string, value func(*journal.Stats) float64) {
		counter(name, help, func(n *Node) float64 {
			s := n.journal.Stats()
			return value(&s)
		})
	}
	journalCounter("alys_journal_events_total", "Events made durable in this run.", func(s *journal.Stats) float64 { return float64(s.Events) })
	journalCounter("alys_journal_commits_total", "Commits; events over commits is the mean group.", func(s *journal.Stats) float64 { return float64(s.Commits) })
	journalCounter("alys_journal_commit_seconds_total", "Time spent in commits.", func(s *journal.Stats) float64 { return s.CommitTime.Seconds() })
	journalCounter("alys_journal_head_file_seconds_total", "Of that, time for the head file.", func(s *journal.Stats) float64 { return s.HeadTime.Seconds() })
	journalCounter("alys_journal_append_waits_total", "Times a turn waited for the disk.", func(s *journal.Stats) float64 { return float64(s.Waits) })
	gauge("alys_journal_pending_bytes", "Events and contents that are not on disk yet.", func(n *Node) float64 { return float64(n.journal.Stats().PendingBytes) })
}

func (f functions) witnesses() {
	f.gauge("alys_journal_witnesses", "Members that signed a checkpoint of this journal's present history.", func(n *Node) float64 {
		if n.witnesses == nil {
			return 0
		}
		count := 0
		for _, e := range n.witnesses.Ours() {
			if e.Checkpoint.Origin == n.notary.origin {
				count++
			}
		}
		return float64(count)
	})
	f.gauge("alys_journal_contradictions", "Contradictions between checkpoints that other members signed; above 0, see alys journal witnesses.", func(n *Node) float64 {
		if n.witnesses == nil {
			return 0
		}
		return float64(len(n.witnesses.Findings()))
	})
	f.gauge("alys_settled_height", "Height of the newest state that is offered to new nodes; 0 for none.", func(n *Node) float64 { return float64(n.settled.Newest()) })
}

func (f functions) scrubber() {
	scrubbed := func(name, help string, value func(scrub.Status) float64) {
		f.gauge(name, help, func(n *Node) float64 {
			if n.scrubber == nil {
				return 0
			}
			return value(n.scrubber.Status())
		})
	}
	scrubbed("alys_scrub_covered_ratio", "Part of journal and snapshots read in the pass under way, or the last one.", func(s scrub.Status) float64 {
		return float64(s.Covered) / float64(max(s.Total, 1))
	})
	scrubbed("alys_scrub_read_bytes", "Bytes the scrubber read in this run.", func(s scrub.Status) float64 { return float64(s.Bytes) })
	scrubbed("alys_scrub_last_pass_timestamp_seconds", "End of the last whole pass; 0 for none in this run.", func(s scrub.Status) float64 { return float64(s.LastPassMs) / 1000 })
	scrubbed("alys_scrub_findings", "Damaged places met in this run; above 0, see the log.", func(s scrub.Status) float64 { return float64(s.Findings) })
}

func (f functions) runtime() {
	gauge, counter := f.gauge, f.counter
	gauge("alys_runtime_inbox_messages", "Messages that wait to be handled.", func(n *Node) float64 { return float64(n.runtime.Counts().Waiting) })
	counter("alys_runtime_messages_dropped_total", "Messages dropped because the inbox was full.", func(n *Node) float64 { return float64(n.runtime.Counts().Dropped) })
	counter("alys_runtime_messages_unfit_total", "Messages refused because they were empty or too large.", func(n *Node) float64 { return float64(n.runtime.Counts().Unfit) })
	counter("alys_runtime_turns_failed_total", "Turns that ended by a panic of their handler.", func(n *Node) float64 { return float64(n.runtime.Counts().Failed) })
	counter("alys_runtime_effects_released_total", "Effects handed to edges after their turn was on disk.", func(n *Node) float64 { return float64(n.runtime.Counts().Released) })
}
