package node

import (
	"log/slog"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	ledger "github.com/AnduroProject/alys-go/projections/peg"
)

// pegSeries reads the peg's series of a node, by name and the value of their one label.
func pegSeries(t *testing.T, n *Node) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	value := func(f func(*Node) float64) func() float64 { return func() float64 { return f(n) } }
	f := functions{
		gauge: func(name, help string, v func(*Node) float64) {
			registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value(v)))
		},
		counter: func(name, help string, v func(*Node) float64) {
			registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value(v)))
		},
	}
	f.peg(registry, value)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// The series of the peg are what the ledger says, and how far it is behind.
func TestPegMetrics(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	j, err := journal.Open(journal.Options{FS: vfs.NewMem(), Dir: "journal", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	write := func(facts ...core.Message) {
		e := &journal.Event{Sequence: j.Head().Sequence + 1, Time: 1000, Actor: "bridge", Type: "timer_fired", Schema: 1, Stored: true}
		for _, m := range facts {
			raw, _ := record.Encode(m)
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: m.Type(), Schema: m.Schema(), Payload: raw})
		}
		if _, err := j.Append(e, nil); err != nil {
			t.Fatal(err)
		}
		if err := j.WaitDurable(t.Context(), j.Head().Sequence); err != nil {
			t.Fatal(err)
		}
	}
	l, err := ledger.Open(j, ledger.Options{FS: vfs.NewMem(), Dir: "ledger", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	write(
		&message.PegInChanged{Txid: chainhash.Hash{1}, State: message.PegInMinted, Amount: 7}, &message.PegInChanged{Txid: chainhash.Hash{2}, State: message.PegInMinted},
		&message.PegInChanged{Txid: chainhash.Hash{3}, State: message.PegInSeen},
		&message.PegOutChanged{State: message.PegOutCarried}, &message.PaymentChanged{State: message.PaymentBroadcast},
		&message.WalletChanged{Number: 3, Totals: &message.PegTotals{Coins: 90, CoinCount: 2, Credited: 100, Paid: 8, Pending: 5, PoolDrift: -4, Unknown: 1}},
		&message.BitcoinTipChanged{Height: 11, NodeHeight: 12, FeeRate: 2000, Reverted: 3}, &message.PegAlarm{Rule: "r"}, &message.PegHalted{Reason: "deep"},
	)
	if err := l.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(&message.BitcoinTipChanged{Height: 13})
	n := &Node{ledger: l, journal: j}
	got := pegSeries(t, n)
	for name, want := range map[string]float64{
		"alys_peg_in minted": 2, "alys_peg_in seen": 1, "alys_peg_in queued": 0, "alys_peg_out carried": 1, "alys_peg_payments broadcast": 1,
		"alys_peg_wallet_coins": 2, "alys_peg_locked_satoshi": 90, "alys_peg_minted_satoshi": 100, "alys_peg_paid_satoshi": 8, "alys_peg_pending_satoshi": 5,
		"alys_peg_drift_satoshi": -4, "alys_peg_unknown_transactions": 1, "alys_peg_halted": 1, "alys_peg_alarms_total": 1,
		"alys_bitcoin_followed_height": 11, "alys_bitcoin_node_height": 12, "alys_bitcoin_fee_rate": 2000, "alys_bitcoin_blocks_left_total": 3,
		"alys_peg_ledger_lag_events": 1, "alys_peg_member_last_signature_timestamp_seconds 0": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	if err := l.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(&message.PegResumed{})
	if err := l.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.pegSeen.at = time.Time{} // a second later
	if got := pegSeries(t, n); got["alys_peg_halted"] != 0 || got["alys_bitcoin_followed_height"] != 13 || got["alys_peg_ledger_lag_events"] != 0 {
		t.Errorf("resumed: %v", got)
	}
	if got := pegSeries(t, &Node{journal: j}); got["alys_peg_in minted"] != 0 || got["alys_peg_ledger_lag_events"] != 3 {
		t.Errorf("without a ledger: %v", got)
	}
}
