package node

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	ledger "github.com/AnduroProject/alys-go/projections/peg"
)

// pegGlance is the ledger's summary for metrics, status and health, read at most once a
// second: a scrape asks for it some fifty times.
type pegGlance struct {
	mu   sync.Mutex
	at   time.Time
	last *ledger.Summary
}

// glance returns the peg at a glance, nil while the ledger cannot tell.
func (n *Node) glance() *ledger.Summary {
	if n.ledger == nil {
		return nil
	}
	g := &n.pegSeen
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.at.IsZero() || now.Sub(g.at) >= time.Second {
		g.at = now
		if s, err := n.ledger.Summary(0); err == nil {
			g.last = s
		} else {
			g.last = nil
		}
	}
	return g.last
}

// maxMembers is how many members' signatures have a series.
const maxMembers = 15

// peg registers what the ledger knows.
func (f functions) peg(registry *prometheus.Registry, value func(func(*Node) float64) func() float64) {
	glanced := func(v func(*ledger.Summary) float64) func(*Node) float64 {
		return func(n *Node) float64 {
			if s := n.glance(); s != nil {
				return v(s)
			}
			return 0
		}
	}
	for k, name := range map[ledger.Kind]string{ledger.Deposits: "alys_peg_in", ledger.Requests: "alys_peg_out", ledger.Payments: "alys_peg_payments"} {
		help := map[ledger.Kind]string{ledger.Deposits: "Deposits", ledger.Requests: "Requests", ledger.Payments: "Payments"}[k]
		for _, state := range ledger.States(k) {
			registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: name, Help: help + " of the peg, by state.", ConstLabels: prometheus.Labels{"state": state},
			}, value(glanced(func(s *ledger.Summary) float64 { return float64(s.Counts[k.String()][state].Entries) }))))
		}
	}
	for i := range maxMembers {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "alys_peg_member_last_signature_timestamp_seconds", Help: "When a member's signature of a payment was last counted; 0 for never, and for no such member.",
			ConstLabels: prometheus.Labels{"member": strconv.Itoa(i)},
		}, value(glanced(func(s *ledger.Summary) float64 {
			if i >= len(s.Members) {
				return 0
			}
			return float64(s.Members[i].LastMillis) / 1000
		}))))
	}
	gauge := func(name, help string, v func(*ledger.Summary) float64) { f.gauge(name, help, glanced(v)) }
	gauge("alys_peg_wallet_coins", "Unspent coins of the federation at the head.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Coins) })
	gauge("alys_peg_locked_satoshi", "Their amount.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Locked) })
	gauge("alys_peg_minted_satoshi", "Credited by deposits, from genesis on.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Minted) })
	gauge("alys_peg_paid_satoshi", "Paid to users, from genesis on.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Paid) })
	gauge("alys_peg_pending_satoshi", "Asked for and not proposed yet.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Pending) })
	gauge("alys_peg_drift_satoshi", "What the pool paid of Bitcoin's fees; above 0 it is under-collateralised by that.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Drift) })
	gauge("alys_peg_unknown_transactions", "Minted deposits and inputs whose transaction is not here yet.", func(s *ledger.Summary) float64 { return float64(s.Wallet.Totals.Unknown) })
	gauge("alys_peg_confirmations_required", "Bitcoin blocks that a deposit needs.", func(s *ledger.Summary) float64 { return float64(s.Required) })
	gauge("alys_peg_halted", "1 while the peg stands still until an operator resumes it.", func(s *ledger.Summary) float64 {
		if s.Halted != nil {
			return 1
		}
		return 0
	})
	f.counter("alys_peg_alarms_total", "What the bridge refused that should not be, since the beginning of the journal.", glanced(func(s *ledger.Summary) float64 { return float64(s.Alarms.Count) }))
	gauge("alys_bitcoin_followed_height", "Bitcoin height that was followed to.", func(s *ledger.Summary) float64 { return float64(s.Bitcoin.Height) })
	gauge("alys_bitcoin_node_height", "Tip of the Bitcoin node.", func(s *ledger.Summary) float64 { return float64(s.Bitcoin.NodeHeight) })
	gauge("alys_bitcoin_fee_rate", "Satoshi per 1000 vbytes in force.", func(s *ledger.Summary) float64 { return float64(s.Bitcoin.FeeRate) })
	f.counter("alys_bitcoin_blocks_left_total", "Bitcoin blocks that reorganisations left, since the beginning of the journal.", glanced(func(s *ledger.Summary) float64 { return float64(s.Bitcoin.Reverted) }))
	f.gauge("alys_peg_ledger_lag_events", "Durable events that the ledger of the peg does not have yet.", func(n *Node) float64 {
		if n.ledger == nil {
			return float64(n.journal.Durable().Sequence)
		}
		position := n.ledger.Position() // before the head, which only grows
		return float64(n.journal.Durable().Sequence - min(position, n.journal.Durable().Sequence))
	})
}
