package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Options of a server. Addr and Backend are required.
type Options struct {
	Addr    string // HOST:PORT
	Backend Backend
	Logger  *slog.Logger // nil means slog.Default()

	Rate           float64       // requests a second of one client; 0 means DefaultRate
	Burst          int           // requests at once of one client; 0 means DefaultBurst
	MaxConnections int           // of all clients; 0 means DefaultConnections
	MaxBody        int64         // bytes of a request's body; 0 means DefaultBody
	ReadTimeout    time.Duration // for a whole request; 0 means DefaultReadTimeout
	// Observe is told of each call of a method of [Methods]: how it ended, "success" or
	// "error", and how long it took. It is called from many goroutines. nil for none.
	Observe func(method, status string, took time.Duration)
}

// Defaults of Options.
const (
	DefaultRate        = 200
	DefaultBurst       = 400
	DefaultConnections = 256
	DefaultBody        = 2 << 20
	DefaultReadTimeout = 15 * time.Second
)

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
	callTimeout   = 20 * time.Second
	maxHeader     = 16 << 10 // bytes
)

// Server is the port. Create it with [Listen].
type Server struct {
	opt      Options
	listener net.Listener
	desk     *desk
	limits   *limiter
}

// Listen opens the port. An address that cannot be had is an Invalid error.
func Listen(o Options) (*Server, error) {
	s := newServer(o)
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fault.New(fault.Invalid, "RPC address %s: %w; give another with --rpc.addr, or an empty one for no RPC", o.Addr, err)
	}
	s.listener = newBounded(l, s.opt.MaxConnections)
	return s, nil
}

func newServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Burst == 0 {
		o.Burst = DefaultBurst
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultConnections
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultBody
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	return &Server{opt: o, desk: newDesk(o.Backend), limits: newLimiter(o.Rate, o.Burst)}
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes the port of a server that was never served.
func (s *Server) Close() error { return s.listener.Close() }

// Serve answers until ctx ends, which is no error. Requests under way then have five
// seconds to finish.
func (s *Server) Serve(ctx context.Context) error {
	hs := &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: min(headerTimeout, s.opt.ReadTimeout),
		ReadTimeout:       s.opt.ReadTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// What clients do wrong is theirs; the log is for what is ours.
		ErrorLog:                     slog.NewLogLogger(s.opt.Logger.Handler(), slog.LevelDebug),
		DisableGeneralOptionsHandler: true,
	}
	stopped := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), stopTimeout) // ctx has ended
		defer cancel()
		if hs.Shutdown(grace) != nil {
			_ = hs.Close()
		}
	})
	err := hs.Serve(s.listener)
	if !release() {
		<-stopped
		return nil
	}
	_ = hs.Close()
	return fault.Wrap(fault.Fatal, err, "RPC on "+s.opt.Addr)
}

// How a call ended, for [Options.Observe]. (C18)
const (
	statusOK      = "success"
	statusRefused = "error"
)

const tooOften = "too many requests; ask less often"

// serve answers one HTTP request. A panic is a defect of ours that must not end the
// node: it is logged and answered.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			s.opt.Logger.Error("RPC request panicked", "panic", p, "stack", string(debug.Stack()))
			write(w, http.StatusInternalServerError, failed(0, codeUnavailable, "internal error; the node's log has it").body(nil))
		}
	}()
	client := clientOf(r.RemoteAddr)
	body, refusal := s.admit(w, r, client)
	if refusal != nil {
		if refusal.fail == nil {
			write(w, refusal.status, refusal.result)
			return
		}
		write(w, refusal.status, refusal.body(nil))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	status, answer := s.answer(ctx, client, body)
	if answer == nil {
		status = http.StatusNoContent
	}
	write(w, status, answer)
}

// answer answers a body, by the dialect of the method it names. A nil answer is none:
// every request of the body came without an id.
func (s *Server) answer(ctx context.Context, client string, body []byte) (status int, answer []byte) {
	if isArray(body) {
		if answer, ok := s.batch(ctx, client, body); ok {
			return http.StatusOK, answer
		}
	}
	request, err := parseRequest(body)
	switch {
	case err != nil:
		return http.StatusBadRequest, failed(0, codeInvalidParams, err.Error()).body(nil)
	case namespaced(request.method):
		return http.StatusOK, s.standard(ctx, client, request)
	case request.id == nil:
		return http.StatusBadRequest, failed(0, codeInvalidParams, "malformed request: it has no id").body(nil)
	}
	started := time.Now()
	a := s.legacy(ctx, client, request)
	if _, known := legacyMethods[request.method]; known {
		ended := statusOK
		if a.fail != nil {
			ended = statusRefused
		}
		s.opt.Observe(request.method, ended, time.Since(started))
	}
	return a.status, a.body(request.id)
}

// admit reads the body of a request that may be answered. A refusal without an error
// object is plain text.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, client string) ([]byte, *legacyAnswer) {
	no := func(status, code int, text string) ([]byte, *legacyAnswer) {
		a := failed(status, code, text)
		return nil, &a
	}
	switch {
	case r.Method != http.MethodPost:
		return nil, &legacyAnswer{status: http.StatusMethodNotAllowed, result: []byte("JSONRPC server handles only POST requests")}
	case r.Header.Get("Origin") != "":
		return no(http.StatusForbidden, codeForeignPage, "requests of web pages are not answered")
	case !s.limits.allow(client, 1):
		return no(http.StatusTooManyRequests, codeRateLimited, tooOften)
	case r.ContentLength > s.opt.MaxBody:
		return no(http.StatusRequestEntityTooLarge, codeTooLarge, "the body has more than "+strconv.FormatInt(s.opt.MaxBody, 10)+" bytes")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opt.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return no(http.StatusRequestEntityTooLarge, codeTooLarge, "the body has more than "+strconv.FormatInt(s.opt.MaxBody, 10)+" bytes")
	case err != nil:
		return no(http.StatusBadRequest, codeInvalidParams, "malformed request: "+err.Error())
	}
	return body, nil
}

// write sends an answer whose only header beside the date is its length. (rpc.md)
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = nil // net/http would guess one
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
