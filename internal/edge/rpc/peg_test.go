package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
	"github.com/AnduroProject/alys-go/projections/peg"
)

// exampleDeposit is the transaction of the examples. (peg.md A15)
const exampleDeposit = "d3b87f05cfdde197e0ad8cd19c1a06df70f17ec7a2a6ca59fd14f9d71d00e192"

// pegLedger is a ledger of two deposits, of which one is minted, and a request that one
// payment pays.
func pegLedger(t testing.TB) *peg.Ledger {
	t.Helper()
	fs := vfs.NewMem()
	j, err := journal.Open(journal.Options{FS: fs, Dir: "journal"})
	if err != nil {
		t.Fatal(err)
	}
	one, err := chainhash.NewHashFromStr(exampleDeposit)
	if err != nil {
		t.Fatal(err)
	}
	deposit := func(state uint8) *message.PegInChanged {
		return &message.PegInChanged{
			Txid: *one, State: state, Amount: 10_000, Account: common.HexToAddress("0xf9a9b63f5b7f9336da0ce520c6bec64627027f5b"),
			BitcoinBlock: chainhash.Hash{1}, BitcoinHeight: 100, BitcoinTip: 243, Root: common.Hash{9}, Number: 90,
		}
	}
	request := &message.PegOutChanged{
		Transaction: common.Hash{5}, State: message.PegOutProposed, Amount: 1_000_000, Paid: 999_640, Destination: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
		Payment: chainhash.Hash{7}, Root: common.Hash{9}, Number: 90,
	}
	for i, facts := range [][]core.Message{
		{&message.BitcoinTipChanged{Height: 243, NodeHeight: 243, FeeRate: 2000}, deposit(message.PegInQueued)},
		{deposit(message.PegInMinted), &message.WalletChanged{Root: common.Hash{9}, Number: 90, Totals: &message.PegTotals{Deposited: 10_000, Credited: 10_000, Coins: 10_000, CoinCount: 1}}},
		{&message.PegInChanged{Txid: chainhash.Hash{2}, State: message.PegInSeen, Amount: 500, BitcoinHeight: 240}},
		{request, &message.PaymentChanged{Txid: chainhash.Hash{7}, State: message.PaymentProposed, Fee: 360}},
	} {
		e := &journal.Event{Sequence: uint64(i + 1), Time: 1_795_454_655_000 + int64(i)*2000, Actor: "bridge", Type: "timer_fired", Schema: 1, Stored: true}
		for _, f := range facts {
			raw, _ := record.Encode(f)
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: f.Type(), Schema: f.Schema(), Payload: raw})
		}
		if _, err := j.Append(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	l, err := peg.Open(j, peg.Options{FS: fs, Dir: "peg"})
	if err == nil {
		err = j.WaitDurable(t.Context(), j.Head().Sequence)
	}
	if err == nil {
		err = l.Advance(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (b *chainBackend) PegGet(q peg.Question) (*peg.Found, error) { return b.ledger.Get(q) }

func (b *chainBackend) PegList(q peg.Query) (*peg.Page, error) { return b.ledger.List(q) }

func (b *chainBackend) PegStatus(asOf uint64) (*peg.Summary, error) { return b.ledger.Summary(asOf) }

// PegReserves has one block: the head.
func (b *chainBackend) PegReserves(_ context.Context, q rpc.ReservesQuery) (*rpc.Reserves, error) {
	if q.Block != "" && q.Block != "head" {
		return nil, nil
	}
	w, asOf, err := b.ledger.WalletAt(90)
	if err != nil {
		return nil, err
	}
	r := &rpc.Reserves{AsOf: asOf, Block: w.Block, Height: w.Height, Totals: w.Totals, Exact: true, Bitcoin: 243}
	if q.Coins {
		r.Coins = []rpc.PegCoin{{Txid: exampleDeposit, Amount: 10_000, From: "deposit", Height: 90, Spendable: true, Proof: &peg.Proof{
			Txid: exampleDeposit, Block: (chainhash.Hash{1}).String(), Height: 100, Header: strings.Repeat("00", 80), Branch: []string{},
		}}}
	}
	return r, nil
}

func (b *chainBackend) PegAddress(context.Context) (*rpc.PegAddress, []string, error) {
	if b.notSynced != nil {
		return nil, b.notSynced, nil
	}
	return &rpc.PegAddress{Address: b.deposit, Network: "regtest", Members: 1, Threshold: 1, Confirmations: 2, Height: 91, BitcoinHeight: 243}, nil, nil
}

// The whole life of a deposit, by its txid in either case, with and without 0x.
func TestPegGet(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	for _, id := range []string{exampleDeposit, "0x" + exampleDeposit, strings.ToUpper(exampleDeposit)} {
		r := ask(t, addr, "peg_get", fmt.Sprintf("[%q]", id))
		var found peg.Found
		if err := json.Unmarshal(r.Result, &found); err != nil || r.Error != nil || len(found.Pegs) != 1 {
			t.Fatalf("%s: %s %+v %v", id, r.Result, r.Error, err)
		}
		p := found.Pegs[0]
		if p.State != "minted" || p.Confirmations != 144 || len(p.History) != 2 || p.History[0].State != "queued" || !strings.EqualFold(p.Account, "0xf9a9b63f5b7f9336da0ce520c6bec64627027f5b") {
			t.Errorf("%s: %+v", id, p)
		}
	}
	r := ask(t, addr, "peg_get", fmt.Sprintf(`{"id":%q,"log":0}`, common.Hash{5}.Hex()))
	if !strings.Contains(string(r.Result), `"kind":"request"`) || !strings.Contains(string(r.Result), (chainhash.Hash{7}).String()) {
		t.Errorf("request: %s %+v", r.Result, r.Error)
	}
	if r := ask(t, addr, "peg_get", fmt.Sprintf("[%q]", (chainhash.Hash{7}).String())); !strings.Contains(string(r.Result), common.Hash{5}.Hex()+"/0") {
		t.Errorf("payment: %s %+v", r.Result, r.Error)
	}
}

// A list goes on by its cursor until all were given, each once.
func TestPegList(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	var got []string
	cursor := ""
	for range 5 {
		r := ask(t, addr, "peg_list", fmt.Sprintf(`{"limit":1,"cursor":%q}`, cursor))
		var page peg.Page
		if err := json.Unmarshal(r.Result, &page); err != nil || r.Error != nil {
			t.Fatalf("%s %+v %v", r.Result, r.Error, err)
		}
		for _, p := range page.Pegs {
			got = append(got, p.State)
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	if strings.Join(got, " ") != "seen minted" {
		t.Errorf("newest first: %v", got)
	}
}

// No address while the node is not level, and what is missing; legacy's always answers.
func TestPegAddressRefused(t *testing.T) {
	b := legacyBackend(t)
	b.notSynced = []string{"the head is 5m behind the clock", "Bitcoin is followed to 7 of 9"}
	addr := served(t, rpc.Options{Backend: b})
	r := ask(t, addr, "peg_getDepositAddress", "[]")
	if r.Error == nil || r.Error.Code != -31005 || !strings.Contains(r.Error.Message, "followed to 7 of 9") {
		t.Errorf("%s %+v", r.Result, r.Error)
	}
	if status, _, body := post(t, addr, "POST", "/", `{"method":"getdepositaddress","params":[],"id":1}`); status != 200 || !strings.Contains(body, b.deposit) {
		t.Errorf("legacy: %d %s", status, body)
	}
	b.notSynced = nil
	if r := ask(t, addr, "peg_getDepositAddress", "[]"); !strings.Contains(string(r.Result), b.deposit) {
		t.Errorf("%s %+v", r.Result, r.Error)
	}
}

func TestPegRefusesHostileParameters(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	for method, list := range map[string][]string{
		"peg_get": {`[]`, `[1]`, `["x"]`, `[""]`, `["0x"]`, fmt.Sprintf("[%q]", strings.Repeat("f", 1<<20)), `["` + exampleDeposit + `",-1]`, `["` + exampleDeposit + `",4294967296]`,
			`["` + exampleDeposit + `",null,-1]`, `["` + exampleDeposit + `",null,1,2]`, `{"id":"` + exampleDeposit + `","more":1}`, `"x"`},
		"peg_list": {`{"kind":"deposits"}`, `{"kind":7}`, `{"state":"burning"}`, `{"limit":501}`, `{"limit":-1}`, `{"limit":1e99}`, `{"cursor":"00"}`, `{"cursor":"zz"}`, `{"since":-1}`,
			`{"account":"0x1"}`, `{"kind":"payment","account":"0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}`, `{"asOf":-1}`, `{"forward":"yes"}`},
		"peg_status":            {`[-1]`, `["x"]`, `[1,2]`},
		"peg_reserves":          {`{"limit":501}`, `{"limit":-1}`, `{"coins":1}`, `{"block":1}`},
		"peg_getDepositAddress": {`[1]`, `{"address":"x"}`},
	} {
		for _, params := range list {
			if r := ask(t, addr, method, params); r.Error == nil || r.Error.Code != -32602 {
				t.Errorf("%s %.100s: %.200s %+v", method, params, r.Result, r.Error)
			}
		}
	}
	for method, params := range map[string]string{
		"peg_get": fmt.Sprintf("[%q]", strings.Repeat("0", 64)), "peg_reserves": `{"block":"7"}`,
	} {
		if r := ask(t, addr, method, params); r.Error == nil || r.Error.Code != -31003 {
			t.Errorf("%s %s: %s %+v", method, params, r.Result, r.Error)
		}
	}
	if r := ask(t, addr, "peg_list", `{"asOf":99}`); r.Error == nil || r.Error.Code != -31000 {
		t.Errorf("as of the future: %s %+v", r.Result, r.Error)
	}
}
