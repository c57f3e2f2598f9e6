package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// actedClient is a server that plays an execution client: each method has an answer,
// the text of a JSON result or error member, or a function that does what it likes.
type actedClient struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]any
	calls   []string
}

var actedSecret = [32]byte{9}

func newActedClient(t *testing.T, answers map[string]any) (*actedClient, *External) {
	t.Helper()
	genesis := DevGenesis(testChainID)
	header, err := json.Marshal(genesis.ToBlock().Header())
	if err != nil {
		t.Fatal(err)
	}
	a := &actedClient{answers: map[string]any{
		"engine_exchangeCapabilities":    `"result": ["engine_newPayloadV2", "engine_forkchoiceUpdatedV2", "engine_getPayloadV2", "engine_getPayloadBodiesByHashV1"]`,
		"engine_getClientVersionV1":      `"result": [{"code": "AC", "name": "actor", "version": "v1", "commit": "0x01020304"}]`,
		"eth_chainId":                    fmt.Sprintf(`"result": "0x%x"`, testChainID),
		"eth_getBlockByNumber 0x0":       `"result": ` + string(header),
		"eth_getBlockByHash":             `"result": ` + string(header),
		"eth_getBlockByNumber latest":    `"result": ` + string(header),
		"eth_getBlockByNumber finalized": `"error": {"code": -39001, "message": "finalized block not found"}`,
	}}
	for method, answer := range answers {
		a.answers[method] = answer
	}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	e, err := DialExternal(ExternalOptions{URL: a.URL, Secret: actedSecret}, IdentityOf(genesis))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	e.timeout = func(time.Duration) time.Duration { return 300 * time.Millisecond }
	return a, e
}

func (a *actedClient) serve(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID     json.RawMessage   `json:"id"`
		Method string            `json:"method"`
		Params []json.RawMessage `json:"params"`
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		http.Error(w, "missing token", http.StatusUnauthorized)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	method := request.Method
	if method == "eth_getBlockByNumber" {
		method += " " + strings.Trim(string(request.Params[0]), `"`)
	}
	a.mu.Lock()
	a.calls = append(a.calls, method)
	answer := a.answers[method]
	a.mu.Unlock()
	switch answer := answer.(type) {
	case string:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc": "2.0", "id": %s, %s}`, request.ID, answer)
	case func(http.ResponseWriter):
		answer(w)
	default:
		fmt.Fprintf(w, `{"jsonrpc": "2.0", "id": %s, "error": {"code": -32601, "message": "the method %s does not exist"}}`, request.ID, method)
	}
}

func (a *actedClient) set(method string, answer any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[method] = answer
}

func (a *actedClient) count(method string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if c == method {
			n++
		}
	}
	return n
}

func rawAnswer(body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func dropped(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { http.Error(w, "no", code) }
}

func oversized(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc": "2.0", "id": 1, "result": "`)
	filler := strings.Repeat("a", 1<<20)
	for range maxAnswer>>20 + 1 {
		if _, err := io.WriteString(w, filler); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, `"}`)
}

// onGenesis is a payload whose parent the acted client has.
func onGenesis() *block.Payload {
	return &block.Payload{ParentHash: DevGenesis(testChainID).ToBlock().Hash(), BlockNumber: 1, BlockHash: common.Hash{5}, BaseFeePerGas: big.NewInt(1)}
}

// Whatever a client answers to a payload, the verdict is right and the text says what
// is wrong and where.
func TestExternalPayloadAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer any
		grade  fault.Grade // of the error; 0 for a verdict
		text   string
		status string
	}{
		{"valid", `"result": {"status": "VALID", "latestValidHash": "` + common.Hash{5}.Hex() + `"}`, 0, "", StatusValid},
		{"valid, of another block", `"result": {"status": "VALID", "latestValidHash": "` + common.Hash{6}.Hex() + `"}`, fault.CannotJudge, "another block", ""},
		{"valid, of none", `"result": {"status": "VALID", "latestValidHash": null}`, fault.CannotJudge, "another block", ""},
		{"invalid", `"result": {"status": "INVALID", "latestValidHash": "` + common.Hash{7}.Hex() + `", "validationError": "bad root"}`, 0, "bad root", StatusInvalid},
		{"invalid without a reason", `"result": {"status": "INVALID", "latestValidHash": null, "validationError": null}`, 0, "no reason", StatusInvalid},
		{"invalid by its own fault", `"result": {"status": "INVALID", "validationError": "leveldb: closed"}`, fault.CannotJudge, "leveldb", ""},
		{"invalid block hash", `"result": {"status": "INVALID_BLOCK_HASH"}`, fault.CannotJudge, "INVALID_BLOCK_HASH", ""},
		{"syncing", `"result": {"status": "SYNCING"}`, fault.CannotJudge, "SYNCING", ""},
		{"accepted", `"result": {"status": "ACCEPTED"}`, fault.CannotJudge, "ACCEPTED", ""},
		{"a status that does not exist", `"result": {"status": "FINE"}`, fault.CannotJudge, "FINE", ""},
		{"null", `"result": null`, fault.CannotJudge, "answers", ""},
		{"an error", `"error": {"code": -32000, "message": "database is closed"}`, fault.CannotJudge, "database is closed", ""},
		{"a result of another type", `"result": [1, 2]`, fault.Temporary, "engine_newPayloadV2", ""},
		{"no JSON", rawAnswer(`{"jsonrpc": "2.0", "id": `), fault.Temporary, "engine_newPayloadV2", ""},
		{"nothing", rawAnswer(``), fault.Temporary, "engine_newPayloadV2", ""},
		{"a page", rawAnswer(`<html>`), fault.Temporary, "engine_newPayloadV2", ""},
		{"another status", status(http.StatusBadGateway), fault.Temporary, "HTTP 502", ""},
		{"too many requests", status(http.StatusTooManyRequests), fault.Temporary, "HTTP 429", ""},
		{"unauthorised", status(http.StatusUnauthorized), fault.CannotJudge, "JWT secret differs", ""},
		{"closed connection", dropped, fault.Temporary, "EOF", ""},
		{"silence", func(http.ResponseWriter) { time.Sleep(600 * time.Millisecond) }, fault.Temporary, "did not answer engine_newPayloadV2 within", ""},
		{"too long", oversized, fault.Temporary, "longer than 64 MiB", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, e := newActedClient(t, map[string]any{"engine_newPayloadV2": c.answer,
				"engine_forkchoiceUpdatedV2": `"result": {"payloadStatus": {"status": "VALID"}, "payloadId": null}`})
			if c.name == "too long" {
				e.timeout = func(d time.Duration) time.Duration { return d }
			}
			results, err := NewExecutor(e).Execute(t.Context(), []*block.Payload{onGenesis()})
			if c.grade != 0 {
				if fault.Of(err) != c.grade || !strings.Contains(err.Error(), c.text) || len(results) != 0 {
					t.Fatalf("%d results, %s: %v", len(results), fault.Of(err), err)
				}
				return
			}
			if err != nil || len(results) != 1 || results[0].Status != c.status || !strings.Contains(results[0].Err, c.text) {
				t.Fatalf("%+v, %v", results, err)
			}
			if c.name == "invalid" && results[0].LatestValid != (common.Hash{7}) {
				t.Fatalf("latest valid is %s", results[0].LatestValid)
			}
		})
	}
}

// What is found out before the first call.
func TestExternalCheck(t *testing.T) {
	for _, c := range []struct {
		name, method string
		answer       any
		grade        fault.Grade
		text         string
	}{
		{"as it should be", "", nil, 0, ""},
		{"no Engine API", "engine_exchangeCapabilities", nil, fault.Invalid, "namespaces engine and eth"},
		{"an old client", "engine_exchangeCapabilities", `"result": ["engine_newPayloadV1"]`, fault.Invalid, "engine_newPayloadV2"},
		{"without a version", "engine_getClientVersionV1", nil, 0, ""},
		{"another chain identifier", "eth_chainId", `"result": "0x1"`, fault.Invalid, "chain 1, this node on chain 1337"},
		{"no block 0", "eth_getBlockByNumber 0x0", `"result": null`, fault.Invalid, "geth init"},
		{"JWT", "engine_exchangeCapabilities", status(http.StatusUnauthorized), fault.Invalid, "JWT secret differs"},
		{"forbidden", "engine_exchangeCapabilities", status(http.StatusForbidden), fault.Invalid, "JWT secret differs"},
		{"away", "engine_exchangeCapabilities", dropped, fault.Temporary, "EOF"},
		{"away after the first question", "engine_getClientVersionV1", dropped, fault.Temporary, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, e := newActedClient(t, nil)
			if c.method != "" {
				a.set(c.method, c.answer)
			}
			peer, err := e.Check(t.Context())
			if c.grade != 0 {
				if fault.Of(err) != c.grade || !strings.Contains(err.Error(), c.text) || e.Peer() != nil {
					t.Fatalf("%s: %v", fault.Of(err), err)
				}
				if _, err := e.HeaderByNumber(t.Context(), 0); fault.Is(err, fault.Invalid) || err == nil {
					t.Fatalf("a call of such a client: %v", err)
				}
				return
			}
			if err != nil || e.Peer() != peer || !peer.Bodies {
				t.Fatalf("%+v, %v", peer, err)
			}
		})
	}
	genesis := DevGenesis(testChainID)
	genesis.ExtraData = []byte("another")
	a, _ := newActedClient(t, nil)
	other, err := DialExternal(ExternalOptions{URL: a.URL, Secret: actedSecret}, IdentityOf(genesis))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Check(t.Context()); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another block 0") {
		t.Fatal(err)
	}
}

// A client is checked before the first call and again after it was away.
func TestExternalChecksAgain(t *testing.T) {
	a, e := newActedClient(t, nil)
	read := func() error {
		_, err := e.HeaderByNumber(t.Context(), 0)
		return err
	}
	for range 3 {
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.count("engine_exchangeCapabilities"); n != 1 {
		t.Fatalf("checked %d times", n)
	}
	good := a.answers["eth_getBlockByNumber 0x0"]
	a.set("eth_getBlockByNumber 0x0", dropped)
	if err := read(); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	a.set("eth_getBlockByNumber 0x0", good)
	a.set("eth_chainId", `"result": "0x2"`) // another client took its place
	if err := read(); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), "chain 2") {
		t.Fatal(err)
	}
	a.Close()
	if err := read(); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.HeaderByNumber(ended, 0); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
}

// A client that was restarted closes the connections in the pool; the next call does not
// notice.
func TestExternalRestarted(t *testing.T) {
	a, e := newActedClient(t, nil)
	for range 3 {
		if _, err := e.HeaderByNumber(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		a.CloseClientConnections()
	}
}

// Reads whose answers are not what was asked for are no answers.
func TestExternalReads(t *testing.T) {
	genesis := DevGenesis(testChainID).ToBlock()
	a, e := newActedClient(t, map[string]any{"eth_getBlockReceipts": `"result": null`, "eth_getBalance": `"result": "0x10"`})
	ctx := t.Context()
	if h, err := e.HeaderByHash(ctx, genesis.Hash()); err != nil || h.Hash() != genesis.Hash() {
		t.Fatal(h, err)
	}
	if _, err := e.HeaderByHash(ctx, common.Hash{1}); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), "when asked for") {
		t.Fatal(err)
	}
	if _, err := e.ReceiptsByHash(ctx, common.Hash{1}); !fault.Is(err, fault.CannotJudge) || ignoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if _, err := e.HeaderByNumber(ctx, -3); ignoreNotFound(err) != nil { // rpc.FinalizedBlockNumber
		t.Fatal(err)
	}
	if b, err := e.Balance(ctx, common.Address{1}, common.Hash{1}); err != nil || b.Int64() != 16 {
		t.Fatal(b, err)
	}
	if has, err := e.HasState(ctx, genesis.Hash()); err != nil || !has {
		t.Fatal(has, err)
	}
	a.set("eth_getBalance", `"error": {"code": -32000, "message": "missing trie node"}`)
	if has, err := e.HasState(ctx, genesis.Hash()); err != nil || has {
		t.Fatal(has, err)
	}
	a.set("eth_getBlockByHash", `"result": null`)
	if has, err := e.HasState(ctx, genesis.Hash()); err != nil || has {
		t.Fatal(has, err)
	}
	a.set("eth_getBalance", dropped)
	a.set("eth_getBlockByHash", a.answers["eth_getBlockByNumber 0x0"])
	if _, err := e.HasState(ctx, genesis.Hash()); !fault.Is(err, fault.Temporary) {
		t.Fatal(err)
	}
	header, err := json.Marshal(genesis.Header())
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.TrimSuffix(string(header), "}")
	a.set("eth_getBlockByHash", `"result": `+whole+`, "transactions": [], "withdrawals": []}`)
	if b, err := e.BlockByHash(ctx, genesis.Hash()); err != nil || b.Hash() != genesis.Hash() {
		t.Fatal(b, err)
	}
	tx := types.MustSignNewTx(devKey, types.LatestSignerForChainID(big.NewInt(testChainID)), &types.LegacyTx{Gas: 21000, GasPrice: big.NewInt(1)})
	text, err := json.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	a.set("eth_getBlockByHash", `"result": `+whole+`, "transactions": [`+string(text)+`], "withdrawals": []}`)
	if _, err := e.BlockByHash(ctx, genesis.Hash()); !fault.Is(err, fault.CannotJudge) {
		t.Fatal(err)
	}
}

// A client that says VALID and keeps its head is told once more, and then not believed.
func TestExternalKeepsItsHead(t *testing.T) {
	valid := `"result": {"payloadStatus": {"status": "VALID"}, "payloadId": null}`
	a, e := newActedClient(t, map[string]any{"engine_forkchoiceUpdatedV2": valid})
	genesis := DevGenesis(testChainID).ToBlock()
	x := NewExecutor(e)
	if m, err := x.Move(t.Context(), genesis.Hash(), common.Hash{}, common.Hash{}); err != nil || m.Status != StatusValid {
		t.Fatal(m, err)
	}
	if n := a.count("engine_forkchoiceUpdatedV2"); n != 1 {
		t.Fatalf("%d calls", n)
	}
	other := types.CopyHeader(genesis.Header())
	other.Number = big.NewInt(9)
	text, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	a.set("eth_getBlockByNumber latest", `"result": `+string(text))
	if _, err := x.Move(t.Context(), genesis.Hash(), common.Hash{}, common.Hash{}); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), "keeps") {
		t.Fatal(err)
	}
	a.set("engine_forkchoiceUpdatedV2", `"result": {"payloadStatus": {"status": "INVALID", "latestValidHash": "`+common.Hash{3}.Hex()+`", "validationError": "no"}, "payloadId": null}`)
	if m, err := x.Move(t.Context(), genesis.Hash(), common.Hash{}, common.Hash{}); err != nil || m.Status != StatusInvalid || m.LatestValid != (common.Hash{3}) {
		t.Fatal(m, err)
	}
	a.set("engine_forkchoiceUpdatedV2", `"error": {"code": -38002, "message": "Invalid forkchoice state"}`)
	if m, err := x.Move(t.Context(), genesis.Hash(), common.Hash{}, genesis.Hash()); err != nil || m.Status != StatusInvalid {
		t.Fatal(m, err)
	}
	a.set("engine_forkchoiceUpdatedV2", `"error": {"code": -38006, "message": "Too deep reorg"}`)
	if _, err := x.Move(t.Context(), genesis.Hash(), common.Hash{}, common.Hash{}); !fault.Is(err, fault.CannotJudge) || !strings.Contains(err.Error(), "maxreorgdepth 0") {
		t.Fatal(err)
	}
}

// No error shows user, password or query of an address.
func TestExternalHidesSecrets(t *testing.T) {
	for _, address := range []string{"http://user:hunter2@127.0.0.1:1/engine?key=hunter2", "https://user:hunter2@127.0.0.1:1?hunter2"} {
		e, err := DialExternal(ExternalOptions{URL: address}, IdentityOf(DevGenesis(testChainID)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Check(t.Context())
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(e.Name(), "hunter2") || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Fatalf("%s: %v", e.Name(), err)
		}
	}
	for _, address := range []string{"", "127.0.0.1:8551", "ws://hunter2:1", "http://", "http://hunter2:x:y/%zz"} {
		if _, err := DialExternal(ExternalOptions{URL: address}, IdentityOf(DevGenesis(testChainID))); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestReadJWTSecret(t *testing.T) {
	digits := strings.Repeat("ab", 32)
	for text, ok := range map[string]bool{digits: true, "0x" + digits + "\n": true, " " + digits + " ": true, "": false, digits[2:]: false, digits + "00": false, strings.Repeat("zz", 32): false} {
		path := filepath.Join(t.TempDir(), "jwt.hex")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		secret, err := ReadJWTSecret(path)
		if (err == nil) != ok || ok && secret[31] != 0xab {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && (!fault.Is(err, fault.Invalid) || len(text) > 10 && strings.Contains(err.Error(), text[:10])) {
			t.Errorf("%v", err)
		}
	}
	if _, err := ReadJWTSecret(filepath.Join(t.TempDir(), "none")); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
