package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	maxHeader    = 16 << 10 // bytes
	maxRequest   = 16 << 10 // bytes of a body
	maxPath      = 4096     // bytes of a directory's path
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	queryTimeout = 10 * time.Second // of Status and Ready
	idleTimeout  = time.Minute
	stopTimeout  = 5 * time.Second
)

// Handlers is what a node offers. A nil function is answered with 501, except
// Ready. The context ends with the request or with the server. They may be
// called from any goroutine; checkpoints one at a time.
type Handlers struct {
	// Development is empty unless the node has a Bitcoin chain of its own.
	Development Development
	// Peers is empty unless the node talks to others.
	Peers Peers
	// Status describes the node; the value is answered as JSON.
	Status func(ctx context.Context) (any, error)
	// Checkpoint copies the journal to dir, an absolute path that does not exist.
	Checkpoint func(ctx context.Context, dir string) (any, error)
	// AllowSigning ends a hold of the node's signature, for a reason that is kept.
	// An error that wraps [ErrRefused] says that the node could and will not.
	AllowSigning func(ctx context.Context, reason string) error
	// AssumeSynced has the node make blocks although too few members can be asked where
	// the head is. Errors as for AllowSigning.
	AssumeSynced func(ctx context.Context, reason string) error
	// FollowBranch has the branch followed that ends in the block with this root, in
	// hex, although it excludes the finalised block. Errors as for AllowSigning.
	FollowBranch func(ctx context.Context, root, reason string) error
	// KeepToBranch has the branch of the block with this root kept to until finality
	// passes the block, for the reason given.
	KeepToBranch func(ctx context.Context, root, reason string) error
	// State has the node sign that it never approves a range end, 0x and 64 hex
	// digits, and returns the statement as INDEX:HEX.
	State func(ctx context.Context, rangeEnd string) (statement string, err error)
	// Release ends the lock on a range end by such statements of others.
	Release func(ctx context.Context, rangeEnd string, statements []string, reason string) error
	// Snapshot takes a snapshot of the running node and describes it.
	Snapshot func(ctx context.Context) (any, error)
	// Archive moves the journal's events before a sequence into the archive.
	Archive func(ctx context.Context, before uint64, segmentBytes int64) (any, error)
	// LogLevels describes the levels of the log, SetLogLevel changes one; an empty
	// actor stands for all without one of their own.
	LogLevels   func(ctx context.Context) (any, error)
	SetLogLevel func(ctx context.Context, actor, level string) error
	// Peg answers a question about the peg, by its name, with parameters in JSON.
	Peg func(ctx context.Context, question string, params json.RawMessage) (any, error)
	// ResumePeg has the peg go on after a halt. Errors as for AllowSigning.
	ResumePeg func(ctx context.Context, reason string) error
	// Ready returns why the node cannot do its work, nothing when it can. A nil
	// function counts as ready.
	Ready func(ctx context.Context) []string
}

// Serve answers at the socket of dataDir until ctx ends, which is no error.
// Requests under way then have five seconds to finish. A socket at which another
// process answers, or a file that is no socket, is an Invalid error.
func Serve(ctx context.Context, dataDir string, h Handlers) error {
	if info, err := os.Stat(dataDir); err != nil {
		return fault.Wrap(fault.Invalid, err, "data directory for the admin socket")
	} else if !info.IsDir() {
		return fault.New(fault.Invalid, "data directory %s for the admin socket is no directory", dataDir)
	}
	path, err := SocketPath(dataDir)
	if err != nil {
		return err
	}
	l, err := listen(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	s := server{handlers: h}
	hs := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	stopped := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(stopped)
		// Not derived from ctx, which has ended.
		grace, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if hs.Shutdown(grace) != nil {
			_ = hs.Close()
		}
	})
	err = hs.Serve(l)
	if !release() {
		<-stopped
		return nil
	}
	_ = hs.Close()
	return fault.Wrap(fault.Fatal, err, "admin socket "+path)
}

type server struct {
	handlers   Handlers
	checkpoint sync.Mutex
	snapshot   sync.Mutex
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("POST /checkpoint", s.takeCheckpoint)
	mux.HandleFunc("POST /signing/allow", s.allowSigning)
	mux.HandleFunc("POST /sync/assume", s.assumeSynced)
	mux.HandleFunc("POST /signing/statement", s.makeStatement)
	mux.HandleFunc("POST /signing/release", s.releaseLock)
	mux.HandleFunc("POST /chain/follow", s.followBranch)
	mux.HandleFunc("POST /chain/keep", s.keepToBranch)
	s.handlers.Development.routes(mux)
	s.handlers.Peers.routes(mux)
	mux.HandleFunc("POST /peg/{question}", s.peg)
	mux.HandleFunc("POST /peg/resume", s.resumePeg)
	mux.HandleFunc("POST /snapshot", s.takeSnapshot)
	mux.HandleFunc("POST /archive", s.archive)
	mux.HandleFunc("GET /log/levels", s.logLevels)
	mux.HandleFunc("POST /log/levels", s.setLogLevel)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	return contained(mux)
}

// contained turns a panic of a handler into an answer: a question to the node
// must not end it.
func contained(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				slog.Error("admin request panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				refuse(w, fault.New(fault.Fatal, "%s %s panicked: %v; the log has the stack", r.Method, r.URL.Path, p))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	if s.handlers.Status == nil {
		notOffered(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	v, err := s.handlers.Status(ctx)
	reply(w, v, err)
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	var reasons []string
	if s.handlers.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
		defer cancel()
		reasons = s.handlers.Ready(ctx)
	}
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, readiness{Ready: len(reasons) == 0, Reasons: reasons})
}

// readiness is the answer to GET /readyz.
type readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`
}

// checkpointRequest is the body of POST /checkpoint.
type checkpointRequest struct {
	Dir string `json:"dir"`
}

// requestOf reads the body of a request that the node may offer. Without ok it has
// answered why not.
func requestOf[T any](w http.ResponseWriter, r *http.Request, offered bool) (request T, ok bool) {
	if !offered {
		notOffered(w, r)
		return request, false
	}
	if err := decode(w, r, &request); err != nil {
		refuse(w, err)
		return request, false
	}
	return request, true
}

func (s *server) takeCheckpoint(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[checkpointRequest](w, r, s.handlers.Checkpoint != nil)
	if !ok {
		return
	}
	if err := checkDir(request.Dir); err != nil {
		refuse(w, err)
		return
	}
	if !s.checkpoint.TryLock() {
		answer(w, http.StatusConflict, failure{Error: "another checkpoint is being taken, ask again when it is done", Grade: fault.Temporary.String()})
		return
	}
	defer s.checkpoint.Unlock()
	// The limit on reading has done its work; left in place it would end the
	// context of a checkpoint that takes longer. A connection that is gone shows
	// in the context too.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	v, err := s.handlers.Checkpoint(r.Context(), request.Dir)
	reply(w, v, err)
}

// allowRequest is the body of POST /signing/allow and of /sync/assume.
type allowRequest struct {
	Reason string `json:"reason"`
}

func (s *server) allowSigning(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[allowRequest](w, r, s.handlers.AllowSigning != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	reply(w, map[string]bool{"allowed": true}, s.handlers.AllowSigning(ctx, request.Reason))
}

func (s *server) assumeSynced(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[allowRequest](w, r, s.handlers.AssumeSynced != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	reply(w, map[string]bool{"assumed": true}, s.handlers.AssumeSynced(ctx, request.Reason))
}

// followRequest is the body of POST /chain/follow and /chain/keep.
type followRequest struct {
	Root   string `json:"root"`
	Reason string `json:"reason"`
}

func (s *server) followBranch(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[followRequest](w, r, s.handlers.FollowBranch != nil)
	if !ok {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the branch is executed first
	reply(w, map[string]bool{"followed": true}, s.handlers.FollowBranch(r.Context(), request.Root, request.Reason))
}

func (s *server) keepToBranch(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[followRequest](w, r, s.handlers.KeepToBranch != nil)
	if !ok {
		return
	}
	reply(w, map[string]bool{"kept": true}, s.handlers.KeepToBranch(r.Context(), request.Root, request.Reason))
}

// statementRequest is the body of POST /signing/statement.
type statementRequest struct {
	RangeEnd string `json:"range_end"`
}

// statementAnswer is its answer.
type statementAnswer struct {
	Statement string `json:"statement"`
}

func (s *server) makeStatement(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[statementRequest](w, r, s.handlers.State != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	statement, err := s.handlers.State(ctx, request.RangeEnd)
	reply(w, statementAnswer{Statement: statement}, err)
}

// releaseRequest is the body of POST /signing/release.
type releaseRequest struct {
	RangeEnd   string   `json:"range_end"`
	Statements []string `json:"statements"`
	Reason     string   `json:"reason"`
}

func (s *server) releaseLock(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[releaseRequest](w, r, s.handlers.Release != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	reply(w, map[string]bool{"released": true}, s.handlers.Release(ctx, request.RangeEnd, request.Statements, request.Reason))
}

func (s *server) takeSnapshot(w http.ResponseWriter, r *http.Request) {
	if s.handlers.Snapshot == nil {
		notOffered(w, r)
		return
	}
	var nothing struct{}
	if err := decode(w, r, &nothing); err != nil {
		refuse(w, err)
		return
	}
	if !s.snapshot.TryLock() {
		answer(w, http.StatusConflict, failure{Error: "another snapshot is being taken, ask again when it is done", Grade: fault.Temporary.String()})
		return
	}
	defer s.snapshot.Unlock()
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // as for checkpoints
	v, err := s.handlers.Snapshot(r.Context())
	reply(w, v, err)
}

// checkDir refuses what must not be written to: a path that depends on the
// working directory of the node, or something that exists.
func checkDir(dir string) error {
	switch {
	case dir == "":
		return fault.New(fault.Invalid, `no directory given for the checkpoint, the body is {"dir": "/absolute/path"}`)
	case len(dir) > maxPath || strings.ContainsRune(dir, 0):
		return fault.New(fault.Invalid, "directory for the checkpoint has %d bytes, at most %d without a zero byte are possible", len(dir), maxPath)
	case !filepath.IsAbs(dir):
		return fault.New(fault.Invalid, "directory %q for the checkpoint is not an absolute path", dir)
	}
	_, err := os.Lstat(dir)
	switch {
	case err == nil:
		return fault.New(fault.Invalid, "directory %s for the checkpoint exists; name one that does not", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(fault.Invalid, err, "directory for the checkpoint")
	}
	return nil
}

// errTooLarge marks a request that is answered with 413.
var errTooLarge = errors.New("request is too large")

// decode reads one JSON object without unknown members and nothing behind it.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err == nil {
			err = errors.New("something follows the object")
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault.New(fault.Invalid, "%w: more than %d bytes", errTooLarge, maxRequest)
	}
	return fault.Wrap(fault.Invalid, err, "body of "+r.URL.Path)
}

// failure is the answer to a request that failed.
type failure struct {
	Error   string `json:"error"`
	Grade   string `json:"grade"`
	Refused bool   `json:"refused,omitempty"` // the node could and will not
}

func notOffered(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusNotImplemented, failure{
		Error: fmt.Sprintf("%s %s is not offered by this node", r.Method, r.URL.Path),
		Grade: fault.Invalid.String(),
	})
}

func reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, v)
}

func refuse(w http.ResponseWriter, err error) {
	grade, status := fault.Of(err), http.StatusInternalServerError
	switch {
	case errors.Is(err, errTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrRefused):
		status = http.StatusConflict
	case grade == fault.Invalid:
		status = http.StatusBadRequest
	case grade == fault.Temporary || grade == fault.CannotJudge:
		status = http.StatusServiceUnavailable
	}
	refused := errors.Is(err, ErrRefused)
	answer(w, status, failure{Error: strings.TrimSuffix(err.Error(), "\n"+ErrRefused.Error()), Grade: grade.String(), Refused: refused})
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		body, _ = json.Marshal(failure{Error: "answer has no JSON form: " + err.Error(), Grade: fault.Fatal.String()})
	}
	// A client that does not read must not hold the connection for ever.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
