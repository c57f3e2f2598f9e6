package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Peers is what a node offers about its peers. Nil functions are answered with 501.
type Peers struct {
	// Answer answers a question about peers, by its name, with parameters in JSON.
	Answer func(ctx context.Context, question string, params json.RawMessage) (any, error)
	// Ban has a peer id or an IP address not talked to for so many seconds, 0 for ever; Unban ends
	// that. An error that wraps [ErrRefused] says that the node could and will not.
	Ban   func(ctx context.Context, peer, address string, seconds uint64, reason string) error
	Unban func(ctx context.Context, peer, address string) error
}

func (p *Peers) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /p2p/{question}", p.answer)
	mux.HandleFunc("POST /p2p/ban", p.ban)
	mux.HandleFunc("POST /p2p/unban", p.unban)
}

func (p *Peers) answer(w http.ResponseWriter, r *http.Request) {
	params, ok := requestOf[json.RawMessage](w, r, p.Answer != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	v, err := p.Answer(ctx, r.PathValue("question"), params)
	reply(w, v, err)
}

// banRequest is the body of POST /p2p/ban and, without the last two, of /p2p/unban.
type banRequest struct {
	Peer    string `json:"peer,omitempty"`
	Address string `json:"address,omitempty"`
	Seconds uint64 `json:"seconds,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

func (p *Peers) ban(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[banRequest](w, r, p.Ban != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	reply(w, map[string]bool{"banned": true}, p.Ban(ctx, request.Peer, request.Address, request.Seconds, request.Reason))
}

func (p *Peers) unban(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[banRequest](w, r, p.Unban != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	reply(w, map[string]bool{"unbanned": true}, p.Unban(ctx, request.Peer, request.Address))
}

// Peers asks the node about its peers, by the name of the question, and stores the answer in v.
func (c *Client) Peers(ctx context.Context, question string, params, v any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "question about peers")
	}
	return c.do(ctx, http.MethodPost, "/p2p/"+url.PathEscape(question), body, v)
}

// BanPeer has the node not talk to a peer id or an IP address; the reason is kept in its
// journal.
func (c *Client) BanPeer(ctx context.Context, peer, address string, seconds uint64, reason string) error {
	return c.post(ctx, "/p2p/ban", "ban", banRequest{peer, address, seconds, reason}, nil)
}

// UnbanPeer ends a ban. The error wraps [ErrRefused] when there is none.
func (c *Client) UnbanPeer(ctx context.Context, peer, address string) error {
	return c.post(ctx, "/p2p/unban", "ban", banRequest{Peer: peer, Address: address}, nil)
}
