package rpc

import (
	"context"
	"strings"

	"github.com/AnduroProject/alys-go/projections/peg"
)

// PegBackend is what a node offers about the peg. Errors as for [Backend].
type PegBackend interface {
	// PegGet, PegList and PegStatus read the ledger of the peg.
	PegGet(q peg.Question) (*peg.Found, error)
	PegList(q peg.Query) (*peg.Page, error)
	PegStatus(asOf uint64) (*peg.Summary, error)
	// PegReserves reads sums, and coins with their proofs, at a block.
	PegReserves(ctx context.Context, q ReservesQuery) (*Reserves, error)
	// PegAddress is where deposits go. missing is why none is safe now.
	PegAddress(ctx context.Context) (address *PegAddress, missing []string, err error)
}

// ReservesQuery says at which block the reserves are wanted.
type ReservesQuery struct {
	Block  string `json:"block,omitempty" doc:"head, finalised, a height of the head's branch, or the hash of a block that is kept; head unless given"`
	Coins  bool   `json:"coins,omitempty" doc:"with the coins and the proofs that Bitcoin has them"`
	Cursor string `json:"cursor,omitempty" doc:"go on where another answer for the same block ended"`
	Limit  int    `json:"limit,omitempty" doc:"most coins, 1 to 500; 100 unless given"`
}

// Reserves are what backs the sidechain at a block.
type Reserves struct {
	AsOf    uint64     `json:"asOf" doc:"event of the journal up to which the answer holds"`
	Block   string     `json:"block" doc:"block of the sidechain, or the last one before it that the peg touched"`
	Height  uint64     `json:"height" doc:"its height"`
	Totals  peg.Totals `json:"totals" doc:"locked, minted, pending, drift and every residue, in satoshi"`
	Exact   bool       `json:"exact" doc:"whether the identities of the sums hold: deposited + fetched = locked + paid + stray + bitcoinFees, requested = paid + userFees + pending, userFees + drift = bitcoinFees"`
	Bitcoin uint64     `json:"bitcoinHeight" doc:"height that Bitcoin was followed to"`
	Coins   []PegCoin  `json:"coins,omitempty" doc:"unspent coins, if asked for, in the order of their outpoints"`
	Cursor  string     `json:"cursor,omitempty" doc:"where to go on; absent at the end"`
}

// PegCoin is an output that the federation holds.
type PegCoin struct {
	Txid      string     `json:"txid" doc:"Bitcoin transaction, display order"`
	Output    uint32     `json:"output" doc:"index of its output"`
	Amount    uint64     `json:"amount" doc:"satoshi"`
	From      string     `json:"from" doc:"deposit, or payment for its change"`
	Height    uint64     `json:"height" doc:"height of the block that mints the deposit or proposes the payment"`
	Spendable bool       `json:"spendable" doc:"whether the federation's signatures alone spend it"`
	Proof     *peg.Proof `json:"proof" doc:"that a Bitcoin block has the transaction; null while none is known, as of change that is not mined"`
}

// PegAddress is where deposits go.
type PegAddress struct {
	Address       string `json:"address" doc:"taproot address of the federation"`
	Network       string `json:"network" doc:"Bitcoin network of the address"`
	Members       int    `json:"members" doc:"members of the federation"`
	Threshold     int    `json:"threshold" doc:"of them, how many sign a payment"`
	Confirmations uint64 `json:"confirmations" doc:"Bitcoin blocks until a deposit can be minted"`
	Height        uint64 `json:"height" doc:"head of the sidechain for which that holds"`
	BitcoinHeight uint64 `json:"bitcoinHeight" doc:"height that Bitcoin was followed to"`
}

type statusParams struct {
	AsOf uint64 `json:"asOf,omitempty" doc:"as it was after this event of the journal; now, unless given"`
}

const pegExample = "d3b87f05cfdde197e0ad8cd19c1a06df70f17ec7a2a6ca59fd14f9d71d00e192"

// pegMethods are the rows of the table about the peg.
func pegMethods() []method {
	unavailable := []int{codeUnavailable}
	return []method{
		{
			name: "peg_list", summary: "Deposits, requests or payments, newest first: all conditions given are met; at most limit, and a cursor when there may be more.",
			params: peg.Query{}, result: peg.Page{}, errors: unavailable, example: `{"kind":"deposit","limit":2}`,
			call: (*Server).pegList,
		},
		{
			name: "peg_get", summary: "The whole life of a deposit, request or payment: every state with times and heights, confirmations left, what comes next and when.",
			params: peg.Question{}, result: peg.Found{}, errors: []int{codeNotFound, codeUnavailable}, example: `["` + pegExample + `"]`,
			call: (*Server).pegGet,
		},
		{
			name: "peg_status", summary: "The peg at a glance: entries by state, sums, Bitcoin, halt, alarms, and when each member last signed.",
			params: statusParams{}, result: peg.Summary{}, errors: unavailable, example: `[]`,
			call: (*Server).pegStatus,
		},
		{
			name: "peg_reserves", summary: "What backs the sidechain at a block: the sums with every residue, and the coins with the proofs that Bitcoin has them.",
			params: ReservesQuery{}, result: Reserves{}, errors: []int{codeNotFound, codeUnavailable}, example: `{"block":"head","coins":true,"limit":1}`,
			call: (*Server).pegReserves,
		},
		{
			name: "peg_getDepositAddress", summary: "The federation's address, refused unless this node is level with both chains: a deposit that is made while it is not may wait long. getdepositaddress always answers.",
			params: noParams{}, result: PegAddress{}, errors: []int{codeNotSynced, codeUnavailable}, example: `[]`,
			call: (*Server).pegAddress,
		},
	}
}

func (s *Server) pegList(_ context.Context, c call) (any, error) {
	return s.opt.Backend.PegList(*c.params.(*peg.Query))
}

func (s *Server) pegGet(_ context.Context, c call) (any, error) {
	q := *c.params.(*peg.Question)
	found, err := s.opt.Backend.PegGet(q)
	if err == nil && len(found.Pegs) == 0 {
		return nil, refusedCall(codeNotFound, "%s is no deposit, request or payment that was seen up to event %d", clip(q.ID), found.AsOf)
	}
	return found, err
}

func (s *Server) pegStatus(_ context.Context, c call) (any, error) {
	return s.opt.Backend.PegStatus(c.params.(*statusParams).AsOf)
}

// Bounds of the coins of an answer.
const (
	defaultCoins = 100
	maxCoins     = 500
)

func (s *Server) pegReserves(ctx context.Context, c call) (any, error) {
	q := *c.params.(*ReservesQuery)
	if q.Limit == 0 {
		q.Limit = defaultCoins
	}
	if q.Limit < 1 || q.Limit > maxCoins {
		return nil, refusedCall(codeInvalidParams, "limit is %d, allowed is 1 to %d", q.Limit, maxCoins)
	}
	r, err := s.opt.Backend.PegReserves(ctx, q)
	if err == nil && r == nil {
		return nil, refusedCall(codeNotFound, "block %s is not on the head's branch, or its coins are not kept any more", clip(q.Block))
	}
	return r, err
}

func (s *Server) pegAddress(ctx context.Context, _ call) (any, error) {
	address, missing, err := s.opt.Backend.PegAddress(ctx)
	if err != nil || len(missing) == 0 {
		return address, err
	}
	return nil, &callError{
		Code: codeNotSynced, Message: "no deposit address now: " + strings.Join(missing, "; "), Data: map[string]any{"missing": missing},
	}
}
