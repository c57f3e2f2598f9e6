package rpcserver

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

const (
	clientTimeout = 30 * time.Second
	maxAnswer     = 1 << 20
	maxCookie     = 4096
)

// Client makes the calls that only this server has. It may be used from any goroutine.
type Client struct {
	URL    string       // such as http://127.0.0.1:18443
	Cookie string       // file that the server writes its credentials to
	HTTP   *http.Client // nil for one with a deadline
}

// Faucet asks how far the chain is and what the faucet has.
func (c *Client) Faucet(ctx context.Context) (f Faucet, err error) {
	err = c.call(ctx, &f, "dev_faucet")
	return f, err
}

// Mine mines blocks of what the mempool has.
func (c *Client) Mine(ctx context.Context, blocks int) (hashes []string, err error) {
	err = c.call(ctx, &hashes, "dev_mine", blocks)
	return hashes, err
}

// Reorg replaces the last blocks by a longer branch.
func (c *Client) Reorg(ctx context.Context, depth int) (hashes []string, err error) {
	err = c.call(ctx, &hashes, "dev_reorg", depth)
	return hashes, err
}

// Deposit sends the payment that pegs in, and returns its txid. (peg.md A3)
func (c *Client) Deposit(ctx context.Context, federation []byte, satoshi uint64, account []byte) (txid string, err error) {
	err = c.call(ctx, &txid, "dev_deposit", hex.EncodeToString(federation), satoshi, hex.EncodeToString(account))
	return txid, err
}

// Pay sends a payment of the faucet, and returns its txid.
func (c *Client) Pay(ctx context.Context, script []byte, satoshi uint64) (txid string, err error) {
	err = c.call(ctx, &txid, "dev_pay", hex.EncodeToString(script), satoshi)
	return txid, err
}

// Errors: Temporary when the server is away, Invalid when it refuses.
func (c *Client) call(ctx context.Context, result any, method string, args ...any) error {
	if args == nil {
		args = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": "alys", "method": method, "params": args})
	if err != nil {
		return fault.Wrap(fault.Invalid, err, method)
	}
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the address of the regtest chain")
	}
	if err := c.authorize(r); err != nil {
		return err
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(r)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "the regtest chain at "+c.URL+" does not answer")
	}
	defer func() { _ = response.Body.Close() }()
	return c.judge(response, result, method)
}

func (c *Client) authorize(r *http.Request) error {
	f, err := os.Open(c.Cookie)
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "the regtest chain writes its cookie when it starts")
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxCookie))
	if err != nil {
		return fault.Wrap(fault.Temporary, err, "read the cookie of the regtest chain")
	}
	user, password, ok := strings.Cut(strings.TrimSpace(string(data)), ":")
	if !ok {
		return fault.New(fault.Temporary, "%s holds no credentials", c.Cookie)
	}
	r.SetBasicAuth(user, password)
	return nil
}

func (c *Client) judge(response *http.Response, result any, method string) error {
	var a struct {
		Result json.RawMessage `json:"result"`
		Error  *Error          `json:"error"`
	}
	if response.StatusCode == http.StatusUnauthorized {
		return fault.New(fault.Invalid, "the regtest chain at %s refuses the credentials of %s", c.URL, c.Cookie)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&a); err != nil {
		return fault.Wrap(fault.Invalid, err, "the regtest chain at "+c.URL+" answers "+method+" with status "+response.Status)
	}
	switch {
	case a.Error != nil && (a.Error.Code == codeInternal || a.Error.Code == codeDatabase):
		return fault.Wrap(fault.Temporary, a.Error, method)
	case a.Error != nil:
		return fault.Wrap(fault.Invalid, a.Error, method)
	}
	return fault.Wrap(fault.Invalid, json.Unmarshal(a.Result, result), method)
}
