package rpc_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/rpc"
)

// alive wants the server to answer an honest client.
func alive(t *testing.T, addr string) {
	t.Helper()
	status, _, body := post(t, addr, "POST", "/", `{"id":1,"method":"getdepositaddress","params":[]}`)
	if status != 200 || !strings.HasPrefix(body, `{"result":"bcrt1`) {
		t.Fatalf("an honest request is answered %d %s", status, body)
	}
}

// Bodies that are too large, too deep or no text are refused, whatever their form.
func TestHostileBodies(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t), MaxBody: 100_000})
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct {
		body         string
		status, code int
	}{
		"huge":                {strings.Repeat("x", 100_001), 413, -31002},
		"deep":                {`{"id":1,"method":"getheadblock","params":` + deep(128) + `}`, 400, -32602},
		"deep id":             {`{"id":` + deep(40_000) + `,"method":"getheadblock","params":[]}`, 400, -32602},
		"deep batch":          {deep(50_000), 400, -32602},
		"not UTF-8":           {"{\"id\":1,\"method\":\"getheadblock\",\"params\":\"\xff\"}", 400, -32602},
		"not UTF-8 in an id":  {"{\"id\":\"\xc3\x28\",\"method\":\"getheadblock\",\"params\":[]}", 400, -32602},
		"method twice":        {`{"id":1,"method":"getheadblock","method":"getqueuedpow","params":[]}`, 400, -32602},
		"params twice":        {`{"id":1,"method":"getblockbyheight","params":1,"params":2}`, 400, -32602},
		"two objects":         {`{"id":1,"method":"getheadblock","params":[]}{}`, 400, -32602},
		"cut":                 {`{"id":1,"method":"getheadblock","params":[`, 400, -32602},
		"method is a number":  {`{"id":1,"method":5,"params":[]}`, 400, -32602},
		"a zero byte":         {"\x00", 400, -32602},
		"long unknown method": {`{"id":1,"method":"` + strings.Repeat("m", 90_000) + `","params":[]}`, 404, -32601},
	} {
		status, _, body := post(t, addr, "POST", "/", c.body)
		if code, _ := errorOf(t, body); status != c.status || code != c.code || len(body) > 500 {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	status, _, body := post(t, addr, "POST", "/", `{"id":1,"method":"getheadblock","params":`+deep(127)+`}`)
	if status != 200 || !strings.HasPrefix(body, `{"result":{"message"`) {
		t.Errorf("nesting as deep as legacy takes it: %d %.100s", status, body)
	}
	alive(t, addr)
}

// Requests of one connection are answered in order, however fast they come.
func TestPipelining(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const requests = 100
	go func() {
		for n := range requests {
			body := fmt.Sprintf(`{"id":%d,"method":"getblockbyheight","params":%d}`, n, n%92)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}()
	r := bufio.NewReader(c)
	for n := range requests {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || !strings.HasSuffix(string(body), fmt.Sprintf(`"id":%d}`, n)) || !strings.Contains(string(body), fmt.Sprintf(`"block_number":"%d"`, n%92)) {
			t.Fatalf("answer %d: %.80s … %v", n, body, err)
		}
	}
}

// A client that sends its request byte by byte, or none, is cut off, and one that
// opens many connections does not keep others out.
func TestSlowAndManyConnections(t *testing.T) {
	b := legacyBackend(t)
	addr := served(t, rpc.Options{Backend: b, MaxConnections: 8, ReadTimeout: 300 * time.Millisecond})
	var open []net.Conn
	closed := 0
	for range 20 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
		open = append(open, c)
	}
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAll(c); err == nil || !isTimeout(err) {
			closed++
		}
	}
	if closed != len(open) {
		t.Errorf("%d of %d idle connections were cut off", closed, len(open))
	}
	alive(t, addr)
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// Beyond its rate a client is told so, and later served again.
func TestRate(t *testing.T) {
	var seen atomic.Int64
	addr := served(t, rpc.Options{Backend: legacyBackend(t), Rate: 5, Burst: 10, Observe: func(string, string, time.Duration) { seen.Add(1) }})
	limited := 0
	for range 30 {
		status, _, body := post(t, addr, "POST", "/", `{"id":1,"method":"getqueuedpow","params":[]}`)
		if status == 429 {
			if code, _ := errorOf(t, body); code != -31001 {
				t.Errorf("%s", body)
			}
			limited++
		}
	}
	if limited == 0 || seen.Load()+int64(limited) != 30 {
		t.Errorf("%d of 30 requests were refused, %d observed", limited, seen.Load())
	}
	// A batch costs what its requests do.
	many := "[" + strings.TrimSuffix(strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"journal_head"},`, 60), ",") + "]"
	for {
		status, _, body := post(t, addr, "POST", "/", many)
		if status == 429 {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if code, _ := errorOf(t, body); code != -31001 {
			t.Errorf("a batch beyond the rate: %d %s", status, body)
		}
		break
	}
}

// A web page in the operator's browser reaches loopback; it is not answered.
func TestWebPages(t *testing.T) {
	addr := served(t, rpc.Options{Backend: legacyBackend(t)})
	for _, method := range []string{"POST", "OPTIONS"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		body := `{"id":1,"method":"getheadblock","params":[]}`
		fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: x\r\nOrigin: https://example.org\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("%s: header %s", method, name)
			}
		}
		if r.StatusCode != 403 && r.StatusCode != 405 {
			t.Errorf("%s: %d", method, r.StatusCode)
		}
	}
}
