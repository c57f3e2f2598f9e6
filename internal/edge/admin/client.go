package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// ErrNotRunning says that no node answers at the socket of the data directory.
// Errors that wrap it are Temporary and name the socket.
var ErrNotRunning = errors.New("no node is running on this data directory")

// ErrRefused marks what a node could do and will not, for safety.
var ErrRefused = errors.New("refused for safety")

// maxResponse bounds what the client reads, in bytes.
const maxResponse = 16 << 20

// Client asks a running node. Its methods may be called from any goroutine.
type Client struct {
	path string
	http *http.Client
}

// Dial finds the node that runs on dataDir. The error wraps [ErrNotRunning] when
// nobody listens there, and is Invalid when the socket is not to be trusted.
func Dial(dataDir string) (*Client, error) {
	path, err := SocketPath(dataDir)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(path, dataDir); err != nil {
		return nil, classify(path, err)
	}
	conn, err := dial(context.Background(), path)
	if err != nil {
		return nil, classify(path, err)
	}
	_ = conn.Close()
	transport := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		MaxIdleConns:           1,
		IdleConnTimeout:        idleTimeout / 2,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}
	return &Client{path: path, http: &http.Client{Transport: transport}}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status stores the node's status in v, a pointer as for json.Unmarshal.
func (c *Client) Status(ctx context.Context, v any) error {
	return c.do(ctx, http.MethodGet, "/status", nil, v)
}

// Checkpoint asks for a checkpoint in dir, an absolute path that does not exist,
// and stores the node's answer in v, unless nil. It returns when the checkpoint is there.
func (c *Client) Checkpoint(ctx context.Context, dir string, v any) error {
	return c.post(ctx, "/checkpoint", "directory for the checkpoint", checkpointRequest{Dir: dir}, v)
}

// AllowSigning ends a hold of the node's signature; the reason is kept in its
// journal. The error wraps [ErrRefused] when nothing is held.
func (c *Client) AllowSigning(ctx context.Context, reason string) error {
	return c.post(ctx, "/signing/allow", "reason", allowRequest{Reason: reason}, nil)
}

// AssumeSynced has the node make blocks although too few members can be asked where the
// head is; the reason is kept in its journal.
func (c *Client) AssumeSynced(ctx context.Context, reason string) error {
	return c.post(ctx, "/sync/assume", "reason", allowRequest{Reason: reason}, nil)
}

// FollowBranch has the node follow the branch that ends in a block although it
// excludes the finalised one; the reason is kept in its journal. It returns when the
// branch is the head's. The error wraps [ErrRefused] when the node does not do it.
func (c *Client) FollowBranch(ctx context.Context, root, reason string) error {
	return c.post(ctx, "/chain/follow", "reason", followRequest{Root: root, Reason: reason}, nil)
}

// KeepToBranch has the node keep to the branch of a block until finality passes it;
// the reason is kept in its journal. The error wraps [ErrRefused] when it does not.
func (c *Client) KeepToBranch(ctx context.Context, root, reason string) error {
	return c.post(ctx, "/chain/keep", "reason", followRequest{Root: root, Reason: reason}, nil)
}

// Statement has the node sign that it never approves a range end, and returns the
// statement as INDEX:HEX. The error wraps [ErrRefused] when it does not.
func (c *Client) Statement(ctx context.Context, rangeEnd string) (string, error) {
	var answer statementAnswer
	err := c.post(ctx, "/signing/statement", "range end", statementRequest{RangeEnd: rangeEnd}, &answer)
	return answer.Statement, err
}

// ReleaseLock ends the node's lock on a range end by statements of others. The
// error wraps [ErrRefused] when they do not suffice.
func (c *Client) ReleaseLock(ctx context.Context, rangeEnd string, statements []string, reason string) error {
	return c.post(ctx, "/signing/release", "release", releaseRequest{RangeEnd: rangeEnd, Statements: statements, Reason: reason}, nil)
}

// Snapshot has the node take a snapshot, waits for it and stores the node's answer in v.
func (c *Client) Snapshot(ctx context.Context, v any) error {
	return c.do(ctx, http.MethodPost, "/snapshot", []byte("{}"), v)
}

// Live returns nil when the node answers.
func (c *Client) Live(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/livez", nil, nil)
}

// Ready returns why the node cannot do its work; no reasons mean that it can.
func (c *Client) Ready(ctx context.Context) (reasons []string, err error) {
	status, body, err := c.exchange(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return nil, err
	}
	var r readiness
	if err := json.Unmarshal(body, &r); err != nil || r.Ready != (status == http.StatusOK) || !r.Ready && len(r.Reasons) == 0 {
		return nil, remote(c.path, "/readyz", status, body)
	}
	return r.Reasons, nil
}

// post sends a request, which what names in errors, and stores the answer in v, unless nil.
func (c *Client) post(ctx context.Context, target, what string, request, v any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, what)
	}
	return c.do(ctx, http.MethodPost, target, body, v)
}

func (c *Client) do(ctx context.Context, method, target string, body []byte, v any) error {
	status, answer, err := c.exchange(ctx, method, target, body)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return remote(c.path, target, status, answer)
	}
	if v == nil {
		return nil
	}
	return fault.Wrap(fault.Invalid, json.Unmarshal(answer, v), "answer of the node at "+c.path+" to "+target)
}

func (c *Client) exchange(ctx context.Context, method, target string, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fault.Wrap(fault.Invalid, err, "request to the node at "+c.path)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, classify(c.path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	if err != nil {
		return 0, nil, classify(c.path, err)
	}
	if len(answer) > maxResponse {
		return 0, nil, fault.New(fault.Invalid, "answer of the node at %s to %s has more than %d bytes", c.path, target, maxResponse)
	}
	return response.StatusCode, answer, nil
}

// classify names the socket and recognises the absence of a node.
func classify(path string, err error) error {
	var graded *fault.Error
	switch {
	case errors.As(err, &graded):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fault.New(fault.Temporary, "%w (socket %s)", ErrNotRunning, path)
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(fault.Invalid, err, "socket "+path+" belongs to another user, ask as the user that runs the node")
	default:
		return fault.Wrap(fault.Temporary, err, "asking the node at "+path)
	}
}

// remote turns an answer that is not the expected one into an error, with the
// grade that the node gave.
func remote(path, target string, status int, body []byte) error {
	var f failure
	if err := json.Unmarshal(body, &f); err != nil || f.Error == "" {
		return fault.New(fault.Invalid, "node at %s answered %s with %d and %.200q; it may be of another version", path, target, status, body)
	}
	for grade := fault.Temporary; grade <= fault.Fatal; grade++ {
		if grade.String() == f.Grade {
			if f.Refused {
				return fault.New(grade, "node: %s (%w)", f.Error, ErrRefused)
			}
			return fault.New(grade, "node: %s", f.Error)
		}
	}
	return fault.New(fault.Fatal, "node: %s (grade %q)", f.Error, f.Grade)
}
