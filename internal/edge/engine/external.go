package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Time limits of the calls. (consensus.md C15: base times three)
const (
	timeoutPayload      = 24 * time.Second // newPayload and forkchoiceUpdated
	timeoutGetPayload   = 6 * time.Second
	timeoutCapabilities = 3 * time.Second
	timeoutRead         = 3 * time.Second
	timeoutBlock        = 10 * time.Second // a whole block
	timeoutReceipts     = 5 * time.Second
)

// maxAnswer is the longest answer that is read: a block of 30,000,000 gas is
// below 8 MiB of JSON.
const maxAnswer = 64 << 20

// ExternalOptions say where the client is.
type ExternalOptions struct {
	URL    string   // of its Engine API, http or https
	Secret [32]byte // shared with the client, from [ReadJWTSecret]
	EthURL string   // of its eth namespace for reads; empty for URL
}

// External is an execution client in another process, over JSON-RPC with JWT. Every
// call takes its own connection from a pool, so that a client may be restarted at any
// time. The client is checked before the first call and after each call that did not
// reach it: [External.Check].
type External struct {
	name    string // URL without what may be secret
	engine  *rpc.Client
	eth     *rpc.Client // the same without EthURL
	genesis Identity
	timeout func(time.Duration) time.Duration // shortens time limits in tests
	checked atomic.Pointer[Peer]              // nil while the client has to be checked
}

var _ API = (*External)(nil)

// DialExternal prepares calls to a client that must be on this chain. It does not call
// it: the client may be started later. Errors: Invalid for options that cannot work.
func DialExternal(o ExternalOptions, chain Identity) (*External, error) {
	e := &External{genesis: chain, timeout: func(d time.Duration) time.Duration { return d }}
	var err error
	if e.name, err = checkURL("engine-url", o.URL); err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &limited{transport: http.DefaultTransport.(*http.Transport).Clone()}}
	ctx := context.Background() // dialling HTTP opens no connection
	if e.engine, err = rpc.DialOptions(ctx, o.URL, rpc.WithHTTPClient(client), rpc.WithHTTPAuth(node.NewJWTAuth(o.Secret))); err != nil {
		return nil, fault.New(fault.Invalid, "engine-url %s: %w", e.name, hideURL(err))
	}
	e.eth = e.engine
	if o.EthURL == "" {
		return e, nil
	}
	name, err := checkURL("eth-url", o.EthURL)
	if err != nil {
		return nil, err
	}
	if e.eth, err = rpc.DialOptions(ctx, o.EthURL, rpc.WithHTTPClient(client)); err != nil {
		return nil, fault.New(fault.Invalid, "eth-url %s: %w", name, hideURL(err))
	}
	return e, nil
}

// Close gives back idle connections.
func (e *External) Close() error {
	e.engine.Close()
	if e.eth != e.engine {
		e.eth.Close()
	}
	return nil
}

// Name returns the client's URL without user, password and query.
func (e *External) Name() string { return e.name }

// checkURL refuses what is no HTTP address, and returns it without secrets.
func checkURL(option, text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fault.New(fault.Invalid, "%s is not the address of an HTTP server, such as http://127.0.0.1:8551", option)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), nil
}

// hideURL takes the address out of an error of the HTTP client, for it may hold secrets.
func hideURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}

// ReadJWTSecret reads the secret that the client shares with us: 64 hexadecimal digits,
// with or without 0x. Errors never repeat it.
func ReadJWTSecret(path string) (secret [32]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return secret, fault.Wrap(fault.Invalid, err, "jwt-secret")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return secret, fault.Wrap(fault.Invalid, err, "jwt-secret")
	}
	text := strings.TrimPrefix(strings.TrimSpace(string(data)), "0x")
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(secret) {
		return secret, fault.New(fault.Invalid, "jwt-secret: %s does not hold 64 hexadecimal digits; make one with: openssl rand -hex 32", path)
	}
	return [32]byte(raw), nil
}

// limited refuses answers that are too long to be of use, and has a call repeated whose
// connection from the pool was closed by a client that was restarted meanwhile: every call
// of this package may be repeated.
type limited struct{ transport http.RoundTripper }

func (l *limited) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header["Idempotency-Key"] = nil // for the transport; it is not sent
	response, err := l.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &limitedBody{ReadCloser: response.Body, left: maxAnswer}
	return response, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// call makes one call of a client that was checked. It never gives an Invalid error: what
// is wrong with a client says nothing about the blocks it is asked for.
func (e *External) call(ctx context.Context, client *rpc.Client, limit time.Duration, result any, method string, params ...any) error {
	var err error
	if e.checked.Load() == nil {
		_, err = e.Check(ctx)
	}
	if err == nil {
		err = e.callUnchecked(ctx, client, limit, result, method, params...)
	}
	if fault.Is(err, fault.Invalid) {
		return fault.New(fault.CannotJudge, "%w", err)
	}
	return err
}

// callUnchecked grades what went wrong. Errors that the client itself answers with pass
// through, for their codes.
func (e *External) callUnchecked(ctx context.Context, client *rpc.Client, limit time.Duration, result any, method string, params ...any) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Temporary, err, method)
	}
	limit = e.timeout(limit)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := client.CallContext(limited, result, method, params...)
	var answered rpc.Error
	var status rpc.HTTPError
	switch {
	case err == nil || errors.As(err, &answered):
		return err
	case ctx.Err() != nil:
		return fault.Wrap(fault.Temporary, ctx.Err(), method)
	case errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden):
		e.checked.Store(nil)
		return fault.New(fault.Invalid, "execution client %s refuses our token (HTTP %d): its JWT secret differs from ours, or the clocks differ by more than a minute; give both the same file (geth --authrpc.jwtsecret, alys --jwt-secret)",
			e.name, status.StatusCode)
	case errors.As(err, &status):
		e.checked.Store(nil)
		return fault.New(fault.Temporary, "execution client %s answers %s with HTTP %d", e.name, method, status.StatusCode)
	case limited.Err() != nil:
		e.checked.Store(nil)
		return fault.New(fault.Temporary, "execution client %s did not answer %s within %s", e.name, method, limit)
	default:
		e.checked.Store(nil)
		return fault.New(fault.Temporary, "execution client %s: %s: %w", e.name, method, hideURL(err))
	}
}
