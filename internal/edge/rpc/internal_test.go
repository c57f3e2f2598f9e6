package rpc

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// FuzzRequest: whatever comes, a request is read or refused, never both dialects'
// parameters confused, and what is answered is JSON.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"chain_head","params":[]}`, `{"id":{"a":[1]},"method":"getblockbyheight","params": 7 }`, `[1,2]`, `{}`,
		`{"id":"\ud800","method":"m","params":null}`, `{"method":"submitauxblock","params":["00","00"],"id":null}`, "{\"id\":1e400,\"method\":\"\",\"params\":{}}",
		`{"jsonrpc":"2.0","id":1,"method":"journal_find","params":{"height":5,"limit":3}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("read, but no JSON: %q", body)
		}
		answer := failed(0, -1, r.method).body(r.id)
		if !json.Valid(answer) {
			t.Fatalf("answer %s", answer)
		}
		if r.params == nil {
			return
		}
		_, _ = legacyHeight(r.params)
		_, _ = legacyHash(r.params)
		_, _ = legacyAddress(r.params)
		if _, raw, proof, err := legacyProof(r.params); err == nil && string(proof.Namecoin()) != string(raw) {
			t.Fatalf("proof %x came back otherwise", raw)
		}
		for _, m := range methods() {
			_ = readParams(r.params, m.paramsOf())
		}
	})
}

func TestClients(t *testing.T) {
	for remote, want := range map[string]string{
		"10.1.2.3:99": "10.1.2.3", "[::ffff:10.1.2.3]:99": "10.1.2.3", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "pipe": "pipe",
	} {
		if got := clientOf(remote); got != want {
			t.Errorf("%s is client %s, want %s", remote, got, want)
		}
	}
}

// The limiter forgets those that asked longest ago, and nothing else.
func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(0.001, 1)
	for n := range maxClients + 10 {
		if !l.allow(net.IPv4(10, byte(n>>16), byte(n>>8), byte(n)).String(), 1) {
			t.Fatalf("client %d is refused its first request", n)
		}
	}
	if len(l.clients) != maxClients || l.recent.Len() != maxClients {
		t.Errorf("%d clients are kept", len(l.clients))
	}
	if l.allow(net.IPv4(10, 0, byte((maxClients+9)>>8), byte((maxClients+9)&255)).String(), 1) {
		t.Error("the last client has its burst again")
	}
}

// Each error has one row, each check of work has a code, and each method says all that
// a client wants to know.
func TestTables(t *testing.T) {
	codes := map[int]bool{}
	for _, k := range ErrorKinds() {
		if codes[k.Code] || k.Name == "" || k.Means == "" || k.Do == "" {
			t.Errorf("%+v", k)
		}
		codes[k.Code] = true
	}
	for _, r := range auxpow.Rejects() {
		if _, listed := rejectKinds[r]; !listed || errorKind(rejectCode(r)).Name != string(r) {
			t.Errorf("%s has no row", r)
		}
	}
	for _, m := range methods() {
		if m.summary == "" || m.params == nil || m.example == "" || m.call == nil || !namespaced(m.name) {
			t.Errorf("%s is not described", m.name)
		}
		for _, code := range m.allErrors() {
			if !codes[code] {
				t.Errorf("%s: code %d has no row", m.name, code)
			}
		}
		if err := readParams(json.RawMessage(m.example), m.paramsOf()); err != nil {
			t.Errorf("%s: its example: %v", m.name, err)
		}
	}
	var described openRPC
	if err := json.Unmarshal(Discover(), &described); err != nil || len(described.Methods) != len(methods()) {
		t.Fatal(err)
	}
	for _, m := range described.Methods {
		if !slices.Contains(Methods(), m.Name) || strings.Contains(string(encode(m)), `"description":""`) {
			t.Errorf("%s", encode(m))
		}
	}
}
