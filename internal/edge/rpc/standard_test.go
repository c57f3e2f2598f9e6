package rpc_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/miner"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// reply is an answer in our dialect.
type reply struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int            `json:"code"`
		Message string         `json:"message"`
		Data    map[string]any `json:"data"`
	} `json:"error"`
	ID json.RawMessage `json:"id"`
}

// ask calls a method of our dialect.
func ask(t testing.TB, addr, method, params string) reply {
	t.Helper()
	status, _, body := post(t, addr, "POST", "/", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params))
	var r reply
	if err := json.Unmarshal([]byte(body), &r); err != nil || status != 200 || r.Version != "2.0" || string(r.ID) != "1" || (r.Error == nil) == (r.Result == nil) {
		t.Fatalf("%s answered %d %s: %v", method, status, body, err)
	}
	return r
}

// workOf asks for work.
func workOf(t testing.TB, addr, recipient string) template {
	t.Helper()
	r := ask(t, addr, "mining_createAuxBlock", fmt.Sprintf("[%q]", recipient))
	if r.Error != nil {
		t.Fatal(r.Error.Message)
	}
	var w struct {
		Hash    string
		ChainID uint32
		Bits    string
	}
	if err := json.Unmarshal(r.Result, &w); err != nil {
		t.Fatal(err)
	}
	return templateOf(t, w.Hash, w.ChainID, w.Bits)
}

func templateOf(t testing.TB, hash string, chainID uint32, bits string) (w template) {
	t.Helper()
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != 32 {
		t.Fatalf("hash %q: %v", hash, err)
	}
	w.hash, w.chainID = [32]byte(raw), chainID
	if _, err := fmt.Sscanf(bits, "%x", &w.bits); err != nil {
		t.Fatal(err)
	}
	return w
}

const somebody = "0x0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"

// submitted hands a proof in, in both dialects, and returns the check that refused it
// in ours: empty when it was accepted.
func submitted(t testing.TB, addr string, w template, proof *auxpow.AuxPow) auxpow.Reject {
	t.Helper()
	r := ask(t, addr, "mining_submitAuxBlock", fmt.Sprintf(`["%x","%x"]`, w.hash, proof.Namecoin()))
	if r.Error == nil {
		return ""
	}
	check, _ := r.Error.Data["check"].(string)
	if !strings.HasPrefix(r.Error.Message, check+": ") || r.Error.Data["reason"] == "" {
		t.Errorf("error %+v", r.Error)
	}
	return auxpow.Reject(check)
}

// refusedEverywhere wants a proof to be refused by a check in both dialects and in the
// dry run.
func refusedEverywhere(t *testing.T, addr string, w template, proof *auxpow.AuxPow, check auxpow.Reject) {
	t.Helper()
	if got := submitted(t, addr, w, proof); got != check {
		t.Errorf("refused by %q, want %q", got, check)
	}
	status, _, body := post(t, addr, "POST", "/", fmt.Sprintf(`{"id":1,"method":"submitauxblock","params":["%x","%x"]}`, w.hash, proof.Namecoin()))
	if code, message := errorOf(t, body); status != 200 || code > -31100 || !strings.HasPrefix(message, string(check)+": ") {
		t.Errorf("legacy's method answers %d %s", status, body)
	}
	r := ask(t, addr, "mining_verifyAuxPow", fmt.Sprintf(`{"hash":"%x","auxpow":"%x"}`, w.hash, proof.Namecoin()))
	if r.Error != nil || !strings.Contains(string(r.Result), fmt.Sprintf(`"check":%q`, check)) {
		t.Errorf("the dry run answers %s %v", r.Result, r.Error)
	}
}

// Each wrong proof is refused by the check that it fails, and none becomes a turn.
func TestWrongProofs(t *testing.T) {
	b := legacyBackend(t)
	addr := served(t, rpc.Options{Backend: b})
	w := workOf(t, addr, somebody)
	turns := b.turns
	for check, spoil := range wrong {
		t.Run(string(check), func(t *testing.T) {
			for seed := range uint64(3) {
				p := newPoolBlock(seed)
				spoil(p, w)
				refusedEverywhere(t, addr, w, p.seal(w), check)
			}
		})
	}
	if b.turns != turns {
		t.Errorf("wrong proofs became %d turns", b.turns-turns)
	}
	unknown := w
	unknown.hash[5]++
	if got := submitted(t, addr, unknown, newPoolBlock(1).seal(unknown)); got != auxpow.UnknownWork {
		t.Errorf("refused by %q", got)
	}
	r := ask(t, addr, "mining_submitAuxBlock", fmt.Sprintf(`["%x","00ff"]`, w.hash))
	if r.Error == nil || r.Error.Data["check"] != string(auxpow.MalformedProof) {
		t.Errorf("%s %+v", r.Result, r.Error)
	}
	if b.turns != turns {
		t.Errorf("wrong proofs became %d turns", b.turns-turns)
	}
	for seed := range uint64(8) { // any slot of the tree
		p := newPoolBlock(seed)
		p.chains = int(seed)
		r := ask(t, addr, "mining_verifyAuxPow", fmt.Sprintf(`{"hash":"%x","auxpow":"%x"}`, w.hash, p.seal(w).Namecoin()))
		if !strings.Contains(string(r.Result), `"valid":true`) {
			t.Errorf("a true proof with a tree of %d levels: %s", seed, r.Result)
		}
	}
	if got := submitted(t, addr, w, newPoolBlock(1).seal(w)); got != "" || b.turns != turns+1 {
		t.Errorf("a true proof: %q, %d turns", got, b.turns-turns)
	}
}

// Polling makes one turn until something changes, whoever asks and for whom.
func TestPollersMakeNoTurns(t *testing.T) {
	b := legacyBackend(t)
	addr := served(t, rpc.Options{Backend: b, Rate: 1e6, Burst: 1e6})
	for n := range 100 {
		if w := workOf(t, addr, fmt.Sprintf("%040x", n+1)); w.bits != 0x2100ffff {
			t.Fatalf("%+v", w)
		}
	}
	if b.turns != 1 {
		t.Errorf("100 requests made %d turns", b.turns)
	}
	w := workOf(t, addr, somebody)
	spoilt := newPoolBlock(1)
	wrong[auxpow.WrongSlot](spoilt, w)
	for revision := uint64(1); revision < 4; revision++ {
		b.setRevision(revision)
		// One turn to learn the target, one for the first who asks for work.
		for range 3 {
			submitted(t, addr, w, spoilt.seal(w))
		}
		workOf(t, addr, somebody)
		workOf(t, addr, "0x00000000000000000000000000000000000000bb")
		submitted(t, addr, w, spoilt.seal(w))
		if want := int(1 + 2*revision); b.turns != want {
			t.Errorf("%d turns after %d changes, want %d", b.turns, revision, want)
		}
	}
	if templates := b.state.(*miner.State).Templates; len(templates) != 1 || templates[0].Recipient != (common.Address{19: 1}) {
		t.Errorf("%+v", templates)
	}
}

// Clients that ask and leave, or all at once, make one turn.
func TestImpatientPollersMakeOneTurn(t *testing.T) {
	b := legacyBackend(t)
	b.hold = make(chan struct{})
	addr := served(t, rpc.Options{Backend: b})
	body := fmt.Sprintf(`{"id":1,"method":"createauxblock","params":[%q]}`, somebody)
	var waiting []net.Conn
	for n := range 40 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if n%2 == 0 {
			time.Sleep(5 * time.Millisecond)
			_ = c.Close()
			continue
		}
		waiting = append(waiting, c)
	}
	close(b.hold)
	for _, c := range waiting {
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r.Body); err != nil || !strings.HasPrefix(string(text), `{"result":{"_target"`) {
			t.Errorf("%s %v", text, err)
		}
	}
	if b.turns != 1 {
		t.Errorf("%d turns", b.turns)
	}
}

// The fees go to the account that the submitter names, else the one it asked for.
func TestFeeRecipient(t *testing.T) {
	b := legacyBackend(t)
	addr := served(t, rpc.Options{Backend: b})
	w := workOf(t, addr, "0x00000000000000000000000000000000000000aa")
	workOf(t, addr, "0x00000000000000000000000000000000000000bb")
	proof := newPoolBlock(2).seal(w).Namecoin()
	for params, want := range map[string]string{
		fmt.Sprintf(`["%x","%x"]`, w.hash, proof):                                                                             "0x00000000000000000000000000000000000000bb",
		fmt.Sprintf(`["%x","%x","00000000000000000000000000000000000000cc"]`, w.hash, proof):                                  "0x00000000000000000000000000000000000000cc",
		fmt.Sprintf(`{"feeRecipient":"0x00000000000000000000000000000000000000DD","hash":"%x","auxpow":"%x"}`, w.hash, proof): "0x00000000000000000000000000000000000000dd",
	} {
		r := ask(t, addr, "mining_submitAuxBlock", params)
		if !strings.Contains(string(r.Result), fmt.Sprintf(`"feeRecipient":%q`, want)) || fmt.Sprintf("0x%x", b.lastSubmit.FeeRecipient) != want {
			t.Errorf("%s %+v, handed on %+v", r.Result, r.Error, b.lastSubmit)
		}
	}
}

func TestParameters(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	for _, c := range []struct {
		method, params string
		code           int
		text           string
	}{
		{"chain_blockByHeight", `[]`, -32602, "height is missing"},
		{"chain_blockByHeight", `["7"]`, -32602, "height is no uint64"},
		{"chain_blockByHeight", `[-1]`, -32602, "height is no uint64"},
		{"chain_blockByHeight", `[1,true,2]`, -32602, "3 are given, there are 2"},
		{"chain_blockByHeight", `{"height":1,"whole":true}`, -32602, `"whole" is none of them`},
		{"chain_blockByHeight", `7`, -32602, "a list or an object is wanted"},
		{"chain_blockByHeight", `[92]`, -31003, "no block at height 92"},
		{"chain_blockByHash", `["0x12"]`, -32602, "wanted are 64 hex digits"},
		{"chain_blockByHash", `["` + strings.Repeat("00", 32) + `"]`, -31003, "is not known"},
		{"mining_createAuxBlock", `["` + strings.Repeat("zz", 20) + `"]`, -32602, "wanted are 40 hex digits"},
		{"mining_verifyAuxPow", `{"auxpow":"00"}`, -32602, "must be given"},
		{"mining_verifyAuxPow", `{"auxpow":"00","hash":"` + strings.Repeat("00", 32) + `"}`, -31003, "was handed out"},
		{"mining_verifyAuxPow", `{"auxpow":"00","commitment":"` + strings.Repeat("00", 32) + `"}`, -32602, "bits are missing"},
		{"journal_event", `[3]`, -31003, "the newest is 2"},
		{"journal_find", `{"limit":101}`, -32602, "allowed is 1 to 100"},
		{"chain_nothing", `[]`, -32601, "rpc.discover"},
	} {
		if r := ask(t, addr, c.method, c.params); r.Error == nil || r.Error.Code != c.code || !strings.Contains(r.Error.Message, c.text) {
			t.Errorf("%s %s: %s %+v", c.method, c.params, r.Result, r.Error)
		}
	}
	_, _, body := post(t, addr, "POST", "/", `{"id":1,"method":"chain_head","params":[]}`)
	if code, _ := errorOf(t, body); code != -32600 {
		t.Errorf("without a version: %s", body)
	}
}

// A range is what its blocks commit to.
func TestVerifyRange(t *testing.T) {
	b := legacyBackend(t)
	addr := served(t, rpc.Options{Backend: b})
	w := workOf(t, addr, somebody)
	proof := newPoolBlock(4).seal(w).Namecoin()
	first, last := b.blocks[b.finalized+1].Root, b.blocks[91].Root
	r := ask(t, addr, "mining_verifyAuxPow", fmt.Sprintf(`{"rangeStart":"%s","rangeEnd":"%s","bits":"2100ffff","auxpow":"%x"}`, first, last, proof))
	if !strings.Contains(string(r.Result), `"valid":true`) {
		t.Errorf("%s %+v", r.Result, r.Error)
	}
	r = ask(t, addr, "mining_verifyAuxPow", fmt.Sprintf(`{"rangeStart":"%s","rangeEnd":"%s","bits":"2100ffff","auxpow":"%x"}`, b.blocks[b.finalized].Root, last, proof))
	if !strings.Contains(string(r.Result), `"check":"other-commitment"`) && !strings.Contains(string(r.Result), `"check":"no-commitment"`) {
		t.Errorf("%s %+v", r.Result, r.Error)
	}
	r = ask(t, addr, "mining_verifyAuxPow", fmt.Sprintf(`{"rangeStart":"%s","rangeEnd":"%s","bits":"2100ffff","auxpow":"%x"}`, last, first, proof))
	if r.Error == nil || r.Error.Code != -31003 {
		t.Errorf("%s %+v", r.Result, r.Error)
	}
}

func TestBatch(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	_, _, body := post(t, addr, "POST", "/", ` [
		{"jsonrpc":"2.0","id":"a","method":"chain_blockByHeight","params":[1]},
		{"jsonrpc":"2.0","method":"chain_head","params":[]},
		5,
		{"jsonrpc":"2.0","id":{"z":1,"a":[2]},"method":"journal_head"},
		{"jsonrpc":"2.0","id":null,"method":"getheadblock","params":[]}]`)
	var replies []reply
	if err := json.Unmarshal([]byte(body), &replies); err != nil || len(replies) != 4 {
		t.Fatalf("%s: %v", body, err)
	}
	for i, want := range []struct {
		id   string
		code int
	}{{`"a"`, 0}, {"null", -32600}, {`{"a":[2],"z":1}`, 0}, {"null", -32601}} {
		r := replies[i]
		if code := codeOf(r); string(r.ID) != want.id || code != want.code {
			t.Errorf("answer %d: id %s, code %d: %s", i, r.ID, code, r.Result)
		}
	}
	status, headers, body := post(t, addr, "POST", "/", `[{"jsonrpc":"2.0","method":"chain_head"}]`)
	if status != 204 || body != "" || headers.Get("Content-Length") != "" {
		t.Errorf("a batch that wants no answer: %d %q %v", status, body, headers)
	}
	many := "[" + strings.TrimSuffix(strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"journal_head"},`, 65), ",") + "]"
	_, _, body = post(t, addr, "POST", "/", many)
	if code, _ := errorOf(t, body); code != -31002 {
		t.Errorf("65 requests: %s", body)
	}
}

func codeOf(r reply) int {
	if r.Error == nil {
		return 0
	}
	return r.Error.Code
}
