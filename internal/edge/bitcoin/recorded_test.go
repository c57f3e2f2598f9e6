package bitcoin

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

const legacyDir = "../../../testdata/legacy"

// recorded is one answer of Bitcoin Core 28.
type recorded struct {
	Name         string          `json:"name"`
	Request      json.RawMessage `json:"request"`
	ConnectError bool            `json:"connect_error"`
	Status       int             `json:"status"`
	Body         string          `json:"body"`
}

func (r *recorded) call() (method string, params []any) {
	var c struct {
		Method string `json:"method"`
		Params []any  `json:"params"`
	}
	if json.Unmarshal(r.Request, &c) != nil {
		return "", nil
	}
	return c.Method, c.Params
}

func records(t testing.TB) (all []recorded) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(legacyDir), "bitcoin_core", "regtest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func recordOf(t testing.TB, all []recorded, name string) *recorded {
	t.Helper()
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	t.Fatalf("nothing is recorded as %q", name)
	return nil
}

// core answers a call as the first record with the same method and parameters did, those
// of first before the others.
func core(t testing.TB, first *recorded, others ...*recorded) *Client {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var got struct {
			Method string `json:"method"`
			Params []any  `json:"params"`
		}
		_ = json.NewDecoder(r.Body).Decode(&got)
		for _, o := range append([]*recorded{first}, others...) {
			if method, params := o.call(); method == got.Method && reflect.DeepEqual(params, got.Params) {
				w.WriteHeader(o.Status)
				_, _ = w.Write([]byte(o.Body))
				return
			}
		}
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"result":null,"error":{"code":-5,"message":"No such mempool or blockchain transaction."},"id":"x"}`)
	}))
	t.Cleanup(server.Close)
	return dial(t, ClientOptions{URL: server.URL, User: "u", Password: "p"})
}

func dial(t testing.TB, o ClientOptions) *Client {
	t.Helper()
	c, err := Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// expectation is what the client makes of a record: the grade of the error with a word of
// its text, or what node checks of the methods that use the answer.
type expectation struct {
	grade fault.Grade
	says  string
	node  func(c *Client, params []any) error
}

func hash(text any) chainhash.Hash {
	h, err := chainhash.NewHashFromStr(fmt.Sprint(text))
	if err != nil {
		panic(err)
	}
	return *h
}

func sends(outcome uint8) func(*Client, []any) error {
	return func(c *Client, params []any) error {
		raw, err := hex.DecodeString(params[0].(string))
		if err != nil {
			return err
		}
		got, reason, err := c.Send(context.Background(), raw)
		if err != nil || got != outcome || (reason == "") != (outcome == message.BroadcastAccepted) {
			return fmt.Errorf("outcome %d %q %v, want %d", got, reason, err, outcome)
		}
		return nil
	}
}

func informs(height uint64) func(*Client, []any) error {
	return func(c *Client, _ []any) error {
		info, err := c.Info(context.Background())
		if err != nil || info.Network != "regtest" || info.Height != height || info.Headers != height || info.Tip == (chainhash.Hash{}) || info.Pruned || info.Syncing ||
			!strings.Contains(info.Software, "Satoshi:28.1.0") {
			return fmt.Errorf("%+v %v", info, err)
		}
		return nil
	}
}

func indexed(want bool) func(*Client, []any) error {
	return func(c *Client, _ []any) error {
		info, err := c.Info(context.Background())
		if err != nil || info.TxIndex != want {
			return fmt.Errorf("%+v %v", info, err)
		}
		return nil
	}
}

func headers(height uint64, confirmations int64) func(*Client, []any) error {
	return func(c *Client, params []any) error {
		var place struct{ Height, Confirmations int64 }
		err := c.call(context.Background(), smallAnswer, &place, "getblockheader", params[0])
		if err != nil || place.Height != int64(height) || place.Confirmations != confirmations {
			return fmt.Errorf("%+v %v", place, err)
		}
		return nil
	}
}

func transacts(c *Client, params []any) error {
	_, err := c.Transaction(context.Background(), hash(params[0]), hash(params[2]))
	return err
}

func notFound(c *Client, params []any) error {
	if err := transacts(c, params); !fault.Is(err, fault.CannotJudge) {
		return fmt.Errorf("%v", err)
	}
	return nil
}

// expectations has every record by name.
var expectations = map[string]expectation{
	"connection refused":               {grade: fault.Temporary, says: "not reached"},
	"just started (may be warming up)": {grade: fault.Temporary, says: "warming up"},
	"wrong password":                   {grade: fault.Invalid, says: "bitcoin-rpc-user"},
	"not json":                         {grade: fault.Invalid, says: "Parse error"},
	"unknown method":                   {grade: fault.Invalid, says: "no Bitcoin node"},
	"bad params":                       {grade: fault.Invalid, says: "Wrong type"},
	"getblockchaininfo":                {node: informs(110)},
	"getblockchaininfo at the end":     {node: informs(115)},
	"getnetworkinfo":                   {node: informs(110)},
	"getindexinfo":                     {node: indexed(true)},
	"without txindex: getindexinfo":    {node: indexed(false)},
	"getblockcount":                    {},
	"getbestblockhash":                 {},
	"getmempoolinfo":                   {},
	"uptime":                           {},
	"getchaintips":                     {},
	"getmempoolentry":                  {},
	"getmempoolentry unknown":          {grade: fault.CannotJudge, says: "not in mempool"},
	"batch":                            {grade: fault.Invalid, says: "no answer of a Bitcoin node"}, // a list; no batch is ever sent
	"getblockhash": {node: func(c *Client, _ []any) error {
		h, err := c.BlockHash(context.Background(), 105)
		if err != nil || h.String() != "1bec8ea8770380bfbbadff94bcef7ed9b55b21206f7ad1449f0af0f475c03ac4" {
			return fmt.Errorf("%s %v", h, err)
		}
		return nil
	}},
	"getblockhash beyond the tip": {grade: fault.CannotJudge, says: "does not reach"},
	"getblockhash negative":       {grade: fault.CannotJudge, says: "out of range"},
	"estimatesmartfee without data": {node: func(c *Client, _ []any) error {
		if rate, err := c.FeeRate(context.Background()); rate != 0 || err != nil {
			return fmt.Errorf("%d %v", rate, err)
		}
		return nil
	}},
	"sendrawtransaction":                                    {node: sends(message.BroadcastAccepted)},
	"sendrawtransaction first":                              {node: sends(message.BroadcastAccepted)},
	"sendrawtransaction again, in mempool":                  {node: sends(message.BroadcastAccepted)},
	"sendrawtransaction conflicting, higher fee (replaces)": {node: sends(message.BroadcastAccepted)},
	"sendrawtransaction already confirmed":                  {grade: fault.Invalid, says: "already in utxo set", node: sends(message.BroadcastConfirmed)},
	"sendrawtransaction garbage":                            {grade: fault.Invalid, says: "TX decode failed", node: sends(message.BroadcastRefused)},
	"sendrawtransaction empty":                              {grade: fault.Invalid, says: "TX decode failed", node: sends(message.BroadcastRefused)},
	"sendrawtransaction missing input":                      {grade: fault.Invalid, says: "missingorspent", node: sends(message.BroadcastConflict)},
	"sendrawtransaction without witness":                    {grade: fault.Invalid, says: "empty witness", node: sends(message.BroadcastRefused)},
	"sendrawtransaction spends more than it has":            {grade: fault.Invalid, says: "belowout", node: sends(message.BroadcastRefused)},
	"sendrawtransaction conflicting, lower fee":             {grade: fault.Invalid, says: "insufficient fee", node: sends(message.BroadcastConflict)},
	"sendrawtransaction replaced one again":                 {grade: fault.Invalid, says: "insufficient fee", node: sends(message.BroadcastConflict)},
	"sendrawtransaction inputs spent":                       {grade: fault.Invalid, says: "missingorspent", node: sends(message.BroadcastConflict)},
	"testmempoolaccept without witness":                     {},
	"gettxout in mempool":                                   {},
	"gettxout in mempool, mempool excluded":                 {},
	"gettxout unspent":                                      {},
	"gettxout no such output":                               {},
	"gettxout coinbase immature":                            {},
	"getblockheader":                                        {node: headers(111, 1)},
	"before reorganisation: header":                         {node: headers(113, 2)},
	"after reorganisation: stale header":                    {node: headers(113, -1)},
	"getblockheader unknown":                                {grade: fault.CannotJudge, says: "Block not found"},
	"getblockheader malformed":                              {grade: fault.Invalid, says: "must be of length"},
	"getblock verbosity 1":                                  {},
	"getblock verbosity 2":                                  {},
	"after reorganisation: stale block":                     {},
	"getblock unknown":                                      {grade: fault.CannotJudge, says: "Block not found"},
	"getrawtransaction in mempool":                          {},
	"getrawtransaction in mempool, verbose":                 {},
	"getrawtransaction confirmed":                           {},
	"getrawtransaction with block":                          {node: transacts},
	"getrawtransaction verbose with block":                  {},
	"without txindex: with block":                           {node: transacts},
	"getrawtransaction in the wrong block":                  {grade: fault.CannotJudge, says: "No such transaction", node: notFound},
	"getrawtransaction unknown":                             {grade: fault.CannotJudge, says: "No such mempool"},
	"getrawtransaction unknown block":                       {grade: fault.CannotJudge, says: "Block hash not found", node: notFound},
	"without txindex: getrawtransaction":                    {grade: fault.CannotJudge, says: "-txindex"},
	"getblockheader raw": {node: func(c *Client, params []any) error {
		raw, err := c.hexCall(context.Background(), smallAnswer, "getblockheader", params...)
		if err != nil || len(raw) != 80 || chainhash.DoubleHashH(raw) != hash(params[0]) {
			return fmt.Errorf("%x %v", raw, err)
		}
		return nil
	}},
	"getblock verbosity 0": {node: func(c *Client, params []any) error {
		raw, err := c.Block(context.Background(), hash(params[0]))
		if err != nil || len(raw) != 526 {
			return fmt.Errorf("%d bytes, %v", len(raw), err)
		}
		_, err = deposits(1).ScanBlock(raw)
		return err
	}},
}

// TestVectorsBitcoinCore puts every recorded answer through the client.
func TestVectorsBitcoinCore(t *testing.T) {
	all, passed := records(t), 0
	network, index, info := recordOf(t, all, "getnetworkinfo"), recordOf(t, all, "getindexinfo"), recordOf(t, all, "getblockchaininfo")
	for i := range all {
		r := &all[i]
		want, ok := expectations[r.Name]
		if !ok {
			t.Errorf("%s: nothing is expected of it", r.Name)
			continue
		}
		c := core(t, r, network, index, info)
		if r.ConnectError {
			c = dial(t, ClientOptions{URL: "http://127.0.0.1:1"})
		}
		if err := replayed(c, r, want); err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		passed++
	}
	if vectors.Dir(legacyDir) == legacyDir && len(all) != 63 {
		t.Errorf("%d records, 63 are shipped", len(all))
	}
	t.Logf("\n%-15s %8s %8s\n%-15s %8d %8d", "file", "lines", "passed", "bitcoin_core", len(all), passed)
}

// replayed puts a record's own request and then the methods that use it through the client.
func replayed(c *Client, r *recorded, want expectation) error {
	method, params := r.call()
	var result json.RawMessage
	var err error
	if r.ConnectError {
		err = c.exchange(context.Background(), blockAnswer, &result, method, r.Request)
	} else {
		err = c.judge(r.Status, []byte(r.Body), &result, method)
	}
	if fault.Of(err) != want.grade || want.grade != 0 && !strings.Contains(err.Error(), want.says) {
		return fmt.Errorf("graded %s: %v", fault.Of(err), err)
	}
	if want.grade == 0 && len(result) == 0 {
		return fmt.Errorf("no result")
	}
	if want.node == nil {
		return nil
	}
	return want.node(c, params)
}
