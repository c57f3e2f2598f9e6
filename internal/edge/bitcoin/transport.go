package bitcoin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// maxCookie bounds the cookie file: a user, a colon and a password.
const maxCookie = 4096

// newTransport trusts the certificates of a file alone, if it is given. It uses no proxy:
// a password must not go to whom an environment variable names.
func newTransport(certificateFile string) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     20 * time.Second, // nodes close after 30
		DisableCompression:  true,
	}
	if certificateFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(certificateFile)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "bitcoin-rpc-cert")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "bitcoin-rpc-cert %s holds no certificate in PEM form", certificateFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// call makes one call. An answer that is an error in JSON-RPC is a *rpcError below the
// error returned.
func (c *Client) call(ctx context.Context, limit int64, result any, method string, params ...any) error {
	started := time.Now()
	err := c.ask(ctx, limit, result, method, params)
	if err != nil {
		err = fault.Wrap(fault.Of(err), err, "Bitcoin node "+c.name+", "+method)
		if fault.Is(err, fault.Temporary) {
			c.mu.Lock()
			c.peer = nil // it may come back as another
			c.mu.Unlock()
		}
	}
	if c.o.OnCall != nil {
		c.o.OnCall(method, time.Since(started), err)
	}
	return err
}

func (c *Client) ask(ctx context.Context, limit int64, result any, method string, params []any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      string `json:"id"`
		Method  string `json:"method"`
		Params  []any  `json:"params"`
	}{"1.0", "alys", method, params})
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "encoding the call")
	}
	return c.exchange(ctx, limit, result, method, body)
}

// exchange posts a body, a second time when the cookie turns out to be another by now.
func (c *Client) exchange(ctx context.Context, limit int64, result any, method string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	used, err := c.credentials(false)
	if err != nil {
		return err
	}
	status, answer, err := c.post(ctx, limit, body, used)
	if err == nil && status == http.StatusUnauthorized && c.o.CookieFile != "" {
		fresh, err := c.credentials(true)
		if err != nil {
			return err
		}
		if fresh != used {
			if status, answer, err = c.post(ctx, limit, body, fresh); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	return c.judge(status, answer, result, method)
}

// credentials returns user:password, of a cookie file as it is now when anew.
func (c *Client) credentials(anew bool) (string, error) {
	if c.o.CookieFile == "" {
		if c.o.User+c.o.Password == "" {
			return "", nil
		}
		return c.o.User + ":" + c.o.Password, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cookie != "" && !anew {
		return c.cookie, nil
	}
	f, err := os.Open(c.o.CookieFile)
	if err != nil {
		grade := fault.Invalid
		if errors.Is(err, os.ErrNotExist) {
			grade = fault.Temporary // the node removes it when it stops
		}
		return "", fault.New(grade, "bitcoin-rpc-cookie: %w; the node writes the file at its start", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCookie+1))
	text := strings.TrimSpace(string(data))
	if err != nil || len(data) > maxCookie || !strings.Contains(text, ":") || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fault.New(fault.Temporary, "bitcoin-rpc-cookie: %s holds no user and password", c.o.CookieFile)
	}
	c.cookie = text
	return text, nil
}

// post sends a body and reads the whole answer.
func (c *Client) post(ctx context.Context, limit int64, body []byte, credentials string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fault.Wrap(fault.Invalid, err, "bitcoin-rpc-url")
	}
	r.Header.Set("Content-Type", "application/json")
	// All calls may be repeated, so a kept connection that the node closed costs nothing.
	r.Header["Idempotency-Key"] = []string{}
	if user, password, ok := strings.Cut(credentials, ":"); ok {
		r.SetBasicAuth(user, password)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return 0, nil, c.unreached(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return 0, nil, fault.New(fault.Temporary, "the answer broke off: %w", err)
	}
	if int64(len(answer)) > limit {
		return 0, nil, fault.New(fault.Invalid, "the answer has more than %d bytes: check bitcoin-rpc-url", limit)
	}
	return response.StatusCode, answer, nil
}

// unreached grades the error of a request without an answer.
func (c *Client) unreached(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var bad x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &bad), errors.As(err, &verify):
		return fault.New(fault.Invalid, "its certificate is not trusted: give the node's own by bitcoin-rpc-cert: %w", bare(err))
	case errors.Is(err, http.ErrSchemeMismatch):
		return fault.New(fault.Invalid, "it speaks no TLS: bitcoin-rpc-url begins with http:// then")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Temporary, "no answer within %s", callTimeout)
	default:
		return fault.New(fault.Temporary, "not reached: %w; is it running, is bitcoin-rpc-url right?", bare(err))
	}
}

// bare takes the request's address off an error: it is named already.
func bare(err error) error {
	var wrapped interface {
		Timeout() bool
		Unwrap() error
	}
	if errors.As(err, &wrapped) {
		if inner := wrapped.Unwrap(); inner != nil {
			return inner
		}
	}
	return err
}

// judge reads an answer.
func (c *Client) judge(status int, answer []byte, result any, method string) error {
	switch status {
	case http.StatusUnauthorized:
		setting := "bitcoin-rpc-user and bitcoin-rpc-password"
		if c.o.CookieFile != "" {
			setting = "bitcoin-rpc-cookie"
		}
		return fault.New(fault.Invalid, "it refuses our password: check %s", setting)
	case http.StatusForbidden:
		return fault.New(fault.Invalid, "it refuses our address: allow it there, in Bitcoin Core by rpcallowip")
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return c.garbage(status, answer)
	}
	if len(envelope.Error) > 0 && string(envelope.Error) != "null" {
		e := new(rpcError)
		if err := json.Unmarshal(envelope.Error, e); err != nil {
			return c.garbage(status, answer)
		}
		return e.graded(method)
	}
	if status != http.StatusOK || envelope.Result == nil {
		return c.garbage(status, answer)
	}
	if err := json.Unmarshal(envelope.Result, result); err != nil {
		return c.unexpected(method, "a result of another form")
	}
	return nil
}

// garbage grades an answer that is no JSON-RPC.
func (c *Client) garbage(status int, answer []byte) error {
	text := printable(string(answer))
	switch {
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError && status != http.StatusNotImplemented && !json.Valid(answer):
		return fault.New(fault.Temporary, "HTTP status %d: %s", status, text)
	case status == http.StatusBadRequest && strings.Contains(text, "HTTPS"):
		return fault.New(fault.Invalid, "it speaks TLS only: bitcoin-rpc-url begins with https:// then, and bitcoin-rpc-cert names its certificate")
	default:
		return fault.New(fault.Invalid, "HTTP status %d and no answer of a Bitcoin node: check bitcoin-rpc-url: %s", status, text)
	}
}

// unexpected is an answer of another form than that of the call.
func (c *Client) unexpected(method, what string) error {
	return fault.New(fault.Invalid, "Bitcoin node %s answers %s with %s: check bitcoin-rpc-url and the node's version", c.name, method, what)
}

// printable clips a foreign text and leaves out what a terminal would act on.
func printable(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return '?'
		}
	}, text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// rpcError is an error by which a node answered.
type rpcError struct {
	Code    int64  `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *rpcError) Error() string { return fmt.Sprintf("%s (code %d)", printable(e.Message), e.Code) }

// Codes of Bitcoin Core's src/rpc/protocol.h, which btcd shares where not said otherwise.
const (
	codeMisc          = -1 // pruned; btcd: beyond the tip, no such method
	codeNotFound      = -5
	codeMemory        = -7
	codeParameter     = -8 // beyond the tip
	codeNotConnected  = -9
	codeDownloading   = -10
	codeDatabase      = -20
	codeUndecoded     = -22
	codeVerify        = -25
	codeRejected      = -26
	codeAlreadyKnown  = -27
	codeWarmingUp     = -28
	codeInternal      = -32603
	codeUnknownMethod = -32601
)

// graded gives the error the grade that it has as the answer to a method.
func (e *rpcError) graded(method string) error {
	switch e.Code {
	case codeWarmingUp:
		return fault.Wrap(fault.Temporary, e, "it is warming up")
	case codeNotConnected, codeDownloading, codeMemory, codeDatabase, codeInternal:
		return fault.Wrap(fault.Temporary, e, "it cannot answer now")
	case codeNotFound:
		return fault.Wrap(fault.CannotJudge, e, "it does not have that")
	case codeParameter:
		if method == "getblockhash" {
			return fault.Wrap(fault.CannotJudge, e, "its chain does not reach that far")
		}
	case codeMisc:
		switch method {
		case "getblockhash":
			return fault.Wrap(fault.CannotJudge, e, "its chain does not reach that far")
		case "getblock", "getrawtransaction":
			return fault.Wrap(fault.CannotJudge, e, "it does not have that block whole")
		}
	case codeUnknownMethod:
		return fault.Wrap(fault.Invalid, e, "it is no Bitcoin node that this program knows, check bitcoin-rpc-url")
	}
	return fault.Wrap(fault.Invalid, e, "it refuses")
}

// errorCode returns the code of an error by which the node answered.
func errorCode(err error) (code int64, ok bool) {
	var e *rpcError
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}
