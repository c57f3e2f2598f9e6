package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

type status struct {
	Height uint64 `json:"height"`
}

// serve starts a server and returns a client and the way to stop it.
func serve(t *testing.T, dataDir string, h Handlers) (*Client, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, dataDir, h) }()
	stop := func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	for range 500 {
		c, err := Dial(dataDir)
		if err == nil {
			t.Cleanup(c.Close)
			return c, stop
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("serve: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		if !errors.Is(err, ErrNotRunning) {
			t.Fatalf("dial: %v", err)
		}
	}
	t.Fatal("server does not come up")
	return nil, nil
}

// shortDir returns a directory whose socket path is short enough.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "alys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestRequests(t *testing.T) {
	var reasons []string
	dir := shortDir(t)
	c, stop := serve(t, dir, Handlers{
		Status: func(context.Context) (any, error) { return status{Height: 7}, nil },
		Checkpoint: func(_ context.Context, dir string) (any, error) {
			return map[string]string{"dir": dir}, os.Mkdir(dir, 0o700)
		},
		Ready: func(context.Context) []string { return reasons },
	})
	ctx := context.Background()
	var s status
	if err := c.Status(ctx, &s); err != nil || s.Height != 7 {
		t.Errorf("status: %+v %v", s, err)
	}
	if err := c.Live(ctx); err != nil {
		t.Errorf("live: %v", err)
	}
	if got, err := c.Ready(ctx); err != nil || len(got) != 0 {
		t.Errorf("ready: %v %v", got, err)
	}
	reasons = []string{"bitcoin is away", "engine is behind"}
	if got, err := c.Ready(ctx); err != nil || strings.Join(got, ", ") != "bitcoin is away, engine is behind" {
		t.Errorf("not ready: %v %v", got, err)
	}
	to := filepath.Join(dir, "copy")
	var answer struct{ Dir string }
	if err := c.Checkpoint(ctx, to, &answer); err != nil || answer.Dir != to {
		t.Errorf("checkpoint: %+v %v", answer, err)
	}
	for name, dir := range map[string]string{
		"exists": to, "relative": "copy", "empty": "", "long": "/" + strings.Repeat("x", maxPath), "below a file": "/proc/version/x", "zero": "/x\x00y",
	} {
		if err := c.Checkpoint(ctx, dir, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("checkpoint, %s: %v", name, err)
		}
	}
	path, err := SocketPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", info, err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket after the stop: %v", err)
	}
	if err := c.Status(ctx, &s); !errors.Is(err, ErrNotRunning) || !fault.Is(err, fault.Temporary) {
		t.Errorf("status after the stop: %v", err)
	}
	if _, err := Dial(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("dial after the stop: %v", err)
	}
}

func TestErrorsKeepTheirGrade(t *testing.T) {
	var answer error
	c, _ := serve(t, shortDir(t), Handlers{
		Status: func(context.Context) (any, error) {
			if answer == nil {
				panic("handler")
			}
			return nil, answer
		},
	})
	ctx := context.Background()
	for _, g := range []fault.Grade{fault.Temporary, fault.CannotJudge, fault.Invalid, fault.Corrupt, fault.Fatal} {
		answer = fault.New(g, "sequence 12 is %s", g)
		if err := c.Status(ctx, nil); !fault.Is(err, g) || !strings.Contains(err.Error(), "sequence 12 is") {
			t.Errorf("%s: %v", g, err)
		}
	}
	answer = errors.New("ungraded")
	if err := c.Status(ctx, nil); !fault.Is(err, fault.Fatal) {
		t.Errorf("ungraded: %v", err)
	}
	answer = nil
	if err := c.Status(ctx, nil); !fault.Is(err, fault.Fatal) || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("panic: %v", err)
	}
	if err := c.Checkpoint(ctx, "/absent", nil); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "not offered") {
		t.Errorf("not offered: %v", err)
	}
	if reasons, err := c.Ready(ctx); err != nil || len(reasons) != 0 {
		t.Errorf("ready without a function: %v %v", reasons, err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(shortDir(t), strings.Repeat("long/", 30)+"data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := SocketPath(dir)
	if err != nil || len(path) > longestPath || filepath.Dir(path) != filepath.Clean(os.TempDir()) {
		t.Fatalf("path %s: %v", path, err)
	}
	t.Chdir(filepath.Dir(dir))
	if relative, err := SocketPath("data"); err != nil || relative != path {
		t.Errorf("relative directory: %s %v", relative, err)
	}
	c, _ := serve(t, dir, Handlers{Status: func(context.Context) (any, error) { return status{Height: 1}, nil }})
	var s status
	if err := c.Status(context.Background(), &s); err != nil || s.Height != 1 {
		t.Errorf("status: %+v %v", s, err)
	}
	other, err := SocketPath(dir + "2")
	if err != nil || other == path {
		t.Errorf("another directory has the socket %s: %v", other, err)
	}
	t.Setenv("TMPDIR", "/"+strings.Repeat("t", 100))
	if _, err := SocketPath(dir); !fault.Is(err, fault.Invalid) {
		t.Errorf("long TMPDIR: %v", err)
	}
}

func TestSocketInTheWay(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, socketName)
	// A killed process leaves its file: close without unlinking.
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("dial of a stale socket: %v", err)
	}
	c, stop := serve(t, dir, Handlers{})
	if err := c.Live(context.Background()); err != nil {
		t.Errorf("after a stale socket: %v", err)
	}
	if err := Serve(context.Background(), dir, Handlers{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another node") {
		t.Errorf("second node: %v", err)
	}
	if err := c.Live(context.Background()); err != nil {
		t.Errorf("after a second node was refused: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(context.Background(), dir, Handlers{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("file in the way: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("file in the way is now %q %v", data, err)
	}
	if _, err := Dial(dir); !fault.Is(err, fault.Invalid) {
		t.Errorf("dial of a file: %v", err)
	}
	for _, dataDir := range []string{path, filepath.Join(dir, "absent")} {
		if err := Serve(context.Background(), dataDir, Handlers{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("data directory %s: %v", dataDir, err)
		}
	}
}

// raw sends one request as it stands and returns the answer's status and body.
func raw(t *testing.T, c *Client, method, target, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, "http://node"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// A decision of an operator reaches the node whole, and a refusal comes back as one.
func TestAllowSigning(t *testing.T) {
	var got string
	answer := error(nil)
	c, _ := serve(t, shortDir(t), Handlers{AllowSigning: func(_ context.Context, reason string) error {
		got = reason
		return answer
	}})
	if err := c.AllowSigning(context.Background(), "the old disk is destroyed: \"ok\""); err != nil || got != "the old disk is destroyed: \"ok\"" {
		t.Errorf("%v, reason %q", err, got)
	}
	answer = errors.Join(fault.New(fault.Invalid, "signing is not held"), ErrRefused)
	if err := c.AllowSigning(context.Background(), "x"); !errors.Is(err, ErrRefused) || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "signing is not held") {
		t.Errorf("refused: %v", err)
	}
	answer = fault.New(fault.Temporary, "the inbox is full")
	if err := c.AllowSigning(context.Background(), "x"); errors.Is(err, ErrRefused) || !fault.Is(err, fault.Temporary) {
		t.Errorf("busy: %v", err)
	}
	bare, _ := serve(t, shortDir(t), Handlers{})
	if err := bare.AllowSigning(context.Background(), "x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("not offered: %v", err)
	}
}

// So does a decision about a branch.
func TestFollowBranch(t *testing.T) {
	var got [2]string
	answer := error(nil)
	c, _ := serve(t, shortDir(t), Handlers{FollowBranch: func(_ context.Context, root, reason string) error {
		got = [2]string{root, reason}
		return answer
	}})
	if err := c.FollowBranch(context.Background(), "0x01", "agreed by all"); err != nil || got != [2]string{"0x01", "agreed by all"} {
		t.Errorf("%v, %q", err, got)
	}
	answer = errors.Join(fault.New(fault.Invalid, "block 0x01 has no quorum"), ErrRefused)
	if err := c.FollowBranch(context.Background(), "0x01", "x"); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no quorum") {
		t.Errorf("refused: %v", err)
	}
	bare, _ := serve(t, shortDir(t), Handlers{})
	if err := bare.FollowBranch(context.Background(), "0x01", "x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("not offered: %v", err)
	}
}

// And one to keep to a branch.
func TestKeepToBranch(t *testing.T) {
	var got [2]string
	answer := error(nil)
	c, _ := serve(t, shortDir(t), Handlers{KeepToBranch: func(_ context.Context, root, reason string) error {
		got = [2]string{root, reason}
		return answer
	}})
	if err := c.KeepToBranch(context.Background(), "0x02", "finality stalls"); err != nil || got != [2]string{"0x02", "finality stalls"} {
		t.Errorf("%v, %q", err, got)
	}
	answer = errors.Join(fault.New(fault.Invalid, "block 0x02 was refused"), ErrRefused)
	if err := c.KeepToBranch(context.Background(), "0x02", "x"); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "was refused") {
		t.Errorf("refused: %v", err)
	}
	bare, _ := serve(t, shortDir(t), Handlers{})
	if err := bare.KeepToBranch(context.Background(), "0x02", "x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("not offered: %v", err)
	}
}

// So do statements about range ends, and releases by them.
func TestStatements(t *testing.T) {
	var got []string
	answer := error(nil)
	c, _ := serve(t, shortDir(t), Handlers{
		State: func(_ context.Context, rangeEnd string) (string, error) {
			got = []string{rangeEnd}
			return "2:ab", answer
		},
		Release: func(_ context.Context, rangeEnd string, statements []string, reason string) error {
			got = append([]string{rangeEnd, reason}, statements...)
			return answer
		},
	})
	ctx := context.Background()
	if s, err := c.Statement(ctx, "0x01"); err != nil || s != "2:ab" || !slices.Equal(got, []string{"0x01"}) {
		t.Errorf("%q, %v, %q", s, err, got)
	}
	if err := c.ReleaseLock(ctx, "0x01", []string{"0:aa", "2:ab"}, "lost"); err != nil || !slices.Equal(got, []string{"0x01", "lost", "0:aa", "2:ab"}) {
		t.Errorf("%v, %q", err, got)
	}
	answer = errors.Join(fault.New(fault.Invalid, "this member approved it"), ErrRefused)
	_, stateErr := c.Statement(ctx, "0x01")
	for _, err := range []error{stateErr, c.ReleaseLock(ctx, "0x01", nil, "x")} {
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "approved it") {
			t.Errorf("refused: %v", err)
		}
	}
	bare, _ := serve(t, shortDir(t), Handlers{})
	_, stateErr = bare.Statement(ctx, "0x01")
	for _, err := range []error{stateErr, bare.ReleaseLock(ctx, "0x01", nil, "x")} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("not offered: %v", err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	c, _ := serve(t, shortDir(t), Handlers{
		Checkpoint:   func(context.Context, string) (any, error) { return nil, errors.New("must not be called") },
		AllowSigning: func(context.Context, string) error { return errors.New("must not be called") },
	})
	for name, test := range map[string]struct {
		method, target, body string
		status               int
	}{
		"oversized":      {"POST", "/checkpoint", `{"dir": "` + strings.Repeat("x", 1<<20) + `"}`, 413},
		"oversized tail": {"POST", "/checkpoint", `{"dir": "/x"}` + strings.Repeat(" ", 1<<20), 413},
		"long reason":    {"POST", "/signing/allow", `{"reason": "` + strings.Repeat("x", 1<<20) + `"}`, 413},
		"get of allow":   {"GET", "/signing/allow", "", 405},
		"forced allow":   {"POST", "/signing/allow", `{"reason": "x", "yes": true}`, 400},
		"no reason sent": {"POST", "/signing/allow", "", 400},
		"no body":        {"POST", "/checkpoint", "", 400},
		"no JSON":        {"POST", "/checkpoint", "dir=/x", 400},
		"list":           {"POST", "/checkpoint", "[]", 400},
		"null":           {"POST", "/checkpoint", "null", 400},
		"unknown member": {"POST", "/checkpoint", `{"dir": "/x", "force": true}`, 400},
		"two objects":    {"POST", "/checkpoint", `{"dir": "/x"}{"dir": "/y"}`, 400},
		"wrong method":   {"GET", "/checkpoint", "", 405},
		"post of status": {"POST", "/status", "", 405},
		"unknown":        {"GET", "/stop", "", 404},
		"not offered":    {"GET", "/status", "", 501},
	} {
		if status, answer := raw(t, c, test.method, test.target, test.body); status != test.status {
			t.Errorf("%s: %d %.200s, want %d", name, status, answer, test.status)
		}
	}
	if err := c.do(context.Background(), http.MethodGet, "/stop", nil, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("unknown request: %v", err)
	}
	// More header than allowed: the connection is answered and closed, the server stays.
	conn, err := net.Dial("unix", c.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: node\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	answer, _ := io.ReadAll(conn)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 431")) {
		t.Errorf("long header: %.60q", answer)
	}
	if err := c.Live(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestCheckpointsWaitForNobody(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	dir := shortDir(t)
	c, stop := serve(t, dir, Handlers{
		Checkpoint: func(ctx context.Context, _ string) (any, error) {
			close(started)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, fault.Wrap(fault.Temporary, ctx.Err(), "checkpoint")
		},
	})
	first := make(chan error, 1)
	go func() { first <- c.Checkpoint(context.Background(), filepath.Join(dir, "a"), nil) }()
	<-started
	if err := c.Checkpoint(context.Background(), filepath.Join(dir, "b"), nil); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "another checkpoint") {
		t.Errorf("second checkpoint: %v", err)
	}
	// A stop ends what runs, and the client hears of it.
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("context of the handler: %v", err)
	}
	if err := <-first; !fault.Is(err, fault.Temporary) {
		t.Errorf("first checkpoint: %v", err)
	}
}

func TestContextOfClient(t *testing.T) {
	ended := make(chan struct{})
	c, _ := serve(t, shortDir(t), Handlers{
		Status: func(ctx context.Context) (any, error) {
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := c.Status(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("status: %v", err)
	}
	<-ended
}

// Values without a JSON form are an error, not a broken answer.
func TestAnswerWithoutJSON(t *testing.T) {
	c, _ := serve(t, shortDir(t), Handlers{
		Status: func(context.Context) (any, error) { return func() {}, nil },
	})
	if err := c.Status(context.Background(), nil); !fault.Is(err, fault.Fatal) {
		t.Errorf("status: %v", err)
	}
}

func FuzzCheckpointRequest(f *testing.F) {
	f.Add([]byte(`{"dir": "/x"}`))
	f.Add([]byte(`{"dir": "/x"} `))
	f.Add([]byte(`{"dir": "/\u0000"}`))
	f.Add(bytes.Repeat([]byte("["), maxRequest))
	called := ""
	s := server{handlers: Handlers{Checkpoint: func(_ context.Context, dir string) (any, error) {
		called = dir
		return nil, nil
	}}}
	routes := s.routes()
	f.Fuzz(func(t *testing.T, body []byte) {
		called = ""
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/checkpoint", bytes.NewReader(body)))
		if called != "" && (len(body) > maxRequest || !filepath.IsAbs(called)) {
			t.Errorf("checkpoint taken in %q for %d bytes", called, len(body))
		}
		if w.Code >= 500 || (w.Code == http.StatusOK) != (called != "") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(400, []byte(`{"error": "x", "grade": "invalid"}`))
	f.Add(500, []byte(`{"error": 1}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if err := remote("socket", "/status", status, body); fault.Of(err) == 0 {
			t.Error("no error")
		}
	})
}

// A snapshot is asked for with an empty object; a second one at a time is told to wait.
func TestSnapshotRequest(t *testing.T) {
	dir := shortDir(t)
	begun, release := make(chan struct{}), make(chan struct{})
	c, _ := serve(t, dir, Handlers{Snapshot: func(context.Context) (any, error) {
		close(begun)
		<-release
		return map[string]uint64{"sequence": 7}, nil
	}})
	var got struct{ Sequence uint64 }
	done := make(chan error, 1)
	go func() { done <- c.Snapshot(context.Background(), &got) }()
	<-begun
	if err := c.Snapshot(context.Background(), nil); !fault.Is(err, fault.Temporary) {
		t.Errorf("a second snapshot: %v", err)
	}
	close(release)
	if err := <-done; err != nil || got.Sequence != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	if status, body := raw(t, c, http.MethodPost, "/snapshot", `{"dir":"/x"}`); status != http.StatusBadRequest {
		t.Errorf("an unknown member: %d %s", status, body)
	}
	other := shortDir(t)
	c, _ = serve(t, other, Handlers{})
	if err := c.Snapshot(context.Background(), nil); err == nil {
		t.Error("a node without snapshots answers")
	}
}
