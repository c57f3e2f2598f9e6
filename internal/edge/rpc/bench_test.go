package rpc_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/rpc"
)

// benchmark sends one request again and again over one connection.
func benchmark(b *testing.B, body string) {
	addr := served(b, rpc.Options{Backend: legacyBackend(b), Rate: 1e9, Burst: 1e9})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request := []byte(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	r := bufio.NewReader(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 || n < 100 {
			b.Fatalf("%d with %d bytes: %v", answer.StatusCode, n, err)
		}
	}
}

// The client's part is in the figures.
func BenchmarkGetHeadBlock(b *testing.B) {
	benchmark(b, `{"id":1,"method":"getheadblock","params":[]}`)
}

func BenchmarkCreateAuxBlock(b *testing.B) {
	benchmark(b, `{"id":1,"method":"createauxblock","params":["0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"]}`)
}

func BenchmarkChainHead(b *testing.B) {
	benchmark(b, `{"jsonrpc":"2.0","id":1,"method":"chain_head","params":[]}`)
}
