package peg

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/journal/derived"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func ctx() context.Context { return context.Background() }

type failer interface {
	Helper()
	Fatal(...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// book is a journal that facts are written into, and a ledger of it.
type book struct {
	t       failer
	fs      vfs.FS // of the ledger
	disk    vfs.FS // of the journal
	journal *journal.Journal
	ledger  *Ledger
	time    int64
}

func newBook(t failer, fs vfs.FS) *book {
	b := &book{t: t, fs: fs, disk: vfs.NewMem(), time: 1_700_000_000_000}
	b.open()
	return b
}

func (b *book) open() {
	b.t.Helper()
	var err error
	b.journal, err = journal.Open(journal.Options{FS: b.disk, Dir: "journal", Logger: quiet})
	must(b.t, err)
	b.openLedger()
}

func (b *book) openLedger() {
	b.t.Helper()
	var err error
	b.ledger, err = Open(b.journal, Options{FS: b.fs, Dir: "peg", Gather: -1, BatchBytes: 2048, Logger: quiet})
	must(b.t, err)
}

// tell writes one event: a stored message, if any, and facts. A second passes.
func (b *book) tell(told core.Message, facts ...core.Message) {
	b.t.Helper()
	b.time += 1000
	e := &journal.Event{Sequence: b.journal.Head().Sequence + 1, Time: b.time, Actor: "bridge", Type: "timer_fired", Schema: 1, Stored: true}
	var contents []journal.Content
	keep := func(list []record.Content) {
		for _, c := range list {
			e.Contents = append(e.Contents, journal.Hash(c.Hash))
			contents = append(contents, journal.Content{Hash: journal.Hash(c.Hash), Data: c.Data})
		}
	}
	if told != nil {
		raw, list := record.Encode(told)
		e.Type, e.Schema, e.Message = told.Type(), told.Schema(), raw
		keep(list)
	}
	for _, f := range facts {
		raw, list := record.Encode(f)
		keep(list)
		e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: f.Type(), Schema: f.Schema(), Payload: raw})
	}
	_, err := b.journal.Append(e, contents)
	must(b.t, err)
}

// level has the ledger fold everything.
func (b *book) level() {
	b.t.Helper()
	must(b.t, b.journal.WaitDurable(ctx(), b.journal.Head().Sequence))
	must(b.t, b.ledger.Advance(ctx()))
}

func (b *book) close() {
	b.t.Helper()
	must(b.t, b.ledger.Close())
	must(b.t, b.journal.Close())
}

// dump is every key and value of a ledger but the store's own.
func dump(t failer, l *Ledger) (out []string) {
	t.Helper()
	must(t, l.store.View(func(r derived.Reader, _ derived.Position) error {
		return r.Scan([]byte{1}, []byte{0xff}, false, func(k, v []byte) bool {
			out = append(out, fmt.Sprintf("%x=%x", k, v))
			return true
		})
	}))
	return out
}

func txid(n byte) (h chainhash.Hash) { return chainhash.Hash(bytes.Repeat([]byte{n}, 32)) }

func root(n byte) common.Hash { return common.Hash{0xb0, n} }

func (b *book) get(id string) Peg {
	b.t.Helper()
	found, err := b.ledger.Get(Question{ID: id})
	must(b.t, err)
	if len(found.Pegs) != 1 {
		b.t.Fatal(fmt.Sprintf("%s: %d found", id, len(found.Pegs)))
	}
	return found.Pegs[0]
}

func (b *book) list(q Query) []string {
	b.t.Helper()
	page, err := b.ledger.List(q)
	must(b.t, err)
	var out []string
	for _, p := range page.Pegs {
		id := p.Txid
		if id == "" {
			id = p.Transaction
		}
		out = append(out, strings.TrimPrefix(id, "0x")[:2]+" "+p.State)
	}
	return out
}

// configured is the first message of a journal: six confirmations.
func configured(t failer) *message.NodeConfigured {
	t.Helper()
	c := spec.Dev()
	c.Confirmations = 6
	return &message.NodeConfigured{ChainSpec: record.NewContent(c.Encode()), Bitcoin: true, PayoutConfirmations: 6}
}

// A deposit's life: each state with its times and heights, what comes next, and when.
func TestDepositLife(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	in := func(state uint8, tip uint64, number uint64) *message.PegInChanged {
		m := &message.PegInChanged{
			Txid: txid(1), State: state, Amount: 5000, Account: common.Address{7}, BitcoinBlock: txid(0x77), BitcoinHeight: 100, BitcoinTip: tip, Number: number,
		}
		if state >= message.PegInProposed {
			m.Root = root(byte(number))
		}
		return m
	}
	tip := func(h uint64) *message.BitcoinTipChanged {
		return &message.BitcoinTipChanged{Height: h, NodeHeight: h}
	}
	b.tell(configured(t))
	// Bitcoin blocks come every ten minutes, blocks of the chain every two seconds.
	followed := &message.BitcoinFollowed{}
	for h := uint64(90); h <= 101; h++ {
		blk := message.BitcoinBlock{Height: h, Hash: txid(byte(h))}
		blk.Header[68], blk.Header[69], blk.Header[70] = byte(h*600), byte(h*600>>8), byte(h*600>>16)
		followed.Blocks = append(followed.Blocks, blk)
	}
	for n := uint64(1); n <= 9; n++ {
		b.tell(nil, &message.BlockConnected{Number: n, Timestamp: 1000 + 2*n, Carrier: n%3 == 0}, &message.HeadChanged{Number: n, Root: root(byte(n))})
	}
	b.tell(followed, tip(101), in(message.PegInSeen, 101, 9))
	b.level()
	p := b.get(txid(1).String())
	if p.State != "seen" || p.Confirmations != 2 || p.ConfirmationsLeft != 4 || p.Estimate == nil || *p.Estimate != (Estimate{"bitcoin", 4, 40}) {
		t.Errorf("seen: %+v, %+v", p, p.Estimate)
	}
	b.tell(nil, tip(105), in(message.PegInConfirmed, 105, 9), in(message.PegInQueued, 105, 9))
	b.level()
	if p := b.get(txid(1).String()); p.State != "queued" || p.ConfirmationsLeft != 0 || p.Estimate.Chain != "alys" || p.Estimate.Blocks != 1 {
		t.Errorf("queued: %+v, %+v", p, p.Estimate)
	}
	middle := b.journal.Durable().Sequence
	b.tell(nil, in(message.PegInMinted, 105, 10))
	b.level()
	if p := b.get(txid(1).String()); p.Estimate == nil || p.Estimate.Blocks != 3 { // carriers at 3, 6, 9: the next at 12
		t.Errorf("minted: %+v, %+v", p, p.Estimate)
	}
	b.tell(nil, in(message.PegInFinalized, 106, 10))
	b.level()
	p = b.get("0x" + strings.ToUpper(txid(1).String()))
	var states []string
	for _, c := range p.History {
		states = append(states, c.State)
	}
	if want := []string{"seen", "confirmed", "queued", "minted", "finalised"}; !slices.Equal(states, want) || !p.Done || p.Estimate != nil {
		t.Errorf("history %v, done %v, estimate %v", states, p.Done, p.Estimate)
	}
	if p.Block != root(10).Hex() || p.Height != 10 || p.History[0].BitcoinTip != 101 || p.Since >= p.Changed {
		t.Errorf("%+v", p)
	}
	then, err := b.ledger.Get(Question{ID: txid(1).String(), AsOf: middle})
	must(t, err)
	if p := then.Pegs[0]; p.State != "queued" || len(p.History) != 3 || p.Block != "" || then.AsOf != middle || p.Confirmations != 6 || p.Estimate != nil {
		t.Errorf("as of %d: %+v", middle, p)
	}
	if l := b.list(Query{State: "finalised"}); len(l) != 1 {
		t.Errorf("by state: %v", l)
	}
	if l := b.list(Query{State: "queued"}); len(l) != 0 {
		t.Errorf("still in the list of a former state: %v", l)
	}
	if l := b.list(Query{State: "queued", AsOf: middle}); len(l) != 1 {
		t.Errorf("as of then: %v", l)
	}
	if l := b.list(Query{Account: common.Address{7}.Hex()}); len(l) != 1 {
		t.Errorf("by account: %v", l)
	}
}

// A deposit that stands minted and is listed once more: the first time counts on, whatever
// becomes of the block that lists it. One that was reorganised out before is no double.
func TestListedTwice(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	in := func(state uint8, block byte) *message.PegInChanged {
		return &message.PegInChanged{Txid: txid(1), State: state, Amount: 5000, Account: common.Address{7}, Root: root(block), Number: uint64(block)}
	}
	history := func() (states []string) {
		for _, c := range b.get(txid(1).String()).History {
			states = append(states, c.State)
		}
		return states
	}
	b.tell(nil, in(message.PegInQueued, 0), in(message.PegInMinted, 3))
	b.tell(nil, in(message.PegInDouble, 4))
	b.level()
	if p := b.get(txid(1).String()); p.State != "minted" || p.Block != root(3).Hex() || !slices.Equal(history(), []string{"queued", "minted"}) {
		t.Errorf("listed again: %+v", p)
	}
	b.tell(nil, in(message.PegInFinalized, 3), in(message.PegInDouble, 9))
	b.level()
	s, err := b.ledger.Summary(0)
	must(t, err)
	if of := s.Counts["deposit"]; of["finalised"] != (Count{1, 5000}) || of["double"] != (Count{}) || of["minted"] != (Count{}) {
		t.Errorf("counts %+v", of)
	}
	if l := b.list(Query{State: "double"}); len(l) != 0 {
		t.Errorf("listed as double: %v", l)
	}
	// Not minted when it was said: it stays said.
	b.tell(nil, &message.PegInChanged{Txid: txid(2), State: message.PegInQueued}, &message.PegInChanged{Txid: txid(2), State: message.PegInDouble, Reason: "of block 3"})
	b.level()
	if p := b.get(txid(2).String()); p.State != "double" || p.Reason != "of block 3" || len(p.History) != 2 {
		t.Errorf("double: %+v", p)
	}
}

// One transaction asks twice; one payment pays both; a reorganisation moves a request.
func TestRequestsAndPayments(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	ask := func(log uint32, state uint8, pay byte) *message.PegOutChanged {
		m := &message.PegOutChanged{Transaction: common.Hash{0xee}, Log: log, State: state, Amount: 1_000_000 + uint64(log), Destination: "bcrt1q", Account: common.Address{9}, Root: root(1), Number: 1}
		if pay != 0 {
			m.Payment, m.Output = txid(pay), log
		}
		return m
	}
	pay := func(n, state uint8, signers uint32, members uint64) *message.PaymentChanged {
		return &message.PaymentChanged{Txid: txid(n), State: state, Signers: signers, Members: members, Fee: 360}
	}
	b.tell(configured(t))
	b.tell(nil, ask(0, message.PegOutRequested, 0), ask(1, message.PegOutRequested, 0))
	b.tell(nil, ask(0, message.PegOutProposed, 5), ask(1, message.PegOutProposed, 5), pay(5, message.PaymentProposed, 0, 0))
	b.tell(nil, pay(5, message.PaymentSigning, 1, 1))
	b.tell(nil, pay(5, message.PaymentAbandoned, 1, 1), ask(0, message.PegOutReverted, 0), ask(1, message.PegOutReverted, 0))
	b.tell(nil, ask(0, message.PegOutRequested, 0), ask(0, message.PegOutProposed, 6), pay(6, message.PaymentProposed, 0, 0))
	b.level()
	found, err := b.ledger.Get(Question{ID: common.Hash{0xee}.Hex()})
	must(t, err)
	if len(found.Pegs) != 2 || found.Pegs[0].Payment != txid(6).String() || found.Pegs[1].State != "reverted" || *found.Pegs[1].Log != 1 {
		t.Fatalf("%+v", found.Pegs)
	}
	one := uint32(1)
	if found, err = b.ledger.Get(Question{ID: common.Hash{0xee}.Hex(), Log: &one}); err != nil || len(found.Pegs) != 1 {
		t.Errorf("log 1: %+v, %v", found, err)
	}
	if p := b.get(txid(5).String()); len(p.Requests) != 0 || p.State != "abandoned" {
		t.Errorf("abandoned: %+v", p)
	}
	if p := b.get(txid(6).String()); len(p.Requests) != 1 || p.Requests[0] != (common.Hash{0xee}).Hex()+"/0" {
		t.Errorf("pays %v", p.Requests)
	}
	s, err := b.ledger.Summary(0)
	must(t, err)
	if got := s.Counts["request"]["proposed"]; got != (Count{1, 1_000_000}) {
		t.Errorf("proposed: %+v", got)
	}
	if m := s.Members; len(m) != 1 || m[0].Payments != 1 || m[0].LastSigned == "" {
		t.Errorf("members %+v", m)
	}
}

// What Bitcoin and the operator do is seen: a halt comes before everything else.
func TestHaltAndLoss(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	b.tell(configured(t))
	b.tell(nil, &message.PegInChanged{Txid: txid(1), State: message.PegInSeen, BitcoinHeight: 10}, &message.BitcoinTipChanged{Height: 12, NodeHeight: 20})
	b.tell(nil, &message.BitcoinLost{Grade: uint8(fault.Temporary), Reason: "connection refused"}, &message.PegHalted{Reason: "six blocks were left"})
	for range keptAlarms + 3 {
		b.tell(nil, &message.PegAlarm{Rule: "off-branch", Reason: "no input is spent", Txid: txid(3)})
	}
	b.level()
	if p := b.get(txid(1).String()); !strings.Contains(p.Next, "six blocks were left") || p.Estimate != nil {
		t.Errorf("halted: %+v", p)
	}
	s, err := b.ledger.Summary(0)
	must(t, err)
	if s.Halted == nil || s.Bitcoin.Lost == "" || s.Bitcoin.Height != 12 || s.Bitcoin.NodeHeight != 20 || s.Alarms.Count != keptAlarms+3 || s.Alarms.Last == nil {
		t.Errorf("%+v, bitcoin %+v, alarms %+v", s, s.Bitcoin, s.Alarms)
	}
	b.tell(nil, &message.PegResumed{Reason: "checked"}, &message.BitcoinTipChanged{Height: 20, NodeHeight: 20, Reverted: 3})
	b.level()
	if s, err = b.ledger.Summary(0); err != nil || s.Halted != nil || s.Bitcoin.Lost != "" || s.Bitcoin.Reverted != 3 {
		t.Errorf("resumed: %+v, %+v, %v", s, s.Bitcoin, err)
	}
}

func TestRefusedQuestions(t *testing.T) {
	b := newBook(t, vfs.NewMem())
	defer b.close()
	b.tell(configured(t))
	b.level()
	for _, q := range []Question{{}, {ID: "xx"}, {ID: strings.Repeat("a", 63)}, {ID: strings.Repeat("a", 1<<20)}, {ID: "0x" + strings.Repeat("a", 66)}} {
		if _, err := b.ledger.Get(q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.40q: %v", q.ID, err)
		}
	}
	if _, err := b.ledger.Get(Question{ID: txid(1).String(), AsOf: 1 << 60}); !fault.Is(err, fault.CannotJudge) {
		t.Errorf("as of the future: %v", err)
	}
	for _, q := range []Query{
		{Kind: "x"}, {Kind: "unknown"}, {Kind: ""[:0] + "\x00"}, {State: "none"}, {State: "broadcast"}, {Kind: "payment", Account: common.Address{}.Hex()}, {Account: "0x12"},
		{Limit: -1}, {Limit: MaxLimit + 1}, {Since: -1}, {Until: -1}, {Cursor: "zz"}, {Cursor: "00"}, {Cursor: strings.Repeat("00", 1<<16)},
	} {
		if _, err := b.ledger.List(q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+.80v: %v", q, err)
		}
	}
	for _, q := range []Query{
		{Since: 1 << 62, Until: 1}, {Until: 1<<63 - 1}, {Cursor: hex.EncodeToString(bytes.Repeat([]byte{0xff}, momentSize)), Forward: true}, {Cursor: hex.EncodeToString(make([]byte, momentSize))},
	} {
		if page, err := b.ledger.List(q); err != nil || len(page.Pegs) != 0 {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
