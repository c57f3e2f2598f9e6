package rpcserver

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	// MaxRequest is how many bytes a request has at most: a block of 4,000,000 bytes in
	// hexadecimal, and the call around it.
	MaxRequest = 9 << 20

	maxConnections = 128
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 30 * time.Second
	idleTimeout    = 60 * time.Second
	stopTimeout    = 5 * time.Second

	cookieUser = "__cookie__" // as Bitcoin Core names it
)

// Options of a server.
type Options struct {
	// Credentials is user:password. It must not be empty.
	Credentials string
	Logger      *slog.Logger // nil drops what there is to say
}

// Server answers calls. It is an http.Handler.
type Server struct {
	chain *regtest.Chain
	o     Options
}

// New returns a server of a chain, which the caller closes after it.
func New(chain *regtest.Chain, o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{chain: chain, o: o}
}

// WriteCookie writes new credentials to a file that only its owner can read, as Bitcoin
// Core does at each of its starts, and returns them.
func WriteCookie(path string) (string, error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", fault.Wrap(fault.Fatal, err, "make the cookie")
	}
	credentials := cookieUser + ":" + hex.EncodeToString(secret[:])
	f, err := os.CreateTemp(filepath.Dir(path), ".cookie-*") // mode 0600
	if err != nil {
		return "", fault.Wrap(fault.Fatal, err, "write the cookie")
	}
	_, err = f.WriteString(credentials)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", fault.Wrap(fault.Fatal, errors.Join(err, os.Remove(f.Name())), "write the cookie "+path)
	}
	return credentials, nil
}

// Listen takes an address, such as 127.0.0.1:18443.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	return l, fault.Wrap(fault.Invalid, err, "listen for Bitcoin calls")
}

// Serve answers calls on l until ctx ends, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: 2 * bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(ending)
	})
	err := server.Serve(newCounted(l, maxConnections))
	if !errors.Is(err, http.ErrServerClosed) || stop() {
		return fault.Wrap(fault.Fatal, err, "serve Bitcoin calls")
	}
	return fault.Wrap(fault.Temporary, <-stopped, "stop serving Bitcoin calls")
}

// call is a request of JSON-RPC.
type call struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// answer is that to a call. Bitcoin Core writes all three members before 2.0.
type answer struct {
	Result any             `json:"result"`
	Error  *Error          `json:"error"`
	ID     json.RawMessage `json:"id"`
}

// Error is an error by which the server answers, with Bitcoin Core's code.
type Error struct {
	Code    int64  `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="jsonrpc"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "JSONRPC server handles only POST requests", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	if err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		s.write(w, http.StatusInternalServerError, answer{Error: &Error{codeParse, "Parse error"}})
		return
	}
	result, failure := s.answer(r.Context(), &c)
	status := http.StatusOK
	if failure != nil {
		status = http.StatusInternalServerError
		if failure.Code == codeUnknownMethod {
			status = http.StatusNotFound
		}
	}
	s.write(w, status, answer{Result: result, Error: failure, ID: c.ID})
}

func (s *Server) allowed(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	// A password that the server has not is none that a client could have.
	return ok && s.o.Credentials != "" && subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(s.o.Credentials)) == 1
}

func (s *Server) write(w http.ResponseWriter, status int, a answer) {
	data, err := json.Marshal(a)
	if err != nil {
		s.o.Logger.Error("bitcoin: an answer cannot be encoded", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(data, '\n')); err != nil {
		s.o.Logger.Debug("bitcoin: an answer was not taken", "error", err)
	}
}

// answer makes a call.
func (s *Server) answer(ctx context.Context, c *call) (any, *Error) {
	run, known := methods[c.Method]
	if !known {
		return nil, &Error{codeUnknownMethod, "Method not found"}
	}
	result, err := run(ctx, s.chain, params(c.Params))
	var failure *Error
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &failure):
		return nil, failure
	case fault.Is(err, fault.CannotJudge):
		return nil, &Error{codeNotFound, line(err)}
	case fault.Is(err, fault.Invalid):
		return nil, &Error{codeParameter, line(err)}
	case fault.Is(err, fault.Temporary):
		return nil, &Error{codeInternal, line(err)}
	default:
		s.o.Logger.Error("bitcoin: a call failed", "method", c.Method, "error", err)
		return nil, &Error{codeDatabase, line(err)}
	}
}

func line(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
