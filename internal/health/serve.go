package health

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Answer is the body of /readyz.
type Answer struct {
	Ready    bool      `json:"ready"`
	Reasons  []Problem `json:"reasons"`
	Warnings []Problem `json:"warnings"`
}

// Serve answers /livez, /readyz and, by the handler given, /metrics until ctx
// ends, which is no error. It closes the listener.
func (b *Board) Serve(ctx context.Context, l net.Listener, metrics http.Handler) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]bool{"live": true}) })
	mux.HandleFunc("GET /readyz", b.ready)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fault.Wrap(fault.Temporary, err, "serving health at "+l.Addr().String())
	}
	return nil
}

func (b *Board) ready(w http.ResponseWriter, _ *http.Request) {
	reasons, warnings := b.Now()
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, Answer{Ready: len(reasons) == 0, Reasons: reasons, Warnings: warnings})
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// Ask asks the process that serves health at an address, such as 127.0.0.1:9001.
// The error is Temporary when nothing answers there.
func Ask(ctx context.Context, addr string) (a Answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return a, fault.Wrap(fault.Invalid, err, "address "+addr)
	}
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return a, fault.Wrap(fault.Temporary, err, "asking for health")
	}
	defer response.Body.Close()
	body := http.MaxBytesReader(nil, response.Body, 1<<20)
	if err := json.NewDecoder(body).Decode(&a); err != nil || a.Ready != (response.StatusCode == http.StatusOK) {
		return a, fault.New(fault.Invalid, "%s answered %s to /readyz, it is no alys node", addr, response.Status)
	}
	return a, nil
}
