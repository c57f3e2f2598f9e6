package rpcserver

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/nodetest"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// running is a server with its chain.
type running struct {
	chain  *regtest.Chain
	url    string
	cookie string
	stop   func()
}

func serve(t testing.TB, dir string) *running {
	t.Helper()
	chain, err := regtest.Open(regtest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{chain: chain, cookie: filepath.Join(dir, ".cookie")}
	credentials, err := WriteCookie(r.cookie)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(chain, Options{Credentials: credentials}).Serve(ctx, l) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := chain.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func (r *running) client(t testing.TB) *bitcoin.Client {
	t.Helper()
	client, err := bitcoin.Dial(bitcoin.ClientOptions{URL: r.url, CookieFile: r.cookie})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The client of the node, with all that the edge relies on.
func TestConformance(t *testing.T) {
	r := serve(t, t.TempDir())
	client := r.client(t)
	nodetest.Run(t, client, r.chain)
	if info, err := client.Info(t.Context()); err != nil || !info.TxIndex || info.Software != subversion || info.Network != "regtest" {
		t.Errorf("%+v, %v", info, err)
	}
}

// The chain goes on after a restart, and the client that was there sees it: with the new
// cookie.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir)
	client := r.client(t)
	dev := &Client{URL: r.url, Cookie: r.cookie}
	if hashes, err := dev.Mine(t.Context(), 3); err != nil || len(hashes) != 3 {
		t.Fatal(hashes, err)
	}
	before, err := client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	if _, err := dev.Mine(t.Context(), 1); !fault.Is(err, fault.Temporary) {
		t.Errorf("mined at a server that is away: %v", err)
	}
	again := serve(t, dir)
	after, err := again.client(t).Info(t.Context())
	if err != nil || after != before {
		t.Errorf("%+v after a restart, %+v before: %v", after, before, err)
	}
}

func TestDev(t *testing.T) {
	r := serve(t, t.TempDir())
	client, dev := r.client(t), &Client{URL: r.url, Cookie: r.cookie}
	before, err := dev.Faucet(t.Context())
	if err != nil || before.Height != regtest.Ready || before.Satoshi == 0 || !strings.HasPrefix(before.Address, "bcrt1q") {
		t.Fatalf("%+v, %v", before, err)
	}
	script := append([]byte{0x51, 0x20}, bytes.Repeat([]byte{0x79, 0xbe, 0x66, 0x7e}, 8)...)
	account := bytes.Repeat([]byte{0xab}, 20)
	txid, err := dev.Deposit(t.Context(), script, 50_000, account)
	if err != nil {
		t.Fatal(err)
	}
	paid, err := dev.Pay(t.Context(), script, 60_000)
	if err != nil || paid == txid {
		t.Fatal(paid, err)
	}
	var waiting []string
	if err := dev.call(t.Context(), &waiting, "getrawmempool"); err != nil || len(waiting) != 2 {
		t.Fatalf("the mempool has %v, %v", waiting, err)
	}
	hashes, err := dev.Mine(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	tip, err := client.Info(t.Context())
	if err != nil || tip.Tip.String() != hashes[0] {
		t.Fatalf("%+v, %v", tip, err)
	}
	raw, err := client.Block(t.Context(), tip.Tip)
	if err != nil {
		t.Fatal(err)
	}
	var b wire.MsgBlock
	if err := b.Deserialize(bytes.NewReader(raw)); err != nil || len(b.Transactions) != 3 {
		t.Fatalf("%d transactions, %v", len(b.Transactions), err)
	}
	for _, tx := range b.Transactions[1:] {
		if tx.TxHash().String() == txid && (tx.TxOut[0].Value != 50_000 || !bytes.Equal(tx.TxOut[0].PkScript, script) || !bytes.HasSuffix(tx.TxOut[1].PkScript, account)) {
			t.Errorf("the deposit is %+v", tx)
		}
	}
	if fresh, err := dev.Reorg(t.Context(), 1); err != nil || len(fresh) != 2 {
		t.Fatal(fresh, err)
	}
	if err := dev.call(t.Context(), &waiting, "getrawmempool"); err != nil || len(waiting) != 2 {
		t.Errorf("after the reorganisation the mempool has %v, %v", waiting, err)
	}
	for name, refused := range map[string]func() error{
		"too many blocks": func() error { _, err := dev.Mine(t.Context(), regtest.MaxMined+1); return err },
		"deep reorg":      func() error { _, err := dev.Reorg(t.Context(), 1000); return err },
		"no amount":       func() error { _, err := dev.Pay(t.Context(), script, 0); return err },
		"all there is":    func() error { _, err := dev.Pay(t.Context(), script, 21_000_000*100_000_000); return err },
		"no script":       func() error { _, err := dev.Pay(t.Context(), nil, 1000); return err },
		"much data":       func() error { _, err := dev.Deposit(t.Context(), script, 1000, make([]byte, 1000)); return err },
	} {
		if err := refused(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// post makes a call as bytes.
func (r *running) post(t *testing.T, method, user, password, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequest(method, r.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		q.SetBasicAuth(user, password)
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestRefuses(t *testing.T) {
	r := serve(t, t.TempDir())
	cookie, err := os.ReadFile(r.cookie)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.cookie); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the cookie has mode %v, %v", info.Mode(), err)
	}
	user, password, _ := strings.Cut(string(cookie), ":")
	for _, c := range []struct {
		method, user, password, body string
		status                       int
		says                         string
	}{
		{"POST", "", "", `{"method":"ping"}`, 401, ""},
		{"POST", user, "wrong", `{"method":"ping"}`, 401, ""},
		{"POST", user + "x", password, `{"method":"ping"}`, 401, ""},
		{"GET", user, password, ``, 405, "POST"},
		{"POST", user, password, `{"method":"ping","id":7}`, 200, `"id":7`},
		{"POST", user, password, `{`, 500, "-32700"},
		{"POST", user, password, `[]`, 500, "-32700"},
		{"POST", user, password, `{"method":"stop"}`, 404, "-32601"},
		{"POST", user, password, `{"method":"getblockhash"}`, 500, "-8"},
		{"POST", user, password, `{"method":"getblockhash","params":["1"]}`, 500, "-3"},
		{"POST", user, password, `{"method":"getblockhash","params":[-5]}`, 500, "-8"},
		{"POST", user, password, `{"method":"getblock","params":["00"]}`, 500, "length 64"},
		{"POST", user, password, `{"method":"getblock","params":["` + strings.Repeat("00", 32) + `",2]}`, 500, "verbosity 0"},
		{"POST", user, password, `{"method":"getblockheader","params":["` + strings.Repeat("zz", 32) + `"]}`, 500, "hexadecimal"},
		{"POST", user, password, `{"method":"sendrawtransaction","params":["zz"]}`, 500, "-22"},
	} {
		if status, text := r.post(t, c.method, c.user, c.password, c.body); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.body, status, text, c.status, c.says)
		}
	}
	large := `{"method":"ping","params":["` + strings.Repeat("a", MaxRequest) + `"]}`
	if status, _ := r.post(t, "POST", user, password, large); status != http.StatusBadRequest {
		t.Errorf("a request of %d bytes: status %d", len(large), status)
	}
}

// More connections than there are places wait, and a closed one makes room.
func TestConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newCounted(inner, 2)
	accepted := make(chan net.Conn, 3)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	<-accepted
	select {
	case <-accepted:
		t.Fatal("a third connection has a place")
	case <-time.After(50 * time.Millisecond):
	}
	_, _ = first.Close(), first.Close()
	select {
	case <-accepted:
	case <-time.After(10 * time.Second):
		t.Fatal("a closed connection made no room")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range accepted {
	}
}

// Whatever a caller sends, the answer is JSON-RPC and the chain goes on.
func FuzzCalls(f *testing.F) {
	for name := range methods {
		f.Add(`{"method":"` + name + `","params":[]}`)
		f.Add(`{"method":"` + name + `","params":["` + strings.Repeat("ab", 32) + `",1,"00"]}`)
	}
	chain, err := regtest.Open(regtest.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = chain.Close() })
	server := New(chain, Options{Credentials: "a:b"})
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.SetBasicAuth("a", "b")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		var a map[string]json.RawMessage
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(a) != 3 {
			t.Errorf("status %d, %s: %v", w.Code, w.Body, err)
		}
		if _, err := chain.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// A transaction by its id: in the mempool, in a block, and after its block is off the best
// chain.
func TestLookup(t *testing.T) {
	r := serve(t, t.TempDir())
	tx, err := r.chain.Pay(t.Context(), wire.NewTxOut(10_000, append([]byte{0x00, 0x14}, make([]byte, 20)...)))
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	dev := &Client{URL: r.url, Cookie: r.cookie}
	type verbose struct {
		Hex           string
		Confirmations uint64
	}
	ask := func() (v verbose) {
		t.Helper()
		if err := dev.call(t.Context(), &v, "getrawtransaction", tx.TxHash().String(), true); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if err := dev.call(t.Context(), nil, "getrawtransaction", tx.TxHash().String()); !fault.Is(err, fault.Invalid) {
		t.Errorf("a transaction that was not sent: %v", err)
	}
	if outcome, reason, err := r.chain.Send(t.Context(), raw.Bytes()); outcome != message.BroadcastAccepted {
		t.Fatal(reason, err)
	}
	text := hex.EncodeToString(raw.Bytes())
	if v := ask(); v != (verbose{text, 0}) {
		t.Errorf("in the mempool: %+v", v)
	}
	for _, step := range []struct {
		move func() error
		want uint64
	}{
		{func() error { _, err := r.chain.Mine(t.Context(), 1); return err }, 1},
		{func() error { _, err := r.chain.Mine(t.Context(), 2); return err }, 3},
		{func() error { _, err := r.chain.Reorg(t.Context(), 3); return err }, 0},
	} {
		if err := step.move(); err != nil {
			t.Fatal(err)
		}
		if v := ask(); v != (verbose{text, step.want}) {
			t.Errorf("%+v, want %d confirmations", v, step.want)
		}
	}
}
