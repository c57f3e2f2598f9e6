package health_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/health"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func codes(list []health.Problem) (out []health.Code) {
	for _, p := range list {
		out = append(out, p.Code)
	}
	return out
}

func equal(t *testing.T, what string, got []health.Problem, want ...health.Code) {
	t.Helper()
	have := codes(got)
	if len(have) != len(want) {
		t.Fatalf("%s: %q, want %q", what, have, want)
	}
	for i := range want {
		if have[i] != want[i] {
			t.Fatalf("%s: %q, want %q", what, have, want)
		}
	}
}

// A start says where it is; problems are ordered by severity, keep the time of
// their first report, and go when their source says nothing more of them.
func TestBoard(t *testing.T) {
	b := health.NewBoard()
	reasons, _ := b.Now()
	equal(t, "new", reasons, health.Starting)
	b.Stage("replaying turns", 120, 5000)
	if reasons, _ = b.Now(); reasons[0].Text != "starting: replaying turns, 120 of 5000" || reasons[0].Do == "" {
		t.Errorf("%+v", reasons[0])
	}
	since := reasons[0].Since
	b.Running()
	if reasons, warnings := b.Now(); reasons == nil || warnings == nil || len(reasons)+len(warnings) > 0 {
		t.Errorf("running: %v %v", reasons, warnings)
	}
	var mu sync.Mutex
	now := map[health.Code]string{health.SigningHeld: "held", health.TurnsFailed: "3 turns failed"}
	b.Source(func() map[health.Code]string {
		mu.Lock()
		defer mu.Unlock()
		return now
	})
	b.Raise(health.FinalityConflict, "blocks 7 and 8")
	reasons, warnings := b.Now()
	equal(t, "reasons", reasons, health.FinalityConflict, health.SigningHeld)
	equal(t, "warnings", warnings, health.TurnsFailed)
	if reasons[1].Since.Before(since) {
		t.Errorf("since %v", reasons[1].Since)
	}
	first := reasons[1].Since
	time.Sleep(3 * time.Millisecond)
	if again, _ := b.Now(); !again[1].Since.Equal(first) {
		t.Errorf("a problem that lasts is dated anew: %v, %v", first, again[1].Since)
	}
	mu.Lock()
	now = nil
	mu.Unlock()
	b.Clear(health.FinalityConflict)
	if texts := b.Texts(); len(texts) > 0 {
		t.Errorf("%q stays", texts)
	}
}

// A code that is in no list is shown, and makes the node unready: nothing that is
// reported is lost.
func TestUnknownCode(t *testing.T) {
	b := health.NewBoard()
	b.Running()
	b.Raise("something_new", "text")
	reasons, _ := b.Now()
	equal(t, "reasons", reasons, "something_new")
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b := health.NewBoard()
	done := make(chan error, 1)
	go func() {
		done <- b.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "figures") }))
	}()
	addr := l.Addr().String()
	get := func(path string) (int, string) {
		r, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body)
	}
	if status, body := get("/livez"); status != http.StatusOK || body != "{\"live\":true}\n" {
		t.Errorf("/livez: %d %q", status, body)
	}
	if _, body := get("/metrics"); body != "figures" {
		t.Errorf("/metrics: %q", body)
	}
	status, body := get("/readyz")
	var a health.Answer
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != http.StatusServiceUnavailable || a.Ready || len(a.Reasons) != 1 {
		t.Errorf("/readyz of a start: %d %s %v", status, body, err)
	}
	b.Running()
	if status, body := get("/readyz"); status != http.StatusOK || body != "{\"ready\":true,\"reasons\":[],\"warnings\":[]}\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	if a, err := health.Ask(t.Context(), addr); err != nil || !a.Ready {
		t.Errorf("Ask: %+v %v", a, err)
	}
	if status, _ := get("/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("/debug/pprof/: %d", status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := health.Ask(t.Context(), addr); !fault.Is(err, fault.Temporary) {
		t.Errorf("nobody answers: %v", err)
	}
}

// Something else at the address is not taken for a node.
func TestAskStranger(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ready":false}`) }))
	}()
	if _, err := health.Ask(t.Context(), l.Addr().String()); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}
