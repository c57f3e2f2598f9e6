package admin

import (
	"context"
	"net/http"
)

// Development is what a node with a Bitcoin chain of its own offers to developers. It has
// no place on a node whose bitcoins are worth something: all functions are nil there.
type Development struct {
	// Faucet describes the regtest chain and what the faucet has.
	Faucet func(ctx context.Context) (any, error)
	// Mine mines blocks of the regtest chain.
	Mine func(ctx context.Context, blocks int) (any, error)
	// Reorganise replaces the last depth blocks of the regtest chain by depth+1 others.
	Reorganise func(ctx context.Context, depth int) (any, error)
	// Deposit has the faucet send satoshi to the federation for an account, 0x and 40
	// hex digits.
	Deposit func(ctx context.Context, account string, satoshi uint64) (any, error)
	// PegOut has a development account ask for a peg-out to a Bitcoin address.
	PegOut func(ctx context.Context, destination string, satoshi uint64) (any, error)
}

func (d *Development) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /dev/faucet", d.faucet)
	mux.HandleFunc("POST /dev/mine", d.mine)
	mux.HandleFunc("POST /dev/reorganise", d.reorganise)
	mux.HandleFunc("POST /dev/deposit", d.deposit)
	mux.HandleFunc("POST /dev/peg-out", d.pegOut)
}

func (d *Development) faucet(w http.ResponseWriter, r *http.Request) {
	if d.Faucet == nil {
		notOffered(w, r)
		return
	}
	v, err := d.Faucet(r.Context())
	reply(w, v, err)
}

// countRequest is the body of POST /dev/mine and /dev/reorganise.
type countRequest struct {
	Blocks int `json:"blocks"`
}

func (d *Development) mine(w http.ResponseWriter, r *http.Request) {
	count(w, r, d.Mine)
}

func (d *Development) reorganise(w http.ResponseWriter, r *http.Request) {
	count(w, r, d.Reorganise)
}

func count(w http.ResponseWriter, r *http.Request, do func(context.Context, int) (any, error)) {
	request, ok := requestOf[countRequest](w, r, do != nil)
	if !ok {
		return
	}
	v, err := do(r.Context(), request.Blocks)
	reply(w, v, err)
}

// amountRequest is the body of POST /dev/deposit, to an account, and /dev/peg-out, to a
// Bitcoin address.
type amountRequest struct {
	To      string `json:"to"`
	Satoshi uint64 `json:"satoshi"`
}

func (d *Development) deposit(w http.ResponseWriter, r *http.Request) {
	amount(w, r, d.Deposit)
}

func (d *Development) pegOut(w http.ResponseWriter, r *http.Request) {
	amount(w, r, d.PegOut)
}

func amount(w http.ResponseWriter, r *http.Request, do func(context.Context, string, uint64) (any, error)) {
	request, ok := requestOf[amountRequest](w, r, do != nil)
	if !ok {
		return
	}
	v, err := do(r.Context(), request.To, request.Satoshi)
	reply(w, v, err)
}

// Faucet stores in v what the node says of its regtest chain.
func (c *Client) Faucet(ctx context.Context, v any) error {
	return c.do(ctx, http.MethodGet, "/dev/faucet", nil, v)
}

// Mine has the node mine blocks of its regtest chain and stores the node's answer in v.
func (c *Client) Mine(ctx context.Context, blocks int, v any) error {
	return c.post(ctx, "/dev/mine", "blocks to mine", countRequest{Blocks: blocks}, v)
}

// Reorganise has the node replace the last depth blocks of its regtest chain by depth+1
// others.
func (c *Client) Reorganise(ctx context.Context, depth int, v any) error {
	return c.post(ctx, "/dev/reorganise", "depth", countRequest{Blocks: depth}, v)
}

// Deposit has the faucet send satoshi to the federation for an account.
func (c *Client) Deposit(ctx context.Context, account string, satoshi uint64, v any) error {
	return c.post(ctx, "/dev/deposit", "deposit", amountRequest{To: account, Satoshi: satoshi}, v)
}

// PegOut has a development account ask for a peg-out. The error wraps [ErrRefused] when it
// would be burned without a payment.
func (c *Client) PegOut(ctx context.Context, destination string, satoshi uint64, v any) error {
	return c.post(ctx, "/dev/peg-out", "peg-out", amountRequest{To: destination, Satoshi: satoshi}, v)
}
