package peg

import (
	"encoding/binary"
	"flag"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
)

var benchPegs = flag.Int("pegs", 20_000, "deposits and requests of BenchmarkLedger")

// Every eighth peg of the benchmark is a request; ten requests have one payment.
// Accounts have twenty pegs each, far from one another.
const (
	benchRequests = 8
	benchPaid     = 10
	benchEach     = 20
)

func benchID(i int) (h chainhash.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(h[24:], ^uint64(i)*0x9e3779b97f4a7c15)
	return h
}

func benchAccount(i int) (a common.Address) {
	binary.BigEndian.PutUint64(a[:], uint64(i%max(1, *benchPegs/benchEach))*0x9e3779b97f4a7c15)
	return a
}

// benchLife is the facts of one peg's life.
func benchLife(i int) (facts []core.Message) {
	tip, number := uint64(i/100), uint64(i/50)
	if i%benchRequests != 0 {
		for _, state := range []uint8{message.PegInSeen, message.PegInConfirmed, message.PegInMinted, message.PegInFinalized} {
			facts = append(facts, &message.PegInChanged{
				Txid: benchID(i), State: state, Amount: 1_000_000, Account: benchAccount(i), BitcoinBlock: benchID(-int(tip)), BitcoinHeight: tip, BitcoinTip: tip + 6,
				Root: common.Hash(benchID(-i)), Number: number,
			})
		}
		return facts
	}
	payment := benchID(-1 - i/benchRequests/benchPaid)
	for _, state := range []uint8{message.PegOutRequested, message.PegOutProposed, message.PegOutFinalized, message.PegOutConfirmed} {
		m := &message.PegOutChanged{
			Transaction: common.Hash(benchID(i)), State: state, Amount: 1_000_000, Script: make([]byte, 34), Destination: "bcrt1p3srvwkq5kyzlxqls43x97ch2vpcp4j278nk8jjuzcgt8k40ttr9s4vj934",
			Account: benchAccount(i), Root: common.Hash(benchID(-i)), Number: number,
		}
		if state > message.PegOutRequested {
			m.Payment, m.Output, m.Paid = payment, uint32(i/benchRequests%benchPaid), 999_000
		}
		facts = append(facts, m)
	}
	if i/benchRequests%benchPaid == 0 {
		for _, state := range []uint8{message.PaymentProposed, message.PaymentSigned, message.PaymentFinalized, message.PaymentConfirmed} {
			facts = append(facts, &message.PaymentChanged{Txid: payment, State: state, Fee: 5000, Signers: 3, Members: 7, Number: number, BitcoinHeight: tip, BitcoinTip: tip + 6})
		}
	}
	return facts
}

// benchLedger is a ledger on disk, level with its journal: lives of pegs, what the wallet
// held and what Bitcoin was between them.
func benchLedger(b *testing.B, pegs int) *Ledger {
	b.Helper()
	dir := b.TempDir()
	j, err := journal.Open(journal.Options{Dir: dir + "/journal", Logger: quiet})
	must(b, err)
	b.Cleanup(func() { must(b, j.Close()) })
	const each = 100
	for n := 0; n < pegs; n += each {
		e := &journal.Event{Sequence: j.Head().Sequence + 1, Time: int64(n) * 1000, Actor: "bridge", Type: "timer_fired", Schema: 1, Stored: true}
		facts := []core.Message{
			&message.BitcoinTipChanged{Height: uint64(n / each), Hash: benchID(-n), NodeHeight: uint64(n / each)},
			&message.WalletChanged{Root: common.Hash(benchID(n)), Number: uint64(n / 50), Totals: &message.PegTotals{Coins: uint64(n), Deposited: uint64(n)}},
		}
		for i := n; i < min(n+each, pegs); i++ {
			facts = append(facts, benchLife(i)...)
		}
		for _, m := range facts {
			raw, _ := record.Encode(m)
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: m.Type(), Schema: m.Schema(), Payload: raw})
		}
		_, err := j.Append(e, nil)
		must(b, err)
	}
	must(b, j.WaitDurable(ctx(), j.Head().Sequence))
	l, err := Open(j, Options{Dir: dir + "/peg", Logger: quiet})
	must(b, err)
	b.Cleanup(func() { must(b, l.Close()) })
	must(b, l.Advance(ctx()))
	return l
}

// BenchmarkLedger asks for one of many pegs with its history, for pages of 50 in every
// order, for the peg at a glance, and for the same as of the middle. "Spread" asks for
// another peg or page each time, so that most of what is read is not in the cache.
func BenchmarkLedger(b *testing.B) {
	pegs := *benchPegs
	l := benchLedger(b, pegs)
	b.ReportAllocs()
	middle := l.Position() / 2
	spread := func(i int) int { return i * 7919 % pegs }
	get := func(i int, asOf uint64) error {
		found, err := l.Get(Question{ID: benchText(i), AsOf: asOf})
		if err == nil && asOf == 0 && len(found.Pegs) != 1 {
			b.Fatalf("peg %d: %d found", i, len(found.Pegs))
		}
		return err
	}
	list := func(q Query) error {
		page, err := l.List(q)
		if err == nil && len(page.Pegs) == 0 {
			b.Fatalf("%+v finds nothing", q)
		}
		return err
	}
	for _, one := range []struct {
		name string
		ask  func(i int) error
	}{
		{"Get", func(int) error { return get(pegs/2+1, 0) }},
		{"GetSpread", func(i int) error { return get(spread(i), 0) }},
		{"GetAsOf", func(i int) error { return get(spread(i), middle) }},
		{"List", func(int) error { return list(Query{}) }},
		{"ListOldest", func(int) error { return list(Query{Forward: true}) }},
		{"ListSpread", func(i int) error { return list(Query{Since: int64(spread(i)) * 900, Forward: true}) }},
		{"ListState", func(int) error { return list(Query{State: "finalised"}) }},
		{"ListAccount", func(int) error { return list(Query{Account: benchAccount(1).Hex()}) }},
		{"ListAccountSpread", func(i int) error { return list(Query{Account: benchAccount(spread(i) | 1).Hex()}) }},
		{"ListRequests", func(int) error { return list(Query{Kind: "request"}) }},
		{"ListPayments", func(int) error { return list(Query{Kind: "payment", State: "confirmed"}) }},
		{"ListAsOf", func(int) error { return list(Query{AsOf: middle, Until: int64(pegs) * 500}) }},
		{"ListNone", func(int) error { _, err := l.List(Query{State: "queued"}); return err }},
		{"Summary", func(int) error { _, err := l.Summary(0); return err }},
		{"SummaryAsOf", func(int) error { _, err := l.Summary(middle); return err }},
	} {
		b.Run(one.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				must(b, one.ask(i))
			}
		})
	}
}

// benchText names a peg as its reader would.
func benchText(i int) string {
	if i%benchRequests == 0 {
		return common.Hash(benchID(i)).Hex()
	}
	return benchID(i).String()
}
