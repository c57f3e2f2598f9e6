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

var benchPegs = flag.Int("pegs", 20_000, "deposits of BenchmarkLedger")

// benchLedger is a ledger on disk of deposits with three states each.
func benchLedger(b *testing.B, pegs int) *Ledger {
	b.Helper()
	dir := b.TempDir()
	j, err := journal.Open(journal.Options{Dir: dir + "/journal", Logger: quiet})
	must(b, err)
	b.Cleanup(func() { must(b, j.Close()) })
	const each = 100
	for n := 0; n < pegs; n += each {
		e := &journal.Event{Sequence: j.Head().Sequence + 1, Time: int64(n), Actor: "bridge", Type: "timer_fired", Schema: 1, Stored: true}
		for i := n; i < n+each; i++ {
			for _, state := range []uint8{message.PegInQueued, message.PegInMinted, message.PegInFinalized} {
				var m core.Message = &message.PegInChanged{Txid: benchID(i), State: state, Amount: 1, Account: common.Address{byte(i), byte(i >> 8)}, BitcoinHeight: 1, Number: uint64(i)}
				raw, _ := record.Encode(m)
				e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: m.Type(), Schema: 1, Payload: raw})
			}
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

func benchID(i int) (h chainhash.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(i)*0x9e3779b97f4a7c15)
	return h
}

// BenchmarkLedger asks for one deposit with its history, for a page of 50, and for the
// peg at a glance.
func BenchmarkLedger(b *testing.B) {
	l := benchLedger(b, *benchPegs)
	for name, ask := range map[string]func(i int) error{
		"Get": func(i int) error {
			_, err := l.Get(Question{ID: benchID(i * 7919 % *benchPegs).String()})
			return err
		},
		"List": func(int) error {
			_, err := l.List(Query{State: "finalised"})
			return err
		},
		"Summary": func(int) error {
			_, err := l.Summary(0)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				must(b, ask(i))
			}
		})
	}
}
