package bitcoin

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func serve(t testing.TB, handle http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestAnswersOfNoNode(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		grade  fault.Grade
		says   string
	}{
		{"a web page", answer(200, "<html>\x1b[31m"), fault.Invalid, "bitcoin-rpc-url"},
		{"another path", answer(404, "not found"), fault.Invalid, "bitcoin-rpc-url"},
		{"an address that is not let in", answer(403, ""), fault.Invalid, "rpcallowip"},
		{"a busy node", answer(503, "Work queue depth exceeded"), fault.Temporary, "Work queue"},
		{"a gateway without a node", answer(502, "Bad Gateway"), fault.Temporary, "502"},
		{"too many calls", answer(429, "slow down"), fault.Temporary, "429"},
		{"a node that speaks TLS", answer(400, "Client sent an HTTP request to an HTTPS server.\n"), fault.Invalid, "https://"},
		{"no result and no error", answer(200, "{}"), fault.Invalid, "bitcoin-rpc-url"},
		{"an error that is none", answer(500, `{"error":"x"}`), fault.Invalid, "bitcoin-rpc-url"},
		{"a result of another form", answer(200, `{"result":[1]}`), fault.Invalid, "another form"},
		{"an unknown code", answer(500, `{"error":{"code":-4711,"message":"x\u001b[31m"}}`), fault.Invalid, "x?[31m"},
		{"a redirection", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1", http.StatusTemporaryRedirect)
		}, fault.Invalid, "307"},
		{"too much", answer(200, `{"result":"`+strings.Repeat("0", smallAnswer)+`"}`), fault.Invalid, "more than"},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"result":`))
		}, fault.Temporary, "broke off"},
	} {
		client := dial(t, ClientOptions{URL: serve(t, c.handle).URL, User: "alys", Password: "hunter2"})
		_, err := client.BlockHash(t.Context(), 5)
		if !fault.Is(err, c.grade) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s: %v", c.name, fault.Of(err), err)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%s: %q", c.name, err)
		}
	}
}

// A node writes another cookie at each start.
func TestCookie(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".cookie")
	secret := "one"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "__cookie__" || password != secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"result":"%s"}`, strings.Repeat("ab", 32))
	})
	client := dial(t, ClientOptions{URL: s.URL, CookieFile: file})
	ask := func() error {
		_, err := client.BlockHash(t.Context(), 1)
		return err
	}
	if err := ask(); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "at its start") {
		t.Errorf("no cookie: %v", err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, half := range []string{"", "__cookie__", strings.Repeat(":", maxCookie+1), "a:b\nc:d"} {
		write(half)
		if err := ask(); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "no user and password") {
			t.Errorf("cookie %.20q: %v", half, err)
		}
	}
	write("__cookie__:one")
	if err := ask(); err != nil {
		t.Error(err)
	}
	write("__cookie__:two")
	secret = "two"
	if err := ask(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	secret = "three"
	if err := ask(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "bitcoin-rpc-cookie") {
		t.Errorf("a stranger's cookie: %v", err)
	}
}

func TestCertificate(t *testing.T) {
	s := httptest.NewTLSServer(answer(200, `{"result":"`+strings.Repeat("ab", 32)+`"}`))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "rpc.cert")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, ClientOptions{URL: s.URL, CertificateFile: file}).BlockHash(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, ClientOptions{URL: s.URL}).BlockHash(t.Context(), 1); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "bitcoin-rpc-cert") {
		t.Errorf("a certificate that nobody signed: %v", err)
	}
	plain := serve(t, answer(200, ""))
	if _, err := dial(t, ClientOptions{URL: "https" + strings.TrimPrefix(plain.URL, "http")}).BlockHash(t.Context(), 1); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "http://") {
		t.Errorf("TLS to a node without: %v", err)
	}
}

func TestDialRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		o    ClientOptions
		says string
	}{
		{ClientOptions{}, "bitcoin-rpc-url"},
		{ClientOptions{URL: "127.0.0.1:8332"}, "bitcoin-rpc-url"},
		{ClientOptions{URL: "ftp://127.0.0.1"}, "bitcoin-rpc-url"},
		{ClientOptions{URL: "http://user:hunter2@127.0.0.1"}, "bitcoin-rpc-user"},
		{ClientOptions{URL: "http://127.0.0.1", User: "u", CookieFile: "c"}, "remove one"},
		{ClientOptions{URL: "https://127.0.0.1", CertificateFile: missing}, "bitcoin-rpc-cert"},
	} {
		if _, err := Dial(c.o); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

// A stop of the node ends a call that hangs.
func TestCallEnds(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := dial(t, ClientOptions{URL: s.URL}).Info(ctx); !fault.Is(err, fault.Temporary) {
		t.Error(err)
	}
}

// FuzzAnswer puts hostile answers before every method.
func FuzzAnswer(f *testing.F) {
	for _, r := range records(f) {
		if len(r.Body) < 4096 {
			f.Add(r.Status, []byte(r.Body))
		}
	}
	f.Add(200, []byte(`{"result":{"chain":"regtest","blocks":-1,"bestblockhash":"`+strings.Repeat("ab", 32)+`"}}`))
	f.Add(200, []byte(`{"result":{"feerate":1e999}}`))
	type reply struct {
		status int
		body   []byte
	}
	var now reply
	client := dial(f, ClientOptions{URL: "http://127.0.0.1:1"})
	client.http.Transport = roundTrip(func() (int, []byte) { return now.status, now.body })
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 100 || status > 999 {
			return
		}
		now = reply{status, body}
		ctx := t.Context()
		var errs []error
		take := func(err error) { errs = append(errs, err) }
		_, err := client.Info(ctx)
		take(err)
		_, err = client.BlockHash(ctx, 1)
		take(err)
		_, err = client.Header(ctx, chainhash.Hash{1})
		take(err)
		_, err = client.Block(ctx, chainhash.Hash{1})
		take(err)
		_, err = client.Transaction(ctx, chainhash.Hash{1}, chainhash.Hash{2})
		take(err)
		rate, err := client.FeeRate(ctx)
		take(err)
		if rate > 100_000_000 {
			t.Errorf("rate %d", rate)
		}
		_, _, err = client.Send(ctx, encode(payment(1, nil, []byte{0x51})))
		take(err)
		for i, err := range errs {
			if g := fault.Of(err); g > fault.Invalid {
				t.Errorf("method %d: graded %s: %v", i, g, err)
			}
		}
	})
}
